"""In what images differ: each measure follows its own property, by an amount that arithmetic tells."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jimt.statistics.image_looks import LOOKS, looks_of

SMOOTH = gaussian_filter(np.random.default_rng(0).normal(0, 1, (300, 320)), 3)
SMOOTH /= SMOOTH.std()


def image(*, mean: float = 120, contrast: float = 15, noise: float = 0, seed: int = 1) -> np.ndarray:
    grey = mean + contrast * SMOOTH + np.random.default_rng(seed).normal(0, 1, SMOOTH.shape) * noise
    return grey.round().clip(0, 255).astype(np.uint8)


def looks(pixels: np.ndarray) -> dict[str, float]:
    return looks_of(pixels, np.ones(pixels.shape, bool))


@pytest.mark.parametrize("noise", [0, 3, 10])
def test_contrast_is_that_of_the_cells_whatever_the_noise(noise):
    assert looks(image(noise=noise))["contrast"] == pytest.approx(15 / 120, rel=0.06)
    assert looks(image(contrast=30, noise=noise))["contrast"] == pytest.approx(30 / 120, rel=0.06)


@pytest.mark.parametrize("contrast", [5, 15, 25])
@pytest.mark.parametrize("noise", [2, 5])
def test_noise_is_what_was_added_whatever_the_contrast(contrast, noise):
    assert looks(image(contrast=contrast, noise=noise))["noise"] == pytest.approx(noise / 120, rel=0.1)


def test_a_blurred_image_has_less_detail_and_a_noisy_one_no_more():
    plain = looks(image(noise=1))["detail"]
    blurred = gaussian_filter(image(noise=1).astype(float), 3).round().astype(np.uint8)
    assert looks(blurred)["detail"] < 0.8 * plain
    assert looks(image(noise=6))["detail"] == pytest.approx(plain, rel=0.15)
    assert looks(image(contrast=30, noise=1))["detail"] == pytest.approx(plain, rel=0.05)


def test_more_light_changes_brightness_alone():
    dark, bright = looks(image(mean=60, contrast=7.5, noise=2)), looks(image(mean=120, contrast=15, noise=4))
    assert bright["brightness"] == pytest.approx(2 * dark["brightness"], rel=0.01)
    for name in ("contrast", "noise", "detail"):
        assert bright[name] == pytest.approx(dark[name], rel=0.06), name


def test_what_is_no_data_takes_no_part():
    pixels, valid = image(noise=2), np.ones(SMOOTH.shape, bool)
    valid[:, :40] = False
    padded = pixels.copy()
    padded[:, :40] = 0
    found, expected = looks_of(padded, valid), looks(pixels[:, 40:])
    for name in LOOKS:
        assert found[name] == pytest.approx(expected[name], rel=0.08), name


def test_a_flat_image_and_one_without_data_are_measured_without_a_warning():
    assert np.isfinite(list(looks(np.full((64, 64), 90, np.uint8)).values())).all()
    assert np.isnan(list(looks_of(image(), np.zeros(SMOOTH.shape, bool)).values())).all()


def test_light_that_falls_off_to_the_corners_is_no_contrast():
    y, x = np.mgrid[-1 : 1 : SMOOTH.shape[0] * 1j, -1 : 1 : SMOOTH.shape[1] * 1j]
    lit = (image(contrast=8) * (1 - 0.25 * (y**2 + x**2))).round().astype(np.uint8)
    assert lit.std() / lit.mean() > 1.5 * image(contrast=8).std() / 120
    assert looks(lit)["contrast"] == pytest.approx(looks(image(contrast=8))["contrast"], rel=0.15)
