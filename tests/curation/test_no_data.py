import numpy as np
import pytest
from scipy.ndimage import affine_transform

from jimt.curation.decoding import BadImageError
from jimt.curation.no_data import no_data_mask


def signal(seed: int, shape: tuple[int, int] = (160, 200)) -> np.ndarray:
    return np.random.default_rng(seed).integers(90, 4096, shape).astype(np.uint16)


def moved(image: np.ndarray, *, degrees: float, shift: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """An image after a registration that fills with zeros, and where it has been filled."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - turn @ (centre + np.array(shift))
    found = affine_transform(image, turn, offset, order=0, cval=0, output=np.uint16)
    return found, affine_transform(np.ones(image.shape), turn, offset, order=0, cval=0) == 0


def test_a_pixel_that_is_zero_in_both_channels_is_no_data_and_a_zero_of_one_inside_is_not():
    brightfield, fluorescence = signal(0), signal(1)
    brightfield[50, 60] = fluorescence[50, 60] = 0
    brightfield[80, 90] = 0
    fluorescence[100, 20] = 0
    assert np.argwhere(no_data_mask(brightfield, fluorescence)).tolist() == [[50, 60]]
    assert not no_data_mask(signal(0), signal(1)).any()


@pytest.mark.parametrize(("degrees", "shift"), [(0, (7, 0)), (0, (-3, 12)), (1.5, (0, 0)), (-4, (9, -14))])
@pytest.mark.parametrize("alone", ["brightfield", "fluorescence"])
def test_padding_of_one_channel_alone_is_no_data_in_both(degrees, shift, alone):
    found, filled = moved(signal(0), degrees=degrees, shift=shift)
    assert filled.any()
    pair = (found, signal(1)) if alone == "brightfield" else (signal(1), found)
    mask = no_data_mask(*pair)
    assert not (mask & ~filled).any()
    assert (mask & filled).sum() > 0.99 * filled.sum()  # a pixel at the rim of a slanted edge may be left


def test_both_channels_may_be_padded_at_different_edges():
    brightfield, fluorescence = signal(0), signal(1)
    brightfield[:5] = 0
    fluorescence[:, -8:] = 0
    expected = np.zeros(brightfield.shape, bool)
    expected[:5] = expected[:, -8:] = True
    np.testing.assert_array_equal(no_data_mask(brightfield, fluorescence), expected)


def nuclei(n: int) -> np.ndarray:
    """A fluorescence image whose background was set to zero: zeros between bright discs, and at the edges."""
    rng = np.random.default_rng(n)
    y, x = np.mgrid[:160, :200]
    image = np.zeros((160, 200), np.uint16)
    for _ in range(n):
        image[np.hypot(y - rng.uniform(0, 160), x - rng.uniform(0, 200)) < 9] = 900
    return image


@pytest.mark.parametrize(
    "fluorescence",
    [
        nuclei(1),
        nuclei(40),
        np.random.default_rng(0).poisson(0.5, (160, 200)).astype(np.uint16),
        np.random.default_rng(0).normal(0, 20, (160, 200)).clip(0).astype(np.float32),
    ],
    ids=["one nucleus", "nuclei", "few photons", "background subtracted"],
)
def test_zeros_that_are_a_dark_signal_are_data(fluorescence):
    assert (fluorescence == 0).mean() > 0.3
    assert not no_data_mask(signal(0), fluorescence).any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_type_of_image_is_judged_alike(dtype):
    brightfield = signal(0).clip(0, 255).astype(dtype)
    fluorescence = signal(1).clip(0, 255).astype(dtype)
    fluorescence[:, :10] = 0
    assert no_data_mask(brightfield, fluorescence)[:, :10].all()
    assert not no_data_mask(brightfield, fluorescence)[:, 10:].any()


def test_negative_numbers_are_data():
    brightfield, fluorescence = signal(0).astype(np.float32), -signal(1).astype(np.float32)
    assert not no_data_mask(brightfield, fluorescence).any()


def test_a_pair_without_a_pixel_of_both_channels_is_refused():
    brightfield, fluorescence = signal(0), signal(1)
    brightfield[:, :100] = 0
    fluorescence[:, 100:] = 0
    with pytest.raises(BadImageError, match="holds no pixel that is data in both channels .*: align it again"):
        no_data_mask(brightfield, fluorescence)
