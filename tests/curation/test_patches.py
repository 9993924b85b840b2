import numpy as np
import pytest

from jimt.curation.decoding import BadImageError
from jimt.curation.patches import (
    Scaling,
    grey_histogram,
    histogram_percentile,
    patch_origins,
    percentile_of_many,
    to_8_bit,
    valid_percentiles,
    window_means,
)


def scaling(method: str, *, bit_depth: int = 16, low: float | None = None, high: float | None = None) -> Scaling:
    return Scaling(method, bit_depth, 1.0, 99.0, low, high)


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, bool)


# ---- the window


def test_a_field_of_the_paper_gives_11_by_8_patches():
    y, x = patch_origins(1024, 1344, size=224, stride=112)
    assert len(y) == len(x) == 88
    assert (np.unique(y).tolist(), np.unique(x).tolist()) == ([112 * i for i in range(8)], [112 * i for i in range(11)])
    assert len(set(zip(y.tolist(), x.tolist(), strict=True))) == 88


@pytest.mark.parametrize("seed", range(20))
def test_windows_are_whole_patches_on_a_grid_and_none_is_left_out(seed):
    rng = np.random.default_rng(seed)
    size, stride = (int(value) for value in rng.integers(1, 40, 2))
    height, width = (int(value) for value in size + rng.integers(0, 100, 2))
    y, x = patch_origins(height, width, size=size, stride=stride)
    expected = [
        (top, left)
        for top in range(height)
        for left in range(width)
        if top % stride == 0 and left % stride == 0 and top + size <= height and left + size <= width
    ]
    assert list(zip(y.tolist(), x.tolist(), strict=True)) == expected


def test_an_image_of_one_patch_gives_one_patch_and_a_smaller_one_none():
    assert [len(origin) for origin in patch_origins(224, 224, size=224, stride=112)] == [1, 1]
    assert [len(origin) for origin in patch_origins(223, 1344, size=224, stride=112)] == [0, 0]


# ---- means


@pytest.mark.parametrize("kind", ["noise", "saturated", "zero", "8-bit"])
def test_window_means_of_a_whole_field_equal_direct_means_exactly(kind):
    rng = np.random.default_rng(0)
    image = {
        "noise": rng.integers(0, 65536, (1024, 1344)).astype(np.uint16),
        "saturated": np.full((1024, 1344), 65535, np.uint16),
        "zero": np.zeros((1024, 1344), np.uint16),
        "8-bit": rng.integers(0, 256, (1024, 1344)).astype(np.uint8),
    }[kind]
    y, x = patch_origins(*image.shape, size=224, stride=112)
    direct = [image[top : top + 224, left : left + 224].mean() for top, left in zip(y, x, strict=True)]
    means, share = window_means(image, ~everywhere(image), y, x, size=224)
    np.testing.assert_array_equal(means, direct)
    assert not share.any()


@pytest.mark.parametrize("seed", range(20))
def test_window_means_are_exact_for_odd_sizes_and_strides(seed):
    rng = np.random.default_rng(seed)
    size, stride = (int(value) for value in rng.integers(1, 60, 2))
    height, width = (int(value) for value in size + rng.integers(0, 120, 2))
    image = rng.integers(0, 65536, (height, width)).astype(np.uint16)
    y, x = patch_origins(height, width, size=size, stride=stride)
    # integers summed as integers: no rounding before the one division
    sums = [int(image[t : t + size, s : s + size].astype(np.int64).sum()) for t, s in zip(y, x, strict=True)]
    means, _ = window_means(image, ~everywhere(image), y, x, size=size)
    np.testing.assert_array_equal(means, np.array(sums) / size**2)


def test_window_means_of_floating_point_images_are_near_direct_means():
    image = np.random.default_rng(0).normal(1000, 300, (300, 400)).astype(np.float32)
    y, x = patch_origins(300, 400, size=64, stride=31)
    direct = [image[t : t + 64, s : s + 64].mean(dtype=np.float64) for t, s in zip(y, x, strict=True)]
    means, _ = window_means(image, ~everywhere(image), y, x, size=64)
    np.testing.assert_allclose(means, direct, rtol=1e-9)


