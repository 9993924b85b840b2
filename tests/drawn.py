"""How finely figures of reports are drawn in tests: drawing them is most of a report's time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure

COARSE = """
from jimt.figures import style
from jimt.report import blocks
style.DPI, blocks.DPI = 60, blocks._PAGE_DPI
"""
"""What ``coarse_figures`` does, for another process."""
_DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


@contextlib.contextmanager
def coarse_figures() -> Iterator[None]:
    """Draw figures of reports at a fifth of their resolution."""
    from jimt.figures import style
    from jimt.report import blocks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 60)
        patch.setattr(blocks, "DPI", blocks._PAGE_DPI)  # pictures of the page are no smaller than those of the files
        yield


@contextlib.contextmanager
def no_figures() -> Iterator[None]:
    """Make figures and put a dot into the page for each, in tests that look at neither: nothing is drawn or saved."""
    from jimt.report import figure_files

    def leave(_figure: Figure, folder: Path, _name: str) -> str:
        folder.mkdir(exist_ok=True)
        return _DOT

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_files, "drawn", leave)
        yield
