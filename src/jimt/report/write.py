"""The report of a run, a sweep or a cross-validation: ``jimt report RUN`` writes ``report.html`` into it."""

import argparse
import dataclasses
import functools
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from jimt.errors import DISK_FULL, InputError, ways_out, writing
from jimt.system.files import MODEL_CARD, REPORT

if TYPE_CHECKING:
    from jimt.report.blocks import Block, Section
    from jimt.report.study import Model, Study


@dataclass(frozen=True)
class Written:
    """What a report wrote.

    Attributes:
        page: The HTML file.
        n_figures: Figures in ``figures/``, each as PNG and SVG.
        missing: Parts that could not be made, each with its reason.
    """

    page: Path
    n_figures: int
    missing: dict[str, str]


def write_report(
    folder: Path,
    *,
    accelerator: str | None = None,
    device_index: int = 0,
    curated_folder: Path | None = None,
    max_shown: int | None = None,
    max_mapped: int | None = None,
    maps: Path | None = None,
) -> Written:
    """Write ``report.html``, ``figures/`` and, of a single model, ``MODEL_CARD.md`` into a folder of results.

    A part that cannot be made says why in its place, and the others are written. One that takes more than two seconds
    is told while it is being made.

    Args:
        folder: Of a run, a sweep or a cross-validation.
        accelerator: ``cpu`` or ``gpu``; None for the training's.
        device_index: Which graphics card, where one is used.
        curated_folder: Where the curated data set has moved to; None where it has not.
        max_shown: Test patches with a thumbnail in the page, at most; None for 2,000.
        max_mapped: Test patches whose activation maps are held against PI, at most; None for 200.
        maps: Folder of the feature maps of whole fields that the folds of a cross-validation share; None for none.

    Raises:
        InputError: If the folder holds nothing that is finished, or the disk is full.
    """
    from jimt.report.blocks import Missing
    from jimt.report.model_card import model_card
    from jimt.report.page import write_page
    from jimt.report.progress import watched
    from jimt.report.study import Options, open_study
    from jimt.system.memory import keep_freed_memory

    keep_freed_memory()
    study = open_study(folder, Options(curated_folder, accelerator, device_index, maps))
    with writing(folder, advice="make it writable, or copy it to where you may write"), TemporaryFile(dir=folder):
        pass  # said now, and not when all is made
    title, subtitle = _title(study)
    try:
        with watched(functools.partial(print, flush=True)):
            sections = build_sections(study, max_shown=max_shown, max_mapped=max_mapped)
            n_figures = write_page(folder / REPORT, sections, title=title, subtitle=subtitle)
        if study.kind != "sweep":
            (folder / MODEL_CARD).write_text(model_card(study.models[0]), encoding="utf-8")
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(f"no space left for the report in {folder} ({error.strerror})", advice="free some") from error
    blocks = [block for section in sections for block in section.blocks]
    missing = {block.what: block.reason for block in blocks if isinstance(block, Missing)}
    return Written(folder / REPORT, n_figures, missing)


