"""A report tells stained areas by condition and day, where a condition is the control."""

from pathlib import Path

import pytest
from rich.console import Console

from conftest import composed_prepare
from jimt.curation.curate import curate
from jimt.curation.manifest import Curated, open_curated
from jimt.report.blocks import Drawing, Missing, Section, Table
from jimt.report.figure_files import FigureFiles
from jimt.report.page import write_page
from jimt.report.sections.data_section import curation_blocks
from plates import PATTERN, PLATE, SHARES, write_plate


def curated_plate(root: Path, *overrides: str) -> Curated:
    given = [*PLATE, f"dataset.root={root}", PATTERN, *overrides]
    return open_curated(curate(*composed_prepare(*given), embed=None, console=Console(quiet=True)))


@pytest.fixture
def curated(tmp_path) -> Curated:
    write_plate(tmp_path / "raw")
    return curated_plate(tmp_path / "raw", "dataset.conditions.control=untreated")


def test_the_report_has_the_table_and_the_figure_as_png_and_svg(drawn_figures, tmp_path, curated):
    blocks = list(curation_blocks(curated))
    assert "pi_area_by_condition" in {block.name for block in blocks if isinstance(block, Drawing)}
    (table,) = (
        block for block in blocks if isinstance(block, Table) and block.title == "PI-positive area by condition"
    )
    header = ["day", "condition", "wells", "fields", "mean", "95 % interval", "minus untreated", "95 % interval"]
    assert table.header == header
    expected = {  # the second field of a well has 0.05 more; shares are those of whole rows of 160
        (f"{day}", condition): sum(round(160 * share) / 160 for well in wells for share in (well, well + 0.05)) / 6
        for (condition, day), wells in SHARES.items()
    }
    assert [(row[0], row[1]) for row in table.rows] == [(day, name) for day in "13" for name in ("untreated", "doxo")]
    for day, name, n_wells, n_fields, mean, *_, difference, _ in table.rows:
        assert (n_wells, n_fields, mean) == ("3", "6", f"{100 * expected[day, name]:.1f}")
        less = expected[day, name] - expected[day, "untreated"]
        assert difference == ("-" if name == "untreated" else f"{100 * less:+.1f}")
    files = FigureFiles(tmp_path / "report/figures", None)
    sections = [Section("The data", blocks)]
    write_page(tmp_path / "report/report.html", sections, title="t", subtitle="s", files=files)
    for suffix in ("png", "svg"):
        assert (tmp_path / f"report/figures/pi_area_by_condition.{suffix}").stat().st_size > 1000
    page = (tmp_path / "report/report.html").read_text()
    assert '<figure id="pi_area_by_condition">' in page
    assert f">{100 * expected['3', 'doxo']:.1f}</td>" in page


def test_without_a_control_there_is_neither(tmp_path):
    write_plate(tmp_path / "raw")
    blocks = list(curation_blocks(curated_plate(tmp_path / "raw")))
    assert not [block for block in blocks if isinstance(block, Drawing) and "condition" in block.name]
    assert not [block for block in blocks if isinstance(block, Table) and "condition" in block.title]
    assert not [block for block in blocks if isinstance(block, Missing) and "area" in block.what.lower()]
