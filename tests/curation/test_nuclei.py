"""All nuclei of a field on their stain, against discs drawn by hand."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from jimt.curation.nuclei import Nuclei, NucleiSettings, describe_nuclei, find_nuclei, nuclei_of_fields

SETTINGS = NucleiSettings(smoothing=1.0, background=20.0, min_area=600, max_area=20000)
HEIGHT, WIDTH = 400, 480
RADIUS = 16  # an area of 804 pixels


def spread(n: int, *, apart: float = 42) -> np.ndarray:
    """Centres of nuclei that do not touch, in the field's inside, on a loose grid."""
    rows = np.arange(30, HEIGHT - 30, apart)
    grid = np.array([(y, x) for y in rows for x in np.arange(30, WIDTH - 30, apart)])
    return grid[np.random.default_rng(0).permutation(len(grid))[:n]].astype(float)


def discs(centres: np.ndarray, *, radius: float = RADIUS) -> np.ndarray:
    """Number of the nucleus, from 1, that each pixel lies in, and 0 elsewhere."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    labels = np.zeros((HEIGHT, WIDTH), int)
    for number, (row, column) in enumerate(centres, 1):
        labels[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number
    return labels


def stained(labels: np.ndarray, brightness: np.ndarray, *, background: float | np.ndarray = 200.0) -> np.ndarray:
    """Counts of a camera: nuclei of some brightness, times the background, hardly blurred, with noise."""
    times = np.concatenate([[1.0], brightness])[labels]
    signal = background * ndimage.gaussian_filter(times, 1.5)
    return np.random.default_rng(1).poisson(signal).astype(np.uint16)


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, bool)


def found(image: np.ndarray, positive: np.ndarray | None = None, valid: np.ndarray | None = None) -> Nuclei:
    nothing = np.zeros(image.shape, bool)
    return find_nuclei(
        image, everywhere(image) if valid is None else valid, nothing if positive is None else positive, SETTINGS
    )


@pytest.fixture(scope="module")
def centres() -> np.ndarray:
    return spread(30)


@pytest.fixture(scope="module")
def image(centres: np.ndarray) -> np.ndarray:
    """Nuclei 4 to 12 times as bright as the background, which is twice as bright at the right."""
    brightness = np.geomspace(4, 12, len(centres))
    return stained(discs(centres), brightness, background=np.linspace(200, 400, WIDTH)[None, :])


def test_every_nucleus_is_found_once_where_it_lies(centres, image):
    nuclei = found(image)
    assert len(nuclei.centres) == len(centres)
    distances = np.hypot(*(nuclei.centres[:, None] - centres[None]).T)
    assert distances.min(axis=0).max() < 2
    assert distances.min(axis=1).max() < 2


@pytest.mark.parametrize("share", [0.0, 0.4, 0.6, 1.0])
def test_a_nucleus_is_pi_positive_where_more_than_half_of_it_is(centres, image, share):
    labels = discs(centres)
    positive = np.zeros(labels.shape, bool)
    for number in (1, 2, 3, 4, 5):
        y, x = np.nonzero(labels == number)
        upper = np.argsort(y, kind="stable")[: round(share * len(y))]
        positive[y[upper], x[upper]] = True
    assert int(found(image, positive).positive.sum()) == (5 if share > 0.5 else 0)


@pytest.mark.parametrize("turn", range(8))
def test_turning_a_field_leaves_the_count_alone(centres, image, turn):
    turned = np.rot90(image.T if turn >= 4 else image, turn % 4)
    assert len(found(np.ascontiguousarray(turned)).centres) == len(centres)


@pytest.mark.parametrize(("gain", "offset"), [(0.25, 0), (4.0, 0), (1.0, 100), (1.0, 300)])
def test_gain_and_offset_of_the_camera_leave_the_count_alone(centres, image, gain, offset):
    seen = image.astype(np.float32) * gain + offset
    assert len(found(seen).centres) == len(centres)
    assert len(found(seen.astype(np.uint16)).centres) == len(centres)


def test_touching_nuclei_are_parted_and_small_ones_are_none():
    pair = np.array([[200.0, 200.0], [200.0, 200.0 + 1.9 * RADIUS], [60.0, 60.0]])
    labels = discs(pair)
    debris = discs(np.array([[300.0, 100.0], [320.0, 400.0]]), radius=9) > 0  # 254 pixels
    nuclei = found(stained(np.where(debris, 4, labels), np.full(4, 6.0)))
    assert sorted(map(tuple, nuclei.centres.round(-1))) == [(60, 60), (200, 200), (200, 230)]


def test_a_patch_holds_the_nuclei_whose_centre_lies_in_it(centres, image):
    labels = discs(centres)
    nuclei = found(image, labels % 3 == 1)
    y, x = np.array([0, 100, 176], np.int32), np.array([0, 200, 256], np.int32)
    n, n_positive = nuclei.count(y, x, size=224)
    rounded = [tuple(np.round(centre).astype(int)) for centre in centres]
    for row, (top, left) in enumerate(zip(y, x, strict=True)):
        inside = [k for k, (cy, cx) in enumerate(rounded, 1) if top <= cy < top + 224 and left <= cx < left + 224]
        assert n[row] == len(inside)
        assert n_positive[row] == sum(k % 3 == 1 for k in inside)


def test_what_is_no_data_holds_no_nucleus_and_no_background(centres, image):
    padded = image.copy()
    padded[:, :100] = 0
    valid = everywhere(image)
    valid[:40] = False
    nuclei = found(padded, valid=valid)
    whole = centres[(centres[:, 1] > 100 + RADIUS) & (centres[:, 0] > 40 + RADIUS)]
    kept = nuclei.centres[(nuclei.centres[:, 1] > 100 + RADIUS) & (nuclei.centres[:, 0] > 40 + RADIUS)]
    assert len(kept) == len(whole)
    assert (nuclei.centres[:, 1] >= 100).all()
    assert (nuclei.centres[:, 0] >= 40).all()
    assert len(found(padded, valid=np.zeros(image.shape, bool)).centres) == 0


@pytest.mark.parametrize("shape", ["flat", "haze"])
def test_noise_and_haze_hold_no_nucleus(shape):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    haze = 1 + np.exp(-((y - 150) ** 2 + (x - 300) ** 2) / (2 * 120**2)) * (shape == "haze")
    nuclei = found(np.random.default_rng(0).poisson(500 * haze).astype(np.uint16))
    assert len(nuclei.centres) == 0
    assert nuclei.contrast < 6


def fields(images: dict[str, np.ndarray]) -> pd.DataFrame:
    """The rows of a data set's fields, as a curation has them."""
    rows = []
    for name, image in images.items():
        nuclei = found(image)
        rows.append((name, len(nuclei.centres), 1, nuclei.contrast, nuclei.focus))
    return pd.DataFrame(
        rows, columns=["raw_image_id", "n_nuclei", "n_positive_nuclei", "nuclei_contrast", "nuclei_focus"]
    )


