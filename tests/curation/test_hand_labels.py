"""Hand labels of patches, as spreadsheets of several countries save them."""

import codecs
from pathlib import Path

import pytest

from jimt.curation.hand_labels import read_hand_labels
from jimt.errors import InputError


def hand_labels(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "hand.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path):
    return read_hand_labels(path, empty_word="bare", not_empty_word="cells")


def test_hand_labels_are_read_with_their_words(tmp_path):
    path = hand_labels(tmp_path, "who,raw_image_id,x,y,label\nme,007,112,0,bare\nme,b--1,0,224,cells\n")
    assert read(path).to_dict("list") == {
        "raw_image_id": ["007", "b--1"],
        "y": [0, 224],
        "x": [112, 0],
        "empty": [1, 0],
    }


def sentence(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    return str(caught.value)


def test_missing_hand_labels_name_the_file_and_the_way_without(tmp_path):
    assert sentence(tmp_path / "gone.csv") == (
        f"{tmp_path / 'gone.csv'} is missing: put the hand labels there (raw_image_id,y,x,label), "
        "or give dataset.empty_labels=null"
    )


def test_a_missing_column_is_named(tmp_path):
    path = hand_labels(tmp_path, "raw_image_id,y,label\na,0,bare\n")
    assert sentence(path) == (
        f"{path} lacks the column x (read with commas, its first line holds raw_image_id, y, label): it needs "
        "raw_image_id,y,x,label"
    )


@pytest.mark.parametrize("word", ["Bare", "perhaps"])
def test_an_unknown_word_is_named_with_the_keys_to_set(tmp_path, word):
    path = hand_labels(tmp_path, f"raw_image_id,y,x,label\na,0,0,bare\na,0,112,{word}\n")
    assert sentence(path) == (
        f"{path} holds the label {word}, which is neither dataset.empty_word=bare nor dataset.not_empty_word=cells: "
        "give dataset.empty_word=WORD dataset.not_empty_word=WORD"
    )


def test_a_patch_labelled_twice_is_named(tmp_path):
    path = hand_labels(tmp_path, "raw_image_id,y,x,label\na,0,112,bare\na,112,0,bare\na,0,112,cells\n")
    assert sentence(path) == f"{path} labels the patch a y=0 x=112 twice: keep one row"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n\xff\xfe\x00",
        b"raw_image_id,y,x,label\na,0,0,bare\nb,0,0,cells,,,,x\n",
        b"raw_image_id,y,x,label\na,zero,0,bare\n",
        b"raw_image_id,y,x,label\na,,0,bare\n",
        b"raw_image_id,y,x,label\na,0.5,0,bare\n",
    ],
    ids=["nothing", "binary", "ragged", "word for y", "no y", "half a pixel"],
)
def test_a_file_that_is_no_table_of_hand_labels_is_named(tmp_path, content):
    path = hand_labels(tmp_path, content)
    assert sentence(path).startswith(str(path))


ROWS = [("raw_image_id", "y", "x", "label"), ("007", "112", "0", "bare"), ("W1, P2", "0", "224", "cells")]
TRUE = {"raw_image_id": ["007", "W1, P2"], "y": [112, 0], "x": [0, 224], "empty": [True, False]}


def saved(delimiter: str, end: str = "\n", *, rows=ROWS) -> str:
    quoted = [[f'"{field}"' if delimiter in field else field for field in row] for row in rows]
    return end.join(delimiter.join(row) for row in quoted) + end


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
def test_every_delimiter_line_end_and_byte_order_mark_gives_the_same_labels(tmp_path, delimiter, end, mark):
    encoding = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(mark, "utf-8")
    path = hand_labels(tmp_path, mark + saved(delimiter, end).encode(encoding))
    assert read(path).to_dict("list") == TRUE


@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("zeros", ["0", "00", "0000"])
def test_pixels_with_a_decimal_point_or_comma_are_read(tmp_path, mark, zeros):
    rows = [ROWS[0], *([a, y + mark + zeros, x + mark + zeros, label] for a, y, x, label in ROWS[1:])]
    assert read(hand_labels(tmp_path, saved(";", rows=rows))).to_dict("list") == TRUE
    assert read(hand_labels(tmp_path, saved(",", rows=rows))).to_dict("list") == TRUE  # in quotes


