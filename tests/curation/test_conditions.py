"""What was done to each well, read in the names of files or in a table of wells, and the areas that follow."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from conftest import composed_prepare
from jimt.curation.conditions import areas_by_condition, describe_wells
from jimt.curation.curate import curate, find_raw_images
from jimt.curation.found import describe_dry_run
from jimt.curation.manifest import SUMMARY, read_beside
from jimt.curation.raw_images import Finding, ImagedWell
from jimt.errors import InputError
from plates import PATTERN, PLATE, SHARES, write_plate

CONTROL = "dataset.conditions.control=untreated"
BY_TABLE = "dataset.pattern='{plate}/d{number:d}/{well:w}_s{field:d}_{channel}.tif'"
TABLE = "dataset.conditions.table=wells.csv"


@pytest.fixture
def named(tmp_path: Path) -> list[str]:
    """Overrides of empty files whose names tell condition and day: two wells of each of two conditions."""
    for condition, wells in (("untreated", ("A1", "A02")), ("doxo", ("B1", "B2"))):
        for day in (1, 3):
            for well in wells:
                for channel in ("BF", "PI"):
                    path = tmp_path / f"raw/{condition}/d{day}/{well}_s1_{channel}.tif"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
    return [*PLATE, f"dataset.root={tmp_path / 'raw'}", PATTERN]


def found(*overrides: str) -> Finding:
    dataset, curation = composed_prepare(*overrides)
    return find_raw_images(dataset, curation, Path(dataset.root))


def wells(finding: Finding) -> dict[str, tuple[str, float | None, str]]:
    return {raw: (well.condition, well.day, well.well) for raw, well in finding.wells.items()}


EXPECTED = {
    f"{condition}/d{day}/{well}_s1": (condition, day, well)
    for condition, names in (("untreated", ("A1", "A02")), ("doxo", ("B1", "B2")))
    for day in (1, 3)
    for well in names
}


def test_a_dry_run_lists_doses_and_wells_by_their_value():
    told = {f"{n}": ImagedWell(dose, None, f"A{n}") for n, dose in enumerate(["10", "0.3", "2", "0.03", "0.3"], 8)}
    lines = list(describe_wells(SimpleNamespace(wells=told)))  # type: ignore[arg-type]
    assert [line.split(":")[0] for line in lines] == [f"condition {dose}" for dose in ("0.03", "0.3", "2", "10")]
    assert lines[1] == "condition 0.3: 2 wells (A9, A12)"


def test_without_a_control_nothing_is_held_against_one(named):
    assert found(*named).wells == {}


def test_condition_and_day_are_placeholders_of_that_name(named):
    assert wells(found(*named, CONTROL)) == EXPECTED


def test_they_may_have_other_names_and_be_several(named):
    pattern = "dataset.pattern='{drug}/{time}/{well:w}_s{field:d}_{channel}.tif'"
    given = [*named[:-1], pattern, "dataset.conditions.condition=[drug,time]", "dataset.conditions.well=[well,field]"]
    one = wells(found(*given, "dataset.conditions.control=untreated/d1"))
    assert one["doxo/d3/B1_s1"] == ("doxo/d3", None, "B1/1")
    days = "dataset.pattern='{drug}/d{time:d}/{well:w}_s{field:d}_{channel}.tif'"
    chosen = ["dataset.conditions.condition=[drug]", "dataset.conditions.day=time"]
    assert wells(found(*named[:-1], days, *chosen, CONTROL)) == EXPECTED


def test_named_groups_of_a_regular_expression_tell_them_as_well(named):
    pattern = (
        r"dataset.pattern='^(?P<raw_image_id>(?P<condition>\w+)/d(?P<day>\d+)/(?P<group>\w\d+)_s\d)"
        r"_(?P<channel>\w+)\.tif$'"
    )
    assert wells(found(*named[:-1], pattern, CONTROL)) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        "well,condition\nA1,untreated\nA2,untreated\nB1,doxo\nB2,doxo\n",
        "Condition;Well;note\nUntreated ;a 01;x\nuntreated;A02;\ndoxo;B-1;\ndoxo;B02;\n",
        "\ufeffwell\tcondition\r\nA1\tuntreated\r\nA2\tuntreated\r\nB1\tdoxo\r\nB2\tdoxo\r\n",
    ],
)
def test_a_table_of_wells_tells_the_same_as_names_do(named, text):
    Path("wells.csv").write_text(text, encoding="utf-8")
    pattern = PATTERN.replace("{condition}", "{plate}")
    one = wells(found(*named[:-1], pattern, "dataset.conditions.well=[well]", CONTROL, TABLE))
    assert one == EXPECTED


def test_a_table_may_tell_the_day_and_leave_wells_out_and_have_more_of_them(named):
    Path("wells.csv").write_text('well,day,condition\nA1,0,untreated\nA2,,\nB1,0,doxo\nB2,"1,5",doxo\nC7,1,doxo\n')
    finding = found(*named[:-1], BY_TABLE, "dataset.conditions.well=[well]", CONTROL, TABLE)
    assert set(wells(finding).values()) == {("untreated", 0, "A1"), ("doxo", 0, "B1"), ("doxo", 1.5, "B2")}
    assert finding.unused_wells == ["C7"]
    lines = list(describe_dry_run("plate", Path(named[-2].partition("=")[2]), finding, None, stride=32))
    assert "condition doxo on day 1.5: 1 well (B2)" in lines
    assert "wells of dataset.conditions.table without a raw image: C7" in lines


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("well,condition\nA1,untreated\nB1,doxo\n", "has no row for 2 wells of the raw images (B2, A02): add it"),
        (
            "well,condition\nA1,untreated\nA2,doxo\nA01,doxo\n",
            "names the well A01 twice, again in line 4: keep one row",
        ),
        ("well\nA1\n", "lacks the column condition"),
        ("well,condition\n", "holds the names of its columns and no well"),
        ("well,condition\n,doxo\n", "names no well in line 2"),
        ("well,condition,day\nA1,untreated,first\n", "has the day first in line 2, which is no number"),
        ("well,condition,day\nA1,untreated,nan\n", "has the day nan in line 2, which is no number"),
        ("well,condition,day\nA1,untreated,1\nA2,untreated,\n", "has no day in line 3"),
        ("well,condition,day,day\nA1,untreated,1,1\n", "holds more than once the column day"),
        (
            "well,condition\nA1,none\nA2,none\nB1,doxo\nB2,doxo\n",
            "dataset.conditions.control=untreated is none of the conditions (doxo, none): give "
            "dataset.conditions.control=WORD",
        ),
        ("well,condition\nA1,\nA2,\nB1,\nB2,\n", "is none of the conditions (every well is left out)"),
    ],
)
def test_a_table_that_tells_too_little_or_too_much_is_refused(named, text, said):
    Path("wells.csv").write_text(text)
    with pytest.raises(InputError) as told:
        found(*named[:-1], BY_TABLE, "dataset.conditions.well=[well]", CONTROL, TABLE)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([CONTROL, TABLE], "wells.csv is missing: put the table of wells there (well,condition), or give"),
        ([TABLE], "dataset.conditions.table is without effect, since no condition is the control"),
        ([CONTROL, TABLE, "dataset.conditions.condition=[condition]"], "both tell the condition of a well"),
        ([CONTROL, "dataset.conditions.day=week"], "takes names of dataset.pattern (condition, day, well, field)"),
        ([CONTROL, "dataset.conditions.well=[]"], "takes names of dataset.pattern (condition, day, well, field)"),
        ([CONTROL, "dataset.conditions.condition=[channel]"], "takes names of dataset.pattern"),
        (
            [CONTROL, "dataset.conditions.day=well"],
            "reads the day B1 in doxo/d1/B1_s1_BF.tif, which is no number",
        ),
        (["dataset.conditions.control=vehicle"], "control=vehicle is none of the conditions (doxo, untreated)"),
        ([CONTROL, BY_TABLE], "nothing that tells the condition of a well, and dataset.pattern reads no condition"),
        (
            [CONTROL, "dataset.layout=patches", "dataset.pattern=null"],
            "dataset.conditions.control is without effect for published patches, which have no fluorescence images",
        ),
    ],
)
def test_what_tells_no_condition_is_refused_before_a_pixel_is_read(named, given, said):
    with pytest.raises(InputError) as told:
        found(*named, *given)
    assert said in str(told.value)


def test_names_and_a_table_do_not_both_tell_the_day(named):
    Path("wells.csv").write_text("well,condition,day\nA1,untreated,1\n")
    with pytest.raises(InputError, match="has a column day, and the names of the files tell the day too"):
        found(*named, CONTROL, TABLE)


def prepared(root: Path, *overrides: str) -> Path:
    given = [*PLATE, f"dataset.root={root}", PATTERN, *overrides]
    return curate(*composed_prepare(*given), embed=None, console=Console(quiet=True))


def test_the_areas_of_a_plate_are_those_that_were_drawn(tmp_path):
    truth = write_plate(tmp_path / "raw")
    conditions = read_beside(prepared(tmp_path / "raw", CONTROL) / SUMMARY)["conditions"]
    assert (conditions["control"], conditions["confidence"], list(conditions["areas"])) == (
        "untreated",
        0.95,
        ["pi_area"],
    )
    rows = {(row["condition"], row["day"]): row for row in conditions["areas"]["pi_area"]}
    assert list(rows) == [("untreated", 1), ("doxo", 1), ("untreated", 3), ("doxo", 3)]
    by_well = truth.groupby(["condition", "day", "well"])["area"].mean()
    for (condition, day), row in rows.items():
        drawn = by_well[condition, day]
        assert row["wells"] == pytest.approx(drawn.to_dict())
        assert row["mean"] == pytest.approx(drawn.mean())
        assert row["n_fields"] == 6
        if condition == "doxo":
            assert row["difference"] == pytest.approx(drawn.mean() - by_well["untreated", day].mean())


def test_a_copy_of_a_raw_image_counts_in_no_well(tmp_path):
    root = tmp_path / "raw"
    write_plate(root)
    for channel in ("BF", "PI"):  # of another well, with the pixels of this one
        copied = root / f"untreated/d1/A01_s1_{channel}.tif"
        (root / f"doxo/d1/B01_s9_{channel}.tif").write_bytes(copied.read_bytes())
    folder = prepared(root, CONTROL, "curation.on_bad_image=skip")
    rows = read_beside(folder / SUMMARY)["conditions"]["areas"]["pi_area"]
    assert sum(row["n_fields"] for row in rows) == 4 * 3 * 2


def test_another_table_of_wells_is_another_curation(tmp_path):
    shares = {key: values for key, values in SHARES.items() if key[1] == 3}
    root = tmp_path / "raw"
    write_plate(root, shares)
    table = tmp_path / "wells.csv"
    names = [*PLATE, f"dataset.root={root}", BY_TABLE, "dataset.group=[well]", CONTROL]
    means = []
    for exchanged in (False, True):
        words = {"A": "untreated", "B": "doxo"} if not exchanged else {"A": "doxo", "B": "untreated"}
        rows = [f"{letter}{number},{words[letter]}" for letter in "AB" for number in (1, 2, 3)]
        table.write_text("\n".join(["well,condition", *rows]))
        given = composed_prepare(*names, f"dataset.conditions.table={table}")
        folder = curate(*given, embed=None, console=Console(quiet=True))
        rows_of = read_beside(folder / SUMMARY)["conditions"]["areas"]["pi_area"]
        means.append({row["condition"]: row["mean"] for row in rows_of})
    assert means[0] == {"untreated": means[1]["doxo"], "doxo": means[1]["untreated"]}
    assert means[0]["doxo"] == pytest.approx(np.mean(shares["doxo", 3]) + 0.025)


def test_the_table_stands_on_the_screen_with_what_is_missing(tmp_path, capsys):
    write_plate(tmp_path / "raw", {("untreated", 1): [0.1, 0.2, 0.3, 0.4], ("doxo", 1): [0.5], ("doxo", 2): [0.6, 0.7]})
    given = [*PLATE, f"dataset.root={tmp_path / 'raw'}", PATTERN, CONTROL]
    curate(*composed_prepare(*given), embed=None, console=Console(width=60))
    printed = capsys.readouterr().out
    assert "PI-positive area, % of the field" in printed
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]
    assert [row[:5] for row in cells] == [
        ["1", "untreated", "4", "8", "27.5"],
        ["1", "doxo", "1", "2", "52.5"],
        ["2", "doxo", "2", "4", "67.5"],
    ]
    assert cells[1][5:] == ["-", "+25.0", "-"]
    assert "doxo on day 1: no interval: one well" in printed
    assert "doxo on day 2: no well of the control on this day" in printed


def test_a_live_stain_has_its_own_table():
    fields = pd.DataFrame(
        {
            "raw_image_id": list("abcd"),
            "pi_area": [0.1, 0.2, 0.6, 0.7],
            "live_stain_area": [0.9, 0.8, 0.3, np.nan],
            "background": 100.0,
        }
    )
    finding = Finding(wells={raw: ImagedWell("ab"[raw > "b"], None, raw) for raw in "abcd"})
    told = areas_by_condition(finding, fields, control="a", left_out=set(), confidence=0.95)
    assert [[row["mean"] for row in rows] for rows in told["areas"].values()] == [
        [pytest.approx(0.15), pytest.approx(0.65)],
        [pytest.approx(0.85), pytest.approx(0.3)],
    ]
    assert told["areas"]["live_stain_area"][1]["note"] == "no interval: one well"


def test_a_field_that_pi_fills_is_warned_of_since_its_area_cannot_be_told(tmp_path, capsys):
    write_plate(tmp_path / "raw", {("untreated", 1): [0.1, 0.2, 0.3], ("doxo", 1): [0.5, 0.6, 0.93]})
    folder = prepared(tmp_path / "raw", CONTROL)
    conditions = read_beside(folder / SUMMARY)["conditions"]
    assert conditions["areas"]["pi_area"][1]["wells"]["B03"] == 0  # and not 0.95
    (warning,) = conditions["warnings"]
    assert warning.startswith(
        "2 fields have a PI background above 3 times that of untreated on the same day, for example doxo/d1/B03_s1: "
    )


def test_a_background_of_zero_is_warned_of():
    fields = pd.DataFrame({"raw_image_id": list("ab"), "pi_area": [0.9, 0.8], "background": [0.0, 3.0]})
    finding = Finding(wells={raw: ImagedWell("c", None, raw) for raw in "ab"})
    told = areas_by_condition(finding, fields, control="c", left_out=set(), confidence=0.95)
    assert told["warnings"] == [
        "1 field has a PI background of 0, for example a: every pixel above 0 counts as positive"
    ]