def test_fields_in_which_nuclei_cannot_be_told_are_named(image):
    rng = np.random.default_rng(0)
    sharp = {f"sharp {n}": np.roll(image, 40 * n, axis=1) for n in range(4)}
    empty = {"empty": rng.poisson(300, image.shape).astype(np.uint16)}
    blurred = {"blurred": ndimage.gaussian_filter(image.astype(float), 6).astype(np.uint16)}
    told = nuclei_of_fields(fields(sharp | empty | blurred))
    assert told["not_told"] == ["empty"]
    assert told["out_of_focus"] == ["blurred"]
    counts, *warnings = describe_nuclei(told)
    assert counts == f"all nuclei on their stain: {told['n']:,}, of which 6 ({600 / told['n']:.1f} %) are PI-positive"
    assert [line.split(": ")[0] for line in warnings] == ["WARNING", "WARNING"]
    assert "no nucleus stands out of the noise on the nuclear stain of 1 of 6 raw images" in warnings[0]
    assert "look at empty (summary.json lists all)" in warnings[0]
    assert "look at blurred (summary.json lists all)" in warnings[1]


def test_sharp_fields_raise_no_warning_and_a_data_set_without_the_stain_says_nothing(image):
    told = nuclei_of_fields(fields({f"sharp {n}": np.roll(image, 40 * n, axis=1) for n in range(4)}))
    assert len(describe_nuclei(told)) == 1
    assert nuclei_of_fields(pd.DataFrame({"raw_image_id": ["a"]})) is None


def test_many_fields_are_named_in_part_and_counted_in_whole():
    told = nuclei_of_fields(fields({f"e{n}": np.random.default_rng(n).poisson(300, (64, 64)) for n in range(12)}))
    (line,) = describe_nuclei(told)[1:]
    assert "of 12 of 12 raw images" in line
    assert "e9 and others" in line


def test_on_real_fields_nuclei_lie_where_people_drew_them_and_a_blurred_one_is_named(real_data):
    names = [
        "march__march-diluted-snap-0-3-37",
        "feb24__feb24-400-snap-2-2-33",
        "jan__jan-504-snap-2-1-12",
        "610__610-snap-0-0-2",
    ]
    cells = pd.read_csv(real_data / "mcf7/nuclei.csv")
    images = {name: tifffile.imread(real_data / "mcf7/hoechst" / f"{name}.tif") for name in names}
    for name, image in images.items():
        drawn = cells[cells["raw_image_id"] == name]
        distances = np.hypot(*(found(image).centres[:, None] - drawn[["y", "x"]].to_numpy()[None]).T)
        assert (distances.min(axis=1) < np.sqrt(drawn["area_px"] / np.pi)).mean() > 0.8
    blurred = ndimage.gaussian_filter(images[names[0]].astype(float), 6).astype(np.uint16)
    told = nuclei_of_fields(fields(images | {"blurred": blurred}))
    assert (told["not_told"], told["out_of_focus"]) == ([], ["blurred"])
