"""The table of doses: every way to write one that is understood, and every one that is refused with what mends it."""

from pathlib import Path

import pytest

from jimt.errors import InputError
from jimt.prediction.answers import Source
from jimt.prediction.dose_numbers import TypedDose, read_doses
from jimt.prediction.dose_plan import DosePlan, check_dose_plan, read_dose_plan


def read(folder: Path, text: str, *, encoding: str = "utf-8") -> DosePlan:
    (folder / "doses.csv").write_bytes(text.encode(encoding))
    return read_dose_plan(folder / "doses.csv")


def doses_of(plan: DosePlan) -> dict[str, float | None]:
    return {row.well: row.dose for row in plan.wells.values()}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("well,dose\nA1,0\nA02,0.5\na-3,10\n", "utf-8"),
        ("well;dose\nA1;0\nA02;0,5\na-3;10\n", "utf-8-sig"),  # as Excel saves it where commas are decimal
        ("sep=;\nwell;dose\r\nA1;0\r\nA02;5,0E-1\r\na-3;1,0E1\r\n", "utf-16"),
        ("Dose\tWell\tmore\n0\tA1\tx\n.5\tA02\t\n1e1\ta-3\ty\n", "utf-8"),
    ],
)
def test_a_table_is_read_as_a_spreadsheet_of_any_country_saves_it(tmp_path, text, encoding):
    plan = read(tmp_path, text, encoding=encoding)
    assert doses_of(plan) == {"A01": 0, "A02": 0.5, "A03": 10}
    assert plan.unit is None


@pytest.mark.parametrize(
    ("texts", "numbers", "unit"),
    [
        (["0", "100 nM", "1uM", "10 µM", "0.1 mM"], [0, 0.1, 1, 10, 100], "µM"),
        (["1 nM", "10 nm", "1 μM"], [1, 10, 1000], "nM"),
        (["500 ng/mL", "1 ug/ml", "2 mg/L", "3 ug / mL"], [0.5, 1, 2, 3], "µg/mL"),
        (["2 Gy", "0", "4 Gy"], [2, 0, 4], "Gy"),
        (["2 U/ml", "4 U/mL", "8 u/ml"], [2, 4, 8], "U/ml"),
        (["500 nmol/L", "1 \u03bcmol/l", "2 umol / L", "3 µM"], [0.5, 1, 2, 3], "µM"),
        (["0,5", "1,000"], [0.5, 1], None),
        (["1,5E-06 M", "0 M"], [1.5e-6, 0], "M"),
    ],
)
def test_units_of_one_kind_are_told_in_one(texts, numbers, unit):
    found, of_all = read_doses([TypedDose(text, "line") for text in texts])
    assert found == pytest.approx(numbers)
    assert of_all == unit


