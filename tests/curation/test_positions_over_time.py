"""A position that is imaged again and again is one group for ever: no split parts its times."""

from pathlib import Path

import numpy as np
import pytest

from jimt.curation.finding import find_pairs
from jimt.curation.found import describe_finding
from jimt.curation.splits import split_groups
from jimt.errors import InputError

PATTERNS = {
    "{plate}/{well}_s{field}_t{time}_{channel}.tif": None,
    "{time}/{plate}_{well}_{field}_{channel}.tif": None,
    "{plate}-{timepoint}/{well}_{channel}_f{field}.tif": ["plate", "well"],
    "{plate}/{well}/{time}_{field}_{channel}.tif": ["plate", "well", "field"],
    "{experiment}/{plate}_{well}_{field}_{time}h_{channel}.tif": ["plate"],
}
"""Names of time series, and what makes the group where the pattern alone does not say it."""


def found(root: Path, pattern: str, values: list[dict[str, str]], group: list[str] | None):
    files = [root / pattern.format(**each, channel=channel) for each in values for channel in ("BF", "PI")]
    return find_pairs(files, root, pattern=pattern, brightfield="BF", fluorescence="PI", group=group)


def series(rng: np.random.Generator) -> list[dict[str, str]]:
    """Some wells, positions and times of four plates; any of them may be missing, and A1 be written A01."""
    made = []
    for plate in ("P1", "P2", "P3", "P4"):
        for well in range(1, int(rng.integers(3, 6))):
            for field in range(int(rng.integers(1, 4))):
                for time in range(int(rng.integers(1, 5))):
                    spelt = f"A{well:02d}" if rng.random() < 0.3 else f"A{well}"
                    each = {"plate": plate, "well": spelt, "field": str(field), "experiment": "E"}
                    made.append(each | {"time": str(6 * time), "timepoint": str(time)})
    return made


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_split_parts_the_times_of_a_position_however_it_is_named(pattern, tmp_path):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = series(rng)
        images = found(tmp_path, pattern, values, PATTERNS[pattern]).images
        groups = np.array([image.group for image in images for _ in range(4)], object)
        labels = np.arange(len(groups), dtype=np.int8) % 2
        splits = split_groups(groups, labels, ratio=(2.0, 1.0, 1.0), seed=seed)
        of_position: dict[tuple[str, ...], set[str]] = {}
        of_file = {
            (tmp_path / pattern.format(**each, channel="BF")): (each["plate"], int(each["well"][1:]), each["field"])
            for each in values
        }
        for image in images:
            of_position.setdefault(of_file[image.brightfield], set()).add(splits[image.group])
        assert all(len(those) == 1 for those in of_position.values())


@pytest.mark.parametrize(
    ("group", "remedy"),
    [
        (["well", "time"], "[well]"),
        (["time"], "[plate,well]"),
        (["plate", "well", "field", "time"], "[plate,well,field]"),
    ],
)
def test_a_group_that_names_the_time_is_refused_with_what_to_group_by(group, remedy, tmp_path):
    pattern = "{plate}/{well}_s{field}_t{time}_{channel}.tif"
    values = [{"plate": "P1", "well": f"A{n}", "field": "1", "time": str(t)} for n in range(3) for t in range(2)]
    with pytest.raises(InputError) as caught:
        found(tmp_path, pattern, values, group)
    assert str(caught.value) == (
        "dataset.group parts the 2 times of the position P1/A0/1, so a split could test on cells that were trained on: "
        f"give dataset.group={remedy}"
    )
    # of one time nothing can be parted
    assert found(tmp_path, pattern, [each for each in values if each["time"] == "0"], group).images


def test_a_group_in_the_names_that_changes_with_the_time_is_a_warning(tmp_path):
    pattern = "{group}/{well}_t{time}_{channel}.tif"
    by_time = [{"group": f"round{t}", "well": f"A{n}", "time": str(t)} for n in range(3) for t in range(2)]
    (line,) = [line for line in describe_finding(found(tmp_path, pattern, by_time, None)) if "another one" in line]
    assert line.startswith("WARNING: the group of the position A0 is another one at each time (round0, round1)")
    by_plate = [{"group": f"plate{n}", "well": f"A{n}", "time": str(t)} for n in range(3) for t in range(2)]
    assert describe_finding(found(tmp_path, pattern, by_plate, None)) == []
