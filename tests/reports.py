"""Runs with a report, and the parts of one, for the tests of reports."""

from pathlib import Path

from conftest import TINY, TINY_PROBE, composed_train
from jimt.commands import train_and_report
from jimt.report.blocks import Drawing, Html, Missing
from jimt.report.page import build_sections
from jimt.report.study import open_study

FIGURES = {
    "raw_pairs",
    "sample_patches",
    "fluorescence_histograms",
    "labelled_patches",
    "risk_coverage",
    "roc",
    "precision_recall",
    "confusion",
    "reliability",
    "score_against_fluorescence",
    "training",
    "by_raw_image",
    "worst_errors",
    "embedding",
    "embedding_thumbnails",
    "boundary",
    "grad_cam_live",
    "grad_cam_dead",
}
"""Of a run on a data set without hand labels whose groups are raw images."""


def trained(uneven: list[str], run: Path, *overrides: str) -> Path:
    train_and_report(composed_train(*uneven, *TINY, f"run_dir={run}", *overrides))
    return run


class Parts:
    """The parts of a report before they are drawn: what is missing and why, the figures, the words."""

    def __init__(self, folder: Path) -> None:
        blocks = [block for section in build_sections(open_study(folder), max_mapped=6) for block in section.blocks]
        self.missing = {block.what: block.reason for block in blocks if isinstance(block, Missing)}
        self.figures = {block.name for block in blocks if isinstance(block, Drawing)}
        self.words = " ".join(
            block.caption if isinstance(block, Drawing) else block.html()
            for block in blocks
            if not isinstance(block, Html)
        )


def probed(uneven: list[str], run: Path) -> Path:
    """The folder of a linear probe with its report."""
    train_and_report(composed_train(*uneven, *TINY_PROBE, f"run_dir={run}"))
    return run