BAD = {
    "no number": ("A1,DMSO", "has the dose DMSO, which is no number: write a number, 0 for the vehicle", "A1,0"),
    "spaced": (
        "A1,1 000 nM\nA2,2 000 nM",
        "has the dose 1 000 nM, whose number is not plain: write 1000",
        "A1,1000 nM",
    ),
    "apostrophe": ("A1,1'000", "has the dose 1'000, whose number is not plain: write 1000 or 1e3", "A1,1e3"),
    "power": ("A1,1x10^-6 M", "has the dose 1x10^-6 M, whose number is not plain", "A1,1e-6 M"),
    "typeset minus": ("A1,\u22126", "has the negative dose \u22126: write the dose itself", "A1,1e-6"),
    "negative": ("A1,-6", "has the negative dose -6: write the dose itself, where this is its logarithm", "A1,1e-6"),
    "missing": ("A1,", "has no dose: write it, 0 for the vehicle, or remove the line", "A1,0"),
    "infinite": ("A1,1e999", "which is no number: write a smaller one", "A1,1e9"),
    "two units": ("A1,10 uM\nA2,3 ug/mL", "and others are in µM: write all of them in one unit", "A1,10 uM\nA2,3 uM"),
    "one without": ("A1,10 uM\nA2,3 uM\nA3,5", "has the dose 5, and others are in µM", "A1,10 uM\nA2,3 uM\nA3,5 uM"),
    "thousands": ('A1,"1,000"', "has the dose 1,000, which can be read in two ways: write 1000", "A1,1000"),
    "point and comma": ('A1,"1,000.5"\nA2,1', "has decimal points beside commas: write 1000.5", "A1,1000.5\nA2,1"),
    "two points": ("A1,1.2.3", "has the dose 1.2.3, which is no number", "A1,1.2"),
    "twice": ("A1,1\nA2,2\nA1,3", "has the well A01 twice, in lines 2 and 4: keep one row", "A1,1\nA2,2"),
    "two spellings": ("A1,1\na01,3", "has the well A01 twice, in lines 2 and 3", "A1,1\nA2,3"),
    "no well": (",1", "names no well: write its name, or remove the line", "A1,1"),
    "no such well": ("W00013,1", "the well W00013, which is none such as A01 or AB07: write it so", "B01,1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_meant_is_refused_with_what_mends_it(tmp_path, name):
    rows, said, mended = BAD[name]
    with pytest.raises(InputError) as refused:
        read(tmp_path, f"well,dose\n{rows}\n")
    assert said in str(refused.value)
    assert "doses.csv" in str(refused.value)
    assert read(tmp_path, f"well,dose\n{mended}\n").wells


BAD_COLUMNS = {
    "role": ("role\nA1,0,contrl", "has the role contrl: write negative or positive, or nothing", "role\nA1,0,positive"),
    "near role": ("role\nA1,0,negativ", "has the role negativ: did you mean negative?", "role\nA1,0,negative"),
    "dosed control": ("role\nA1,5,negative", "a negative control with the dose 5: write 0, or leave", "role\nA1,5,"),
    "no compound": ("compound\nA1,5,doxo\nA2,5,", "line 3 has a dose and no compound: write", "compound\nA1,5,doxo"),
    "no plate": ("plate\nA1,5,p1\nA2,5,", "line 3 names no plate: write it, or remove the col", "plate\nA1,5,p1"),
    "twice": ("plate\nA1,5,p1\nA01,5,P1", "has the well A01 of plate P1 twice", "plate\nA1,5,p1\nA1,5,p2"),
}


@pytest.mark.parametrize("name", BAD_COLUMNS)
def test_columns_that_contradict_are_refused_with_what_mends_it(tmp_path, name):
    rows, said, mended = BAD_COLUMNS[name]
    with pytest.raises(InputError) as refused:
        read(tmp_path, f"well,dose,{rows}\n")
    assert said in str(refused.value)
    assert read(tmp_path, f"well,dose,{mended}\n").wells


def test_controls_may_have_no_dose_and_spellings_of_a_compound_are_one(tmp_path):
    text = "well,dose,compound,role\nA1,,,negative\nA2,,digitonin,POS\nA3,1,Doxo  rubicin,\nA4,2,doxo rubicin,\n"
    plan = read(tmp_path, text)
    assert doses_of(plan) == {"A01": 0, "A02": None, "A03": 1, "A04": 2}
    assert [row.role for row in plan.wells.values()] == ["negative", "positive", None, None]
    assert {row.compound for row in plan.wells.values()} == {None, "digitonin", "Doxo  rubicin"}


def source(plate: str | None, well: str | None) -> Source:
    return Source(0, Path("a.tif"), "a", plate=plate, well=well)


def test_wells_of_the_table_and_of_the_images_that_have_no_partner_are_said(tmp_path):
    plan = read(tmp_path, "well,dose\nA1,0\nA2,1\nH12,3\n")
    first, second = check_dose_plan(plan, [source(None, well) for well in ("A01", "A02", "B05")])
    assert first == "1 well of doses.csv has no field, for example H12: it takes part in nothing"
    assert second == "1 well with fields has no row in doses.csv, for example B05: no curve counts them"
    assert check_dose_plan(plan, [source("p", well) for well in ("A01", "A02", "H12")]) == []


def test_a_plate_is_known_by_its_name_in_any_case(tmp_path):
    plan = read(tmp_path, "plate,well,dose\nP1,A1,0\np2,A1,5\n")
    assert [plan.of(plate, "A01").dose for plate in ("p1", "P2")] == [0, 5]
    assert plan.of("p3", "A01") is None


def test_a_table_of_other_wells_is_refused(tmp_path):
    plan = read(tmp_path, "well,dose\nA1,0\n")
    with pytest.raises(InputError, match="such as A01 of the table and B02 of plate p of the images: give the table"):
        check_dose_plan(plan, [source("p", "B02")])
