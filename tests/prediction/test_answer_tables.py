"""Tables of an answer, read back by pandas, csv and openpyxl."""

import csv
import io
import re
import weakref

import numpy as np
import openpyxl
import pandas as pd
import pytest
from scipy import stats

from answered import HOSTILE, failed, patches, row
from jimt.prediction.answer_tables import ALL_PATCH_COLUMNS, FIELD_COLUMNS, write_fields, write_patches
from jimt.prediction.well_shares import WELL_COLUMNS, well_rows, write_wells
from jimt.prediction.workbook import write_workbook


def read(path):
    return pd.read_csv(path, encoding="utf-8-sig", dtype={"raw_image_id": str, "well": str, "field": str})


def given_back(text: str) -> str:
    """The name that a defused cell was, as the documentation tells it."""
    return re.sub(r"(^|[;\t\r\n])'", r"\1", text)


def hostile_rows():
    return [
        row(number, name, file=f"{name}.tif", plate=name, notes=(f"{name}.",)) for number, name in enumerate(HOSTILE)
    ]


# ---- fields


def test_a_field_stands_in_its_row_with_its_flags_and_why_it_failed(tmp_path):
    rows = [
        row(0, "a", well="B03", field="1", pixel_size_um=0.325, notes=("Converted from colour.", "Resampled.")),
        row(1, "b", flags=("focus", "unlike"), reasons=("It is out of focus.", "It is unlike the training data.")),
        row(2, "c", share_of="nuclei", dead_share=0.3, n_cells=40, distance=None, pi_share=0.35),
        row(3, "d", dead_share=None, dead_share_low=None, dead_share_high=None),
        failed(4, "e", "e.tif is damaged"),
    ]
    write_fields(rows, tmp_path / "fields.csv", include_flagged=False)
    table = read(tmp_path / "fields.csv")
    assert list(table) == list(FIELD_COLUMNS)
    assert table["raw_image_id"].tolist() == ["a", "b", "c", "d", "e"]
    assert table["counted"].tolist() == [True, False, True, False, False]
    assert table["dead_share"].tolist()[:3] == [0.25, 0.25, 0.3]
    assert table["dead_share"].isna().tolist() == [False, False, False, True, True]
    assert (table["viability"][2], table["pi_share"][2]) == (0.7, 0.35)
    assert table["viability"].notna().sum() == 1  # a share of patches is none of cells
    assert table["flags"].tolist()[1] == "focus;unlike"
    assert table["reason"].tolist()[1:5:3] == [
        "It is out of focus. It is unlike the training data.",
        "e.tif is damaged",
    ]
    assert table["notes"][0] == "Converted from colour. Resampled."
    assert (table["well"][0], table["field"][0], table["pixel_size_um"][0]) == ("B03", "1", 0.325)
    assert table.loc[4, "height":"n_uncertain"].isna().all()


def test_flagged_fields_count_where_they_are_asked_for(tmp_path):
    rows = [row(0, "a", flags=("focus",)), failed(1, "b", "no image")]
    write_fields(rows, tmp_path / "fields.csv", include_flagged=True)
    assert read(tmp_path / "fields.csv")["counted"].tolist() == [True, False]


def test_excel_is_told_the_encoding_and_pandas_reads_it_without(tmp_path):
    write_fields([row(0, "Zählung µ")], tmp_path / "fields.csv", include_flagged=False)
    content = (tmp_path / "fields.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbffile,raw_image_id,")
    assert content.count(b"\r\n") == content.count(b"\n") == 2  # RFC 4180
    assert pd.read_csv(tmp_path / "fields.csv")["raw_image_id"].tolist() == ["Zählung µ"]


