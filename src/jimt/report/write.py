"""The report of a run, a sweep or a cross-validation: ``jimt report RUN`` writes ``report.html`` into it."""

import argparse
import functools
import shlex
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from jimt.errors import InputError, filling_a_disk, in_one_sentence, ways_out, writing
from jimt.report.figure_process import figure_process
from jimt.system.arguments import from_1
from jimt.system.files import MODEL_CARD, REPORT, write_whole


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
    with figure_process() as process:
        from jimt.report.blocks import Missing  # late: torch and matplotlib
        from jimt.report.figure_files import FigureFiles
        from jimt.report.model_card import model_card
        from jimt.report.page import build_sections, title_of, write_page
        from jimt.report.progress import watched
        from jimt.report.study import Options, open_study
        from jimt.system.memory import keep_freed_memory

        keep_freed_memory()
        study = open_study(folder, Options(curated_folder, accelerator, device_index, maps))
        figures = folder / "figures"
        with writing(folder, advice="make it writable, or copy it to where you may write"):
            TemporaryFile(dir=folder).close()  # said now, and not when all is made
        with writing(figures, advice="make it a folder that you may write to"):
            figures.mkdir(exist_ok=True)
            TemporaryFile(dir=figures).close()
        title, subtitle = title_of(study)
        files = FigureFiles(figures, process)
        with filling_a_disk(f"the report in {folder}"):
            with watched(functools.partial(print, flush=True)):
                sections = build_sections(study, max_shown=max_shown, max_mapped=max_mapped, files=files)
                n_figures = write_page(folder / REPORT, sections, title=title, subtitle=subtitle, files=files)
            if study.kind != "sweep":
                write_whole(folder / MODEL_CARD, model_card(study.models[0]))
    blocks = [block for section in sections for block in section.blocks]
    missing = {block.what: block.reason for block in blocks if isinstance(block, Missing)}
    return Written(folder / REPORT, n_figures, missing)


def report_on(folder: Path, *, device_index: int = 0, maps: Path | None = None) -> None:
    """Write the report of what has just been finished; whatever goes wrong is told and ends nothing."""
    try:
        print_written(write_report(folder, device_index=device_index, maps=maps))
    except InputError as error:
        print(f"no report of {folder}: {error}", file=sys.stderr)
    except Exception as error:  # a training of days does not fail for a figure
        traceback.print_exc()
        told = f"{type(error).__name__}: {error}"
        print(
            f"no report of {folder} ({told}): {ways_out(remedies=(shlex.join(['jimt', 'report', str(folder)]),))}",
            file=sys.stderr,
        )


def print_written(written: Written) -> None:
    """What was written, and what is missing."""
    size = written.page.stat().st_size / 1e6
    for what, reason in written.missing.items():
        print(f"not in the report: {what} ({reason})", file=sys.stderr)
    print(f"the report is {written.page} ({size:.1f} MB), with {written.n_figures} figures in figures/")


@in_one_sentence()
def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt report``."""
    parser = argparse.ArgumentParser(
        prog="jimt report", description="Write the report of a run, a sweep or a cross-validation."
    )
    parser.add_argument("folder", type=Path, metavar="RUN", help="its folder")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    parser.add_argument("--curated", type=Path, help="curated data set, where it has moved")
    parser.add_argument(
        "--max-shown", type=from_1, help="test patches with a thumbnail, at most (2000); more make a larger page"
    )
    parser.add_argument("--max-mapped", type=from_1, help="test patches whose maps are held against PI, at most (200)")
    options = parser.parse_args(arguments)
    print_written(
        write_report(
            options.folder,
            accelerator=options.accelerator,
            curated_folder=options.curated,
            max_shown=options.max_shown,
            max_mapped=options.max_mapped,
        )
    )
