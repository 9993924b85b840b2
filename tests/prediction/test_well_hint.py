"""Where names look as if they told wells, the pattern of a note reads them; where they do not, none is given."""

import re

import numpy as np
import pytest
import tifffile

from jimt.config.patterns import parse_pattern
from jimt.prediction.inputs import find_sources
from jimt.prediction.well_hint import well_hint

GIVEN = {"root": None, "leave_out": None, "channel": None, "time": None}


@pytest.mark.parametrize(
    ("names", "wells"),
    [
        (["A1.tif", "B2.tif"], ["A01", "B02"]),
        (["A1_s0.tif", "A1_s1.tif", "A2_s10.tif"], ["A01", "A01", "A02"]),
        (["P1_B03_F1.tif", "P1_B03_F2.tif", "P1_C03_F1.tif"], ["B03", "B03", "C03"]),  # plate, well, field
        (["run 7 (2) H12-001 x.TIF", "run 7 (2) A01-002 y.TIF"], ["A01", "H12"]),
        (["x1_A01.tif", "x10_A02.tif"], ["A01", "A02"]),
    ],
)
def test_the_pattern_of_the_note_reads_every_well(names, wells, tmp_path):
    for name in names:
        tifffile.imwrite(tmp_path / name, np.arange(64, dtype=np.uint16).reshape(8, 8))
    plain = find_sources([str(tmp_path)], pattern=None, **GIVEN)
    assert {source.well for source in plain.sources} == {None}
    (note,) = plain.notes
    pattern = re.search("--pattern '(.*)' reads them", note)
    assert pattern is not None
    read = find_sources([str(tmp_path)], pattern=parse_pattern(pattern[1], setting="--pattern"), **GIVEN)
    assert sorted(str(source.well) for source in read.sources) == wells
    assert read.notes == ()


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["A1.tif"],
        ["A1_1.tif", "A1_2.tif"],  # one well, or an instrument's word
        ["t01_z1.tif", "t02_z1.tif"],
        ["day1.tif", "day2.tif"],
        ["W00013--P1.tif", "W00014--P1.tif"],
        ["A1.tif", "control.tif"],
        ["{a} A1.tif", "{a} B1.tif"],
        ["it's A1.tif", "it's B1.tif"],
        ["A0.tif", "A99.tif"],
    ],
)
def test_names_that_tell_no_wells_give_no_hint(names):
    assert well_hint(names) is None
