"""Predicted against true images, against NumPy and scikit-image, and by hand."""

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from jimt.statistics.image_agreement import mean_similarity, pixel_correlation

WINDOW, RANGE = 7, 3.0


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """A true image from 0 to 3, and one that is blurred and noisy."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(60, 80)), 3)
    true = RANGE * (smooth - smooth.min()) / np.ptp(smooth)
    return (ndimage.gaussian_filter(true, 2) + rng.normal(0, 0.1, true.shape)).astype(np.float32), true


@pytest.fixture(scope="module")
def valid() -> np.ndarray:
    mask = np.ones((60, 80), bool)
    mask[:, :13] = False
    mask[40:44, 50:58] = False
    return mask


def similarity(predicted: np.ndarray, true: np.ndarray, valid: np.ndarray) -> float:
    return mean_similarity(predicted, true, valid, data_range=RANGE, window=WINDOW)


def test_on_valid_pixels_the_correlation_is_that_of_numpy(pair, valid):
    predicted, true = pair
    assert pixel_correlation(*pair, valid) == pytest.approx(np.corrcoef(predicted[valid], true[valid])[0, 1])
    everywhere = np.ones_like(valid)
    assert pixel_correlation(*pair, everywhere) == pytest.approx(np.corrcoef(predicted.ravel(), true.ravel())[0, 1])


def test_where_every_pixel_is_valid_the_similarity_is_that_of_scikit_image(pair):
    expected = structural_similarity(pair[0].astype(float), pair[1], win_size=WINDOW, data_range=RANGE)
    assert similarity(*pair, np.ones((60, 80), bool)) == pytest.approx(expected)


def test_a_valid_rectangle_has_the_similarity_of_the_rectangle_alone(pair):
    mask = np.zeros((60, 80), bool)
    mask[5:40, 20:70] = True
    cut = [image[5:40, 20:70].astype(float) for image in pair]
    expected = structural_similarity(*cut, win_size=WINDOW, data_range=RANGE)
    assert similarity(*pair, mask) == pytest.approx(expected)


@pytest.mark.parametrize("filling", [np.nan, np.inf, -1e9])
def test_what_pixels_without_data_hold_changes_nothing(pair, valid, filling):
    spoilt = [np.where(valid, image, filling) for image in pair]
    assert pixel_correlation(*spoilt, valid) == pixel_correlation(*pair, valid)
    assert similarity(*spoilt, valid) == similarity(*pair, valid)


@pytest.mark.parametrize("turn", range(1, 8))
def test_turning_and_mirroring_both_images_changes_nothing(pair, valid, turn):
    turned = [np.rot90(image.T if turn >= 4 else image, turn % 4) for image in (*pair, valid)]
    assert pixel_correlation(*turned) == pytest.approx(pixel_correlation(*pair, valid))
    assert similarity(*turned) == pytest.approx(similarity(*pair, valid))


def test_exchanging_the_images_changes_nothing(pair, valid):
    assert pixel_correlation(*pair[::-1], valid) == pytest.approx(pixel_correlation(*pair, valid))
    assert similarity(*pair[::-1], valid) == pytest.approx(similarity(*pair, valid))


def test_gain_and_offset_leave_the_correlation_and_lower_the_similarity(pair, valid):
    _, true = pair
    assert similarity(true, true, valid) == pytest.approx(1)
    for gain, offset in ((0.5, 0.0), (1.0, 0.7)):
        assert pixel_correlation(gain * true + offset, true, valid) == pytest.approx(1)
        assert similarity(gain * true + offset, true, valid) < 0.95
    assert pixel_correlation(-true, true, valid) == pytest.approx(-1)


def test_a_worse_prediction_agrees_less(pair, valid):
    _, true = pair
    blurred = [ndimage.gaussian_filter(true, sd) for sd in (0, 2, 4, 8)]
    for measure in (pixel_correlation, similarity):
        values = [measure(image, true, valid) for image in blurred]
        assert values == sorted(values, reverse=True)


def test_a_correlation_with_a_constant_image_or_of_hardly_a_pixel_is_undefined(pair, valid):
    _, true = pair
    for constant in (np.zeros_like(true), np.full(true.shape, 0.1, np.float32)):
        assert math.isnan(pixel_correlation(constant, true, valid))
        assert math.isnan(pixel_correlation(true, constant, valid))
    one = np.zeros_like(valid)
    assert math.isnan(pixel_correlation(*pair, one))
    one[3, 3] = True
    assert math.isnan(pixel_correlation(*pair, one))


def test_constant_images_are_similar_by_their_brightness_alone():
    low, high = np.full((20, 20), 1.0), np.full((20, 20), 2.0)
    everywhere = np.ones((20, 20), bool)
    small = (0.01 * RANGE) ** 2  # of Wang et al., 2004: the first constant
    assert similarity(low, low, everywhere) == pytest.approx(1)
    assert similarity(low, high, everywhere) == pytest.approx((2 * 1 * 2 + small) / (1 + 4 + small))


def test_without_a_whole_window_of_data_there_is_no_similarity(pair):
    mask = np.zeros((60, 80), bool)
    mask[10 : 10 + WINDOW - 1] = True
    assert math.isnan(similarity(*pair, mask))
    mask[10 + WINDOW - 1] = True
    assert math.isfinite(similarity(*pair, mask))
    tiny = np.ones((WINDOW - 1, 80))
    assert math.isnan(similarity(tiny, tiny, tiny > 0))
