"""The spectrum of an image tells the scales of its details, and neither its light nor its direction."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jimt.statistics.image_spectrum import N_BANDS, log_spectrum


def texture(seed: int, *, sigma: float, size: int = 128) -> np.ndarray:
    """Smooth noise of one scale, in grey levels."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), sigma, mode="wrap")
    return np.clip(120 + 30 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def spectrum(image: np.ndarray) -> np.ndarray:
    return log_spectrum(image, np.ones(image.shape, bool))


def test_the_light_and_the_gain_of_a_camera_change_nothing():
    image = texture(0, sigma=0.7)
    darker = np.round(image / 2.0 + 20).astype(np.uint8)
    np.testing.assert_allclose(spectrum(darker), spectrum(image), atol=0.02)


@pytest.mark.parametrize("turned", [np.rot90, np.fliplr, np.transpose])
def test_turning_and_mirroring_change_nothing(turned):
    image = texture(1, sigma=1.5)
    np.testing.assert_allclose(spectrum(np.ascontiguousarray(turned(image))), spectrum(image), atol=1e-6)


@pytest.mark.parametrize("size", [32, 33, 45, 64, 224])
def test_patches_of_every_size_that_may_be_curated_have_a_spectrum(size):
    """Turned and mirrored alike, black edge or not, and also where every pixel is the same."""
    image = texture(3, sigma=1.2, size=size)
    valid = np.ones(image.shape, bool)
    valid[: size // 3, : size // 4] = False
    found = log_spectrum(image, valid)
    assert found.shape == (N_BANDS,)
    assert np.isfinite(found).all()
    assert abs(found.mean()) < 1e-9
    for turned in (np.rot90, np.flipud, np.transpose):
        np.testing.assert_allclose(log_spectrum(turned(image).copy(), turned(valid).copy()), found, atol=1e-6)
    assert np.isfinite(spectrum(np.full((size, size), 255, np.uint8))).all()


def test_a_pure_wave_has_its_power_in_the_band_of_its_frequency():
    size, edges = 128, np.geomspace(4 / 128, 0.5, N_BANDS + 1)
    for band in range(1, N_BANDS):
        frequency = np.sqrt(edges[band] * edges[band + 1])
        wave = 128 + 100 * np.sin(2 * np.pi * frequency * np.arange(size))
        assert int(spectrum(np.tile(wave, (size, 1)).round().astype(np.uint8)).argmax()) == band


def test_defocus_takes_power_from_the_finest_bands_and_moves_no_other_image_so_far():
    sharp = [spectrum(texture(seed, sigma=1)) for seed in range(8)]
    blurred = spectrum(gaussian_filter(texture(9, sigma=1), 2))
    within = np.ptp(sharp, axis=0).max()
    assert (np.mean(sharp, axis=0) - blurred)[-4:].min() > within


def test_what_is_no_data_is_taken_for_the_mean():
    image = texture(2, sigma=3)
    hidden = image.copy()
    hidden[:20] = 0
    valid = np.ones(image.shape, bool)
    valid[:20] = False
    np.testing.assert_allclose(log_spectrum(hidden, valid), log_spectrum(image, valid), atol=1e-12)
    assert np.isfinite(log_spectrum(image, np.zeros(image.shape, bool))).all()
