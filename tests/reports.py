"""Runs with a report, and the parts of one, for the tests of reports."""

from pathlib import Path

from conftest import TINY, composed_train
from jimt.report.blocks import Drawing, Html, Missing
from jimt.report.study import open_study
from jimt.report.write import build_sections
from jimt.training.run import train

FIGURES = {
    "raw_pairs",
    "sample_patches",
    "fluorescence_histograms",
    "labelled_patches",
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
    train(composed_train(*uneven, *TINY, f"run_dir={run}", *overrides))
    return run


class Parts:
    """The parts of a report before they are drawn: what is missing and why, the figures, the words."""

    def __init__(self, folder: Path) -> None:
        blocks = [block for section in build_sections(open_study(folder)) for block in section.blocks]
        self.missing = {block.what: block.reason for block in blocks if isinstance(block, Missing)}
        self.figures = {block.name for block in blocks if isinstance(block, Drawing)}
        self.words = " ".join(
            block.caption if isinstance(block, Drawing) else block.html()
            for block in blocks
            if not isinstance(block, Html)
        )