def test_no_name_is_a_formula_and_every_one_can_be_had_back(tmp_path):
    write_fields(hostile_rows(), tmp_path / "fields.csv", include_flagged=False)
    with (tmp_path / "fields.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file, strict=True))
    assert len(lines) == len(HOSTILE)
    for name, line in zip(HOSTILE, lines, strict=True):
        for text in line.values():
            assert not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
            assert not re.search(r"[;\t\n\r] *[=+@-]", text)  # a cell of its own where Excel parts at semicolons
        assert given_back(line["raw_image_id"]) == name.encode("utf-8", "backslashreplace").decode()


def test_names_that_are_numbers_are_left_as_they_are(tmp_path):
    write_fields([row(0, "-5"), row(1, "+3.5"), row(2, "007")], tmp_path / "fields.csv", include_flagged=False)
    assert read(tmp_path / "fields.csv")["raw_image_id"].tolist() == ["-5", "+3.5", "007"]


def test_the_same_fields_are_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_fields(hostile_rows(), tmp_path / name, include_flagged=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# ---- patches


def test_patches_come_back_as_they_were(tmp_path):
    parts = [(row(number, name), patches(4, seed=number)) for number, name in enumerate(("a", "new\nline"))]
    write_patches(parts, tmp_path / "patches.csv")
    table = read(tmp_path / "patches.csv")
    assert list(table) == list(ALL_PATCH_COLUMNS)
    assert table["raw_image_id"].tolist() == ["a"] * 4 + ["new\nline"] * 4
    expected = pd.concat([part for _, part in parts], ignore_index=True)
    for column in ("y", "x", "score"):
        np.testing.assert_allclose(table[column], expected[column], atol=5e-7)
    assert table["empty"].isna().tolist() == [False] * 4 + [True] * 4
    assert (table["empty"][:4].astype(bool) == expected["empty"][:4].astype(bool)).all()
    assert table["uncertain"].tolist() == expected["uncertain"].tolist()


def test_one_field_is_held_in_memory_at_a_time(tmp_path):
    made, most = [], []

    def parts():
        for number in range(50):
            part = patches(4)
            made.append(weakref.ref(part))
            most.append(sum(one() is not None for one in made))
            yield row(number, f"f{number}"), part

    write_patches(parts(), tmp_path / "patches.csv")
    assert len(most) == 50
    assert max(most) <= 2


def test_a_table_that_fails_half_way_leaves_the_one_before(tmp_path):
    def breaks():
        yield row(0, "a"), patches(3)
        raise KeyboardInterrupt

    write_patches([(row(0, "old"), patches(1))], tmp_path / "patches.csv")
    before = (tmp_path / "patches.csv").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_patches(breaks(), tmp_path / "patches.csv")
    assert (tmp_path / "patches.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["patches.csv"]


# ---- wells


def test_a_well_is_the_mean_of_its_fields_that_count():
    rows = [
        row(0, "a", well="B03", dead_share=0.2, share_of="nuclei", n_cells=10),
        row(1, "b", well="B03", dead_share=0.6, share_of="nuclei", n_cells=30),
        row(2, "c", well="B03", dead_share=0.4, share_of="nuclei", n_cells=20),
        row(3, "d", well="B03", dead_share=0.9, share_of="nuclei", n_cells=99, flags=("focus",)),
        row(4, "e", well="B03", dead_share=None, share_of="nuclei", n_cells=0),
        failed(5, "f", "damaged", well="B03"),
        row(6, "no well", dead_share=1.0),
    ]
    (well,) = well_rows(rows, confidence=0.95, include_flagged=False).to_dict("records")
    assert (well["plate"], well["well"], well["time"], well["share_of"]) == (None, "B03", None, "nuclei")
    assert [well[name] for name in ("n_fields", "n_counted", "n_flagged", "n_failed", "n_cells")] == [6, 3, 1, 1, 60]
    assert well["dead_share"] == pytest.approx(0.4)
    assert well["viability"] == pytest.approx(0.6)
    assert well["sd"] == pytest.approx(0.2)
    assert well["dead_share_of_all_cells"] == pytest.approx((2 + 18 + 8) / 60)
    low, high = stats.t.interval(0.95, 2, loc=0.4, scale=0.2 / np.sqrt(3))
    assert (well["low"], well["high"]) == (max(0, pytest.approx(low)) if low > 0 else 0.0, pytest.approx(high))
    (asked,) = well_rows(rows, confidence=0.95, include_flagged=True).to_dict("records")
    assert (asked["n_counted"], asked["dead_share"]) == (4, pytest.approx(2.1 / 4))


@pytest.mark.parametrize("shares", [[0.4], [0.0, 0.0, 0.0], []])
def test_no_interval_is_claimed_of_one_field_or_of_fields_that_agree(shares):
    rows = [row(number, f"f{number}", well="A01", dead_share=share) for number, share in enumerate(shares)]
    rows.append(row(9, "flagged", well="A01", flags=("unlike",)))
    (well,) = well_rows(rows, confidence=0.95, include_flagged=False).to_dict("records")
    assert well["low"] is None
    assert well["high"] is None
    assert well["dead_share"] == (pytest.approx(np.mean(shares)) if shares else None)
    assert well["viability"] is None  # of patches
    assert well["n_cells"] is None


def test_an_interval_stays_within_0_to_1():
    rows = [row(number, f"f{number}", well="A01", dead_share=share) for number, share in enumerate((0.0, 0.3, 1.0))]
    (well,) = well_rows(rows, confidence=0.95, include_flagged=False).to_dict("records")
    assert (well["low"], well["high"]) == (0.0, 1.0)


def test_wells_are_told_apart_by_plate_and_time_and_stand_in_a_persons_order(tmp_path):
    names = [("p10", "A02", "0"), ("p2", "A10", "10"), ("p2", "A10", "9"), ("p2", "A02", "9"), (None, "B01", None)]
    names += [("p2", "AA01", "9"), ("p2", "H12", "9")]
    rows = [row(n, f"f{n}", plate=plate, well=well, time=time) for n, (plate, well, time) in enumerate(names)]
    wells = well_rows(rows, confidence=0.95, include_flagged=False)
    expected = [(None, "B01", None), ("p2", "A02", "9"), ("p2", "A10", "9"), ("p2", "A10", "10"), ("p2", "H12", "9")]
    expected += [("p2", "AA01", "9"), ("p10", "A02", "0")]
    assert list(zip(wells["plate"], wells["well"], wells["time"], strict=True)) == expected
    write_wells(wells, tmp_path / "wells.csv")
    table = read(tmp_path / "wells.csv")
    assert list(table) == list(WELL_COLUMNS)
    assert table["well"].tolist() == [well for _, well, _ in expected]


def test_a_table_of_no_well_holds_its_header_alone(tmp_path):
    write_wells(well_rows([row()], confidence=0.95, include_flagged=False), tmp_path / "wells.csv")
    assert list(csv.reader(io.StringIO((tmp_path / "wells.csv").read_text("utf-8-sig")))) == [list(WELL_COLUMNS)]


# ---- Excel


def write_book(path, rows, **options):
    wells = well_rows(rows, confidence=0.95, include_flagged=False)
    parts = [(each, patches(each.n_patches or 0, seed=each.number)) for each in rows if each.failed is None]
    write_workbook(rows, wells, parts, path, include_flagged=False, **options)
    return openpyxl.load_workbook(path)


def test_a_workbook_holds_names_as_they_are_and_no_formula(tmp_path):
    rows = [*hostile_rows(), failed(99, "=1+1", "http://example.org is damaged"), row(100, "x" * 40_000)]
    book = write_book(tmp_path / "a.xlsx", rows)
    assert book.sheetnames == ["fields", "wells", "patches"]
    sheet = book["fields"]
    assert [cell.value for cell in sheet[1]] == list(FIELD_COLUMNS)
    for given, line in zip(rows, sheet.iter_rows(min_row=2), strict=True):
        assert {cell.data_type for cell in line} <= {"s", "inlineStr", "n", "b"}
        assert all(cell.hyperlink is None for cell in line)
        written = openpyxl.utils.escape.unescape(line[1].value).replace("\r", "\n")
        expected = given.raw_image_id.encode("utf-8", "backslashreplace").decode().replace("\r", "\n")
        assert written == expected[:32_767]
    assert sheet.freeze_panes == "A2"


def test_numbers_of_a_workbook_are_numbers_and_flagged_rows_are_grey(tmp_path):
    rows = [row(0, "a", well="A01"), row(1, "b", well="A01", flags=("focus",), reasons=("Out of focus.",))]
    book = write_book(tmp_path / "a.xlsx", rows)
    share = list(FIELD_COLUMNS).index("dead_share") + 1
    plain, grey = (book["fields"].cell(line, share) for line in (2, 3))
    assert plain.value == grey.value == 0.25
    assert plain.number_format == "0.0 %"
    assert [cell.font.italic for cell in (plain, grey)] == [False, True]
    assert grey.font.color.rgb == "FF6B6B6B"
    assert [book["wells"].cell(2, number).value for number in (2, 4, 5, 6, 8)] == ["A01", 2, 1, 1, 0.25]
    table = pd.DataFrame(list(book["patches"].values)[1:], columns=ALL_PATCH_COLUMNS)
    np.testing.assert_allclose(table["score"][:6].astype(float), patches(6, seed=0)["score"], atol=1e-7)


def test_too_many_patches_for_a_sheet_are_said(tmp_path):
    book = write_book(tmp_path / "a.xlsx", [row(0, "a"), row(1, "b")], most_rows=11)
    assert book["patches"]["A1"].value == "12 patches are more than a sheet of Excel holds: they are in patches.csv"
    assert write_book(tmp_path / "a.xlsx", [row(0, "a"), row(1, "b")], most_rows=12)["patches"].max_row == 13


def test_the_same_answer_is_the_same_workbook(tmp_path):
    for name in ("a.xlsx", "b.xlsx"):
        write_book(tmp_path / name, hostile_rows())
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
