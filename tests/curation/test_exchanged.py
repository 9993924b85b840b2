"""Bright-field and fluorescence that were exchanged are told, and none that are in order."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hydra.core.override_parser.overrides_parser import OverridesParser
from rich.console import Console

from conftest import SMALL, composed_prepare
from jimt.curation.curate import curate
from jimt.curation.exchanged import describe_exchanged, look_exchanged
from jimt.curation.manifest import open_curated
from jimt.errors import InputError
from jimt.synthetic import simulate_dataset

SIMULATED = {"n_wells": 2, "fields_per_well": 2, "height": 192, "width": 224}
SIMULATED |= {"patch_size": 64, "stride": 32, "n_jobs": 1}


def exchanged(pairs: list[tuple[Path, Path]]) -> tuple[int, int]:
    """Of so many pairs, how many look exchanged as they are, and how many once they are."""
    counts = np.zeros(2, int)
    for pair in pairs:
        brightfield, fluorescence = (tifffile.imread(path) for path in pair)
        valid = (brightfield > 0) | (fluorescence > 0)
        counts += look_exchanged(brightfield, fluorescence, valid), look_exchanged(fluorescence, brightfield, valid)
    return int(counts[0]), int(counts[1])


def test_none_of_the_70_real_fields_looks_exchanged_and_most_do_once_they_are(real_data):
    root = real_data / "mcf7"
    pairs = [(path, root / "pi" / path.name) for path in sorted((root / "brightfield").glob("*.tif"))]
    in_order, once_exchanged = exchanged(pairs)
    assert (len(pairs), in_order) == (70, 0)
    assert once_exchanged >= 60


@pytest.mark.parametrize(
    ("difficulty", "dead_fraction", "at_least"),
    [(0.5, 0.5, 4), (1.0, 0.9, 4), (0.0, 0.0, 0)],
)
def test_no_simulated_field_looks_exchanged_and_those_with_dead_cells_do_once_they_are(
    tmp_path, difficulty, dead_fraction, at_least
):
    simulate_dataset(tmp_path / "raw", **SIMULATED, difficulty=difficulty, dead_fraction=dead_fraction, seed=1)
    pairs = [(path, Path(str(path).replace("Trans", "PI"))) for path in (tmp_path / "raw").glob("*Trans.tif")]
    in_order, once_exchanged = exchanged(pairs)
    assert (len(pairs), in_order) == (4, 0)
    assert once_exchanged >= at_least


@pytest.mark.parametrize(
    ("above", "below", "darker", "told"),
    [(30, 10, True, True), (30, 10, False, False), (15, 10, True, False), (10, 30, True, False), (10, 0, True, True)],
)
def test_the_longer_bright_tail_and_the_darker_middle_decide(above, below, darker, told):
    # of 10,000 pixels 200 above and 200 below the median: the first and the last percentile, by hand
    declared = np.full((400, 400), 1000.0, np.float32)
    declared[:, :8], declared[:, -8:] = 1000 - below, 1000 + above
    other = np.full((400, 400), 1100 if darker else 900, np.float32)
    other[:, :8] -= 10
    other[:, -8:] += 10
    assert look_exchanged(declared, other, np.ones(declared.shape, bool)) == told


def test_pixels_without_data_count_for_nothing():
    declared, other = np.full((64, 64), 1000, np.uint16), np.full((64, 64), 2000, np.uint16)
    declared[:, ::8] = 9000
    assert look_exchanged(declared, other, np.zeros(declared.shape, bool)) is False


@pytest.fixture
def simulated(tmp_path) -> list[str]:
    simulate_dataset(tmp_path / "raw", **(SIMULATED | {"n_wells": 6}), difficulty=0.5, dead_fraction=0.5, seed=1)
    return ["dataset=no_treatment", "dataset.bit_depth=16", f"dataset.root={tmp_path / 'raw'}", *SMALL]


def screen(tmp_path: Path, *overrides: str) -> str:
    with (tmp_path / "screen").open("w") as file:
        config = composed_prepare(*overrides)
        try:
            curate(*config, embed=None, console=Console(file=file, width=80))
        except InputError as error:
            print(error, file=file)
    return (tmp_path / "screen").read_text()


def test_exchanged_words_are_told_loudly_with_a_remedy_that_works(simulated, tmp_path):
    wrong = [*simulated, "dataset.brightfield=PI", "dataset.fluorescence=Trans"]
    first = (
        "WARNING, READ THIS FIRST: the channels look exchanged in 12 of 12 raw images, for example W00001--P00001--Z"
    )
    text = screen(tmp_path, *wrong)
    assert first in text
    assert "give dataset.brightfield=" in text
    assert "look exchanged" not in screen(tmp_path, *simulated)


def test_a_single_exchanged_pair_is_told_by_name(simulated, tmp_path):
    one = tmp_path / "raw/W00002--P00001--Z00000--T00000--Trans.tif"
    other = Path(str(one).replace("Trans", "PI"))
    one.rename(tmp_path / "kept")
    other.rename(one)
    (tmp_path / "kept").rename(other)
    cut_offs = ["curation.label.live_below=300", "curation.label.dead_above=300"]
    for _ in range(2):  # also of a curation that stands already
        text = screen(tmp_path, *simulated, *cut_offs)
        assert "WARNING: the channels look exchanged in 1 of 12 raw images, for example W00002--P00001" in text
    summary = open_curated(Path("data/curated/no_treatment")).summary
    assert summary["look_exchanged"] == ["W00002--P00001--Z00000--T00000"]


def test_the_remedy_is_of_the_layout():
    settings = {"brightfield": "Trans", "fluorescence": "PI", "brightfield_index": 0, "fluorescence_index": 1}
    told = [describe_exchanged(["a"], 1, settings | {"layout": layout}) for layout in ("pairs", "stack")]
    assert told[0].endswith(": give dataset.brightfield=PI dataset.fluorescence=Trans")
    assert told[1].endswith(": give dataset.brightfield_index=1 dataset.fluorescence_index=0")


@pytest.mark.parametrize("words", [("PI (red)", "BF, low"), ("W\u00e4lle", "it's"), ("1e3", "null")])
def test_the_remedy_is_typed_in_the_quotes_that_its_words_need(words):
    settings = {"layout": "pairs", "brightfield": words[0], "fluorescence": words[1]}
    told = describe_exchanged(["a"], 1, settings)
    typed = shlex.split(told.rpartition(": give ")[2])  # as a shell reads it
    read = {each.key_or_group: each.value() for each in OverridesParser.create().parse_overrides(typed)}
    assert {key: getattr(value, "text", value) for key, value in read.items()} == {
        "dataset.brightfield": words[1],
        "dataset.fluorescence": words[0],
    }
