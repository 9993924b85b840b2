"""Focus, noise and contrast of an image, each against what was done to it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jimt.statistics.image_quality import MEASURES, measure_image


@pytest.fixture(scope="module")
def details():
    """Grey values with details of all sizes, about 120, standard deviation 20."""
    noise = np.random.default_rng(0).normal(size=(256, 256))
    image = sum(scale * gaussian_filter(noise, scale) for scale in (1, 2, 4, 8))
    return 120 + 20 * (image - image.mean()) / image.std()


def measured(image, valid=None):
    pixels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    values = measure_image(pixels, np.ones(pixels.shape, bool) if valid is None else valid)
    return dict(zip(MEASURES, values, strict=True))


def test_defocus_lowers_sharpness_the_more_the_wider_it_is(details):
    found = [measured(gaussian_filter(details, sigma))["focus"] for sigma in (0.01, 1, 2, 4)]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] > 0.5


def test_noise_is_measured_over_the_contrast(details):
    noisy = details + np.random.default_rng(1).normal(0, 10, details.shape)
    of_both = np.sqrt(20**2 + 10**2)
    assert np.exp(measured(noisy)["noise"]) == pytest.approx(10 / of_both, rel=0.1)


def test_contrast_is_standard_deviation_over_mean(details):
    assert np.exp(measured(details)["contrast"]) == pytest.approx(20 / 120, rel=0.02)
    assert measured(details * 0.5)["contrast"] == pytest.approx(measured(details)["contrast"], abs=0.02)


@pytest.mark.parametrize("gain", [0.8, 0.9])
def test_neither_gain_nor_turning_nor_mirroring_matters(details, gain):
    plain = measured(details)
    for changed in (details * gain, np.rot90(details), details[:, ::-1]):
        # the noise of 8 bits weighs more in a dim image
        assert measured(changed) == pytest.approx(plain, abs=0.25)


def test_pixels_without_data_take_no_part(details):
    valid = np.ones(details.shape, bool)
    valid[:, :64] = False
    black = np.where(valid, details, 0)
    assert measured(black, valid) == pytest.approx(measured(details[:, 64:]), abs=0.05)


def test_a_flat_image_and_one_without_data_are_measured_too():
    assert np.isfinite(list(measured(np.full((64, 64), 7)).values())).all()
    assert np.isnan(list(measured(np.zeros((64, 64)), np.zeros((64, 64), bool)).values())).all()
