"""Which fields are of one position at several times: by names with and without units, and by what files tell."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from jimt.config.patterns import parse_pattern
from jimt.errors import InputError
from jimt.prediction.inputs import find_sources
from jimt.prediction.time_series import Series, follow

IMAGE = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
PATTERN = "{well}_s{field}_{time}.tif"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def followed(*names: str, pattern: str | None = PATTERN) -> tuple[Series | None, list[str]]:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        if not Path(name).exists():
            tifffile.imwrite(name, IMAGE)
    reader = None if pattern is None else parse_pattern(pattern, setting="--pattern")
    found = find_sources(sorted(names), pattern=reader, root=None, leave_out=None, channel=None, time=None)
    notes: list[str] = []
    return follow([*found.sources, *(source for source, _ in found.failed)], notes), notes


def times(series: Series | None) -> dict[str, list[float]]:
    assert series is not None
    return {each.name: [field.time for field in each.fields] for each in series.positions}


def test_times_are_in_order_by_their_value_whatever_the_order_of_their_names():
    series, notes = followed("A1_s1_T10.tif", "A1_s1_T9.tif", "A1_s1_T100.tif", "B1_s1_T9.tif", "B1_s1_T10.tif")
    assert times(series) == {"A01/1": [9, 10, 100], "B01/1": [9, 10]}
    assert series.unit == "time point"
    assert notes == ["time points are missing of 1 position with fewer than 3: B01/1 (2)"]


def test_times_before_the_treatment_come_first():
    assert times(followed("A1_s1_6h.tif", "A1_s1_0h.tif", "A1_s1_-6h.tif", "A1_s1_-12h.tif")[0]) == {
        "A01/1": [-12, -6, 0, 6]
    }
    assert times(followed("B1_s1_-1.tif", "B1_s1_0.tif", "B1_s1_1.tif")[0]) == {"B01/1": [-1, 0, 1]}


def test_other_units_of_one_series_are_put_into_one():
    series, notes = followed("A1_s1_30min.tif", "A1_s1_2h.tif", "A1_s1_1d.tif", "A1_s1_00d04h30m.tif")
    assert times(series) == {"A01/1": [0.5, 2, 4.5, 24]}
    assert (series.unit, notes) == ("h", [])
    assert times(followed("C1_s1_day1.tif", "C1_s1_day3.tif")[0]) == {"C01/1": [1, 3]}


def test_a_time_with_a_unit_beside_one_without_is_refused():
    with pytest.raises(InputError) as caught:
        followed("A1_s1_6h.tif", "A1_s1_12.tif")
    assert str(caught.value) == (
        "the time 6h of A1_s1_6h.tif has a unit and 12 of A1_s1_12.tif has none: write it in all names or in none, or "
        "predict the two apart"
    )


def test_a_time_that_is_twice_is_refused_and_a_placeholder_that_tells_positions_apart_mends_it():
    names = [f"A1_{who}_{hour}h.tif" for who in ("left", "right") for hour in (0, 6)]
    with pytest.raises(InputError, match="are both of the time 0h of the position A01: name one of them, or let"):
        followed(*names, pattern="{well}_*_{time}.tif")
    assert times(followed(*names, pattern="{well}_{field}_{time}.tif")[0]) == {
        "A01/left": [0, 6],
        "A01/right": [0, 6],
    }


def test_a_position_of_one_time_is_told_and_where_all_are_so_nothing_is_followed():
    series, notes = followed("A1_s1_0h.tif", "A1_s1_6h.tif", "A2_s1_6h.tif")
    assert len(series.positions) == 2
    assert notes == ["1 position has one time alone and cannot be followed: A02/1"]
    assert followed("B1_s1_0h.tif", "B2_s1_0h.tif") == (None, [])
    assert followed("B1_s1_0h.tif", "B2_s1_6h.tif") == (None, [])
    assert followed("plain.tif", pattern=None) == (None, [])


def test_words_that_are_no_times_are_left_alone():
    series, notes = followed("A1_s1_early.tif", "A1_s1_late.tif")
    assert series is None
    assert notes[0].startswith("nothing is followed over time: the time early of A1_s1_early.tif is neither a number")


def movie(name: str, n: int = 3, **metadata: object) -> None:
    kind = {"ome": True} if name.endswith(".ome.tif") else {"imagej": True}
    image = np.stack([IMAGE + number for number in range(n)])
    tifffile.imwrite(name, image, metadata={"axes": "TYX", **metadata}, photometric="minisblack", **kind)


def test_the_times_of_a_file_are_those_of_its_metadata():
    movie("step.ome.tif", TimeIncrement=30.0, TimeIncrementUnit="min")
    movie("planes.ome.tif", Plane={"DeltaT": [5.0, 3605.0, 10805.0], "DeltaTUnit": ["s"] * 3})
    movie("fiji.tif", finterval=1800.0, tunit="s")
    assert times(followed("step.ome.tif", pattern=None)[0]) == {"step": [0, 30, 60]}
    series, notes = followed("step.ome.tif", "planes.ome.tif", "fiji.tif", pattern=None)
    assert times(series) == {"fiji": [0, 0.5, 1], "planes": [0, 1, 3], "step": [0, 0.5, 1]}
    assert (series.unit, series.of_files, notes) == ("h", True, [])


def test_where_a_file_does_not_tell_its_times_they_are_counted_and_that_is_said():
    movie("fiji.tif", finterval=1800.0, tunit="s")
    movie("silent.tif")
    assert times(followed("silent.tif", pattern=None)[0]) == {"silent": [0, 1, 2]}
    series, (note,) = followed("silent.tif", "fiji.tif", pattern=None)
    assert times(series) == {"fiji": [0, 1, 2], "silent": [0, 1, 2]}
    assert note == "some files do not tell how much time lies between their time points, so these are counted in all"


def test_positions_of_one_file_are_followed_each_by_itself():
    with tifffile.TiffWriter("stage.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(
                np.stack([IMAGE, IMAGE]), metadata={"axes": "TYX", "TimeIncrement": 2.0, "TimeIncrementUnit": "h"}
            )
    assert times(followed("stage.ome.tif", pattern=None)[0]) == {"stage_s0": [0, 2], "stage_s1": [0, 2]}
