"""Every remedy of conditions is taken as it is printed, and mends what it says."""

from pathlib import Path

import pytest

from curations import finds
from plates import PATTERN, PLATE
from remedies import Lab, Place, check, composed_prepare, marked

CONTROL = "dataset.conditions.control=untreated"
WELLS = "dataset.conditions.well=[well]"
BY_TABLE = "dataset.pattern='{plate}/d{number:d}/{well:w}_s{field:d}_{channel}.tif'"


def named(lab: Lab, *overrides: str) -> list[str]:
    """Overrides of files whose names tell condition and day, and a table that tells the conditions."""
    for condition, well in (("untreated", "A1"), ("doxo", "B1")):
        for channel in ("BF", "PI"):
            path = lab.tmp_path / f"raw/{condition}/d1/{well}_s1_{channel}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    Path("wells.csv").write_text("well,condition\nA1,untreated\nB1,doxo\n")
    return [*PLATE, f"dataset.root={lab.tmp_path / 'raw'}", *overrides]


def of_what_tells_them(lab: Lab) -> None:
    names = [*PLATE, PATTERN]
    fill = {"WORD": "untreated", "FILE": "wells.csv"}
    table = "dataset.conditions.table=wells.csv"
    lab.mends(composed_prepare, *names, table, "dataset.conditions.day=day", fill=fill)
    published = "dataset.layout=patches", "dataset.pattern=null"
    lab.mends(composed_prepare, "dataset=no_treatment", *published, CONTROL, table)
    lab.mends(composed_prepare, *names, CONTROL, table, "dataset.conditions.condition=[condition]")
    lab.mends(composed_prepare, *PLATE, BY_TABLE, CONTROL, fill=fill)


def of_a_control(lab: Lab) -> None:
    given = named(lab, PATTERN, "dataset.conditions.control=vehicle")
    lab.mends(finds, *given, fill={"WORD": "untreated"})


def of_a_day(lab: Lab) -> None:
    given = named(lab, PATTERN.replace("d{day:d}", "{day}"), CONTROL)
    lab.mends(finds, *given, fill={"PATTERN": PATTERN.partition("=")[2]})


def of_a_table_that_is_missing(lab: Lab) -> None:
    given = named(lab, BY_TABLE, WELLS, CONTROL, "dataset.conditions.table=nowhere.csv")
    lab.mends(finds, *given, fill={"FILE": "wells.csv"})


RUNS: dict[Place, object] = {
    ("config/wells.py", "check_conditions"): of_what_tells_them,
    ("curation/conditions.py", "find_wells"): of_a_control,
    ("curation/conditions.py", "_day_of_name"): of_a_day,
    ("curation/conditions.py", "_read_wells"): of_a_table_that_is_missing,
}


@pytest.mark.parametrize("place", marked(RUNS, set()), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
