"""Images that are changed in one property, held against arithmetic."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from jimt.curation.decoding import BadImageError
from jimt.curation.image_changes import Change, change_image

GREY = (120 + 12 * gaussian_filter(np.random.default_rng(0).normal(0, 4, (200, 240)), 1)).round().astype(np.uint8)
ALL = np.zeros(GREY.shape, bool)


def changed(change: Change, pixels: np.ndarray = GREY, no_data: np.ndarray = ALL) -> np.ndarray:
    return change_image(pixels, no_data, change, np.random.default_rng(1))[0]


def test_contrast_is_stretched_about_the_mean():
    found = changed(Change("stretch", 0.5))
    assert found.std() == pytest.approx(GREY.std() / 2, rel=0.02)
    assert found.mean() == pytest.approx(GREY.mean(), abs=0.5)  # halves of odd grey levels are rounded
    assert np.corrcoef(found.ravel(), GREY.ravel())[0, 1] > 0.995


def test_brightness_is_a_factor_of_every_grey_level_and_ends_at_white():
    np.testing.assert_array_equal(changed(Change("brighten", 0.5)), np.rint(GREY * 0.5))
    assert changed(Change("brighten", 5.0)).max() == 255


def test_noise_that_is_there_becomes_as_much_stronger_as_asked():
    rng = np.random.default_rng(2)
    noisy = (120 + rng.normal(0, 4, (400, 400))).round().clip(0, 255).astype(np.uint8)
    found = changed(Change("noise", 2.0), noisy, np.zeros(noisy.shape, bool))
    assert found.std() == pytest.approx(8, rel=0.05)
    np.testing.assert_array_equal(found, changed(Change("noise", 2.0), noisy, np.zeros(noisy.shape, bool)))


def test_a_blurred_image_is_that_of_scipy():
    expected = gaussian_filter(GREY.astype(float), 1.5, mode="mirror")
    inside = np.s_[10:-10, 10:-10]
    assert np.abs(changed(Change("blur", 1.5))[inside] - expected[inside]).max() < 1.0


def test_an_image_is_resampled_with_what_is_no_data_in_it():
    no_data = ALL.copy()
    no_data[:, :40] = True
    pixels = np.where(no_data, 0, GREY).astype(np.uint8)
    found, without = change_image(pixels, no_data, Change("resample", 0.5), np.random.default_rng(0))
    assert found.shape == without.shape == (100, 120)
    np.testing.assert_array_equal(without, np.broadcast_to(np.arange(120) < 20, (100, 120)))
    assert (found[without] == 0).all()
    assert found[~without].mean() == pytest.approx(GREY[:, 40:].mean(), abs=1)
    with pytest.raises(BadImageError, match="would have to be enlarged 9 times"):
        changed(Change("resample", 9.0))


@pytest.mark.parametrize("kind", ["stretch", "brighten", "noise", "blur"])
def test_black_edges_stay_black_and_darken_nothing(kind):
    no_data = ALL.copy()
    no_data[-30:] = True
    pixels = np.where(no_data, 0, GREY).astype(np.uint8)
    found = changed(Change(kind, 1.5), pixels, no_data)
    assert (found[no_data] == 0).all()
    expected = GREY[:-30].mean() * (1.5 if kind == "brighten" else 1)
    assert found[~no_data].mean() == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("change", [Change("stretch", 1), Change("noise", 1), Change("blur", 0), Change("resample", 1)])
def test_no_change_is_the_image_itself(change):
    assert not change.changes
    assert changed(change) is GREY
    assert change.in_words() == "nothing to change"
