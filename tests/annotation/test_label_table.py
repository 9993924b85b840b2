"""A table of labels: each is on disk once it is written, and none is lost, whatever another program does."""

import errno
import os

import pandas as pd
import pytest

from jimt.annotation.label_table import Label, LabelTable
from jimt.curation.hand_labels import read_hand_labels
from jimt.errors import InputError

WORDS = ("empty", "cells", "unsure")
EMPTY, CELLS = Label("empty", "spread"), Label("cells", "uncertain")
A, B, C = ("P1/A01", 0, 0), ("P1/A01", 0, 112), ("Süd, 2", 112, 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "empty_anna.csv"


@pytest.fixture
def table(path) -> LabelTable:
    return LabelTable(path, words=WORDS)


def as_curation_reads(path) -> dict:
    rows = read_hand_labels(path, empty_word="empty", not_empty_word="cells")
    return {(row.raw_image_id, row.y, row.x): row.empty for row in rows.itertuples()}


def test_each_label_is_on_disk_once_it_is_given_and_the_curation_reads_it(table, path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size), fsync(number)))
    table.add(A, EMPTY)
    assert path.stat().st_size in synced
    assert as_curation_reads(path) == {A: True}
    table.add(C, CELLS)
    assert synced[-1] == path.stat().st_size
    assert as_curation_reads(path) == {A: True, C: False}
    assert pd.read_csv(path)["chosen_by"].tolist() == ["spread", "uncertain"]


def test_an_unsure_patch_teaches_the_filter_nothing(table, path):
    table.add(A, EMPTY)
    table.add(B, Label("unsure", "spread"))
    assert as_curation_reads(path) == {A: True}


def test_what_is_taken_back_touches_nothing_that_was_written(table, path):
    table.add(A, EMPTY)
    table.add(B, EMPTY)
    before = path.read_bytes()
    table.take_back(B)
    assert path.read_bytes().startswith(before)
    assert as_curation_reads(path) == {A: True}
    table.add(B, CELLS)
    assert as_curation_reads(path) == {A: True, B: False}
    assert LabelTable(path, words=WORDS).labels == {A: EMPTY, B: CELLS}


def test_what_another_program_added_and_changed_is_taken_over(table, path):
    table.add(A, EMPTY)
    table.add(B, EMPTY)
    path.write_text(path.read_text().replace("A01,0,0,empty", "A01,0,0,cells") + "by hand,5,7,cells,\n")
    told = table.add(C, EMPTY)
    assert "1 more label taken over, 1 other label taken over" in told
    assert as_curation_reads(path) == {A: False, B: True, C: True, ("by hand", 5, 7): False}


def test_labels_that_an_older_copy_lacks_are_written_again(table, path):
    table.add(A, EMPTY)
    older = path.read_bytes()
    table.add(B, CELLS)
    path.write_bytes(older)
    assert "1 that it lacked written again" in table.add(C, CELLS)
    assert as_curation_reads(path) == {A: True, B: False, C: False}
    path.unlink()
    table.add(("D", 0, 0), EMPTY)
    assert len(as_curation_reads(path)) == 4


def test_a_file_that_is_replaced_while_it_is_written_gets_the_label_all_the_same(table, path, monkeypatch):
    table.add(A, EMPTY)
    other, write = path.read_bytes(), os.write

    def replaced(number, data):
        monkeypatch.setattr(os, "write", write)
        (path.parent / "aside").write_bytes(other + b"by hand,0,0,cells,\n")
        (path.parent / "aside").replace(path)
        return write(number, data)

    monkeypatch.setattr(os, "write", replaced)
    table.add(B, CELLS)
    assert as_curation_reads(path) == {A: True, B: False, ("by hand", 0, 0): False}


