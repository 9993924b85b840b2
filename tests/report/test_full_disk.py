"""What a report writes over one before it is whole: where there is no space, the old file stays."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jimt.errors import InputError
from jimt.figures.style import new_axes, save, styled
from jimt.report.write import write_report

resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")


@contextmanager
def space_for(size: int) -> Iterator[None]:
    """No file of this process can grow beyond so many bytes: to whoever writes, a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def held(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@styled
def draw(folder: Path, n: int) -> None:
    """A line of n points, of which an SVG has each and a PNG the pixels."""
    figure, axes = new_axes(2, 2)
    axes[0, 0].plot([(7 * i) % 101 for i in range(n)])
    save(figure, folder, "line")


@pytest.mark.parametrize("too_large", [".png", ".svg"])
def test_a_figure_that_a_full_disk_would_cut_leaves_the_one_before(tmp_path, fine_figures, too_large):
    (tmp_path / "new").mkdir()
    draw(tmp_path / "new", 9_000)
    sizes = {path.suffix: path.stat().st_size for path in (tmp_path / "new").iterdir()}
    assert sizes[".png"] < sizes[".svg"]
    draw(tmp_path / "old", 9)
    before = held(tmp_path / "old")
    with space_for(sizes[too_large] - 1), pytest.raises(OSError, match="too large"):
        draw(tmp_path / "old", 9_000)
    after = held(tmp_path / "old")
    assert after.keys() == before.keys()
    assert after[f"line{too_large}"] == before[f"line{too_large}"]


def test_a_model_card_that_a_full_disk_would_cut_leaves_the_one_before(own, monkeypatch):
    before, size = (own / "MODEL_CARD.md").read_bytes(), 2 * (own / "report.html").stat().st_size
    monkeypatch.setattr("jimt.report.model_card.model_card", lambda model: "x" * (size + 1))
    said = f"no space left for the report in {re.escape(str(own))} .*: free some"
    with space_for(size), pytest.raises(InputError, match=said):
        write_report(own)
    assert (own / "MODEL_CARD.md").read_bytes() == before
    assert not list(own.glob(".*.partial"))