# ---- no data


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_window_means_are_of_the_pixels_that_hold_data(seed, dtype):
    rng = np.random.default_rng(seed)
    size, stride = (int(value) for value in rng.integers(3, 40, 2))
    image = rng.integers(1, 250, (100, 120)).astype(dtype)
    no_data = rng.random(image.shape) < 0.2
    no_data[:, : 2 * size] = True  # some windows hold no data at all
    y, x = patch_origins(*image.shape, size=size, stride=stride)
    windows = [np.s_[top : top + size, left : left + size] for top, left in zip(y, x, strict=True)]
    means, share = window_means(image, no_data, y, x, size=size)
    of_data = np.where(no_data, np.nan, image.astype(float))
    expected = [np.nanmean(of_data[at]) if not no_data[at].all() else np.nan for at in windows]
    np.testing.assert_allclose(means, expected, rtol=1e-12)
    np.testing.assert_allclose(share, [no_data[at].mean() for at in windows], rtol=1e-12)
    assert np.isnan(means).any()


def bordered(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pair with a zero-filled border of 30 columns, and true zeros of bright-field elsewhere; where it is valid."""
    rng = np.random.default_rng(seed)
    brightfield = rng.integers(0, 4096, (80, 120)).astype(np.uint16)
    brightfield[:, 60:70] = 0
    fluorescence = rng.integers(1, 4096, (80, 120)).astype(np.uint16)
    brightfield[:, :30] = fluorescence[:, :30] = 0
    return brightfield, fluorescence, np.arange(120) >= np.full((80, 1), 30)


def test_no_data_pixels_do_not_enter_percentiles():
    brightfield, fluorescence, valid = bordered()
    for image in (brightfield, fluorescence, brightfield.astype(np.float32) / 7):
        expected = np.percentile(image[:, 30:].astype(float), (1, 10, 50, 99))
        np.testing.assert_allclose(valid_percentiles(image, valid, (1, 10, 50, 99)), expected, rtol=1e-12)
        assert valid_percentiles(image, everywhere(image), (10,)) == (0.0,)  # they would have


def test_the_histogram_counts_each_valid_grey_value():
    brightfield, _, valid = bordered()
    values, counts = np.unique(brightfield[:, 30:], return_counts=True)
    expected = np.zeros(65536, int)
    expected[values] = counts
    np.testing.assert_array_equal(grey_histogram(brightfield, valid), expected)
    brightfield[:, :30] = 4000  # real pixels beside padding of the other channel
    np.testing.assert_array_equal(grey_histogram(brightfield, valid), expected)
    assert grey_histogram(brightfield.astype(np.uint8), everywhere(brightfield)).shape == (65536,)


@pytest.mark.parametrize("seed", range(15))
def test_a_percentile_of_a_histogram_is_that_of_its_pixels(seed):
    rng = np.random.default_rng(seed)
    span = int(rng.choice([2, 5, 300, 65536]))
    pixels = rng.integers(0, span, int(rng.choice([1, 2, 7, 100, 5000])))
    for percentile in (0, 0.1, 10, 25, 50, 99.9, 100, float(rng.uniform(0, 100))):
        value = histogram_percentile(np.bincount(pixels, minlength=65536), percentile)
        np.testing.assert_allclose(value, np.percentile(pixels, percentile), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_a_percentile_of_many_numbers_is_numpys_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    for n in (1, 2, 3, 63, 65, 1000, 40_000):
        values = rng.lognormal(5, rng.choice([0.01, 1.0, 3.0]), n).astype(rng.choice([np.float32, np.float64]))
        forms = [values, -values, np.round(values / 50), np.sort(values), np.sort(values)[::-1], np.full(n, values[0])]
        for form in forms:  # ties, and orders that a sample at equal distances meets badly
            for percentile in (0.0, 0.1, 10.0, 50.0, 99.9, 100.0, float(rng.uniform(0, 100))):
                assert percentile_of_many(form, percentile) == float(np.percentile(form, percentile))


def test_a_percentile_of_many_numbers_holds_where_a_sample_at_equal_distances_misleads():
    values = np.full(64 * 1000, 100.0, np.float32)
    values[::64] = 1.0  # all that the sample sees
    values[1::64] = 200.0
    for percentile in (0.0, 1.0, 1.5625, 1.6, 50.0, 98.4, 98.5, 100.0):
        assert percentile_of_many(values, percentile) == float(np.percentile(values, percentile))


# ---- 8 bits


@pytest.mark.parametrize(
    ("method", "bit_depth", "dtype", "top"),
    [
        ("full_range", 12, np.uint16, 65535),
        ("full_range", 16, np.uint8, 255),
        ("bit_depth", 12, np.uint16, 4095),
        ("bit_depth", 14, np.uint16, 16383),
        ("bit_depth", 16, np.uint16, 65535),
        ("bit_depth", 12, np.uint8, 255),  # a file of 8 bits holds no more
    ],
)
def test_scaling_by_range_is_a_proportion_of_it(method, bit_depth, dtype, top):
    grey = np.arange(top + 1, dtype=dtype)[None]
    scaled = to_8_bit(grey, everywhere(grey), scaling(method, bit_depth=bit_depth))
    assert scaled.dtype == np.uint8
    exact = np.arange(top + 1) * 255 / top
    assert np.abs(scaled[0] - exact).max() <= 0.5 + 1e-9
    assert (scaled[0, 0], scaled[0, -1]) == (0, 255)
    if dtype == np.uint8:
        np.testing.assert_array_equal(scaled, grey)


def test_values_above_the_camera_s_range_are_white():
    grey = np.array([[4095, 4096, 65535]], np.uint16)
    assert to_8_bit(grey, everywhere(grey), scaling("bit_depth", bit_depth=12)).tolist() == [[255, 255, 255]]


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_percentiles_of_an_image_become_black_and_white(dtype):
    brightfield, _, valid = bordered()
    image = (brightfield + 1000 * valid).astype(dtype)
    low, high = np.percentile(image[valid].astype(float), (1, 99))
    exact = np.clip((image.astype(float) - low) / (high - low) * 255, 0, 255)
    scaled = to_8_bit(image, valid, scaling("percentile_image"))
    assert np.abs(scaled - exact).max() <= 0.5 + 1e-3
    assert (scaled[~valid] == 0).all()
    assert not np.array_equal(to_8_bit(image, everywhere(image), scaling("percentile_image")), scaled)


def test_percentiles_of_a_data_set_scale_every_image_alike():
    dark, bright = np.array([[900, 1000, 1100]], np.uint16), np.array([[1100, 1500, 3001]], np.uint16)
    settings = scaling("percentile_dataset", low=1000.0, high=3000.0)
    assert to_8_bit(dark, everywhere(dark), settings).tolist() == [[0, 0, 13]]  # 100 / 2000 * 255 = 12.75
    assert to_8_bit(bright, everywhere(bright), settings).tolist() == [[13, 64, 255]]  # 500 / 2000 * 255 = 63.75


def test_percentiles_of_a_data_set_must_be_known():
    grey = np.zeros((1, 1), np.uint16)
    with pytest.raises(ValueError, match="needs the data set's low and high"):
        to_8_bit(grey, everywhere(grey), scaling("percentile_dataset", low=0.0))


def test_an_image_whose_percentiles_coincide_is_black_and_white():
    image = np.full((100, 100), 700, np.uint16)
    image[0, :3] = 100, 700, 900
    scaled = to_8_bit(image, everywhere(image), scaling("percentile_image"))
    assert scaled[0, :3].tolist() == [0, 0, 255]
    assert (scaled[1:] == 0).all()


@pytest.mark.parametrize("method", ["full_range", "bit_depth", "percentile_dataset"])
def test_floating_point_images_have_no_range_of_their_own(method):
    image = np.ones((4, 4), np.float32)
    with pytest.raises(BadImageError) as caught:
        to_8_bit(image, everywhere(image), scaling(method, low=0.0, high=1.0))
    assert str(caught.value) == (
        f"holds floating-point numbers, which curation.scaling.method={method} cannot convert: "
        "give curation.scaling.method=percentile_image"
    )