@pytest.mark.parametrize(
    ("saved", "grown"),
    [
        (
            '\ufeffraw_image_id,y,x,label,chosen_by\r\n"P1/A01",0,0,empty,spread\r\n',
            '\r\n"Süd, 2",112,0,empty,spread\r\n',
        ),
        ("sep=;\r\nraw_image_id;y;x;label\r\nP1/A01;0;0;empty\r\n", "\r\nSüd, 2;112;0;empty\r\n"),
        ("Raw_Image_ID\tX\tY\tLabel\tchosen_by\rP1/A01\t0\t0\tempty\t\r", "\rSüd, 2\t0\t112\tempty\tspread\r"),
        ("raw_image_id,y,x,label,,\nP1/A01,0.0,0,empty,,\n,,,,,\n", '\n"Süd, 2",112,0,empty,,\n'),
    ],
)
def test_a_label_is_written_in_the_form_in_which_a_spreadsheet_left_the_table(table, path, saved, grown):
    table.add(A, EMPTY)
    path.write_bytes(saved.encode())
    table.add(C, EMPTY)
    assert as_curation_reads(path) == {A: True, C: True}
    assert path.read_bytes() == (saved + grown.lstrip("\r\n")).encode()
    assert LabelTable(path, words=WORDS).labels.keys() == {A, C}


@pytest.mark.parametrize(("encoding", "why"), [("utf-16", "UTF-16"), ("cp1252", "no text in UTF-8")])
def test_a_table_in_an_encoding_that_cannot_grow_is_refused_and_left_as_it_is(table, path, encoding, why):
    table.add(A, EMPTY)
    path.write_bytes(saved := "raw_image_id,y,x,label\nSüd,0,0,empty\n".encode(encoding))
    with pytest.raises(InputError, match=f"{why}.*save it as CSV UTF-8"):
        table.add(B, CELLS)
    assert path.read_bytes() == saved


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_table_as_a_spreadsheet_saves_it_grows_in_its_own_form(table, path, encoding):
    table.add(A, EMPTY)
    path.write_bytes("label;note;x;y;raw_image_id\r\nempty;a;0;0;P1/A01\r\ncells;b;112;0;P1/A01".encode(encoding))
    table.add(C, EMPTY)
    assert as_curation_reads(path) == {A: True, B: False, C: True}
    assert path.read_bytes().endswith("\r\nempty;;0;112;Süd, 2\r\n".encode())


def test_a_table_that_cannot_be_read_any_more_is_left_as_it_is(table, path):
    table.add(A, EMPTY)
    path.write_text("something else\n")
    with pytest.raises(InputError, match="lacks the column"):
        table.add(B, CELLS)
    assert path.read_text() == "something else\n"
    assert B not in table.labels


def test_a_patch_that_another_program_has_labelled_is_not_labelled_twice(table, path):
    table.add(A, EMPTY)
    with path.open("a") as file:
        file.write("P1/A01,0,112,cells,\n")
    with pytest.raises(KeyError):
        table.add(B, EMPTY)
    assert as_curation_reads(path) == {A: True, B: False}


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_a_label_that_cannot_be_written_does_not_count(table, path, monkeypatch, number):
    table.add(A, EMPTY)
    before, write = path.read_bytes(), os.write

    def halfway(descriptor, data):
        if len(data) < 5:
            raise OSError(number, os.strerror(number))
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", halfway)
    with pytest.raises(InputError, match=f"{path.name}.*{os.strerror(number)}"):
        table.add(B, CELLS)
    assert path.read_bytes() == before
    assert B not in table.labels
    monkeypatch.setattr(os, "write", write)
    table.add(B, CELLS)
    assert as_curation_reads(path) == {A: True, B: False}


def test_lost_labels_are_asked_for_again_until_they_are_on_disk(table, path, monkeypatch):
    table.add(A, EMPTY)
    table.add(B, CELLS)
    path.unlink()
    write = os.write
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "read-only")))
    with pytest.raises(InputError, match="read-only"):
        table.add(C, CELLS)
    monkeypatch.setattr(os, "write", write)
    table.add(C, CELLS)
    assert as_curation_reads(path) == {A: True, B: False, C: False}


def test_a_row_that_a_power_cut_left_half_is_removed_and_named(table, path):
    table.add(A, EMPTY)
    whole = path.read_bytes()
    path.write_bytes(whole + b"P1/A01,0,11")
    again = LabelTable(path, words=WORDS)
    assert again.cut_row == "P1/A01,0,11"
    assert path.read_bytes() == whole
    assert again.labels == {A: EMPTY}
    path.write_bytes(b"nothing\nthat is a table")
    with pytest.raises(InputError, match="lacks the column"):
        LabelTable(path, words=WORDS)
    assert path.read_bytes() == b"nothing\nthat is a table"
