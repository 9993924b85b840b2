"""Cells of whole fields, clicked in a real browser: the curation reads what was clicked, of finished fields alone."""

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

import jimt
from annotating import DATASET, served, write_curated
from browsers import opened_browser
from jimt.annotation import cell_table
from jimt.annotation.cell_page import CellPage
from jimt.annotation.cell_table import CellTable
from jimt.annotation.model_verdicts import nuclei_of
from jimt.curation.counted_cells import read_cells
from jimt.curation.manifest import open_curated
from jimt.errors import InputError
from stain_runs import stain_run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cells_anna.csv"


# the buttons that carry a sign of being pressed
SIGNED = """[...document.querySelectorAll("button")].filter((one) =>
    getComputedStyle(one, "::after").content.includes("✓")).map((one) => one.id)"""


def read(path) -> list[tuple]:
    return list(read_cells(path).itertuples(index=False, name=None))


def test_a_field_is_in_the_table_once_all_of_it_is_counted(path):
    table = CellTable(path)
    table.open("A", {(5.0, 6.5): True})
    table.add("A", (1.0, 2.0), dead=False)
    table.add("B", (3.0, 4.0), dead=True)
    assert not path.exists()
    table.count("A")
    assert read(path) == [("A", 5.0, 6.5, True), ("A", 1.0, 2.0, False)]
    table.count("B")
    table.remove("A", (5.0, 6.5))  # it is open again
    table.add("A", (1.0, 2.0), dead=True)
    table.count("A")
    assert read(path) == [("A", 1.0, 2.0, True), ("B", 3.0, 4.0, True)]


def test_every_click_outlives_the_program_and_half_a_row_is_dropped(path):
    table = CellTable(path)
    table.open('A, "b"', {})
    table.add('A, "b"', (1.0, 2.0), dead=False)
    journal = path.with_suffix(".journal.csv")
    journal.write_bytes(journal.read_bytes() + b"A,7.0,8.")
    again = CellTable(path)
    assert again.of('A, "b"').cells == {(1.0, 2.0): False}
    assert again.of('A, "b"').is_opened
    again.add('A, "b"', (3.0, 4.0), dead=True)
    assert len(CellTable(path).of('A, "b"').cells) == 2


def test_a_table_that_another_program_changed_is_never_replaced(path):
    table = CellTable(path)
    for name in ("A", "B"):
        table.add(name, (1.0, 2.0), dead=False)
    table.count("A")
    before = path.read_bytes()
    path.write_bytes(before + b"C,1,1,0\n")
    with pytest.raises(InputError, match="was changed by another program"):
        table.count("B")
    assert path.read_bytes() == before + b"C,1,1,0\n"
    with pytest.raises(InputError, match="was changed by another program"):
        CellTable(path)
    path.rename(path.with_name("changed.csv"))
    CellTable(path).count("B")
    assert {name for name, *_ in read(path)} == {"A", "B"}


def test_a_table_that_the_program_was_killed_before_writing_is_written(path, monkeypatch):
    table = CellTable(path)
    table.add("A", (1.0, 2.0), dead=False)
    table.count("A")
    older = path.read_bytes()
    table.add("B", (1.0, 2.0), dead=False)
    table.count("B")
    path.write_bytes(older)
    CellTable(path)
    assert {name for name, *_ in read(path)} == {"A", "B"}


def test_a_counted_field_that_was_opened_again_is_in_the_table_as_it_was_until_it_is_finished(path):
    table = CellTable(path)
    table.add("A", (1.0, 2.0), dead=False)
    table.count("A")
    table.add("A", (3.0, 4.0), dead=True)
    again = CellTable(path)  # the program was ended here
    assert read(path) == [("A", 1.0, 2.0, False)]
    assert not again.of("A").is_counted
    again.count("A")
    assert read(path) == [("A", 1.0, 2.0, False), ("A", 3.0, 4.0, True)]


def test_a_table_that_could_not_be_written_is_written_at_the_next_start(path, monkeypatch):
    table = CellTable(path)
    for name in ("A", "B"):
        table.add(name, (1.0, 2.0), dead=False)
    table.count("A")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cell_table, "write_whole", full)
    for name in ("B", "B"):
        with pytest.raises(InputError, match="No space left"):
            table.count(name)
    monkeypatch.undo()
    assert {name for name, *_ in read(path)} == {"A"}
    CellTable(path)
    assert {name for name, *_ in read(path)} == {"A", "B"}


