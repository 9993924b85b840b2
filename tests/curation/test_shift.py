"""A shift between the channels is found where fields agree on one, said, and undone on request."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from conftest import composed_prepare
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated
from jimt.curation.no_data import no_data_mask
from jimt.curation.raw_images import RawImage
from jimt.curation.shift import Shift, as_text, find_shift, from_text, shift_evidence, stacked, undo_shift
from jimt.curation.shift_consensus import describe_shift, is_large, shift_summary, shifts_of_fields, with_shift_sought
from jimt.errors import InputError
from jimt.synthetic import simulate_dataset

SIMULATED = {"n_wells": 3, "fields_per_well": 3, "height": 384, "width": 448, "patch_size": 64, "stride": 32}
CURATED = ["dataset=no_treatment", "dataset.bit_depth=16", "curation.n_jobs=1", "curation.empty_filter.enabled=false"]
CURATED += ["curation.patches.size=64", "curation.patches.stride=32"]
CURATED += ["curation.label.live_below=400", "curation.label.dead_above=400"]
Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("simulated") / "raw"
    simulate_dataset(root, **SIMULATED, dead_fraction=0.7, difficulty=0.3, seed=1, n_jobs=1)
    return root


def pairs_in(root: Path) -> list[Pair]:
    paths = sorted(root.glob("*Trans.tif"))
    return [(tifffile.imread(path), tifffile.imread(str(path).replace("Trans", "PI"))) for path in paths]


def moved(pair: Pair, y: int, x: int) -> Pair:
    """What both channels show, PI further down and right by so many pixels."""
    brightfield, fluorescence = pair
    height, width = brightfield.shape
    return (
        brightfield[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)],
        fluorescence[max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)],
    )


def evidence_of(pairs: list[Pair], y: int = 0, x: int = 0) -> np.ndarray:
    shifted = [moved(pair, y, x) for pair in pairs]
    return np.array([shift_evidence(*pair, ~no_data_mask(*pair)) for pair in shifted])


@pytest.mark.parametrize(("y", "x"), [(0, 0), (10, 0), (-5, 8), (20, -20)])
def test_a_shift_that_was_made_is_found_in_simulated_fields(simulated, y, x):
    found = find_shift(evidence_of(pairs_in(simulated), y, x))
    assert found is not None
    assert abs(found.y - y) <= 2
    assert abs(found.x - x) <= 2
    assert is_large(found) == bool(y)


def test_channels_of_other_fields_agree_on_no_shift(simulated):
    pairs = pairs_in(simulated)
    others = [(pairs[i][0], pairs[i - 4][1]) for i in range(len(pairs))]
    assert find_shift(evidence_of(others)) is None


def test_a_field_without_signal_or_without_room_tells_nothing():
    blank, everywhere = np.full((200, 200), 7, np.uint16), np.ones((200, 200), bool)
    noise = np.random.default_rng(0).integers(90, 110, (200, 200)).astype(np.uint16)
    for pair in ((blank, blank), (noise, blank), (blank, noise), (noise, noise[::-1]), (noise[:40], noise[:40])):
        assert find_shift(shift_evidence(*pair, everywhere[: len(pair[0])])[None]) is None
    assert find_shift(shift_evidence(noise, noise, ~everywhere)[None]) is None
    assert find_shift(np.zeros((0, 2, 33, 33), np.int8)) is None


def test_real_fields_lie_7_px_apart_and_once_moved_together_none_is_warned_of(real_data):
    paths = sorted((real_data / "mcf7/brightfield").glob("*.tif"))
    pairs = [(tifffile.imread(path), tifffile.imread(real_data / "mcf7/pi" / path.name)) for path in paths]
    groups = np.array([path.name.partition("__")[0] for path in paths], object)
    as_they_are = shifts_of_fields(evidence_of(pairs), groups)
    # 5 px between bright-field and Hoechst, 2 px between Hoechst and PI, the nuclear stain of the same cells
    assert as_they_are[int(np.flatnonzero(groups == "401")[0])] in [Shift(y, x) for y in (6, 7) for x in (-2, -1, 0)]
    undone = [evidence_of([pair], -shift.y, -shift.x)[0] for pair, shift in zip(pairs, as_they_are, strict=True)]
    assert not any(map(is_large, shifts_of_fields(np.array(undone), groups)))


def peak(y: int, x: int, height: int = 127) -> np.ndarray:
    """Evidence of one field for one shift, in steps of 2 px."""
    evidence = np.zeros((2, 33, 33), np.int8)
    evidence[:, 16 + y, 16 + x] = height
    return evidence


def test_a_group_of_three_fields_has_a_shift_of_its_own_and_others_that_of_all():
    evidence = np.array([peak(0, 0)] * 6 + [peak(5, -2)] * 3 + [peak(-5, 0)] * 2 + [peak(0, 0, 0)])
    groups = np.array(["a"] * 6 + ["b"] * 3 + ["c"] * 2 + ["d"], object)
    found = dict(zip(groups, shifts_of_fields(evidence, groups), strict=True))
    assert found == {"a": Shift(0, 0), "b": Shift(10, -4), "c": Shift(0, 0), "d": Shift(0, 0)}
    order = np.random.default_rng(0).permutation(len(groups))
    assert dict(zip(groups[order], shifts_of_fields(evidence[order], groups[order]), strict=True)) == found


def test_bodies_darker_than_around_count_as_brighter_ones_do():
    dark = peak(3, 1)
    dark[1] *= -1
    assert find_shift(dark[None]) == find_shift(peak(3, 1)[None]) == Shift(6, 2)


def test_of_many_fields_a_hundred_are_compared_evenly_spread():
    images = [RawImage(str(number), "g", Path("a"), Path("b")) for number in range(1000)]
    sought = [number for number, raw in enumerate(with_shift_sought(images)) if raw.seeks_shift]
    assert sought == list(range(0, 1000, 10))
    assert all(raw.seeks_shift for raw in with_shift_sought(images[:100]))


def test_evidence_is_kept_as_text():
    evidence = [peak(1, 2), None]
    assert (stacked(from_text(as_text(each)) for each in evidence) == stacked(evidence)).all()


@pytest.mark.parametrize(("y", "x"), [(7, -1), (-3, 2), (0, 0)])
def test_what_is_moved_back_lies_where_it_was_and_its_border_is_no_data(y, x):
    image = np.random.default_rng(0).integers(1, 9, (40, 50))
    shifted = np.roll(image, (y, x), (0, 1))
    back, uncovered = undo_shift(shifted, Shift(y, x))
    assert (back[~uncovered] == image[~uncovered]).all()
    assert uncovered.sum() == 40 * 50 - (40 - abs(y)) * (50 - abs(x))
    assert (back[uncovered] == 0).all()


def screen(*overrides: str) -> str:
    with Path("screen").open("w") as file:
        curate(*composed_prepare(*overrides), embed=None, console=Console(file=file, width=80))
    return Path("screen").read_text()


def test_a_shifted_data_set_is_told_with_a_remedy_that_moves_pi_back(simulated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "moved"
    root.mkdir()
    for path in simulated.glob("*Trans.tif"):
        pair = tifffile.imread(path), tifffile.imread(str(path).replace("Trans", "PI"))
        for channel, image in zip(("Trans", "PI"), moved(pair, 10, -6), strict=True):
            tifffile.imwrite(root / path.name.replace("Trans", channel), image)
    given = [*CURATED, f"dataset.root={root}"]
    text = screen(*given)
    assert "WARNING: PI and bright-field lie apart in 9 of 9 raw images, PI " in text
    assert " px down and " in text
    assert "give curation.align=true" in text
    as_it_was = open_curated(Path("data/curated/no_treatment"))
    fields = pd.read_parquet("data/curated/no_treatment/fields.parquet")
    assert (abs(fields["shift_y"] - 10) <= 2).all()
    assert (abs(fields["shift_x"] + 6) <= 2).all()
    place = next(iter(as_it_was.summary["shift"]["groups"].values()))
    assert place == {"shift_y": fields["shift_y"].iloc[0], "shift_x": fields["shift_x"].iloc[0]}
    before = as_it_was.store.fluorescence(0).copy()

    told = screen(*given, "curation.align=true")
    assert "PI was moved onto bright-field in 9 of 9 raw images" in told
    assert "WARNING: PI and" not in told
    after = open_curated(Path("data/curated/no_treatment")).store
    y, x = place["shift_y"], place["shift_x"]
    assert (after.fluorescence(0)[: -y or None, -x:] == before[y:, :x]).all()
    assert after.no_data(0)[-y:].all()
    assert after.no_data(0)[:, :-x].all()
    assert not after.no_data(0)[:-y, -x:].any()
    again = pd.read_parquet("data/curated/no_treatment/fields.parquet")
    pd.testing.assert_frame_equal(again[["shift_y", "shift_x"]], fields[["shift_y", "shift_x"]])


def test_fields_that_were_not_compared_lie_as_those_that_were(simulated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jimt.curation.shift_consensus._LOOKED_AT", 4)
    assert "lie apart" not in screen(*CURATED, f"dataset.root={simulated}")
    fields = pd.read_parquet("data/curated/no_treatment/fields.parquet")
    assert len(fields) == 9
    assert fields["shift_y"].notna().all()
    assert (fields[["shift_y", "shift_x"]].abs() <= 2).all(axis=None)


def test_a_data_set_in_order_is_not_warned_of(simulated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "lie apart" not in screen(*CURATED, f"dataset.root={simulated}")


def test_what_is_not_known_is_said_of_no_field():
    fields = pd.DataFrame({"group": ["a", "b", "b"], "shift_y": [8, None, 0], "shift_x": [0, None, 0]}, dtype=object)
    summary = shift_summary(fields.astype({"shift_y": "Int16", "shift_x": "Int16"}), aligned=False)
    assert (summary["fields_known"], summary["fields_large"]) == (2, 1)
    assert "8 px down in group a; a map" in describe_shift(summary, n_fields=3)[0]
    assert describe_shift(summary | {"fields_large": 0}, n_fields=3) == []
    (told,) = describe_shift(summary | {"aligned": True}, n_fields=3)
    assert told.endswith("in 2 of 3 raw images; nothing tells how far they lie apart in 1, which stay as they are")


def test_published_patches_have_nothing_to_align(tmp_path):
    with pytest.raises(InputError, match="curation.align is without effect for published patches"):
        curate(
            *composed_prepare("dataset=no_treatment", *published(tmp_path), "curation.align=true"),
            embed=None,
            console=Console(quiet=True),
        )


def published(tmp_path: Path) -> list[str]:
    for kind in ("live", "dead"):
        for number in range(3):
            path = tmp_path / "published" / kind / f"{kind}{number}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = np.random.default_rng(number).integers(1, 4095, (32, 32))
            tifffile.imwrite(path, noise.astype(np.uint16))
    words = ["dataset.layout=patches", "dataset.pattern=null", f"dataset.root={tmp_path / 'published'}"]
    return [*words, "curation.patches.size=32", "curation.n_jobs=1", "curation.empty_filter.enabled=false"]
