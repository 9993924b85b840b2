"""What a report holds, from top to bottom, and its one HTML file, which loads nothing, with the figures beside it."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import jinja2

import jimt
from jimt.errors import InputError
from jimt.figures.style import COLOURS
from jimt.report.blocks import Block, Drawing, Html, Section, Table, Text, attempt
from jimt.report.figure_files import FigureFiles
from jimt.report.progress import part
from jimt.report.sections.agreement_section import MAX_MAPPED
from jimt.report.sections.attention_section import attention_blocks
from jimt.report.sections.data_section import curation_blocks
from jimt.report.sections.errors_section import error_blocks
from jimt.report.sections.features_section import MAX_SHOWN, feature_blocks
from jimt.report.sections.metrics_section import overview
from jimt.report.sections.next_experiment_section import next_experiment_blocks
from jimt.report.sections.performance_section import performance_blocks
from jimt.report.sections.stain_section import prediction_blocks
from jimt.report.study import Model, Study
from jimt.system.files import REPORT, write_whole
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE


def build_sections(
    study: Study, *, max_shown: int | None = None, max_mapped: int | None = None, files: FigureFiles | None = None
) -> list[Section]:
    """The sections of a report, read as a paper's results.

    Args:
        study: What it is about.
        max_shown: As in ``write_report``.
        max_mapped: Likewise.
        files: Where figures begin to be written as soon as they are there; None for nowhere.
    """
    data_sets = list(study.by_dataset())
    sections: list[Section] = []
    if study.kind == "sweep":
        sections.append(Section("The sweep", list(_overview(study))))
    max_shown = max(1, (MAX_SHOWN if max_shown is None else max_shown) // len(data_sets))
    for number, (name, models) in enumerate(data_sets, 1):
        several = len(data_sets) > 1
        parts = _parts(models, f" ({name})" if several else "", max_shown, max_mapped)
        prefix = f"{number}_{models[0].record.dataset}_" if several else ""
        for heading, blocks in parts:
            with part(heading[0].lower() + heading[1:]):
                sections.append(Section(heading, list(_begun(_named(blocks, prefix), files))))
    sections.append(Section("How it was made", [Text(line) for line in _provenance(study)]))
    return sections


def _parts(
    models: Sequence[Model], data_words: str, max_shown: int, max_mapped: int | None
) -> Iterator[tuple[str, Iterator[Block]]]:
    def curation() -> Iterator[Block]:
        yield from curation_blocks(models[0].curated, splits=not models[0].is_crossval)

    yield f"The data{data_words}", attempt("What is known of the data", curation())
    yield f"How good{data_words}", performance_blocks(models)
    best = _best(models)
    of_best = f" of {best.name}" if len(models) > 1 else ""
    yield f"Where it fails{data_words}", attempt("The gallery of errors", error_blocks(best, model_words=of_best))
    in_order = [best, *(model for model in models if model is not best)]
    yield f"What it has learned{data_words}", feature_blocks(in_order, max_shown=max_shown)
    if len(models) == 1 and models[0].is_crossval:
        yield "The next experiment", next_experiment_blocks(models[0])
    if mapped := [model for model in models if model.checkpoint.task == "stain"]:
        yield f"What it predicts{data_words}", prediction_blocks(mapped)
    if classifiers := [model for model in models if model not in mapped]:
        yield (
            f"What it looks at{data_words}",
            attention_blocks(classifiers, max_mapped=MAX_MAPPED if max_mapped is None else max_mapped),
        )


def _best(models: Sequence[Model]) -> Model:
    """The model whose single patches are shown: that of the highest AUROC, of those that have one."""

    def auroc(model: Model) -> float:
        try:
            value = model.metrics["metrics"]["auroc"]["value"]
        except InputError:
            return -1.0
        return -1.0 if value is None else float(value)

    return max(models, key=auroc)


def _named(blocks: Iterator[Block], prefix: str) -> Iterator[Block]:
    """Figures named by their data set, where a report has several."""
    for block in blocks:
        if isinstance(block, Drawing):
            block = dataclasses.replace(block, name=f"{prefix}{block.name}")
        yield block


def _begun(blocks: Iterator[Block], files: FigureFiles | None) -> Iterator[Block]:
    for block in blocks:
        if files is not None and isinstance(block, Drawing):
            files.begin(block)
        yield block


def _overview(study: Study) -> Iterator[Block]:
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


def title_of(study: Study) -> tuple[str, str]:
    """The title of a report and the line below it."""
    names = [name for name, _ in study.by_dataset()]
    if study.kind == "sweep":
        models = f"{len(study.models)} model{'s' * (len(study.models) != 1)}"
        return f"{models} on {', '.join(names)}", f"A sweep in {study.folder.name}: live or dead, from bright-field."
    model = study.models[0]
    kind = f"{len(model.checkpoints)} folds of whole groups" if model.is_crossval else "one training, one test split"
    return f"{model.name} on {names[0]}", f"Live or dead, from bright-field: {kind}."


def _provenance(study: Study) -> Iterator[str]:
    for model in study.models:
        record = model.record
        yield (
            f"{model.name} on {record.dataset}: weights {record.weights}; trainable "
            f"{record.settings['backbone.trainable'] or 'none of it'}; seed {record.seed}; {record.precision} on "
            f"{record.accelerator}; jimt {record.versions['jimt']}."
        )
    yield (
        f"Written by jimt {jimt.__version__}. Paper: Pattarone et al., Scientific Reports 2021, "
        "Learning deep features for dead and living breast cancer cell classification without staining."
    )


def render(sections: Sequence[Section], *, title: str, subtitle: str) -> str:
    """The page as one HTML text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jimt.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    head = dict.fromkeys(
        piece for section in sections for block in section.blocks if isinstance(block, Html) for piece in block.head
    )
    return environment.get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        sections=[section for section in sections if section.blocks],
        head=list(head),
        quotes_paper=any(block.quoted for section in sections for block in section.blocks if isinstance(block, Table)),
        version=jimt.__version__,
        live=COLOURS[LIVE],
        dead=COLOURS[DEAD],
        discarded=COLOURS[AMBIGUOUS],
    )


def write_page(path: Path, sections: Sequence[Section], *, title: str, subtitle: str, files: FigureFiles) -> int:
    """Write the page beside its figures, when they are written; returns their number.

    Args:
        path: Of the page.
        sections: Of ``build_sections``.
        title: Of the page.
        subtitle: The line below it.
        files: Of the figures.
    """
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Drawing):
                files.begin(block)
    n_figures = files.finish()
    write_whole(path, render(sections, title=title, subtitle=subtitle))
    return n_figures