def test_a_journal_of_which_a_power_cut_left_half_the_first_line_begins_anew(path):
    path.with_suffix(".journal.csv").write_bytes(b"raw_image_id,y")
    table = CellTable(path)
    table.add("A", (1.0, 2.0), dead=False)
    assert CellTable(path).of("A").cells == {(1.0, 2.0): False}


def test_a_click_that_cannot_be_written_does_not_count(path, monkeypatch):
    table = CellTable(path)
    table.open("A", {})
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(InputError, match="Read-only file system"):
        table.add("A", (1.0, 2.0), dead=False)
    assert table.of("A").cells == {}
    monkeypatch.undo()
    assert CellTable(path).of("A").cells == {}


def test_cells_are_clicked_corrected_and_counted(path, tmp_path):
    curated = open_curated(write_curated(tmp_path / "data") / DATASET)
    table = CellTable(path)
    page_behind = CellPage("cells", curated, table, lambda _: {(30.0, 40.0): True})
    with opened_browser() as browser, served(page_behind, script="cells.js") as address:
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        page.goto(address)
        expect(page.locator("#question")).to_contain_text("Correct them")
        where = page.locator("#where")
        expect(where).to_contain_text("0 live (circles), 1 dead (crosses)")
        page.locator("canvas[data-field]").wait_for()
        name = where.inner_text().split(" · ")[0]
        box = page.locator("#picture").bounding_box()
        scale = box["width"] / 192  # pixels of the field

        def click(y: float, x: float, button: str = "left") -> None:
            page.mouse.click(box["x"] + x * scale, box["y"] + y * scale, button=button)

        click(100, 150)
        expect(where).to_contain_text("1 live (circles), 1 dead")
        for key, chosen in (("l", "live"), ("d", "dead")):  # told by a sign, and not by colour alone
            page.keyboard.press(key)
            assert page.evaluate(SIGNED) == [f"{chosen}-button"]
        click(100, 20)
        expect(where).to_contain_text("1 live (circles), 2 dead")
        click(100.5, 150.5)  # a marked cell: now it is dead
        expect(where).to_contain_text("0 live (circles), 3 dead")
        page.keyboard.press("Backspace")
        expect(where).to_contain_text("1 live (circles), 2 dead")
        click(30, 40, "right")
        expect(where).to_contain_text("1 live (circles), 1 dead")
        page.keyboard.press("l")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        expect(where).to_contain_text("2 live (circles), 1 dead")
        assert page.locator("#marks .live").count() == 2
        assert page.locator("#marks .dead").count() == 1
        other = browser.new_page()  # another tab has another field
        other.goto(address)
        expect(other.locator("#where")).not_to_contain_text(name)
        expect(other.locator("#where")).to_contain_text("1 dead (crosses)")
        assert not path.exists()
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_have_text("Saved: a field with 3 cells.")
        expect(where).not_to_contain_text(name)
        cells = read_cells(path)
        assert set(cells["raw_image_id"]) == {name}
        np.testing.assert_allclose(cells.sort_values(["y", "x"])[["y", "x"]], [[74, 96], [100, 20], [100, 150]], atol=1)
        assert cells.sort_values(["y", "x"])["dead"].tolist() == [False, True, False]
        for _ in range(4):
            page.keyboard.press("+")
        for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):  # the crosshair stays in sight
            for _ in range(45):
                page.keyboard.press(key)
            frame, mark = (page.locator(which).bounding_box() for which in ("#stage", "#marks .cross"))
            for begins, length in (("x", "width"), ("y", "height")):
                assert frame[begins] <= mark[begins] + mark[length] / 2 <= frame[begins] + frame[length], key
        page.keyboard.press("b")
        expect(where).to_contain_text(f"{name} · group")
        expect(where).to_contain_text("counted")


def test_a_field_begins_with_the_nuclei_that_a_model_predicts(tmp_path_factory):
    run = stain_run(tmp_path_factory)
    curated = open_curated(run.parent / "curated/synthetic")
    found = pd.DataFrame(
        [(*spot, dead) for spot, dead in nuclei_of(run, curated)(3).items()], columns=["y", "x", "dead"]
    )
    wanted = jimt.load(run).nuclei(curated.store, 3)
    with pytest.raises(InputError, match=r"trained on pixels of 0.3225 µm, and those of synthetic are of 0.65 µm"):
        nuclei_of(run, replace(curated, summary=curated.summary | {"pixel_size": {"um": 0.65}}))
    np.testing.assert_allclose(found.astype(float), wanted[["y", "x", "dead"]].astype(float), atol=0.051)