def build_sections(study: "Study", *, max_shown: int | None = None, max_mapped: int | None = None) -> list["Section"]:
    """The sections of a report, read as a paper's results; arguments as in ``write_report``."""
    from jimt.report.blocks import Section, Text
    from jimt.report.progress import part
    from jimt.report.sections.features_section import MAX_SHOWN

    data_sets = list(study.by_dataset())
    sections: list[Section] = []
    if study.kind == "sweep":
        sections.append(Section("The sweep", list(_overview(study))))
    max_shown = MAX_SHOWN if max_shown is None else max_shown
    max_shown = max(1, max_shown // len(data_sets))
    for number, (name, models) in enumerate(data_sets, 1):
        several = len(data_sets) > 1
        parts = _parts(models, f" ({name})" if several else "", max_shown, max_mapped)
        prefix = f"{number}_{models[0].record.dataset}_" if several else ""
        for heading, blocks in parts:
            with part(heading[0].lower() + heading[1:]):
                sections.append(Section(heading, list(_named(blocks, prefix))))
    sections.append(Section("How it was made", [Text(line) for line in _provenance(study)]))
    return sections


def _parts(
    models: Sequence["Model"], data_words: str, max_shown: int, max_mapped: int | None
) -> Iterator[tuple[str, Iterator["Block"]]]:
    from jimt.report.blocks import attempt
    from jimt.report.sections.agreement_section import MAX_MAPPED
    from jimt.report.sections.attention_section import attention_blocks
    from jimt.report.sections.data_section import curation_blocks
    from jimt.report.sections.errors_section import error_blocks
    from jimt.report.sections.features_section import feature_blocks
    from jimt.report.sections.performance_section import performance_blocks

    def curation() -> Iterator["Block"]:
        yield from curation_blocks(models[0].curated, splits=not models[0].is_crossval)

    yield f"The data{data_words}", attempt("What is known of the data", curation())
    yield f"How good{data_words}", performance_blocks(models)
    best = _best(models)
    of_best = f" of {best.name}" if len(models) > 1 else ""
    yield f"Where it fails{data_words}", attempt("The gallery of errors", error_blocks(best, model_words=of_best))
    in_order = [best, *(model for model in models if model is not best)]
    yield f"What it has learned{data_words}", feature_blocks(in_order, max_shown=max_shown)
    yield (
        f"What it looks at{data_words}",
        attention_blocks(models, max_mapped=MAX_MAPPED if max_mapped is None else max_mapped),
    )


def _best(models: Sequence["Model"]) -> "Model":
    """The model whose single patches are shown: that of the highest AUROC, of those that have one."""

    def auroc(model: "Model") -> float:
        try:
            value = model.metrics["metrics"]["auroc"]["value"]
        except InputError:
            return -1.0
        return -1.0 if value is None else float(value)

    return max(models, key=auroc)


def _named(blocks: Iterator["Block"], prefix: str) -> Iterator["Block"]:
    """Figures named by their data set, where a report has several."""
    from jimt.report.blocks import Drawing

    for block in blocks:
        if isinstance(block, Drawing):
            block = dataclasses.replace(block, name=f"{prefix}{block.name}")
        yield block


def _overview(study: "Study") -> Iterator["Block"]:
    from jimt.report.blocks import Text
    from jimt.report.sections.sweep_section import overview

    yield overview(study)
    for name, reason in study.unfinished.items():
        yield Text(f"{name} is not in this report: {reason}.", is_warning=True)
    own = [model.folder for model in study.models if (model.folder / REPORT).is_file()]
    if own:
        folders = ", ".join(folder.relative_to(study.folder).as_posix() for folder in own)
        yield Text(f"Reports of single jobs, with maps of single patches (Fig. 6), are in {folders}.")
    if len(own) < len(study.models):
        yield Text(
            f"{len(study.models) - len(own)} of {len(study.models)} jobs have no report of their own, which has maps "
            "of single patches (Fig. 6): jimt report with the job's folder writes one."
        )


def _title(study: "Study") -> tuple[str, str]:
    names = [name for name, _ in study.by_dataset()]
    if study.kind == "sweep":
        models = f"{len(study.models)} model{'s' * (len(study.models) != 1)}"
        return f"{models} on {', '.join(names)}", f"A sweep in {study.folder.name}: live or dead, from bright-field."
    model = study.models[0]
    kind = f"{len(model.checkpoints)} folds of whole groups" if model.is_crossval else "one training, one test split"
    return f"{model.name} on {names[0]}", f"Live or dead, from bright-field: {kind}."


def _provenance(study: "Study") -> Iterator[str]:
    import jimt

    for model in study.models:
        record = model.record
        settings = record.settings
        yield (
            f"{model.name} on {record.dataset}: weights {record.weights}; trainable "
            f"{settings['backbone.trainable'] or 'none of it'}; seed {record.seed}; {record.precision} on "
            f"{record.accelerator}; jimt {record.versions['jimt']}."
        )
    yield (
        f"Written by jimt {jimt.__version__}. Paper: Pattarone et al., Scientific Reports 2021, "
        "Learning deep features for dead and living breast cancer cell classification without staining."
    )


def report_on(folder: Path, *, device_index: int = 0, maps: Path | None = None) -> None:
    """Write the report of what has just been finished; whatever goes wrong is told and ends nothing."""
    try:
        print_written(write_report(folder, device_index=device_index, maps=maps))
    except InputError as error:
        print(f"no report of {folder}: {error}", file=sys.stderr)
    except Exception as error:  # a training of days does not fail for a figure
        traceback.print_exc()
        told = f"{type(error).__name__}: {error}"
        words = ("jimt", "report", str(folder))
        print(
            f"no report of {folder} ({told}): {ways_out(remedies=(shlex.join(words),))}",
            file=sys.stderr,
        )


def print_written(written: Written) -> None:
    """What was written, and what is missing."""
    size = written.page.stat().st_size / 1e6
    for what, reason in written.missing.items():
        print(f"not in the report: {what} ({reason})", file=sys.stderr)
    print(f"the report is {written.page} ({size:.1f} MB), with {written.n_figures} figures in figures/")


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt report``."""
    parser = argparse.ArgumentParser(
        prog="jimt report", description="Write the report of a run, a sweep or a cross-validation."
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="its folder")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    parser.add_argument("--curated", type=Path, help="curated data set, where it has moved")
    parser.add_argument(
        "--max-shown", type=_count, help="test patches with a thumbnail, at most (2000); more make a larger page"
    )
    parser.add_argument("--max-mapped", type=_count, help="test patches whose maps are held against PI, at most (200)")
    options = parser.parse_args(arguments)
    try:
        print_written(
            write_report(
                options.folder,
                accelerator=options.accelerator,
                curated_folder=options.curated,
                max_shown=options.max_shown,
                max_mapped=options.max_mapped,
            )
        )
    except InputError as error:
        sys.exit(f"error: {error}")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not allowed: it takes 1 or more")
    return int(text)