def test_what_excel_adds_changes_nothing(tmp_path):
    text = "sep=;\r\n RAW_IMAGE_ID ;y;x;Label;;\r\n007; 112;0;bare;;\r\n;;;;;\r\nW1, P2;0;224;cells;;\r\n\r\n"
    assert read(hand_labels(tmp_path, text)).to_dict("list") == TRUE


def test_a_name_in_either_unicode_form_is_the_same_raw_image(tmp_path):
    path = hand_labels(tmp_path, "raw_image_id,y,x,label\nSu\u0308d,0,0,bare\n")
    assert read(path)["raw_image_id"].tolist() == ["S\u00fcd"]


@pytest.mark.parametrize(("delimiter", "seen"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_a_missing_column_says_which_delimiter_was_seen(tmp_path, delimiter, seen):
    path = hand_labels(tmp_path, saved(delimiter, rows=[("id", "y", "x", "label"), ("a", "0", "0", "bare")]))
    assert sentence(path) == (
        f"{path} lacks the column raw_image_id (read with {seen}, its first line holds id, y, x, label): it needs "
        "raw_image_id,y,x,label"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("raw_image_id y x label\na 0 0 bare\n", "read with no delimiter, its first line holds raw_image_id y x label"),
        (
            "raw_image_id,y,x,label\na,112,0,0,0,bare\n",
            "holds 6 fields in line 2 where the first line names 4, read with c",
        ),
        (
            "raw_image_id;y;x;label\na;0;0\n",
            "holds 3 fields in line 2 where the first line names 4, read with semicolons",
        ),
        (
            "raw_image_id;y;x;label\na;1.000;0;bare\n",
            "holds y=1.000 in line 2, which is 1 or 1000: write whole numbers",
        ),
        ("raw_image_id;y;x;label\na;0,5;0;bare\n", "holds y=0,5 in line 2, which is no whole number of pixels"),
        ('raw_image_id,y,x,label\n"a,0,0,bare\n', "cannot be read as a table with commas"),
        ("raw_image_id,y,x,label\nS\u00fcd,0,0,bare\n".encode("cp1252"), "is no text in UTF-8: save it as CSV UTF-8"),
        ("raw_image_id,y,x,x,label\na,0,0,1,bare\n", "holds more than once the column x .read with commas"),
        ("sep=;\n\nraw_image_id;y;x;label\n\na;0;q;bare\n", "holds x=q in line 5, which"),
        (
            f"raw_image_id,y,x,label\na,{'9' * 20},0,bare\n",
            "holds y=99999999999999999999 in line 2, which is larger than any image: correct it",
        ),
        (f"raw_image_id,y,x,label\na,0,{'1' * 5000},bare\n", "holds x=1{40} in line 2, which is larger than any image"),
        ("raw_image_id,y,x,label\n\n,,,\n", "holds the names of its columns and no hand label: write a row for each"),
        ('"id;;;;;",y,x,label\na,0,0,bare\n', "lacks the column raw_image_id .read with commas"),
        (b"PK\x03\x04\x00\x00", "is no text but a file of another kind: save it as CSV UTF-8"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, content, said):
    with pytest.raises(InputError, match=said):
        read(hand_labels(tmp_path, content))


@pytest.mark.parametrize("note", ['"note;;;;;"', '"a ""b"";;;;; c"'])
def test_delimiters_in_quotes_do_not_count(tmp_path, note):
    path = hand_labels(tmp_path, f'raw_image_id,y,x,label,{note}\na,0112,0,bare,"1;2"\n')
    assert read(path).to_dict("list") == {"raw_image_id": ["a"], "y": [112], "x": [0], "empty": [True]}


def test_three_decimals_that_can_be_no_thousands_are_read(tmp_path):
    path = hand_labels(tmp_path, "raw_image_id;y;x;label\na;0,000;1120,000;bare\n")
    assert read(path)[["y", "x"]].to_numpy().tolist() == [[0, 1120]]
