"""Saturated PI is counted at the camera's top, and at a plateau below it; a bright nucleus is none."""

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
from jimt.curation.saturation import describe_saturation, saturation_of, saturation_summary


def nuclei(rng: np.random.Generator, *, gain: float = 1.0, kind: type = np.uint16) -> np.ndarray:
    """Bright spots on a dim background, brightest in their middle."""
    y, x = np.mgrid[:200, :200]
    spots = sum(np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 200) for cy, cx in rng.uniform(0, 200, (20, 2)))
    return (rng.poisson(200 + gain * 3000 * spots)).clip(0, np.iinfo(kind).max).astype(kind)


EVERYWHERE = np.ones((200, 200), bool)


@pytest.mark.parametrize("top", [4095, 65535])
def test_pixels_at_the_top_of_the_camera_are_counted(top):
    counts = np.full((200, 200), 300, np.uint16)
    counts[:3] = top
    valid = EVERYWHERE.copy()
    valid[0] = False
    found = saturation_of(counts, valid, top=top)
    assert (found.share, found.value) == (pytest.approx(2 / 199), top)


@pytest.mark.parametrize("ends_at", [4095, 3990, 2000])
def test_a_camera_that_ends_below_the_top_of_its_bits_is_told_by_its_plateau(ends_at):
    counts = nuclei(np.random.default_rng(0), gain=3).clip(max=ends_at)
    found = saturation_of(counts, EVERYWHERE, top=65535)
    assert found.value == ends_at
    assert found.share == pytest.approx((counts == ends_at).mean())


def test_bright_nuclei_noise_and_blank_images_are_not_saturated():
    rng = np.random.default_rng(0)
    dim8 = rng.poisson(1.5, (200, 200)).astype(np.uint8)  # 8 bits, of which the lowest are used
    images = [nuclei(rng), nuclei(rng, gain=0.1), nuclei(rng) // 16 * 16, dim8, np.zeros((200, 200), np.uint16)]
    images += [nuclei(rng).astype(np.float32), np.full((200, 200), 7, np.uint16)]
    for image in images:
        found = saturation_of(image, EVERYWHERE, top=65535 if image.dtype.kind == "u" else np.inf)
        assert found.share == 0
        assert np.isnan(found.value)
    assert saturation_of(images[0], ~EVERYWHERE, top=4095).share == 0


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_plateau_is_told_by_the_pixels_just_below_the_largest_value_in_the_field_without_no_data(kind, seed):
    rng = np.random.default_rng(seed)
    told = set()
    for ends_at in (40, 60, 90, 130, 200):
        counts = rng.normal(100, 30, (40, 40)).clip(1, ends_at).astype(kind)
        valid = rng.random(counts.shape) < 0.9
        counts.ravel()[valid.argmax()] = ends_at  # the largest value is one of data
        values = sorted(counts[valid].astype(float), reverse=True)
        n = values.count(ends_at)
        below = [value for value in values if value < ends_at]
        near = [value for value in below if value >= min(below[0], 0.98 * ends_at)]
        is_plateau = n >= 20 and n > 5 * len(near)
        found = saturation_of(counts, valid, top=np.inf if kind is np.float32 else 255)
        assert found.share == pytest.approx(n / len(values) if is_plateau else 0.0)
        assert found.value == pytest.approx(ends_at if is_plateau else np.nan, nan_ok=True)
        told.add(is_plateau)
    assert told == {True, False}


def test_real_fields_have_no_plateau_and_574_saturated_pixels_at_most(real_data):
    shares = {}
    for path in sorted((real_data / "mcf7/pi").glob("*.tif")):
        pair = tifffile.imread(str(path).replace("/pi/", "/brightfield/")), tifffile.imread(path)
        found = saturation_of(pair[1], ~no_data_mask(*pair), top=65535)
        if found.share:
            assert found.value == 65535
            shares[path.stem] = found.share
    assert len(shares) == 4
    assert max(shares, key=shares.__getitem__).startswith("march21")
    assert max(shares.values()) == pytest.approx(0.0022, abs=1e-4)


def told(*shares: float) -> list[str]:
    ids = [f"f{number}" for number in range(len(shares))]
    fields = pd.DataFrame({"raw_image_id": ids, "saturated": shares, "saturated_at": 4095.0})
    return describe_saturation(saturation_summary(fields), n_fields=len(shares))


def test_what_is_said_grows_with_the_share():
    assert told(0, 0) == []
    assert told(0.0005, 0) == []
    (little,) = told(0.004, 0, 0, 0)
    assert little == (
        "0.1 % of all PI pixels are saturated; more than 0.1 % of a raw image's in 1 of 4, most in f0 (0.4 %, at 4095)"
    )
    (much,) = told(0.004, 0.2, 0.0)
    assert much.startswith("WARNING: 6.8 % of all PI pixels are saturated; more than 0.1 % of a raw image's in 2 of 3")
    assert "most in f1 (20 %, at 4095); with more than 1 % in 1, a mean PI is too low" in much


def test_saturated_fields_are_in_the_summary_and_on_the_screen(small, small_pairs, tmp_path):
    path = sorted(small_pairs.glob("*PI.tif"))[3]
    image = tifffile.imread(path)
    image[:16] = 4095
    tifffile.imwrite(path, image)
    with (tmp_path / "screen").open("w") as file:
        curate(*composed_prepare(*small), embed=None, console=Console(file=file, width=80))
    curated = open_curated(Path("data/curated/no_treatment"))
    summary = curated.summary["saturation"]
    assert (summary["fields"], summary["fields_of_many"]) == (1, 1)
    assert summary["worst_share"] == pytest.approx(16 / len(image))
    assert path.name.startswith(summary["worst"])
    assert "WARNING: " in (tmp_path / "screen").read_text()
    assert f"most in {summary['worst']} (10 %, at 4095)" in (tmp_path / "screen").read_text()
    fields = pd.read_parquet("data/curated/no_treatment/fields.parquet")
    assert fields["saturated"].gt(0).sum() == 1
