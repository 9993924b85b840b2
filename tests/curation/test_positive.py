import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from jimt.curation.field_fluorescence import label_values
from jimt.curation.labels import split_zero_inflated
from jimt.curation.positive import PositiveSettings, count_inside, measure_positive, nuclei_of, positive_mask
from jimt.errors import InputError

SETTINGS = PositiveSettings(
    ratio=1.5, smoothing=2.0, radius=100.0, percentile=10.0, min_area=200, max_area=5000, count_nuclei=False
)
HEIGHT, WIDTH = 400, 480
TOP = 65535


def discs(centres: np.ndarray, *, radius: float = 18) -> np.ndarray:
    """Which pixels lie in nuclei."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2 <= radius**2).any(-1)


def spread(n: int, *, seed: int = 0, apart: float = 45) -> np.ndarray:
    """Centres of nuclei that do not touch, in the field's inside."""
    rng = np.random.default_rng(seed)
    centres: list[np.ndarray] = []
    while len(centres) < n:
        new = rng.uniform(25, [HEIGHT - 25, WIDTH - 25])
        if all(np.hypot(*(new - other)) > apart for other in centres):
            centres.append(new)
    return np.array(centres)


def imaged(nuclei: np.ndarray, background, *, brightness: float = 3.0, seed: int = 1) -> np.ndarray:
    """Counts of a camera: nuclei as many times as bright as the least background, blurred, with noise."""
    level = np.broadcast_to(background, nuclei.shape)
    signal = level + (brightness - 1) * np.min(level) * ndimage.gaussian_filter(nuclei.astype(float), 1.5)
    return np.random.default_rng(seed).poisson(signal).astype(np.uint16)


def agreement(found: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union."""
    return (found & true).sum() / (found | true).sum()


def backgrounds() -> dict[str, np.ndarray | float]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return {
        "even": 500.0,
        "gradient": 500.0 * (1 + x / WIDTH),
        "vignetting": 500.0 * (1.8 - ((y - 200) ** 2 + (x - 240) ** 2) / (2 * 240**2)),
        "haze": 500.0 * (1 + np.exp(-((y - 150) ** 2 + (x - 300) ** 2) / (2 * 120**2))),
    }


@pytest.mark.parametrize("name", backgrounds())
def test_positive_area_is_that_of_the_nuclei_under_any_background(name):
    nuclei = discs(spread(25))
    found = positive_mask(imaged(nuclei, backgrounds()[name]), np.ones(nuclei.shape, bool), SETTINGS, saturated_at=TOP)
    assert agreement(found, nuclei) > 0.75
    assert found.mean() == pytest.approx(nuclei.mean(), rel=0.3)


@pytest.mark.parametrize("name", backgrounds())
def test_no_pixel_is_positive_where_no_nucleus_is(name):
    image = imaged(np.zeros((HEIGHT, WIDTH), bool), backgrounds()[name])
    assert not positive_mask(image, np.ones(image.shape, bool), SETTINGS, saturated_at=TOP).any()


def test_crowded_nuclei_are_not_taken_for_background():
    nuclei = np.zeros((HEIGHT, WIDTH), bool)
    nuclei[:, :320] = True  # confluent over more than the neighbourhood
    found = positive_mask(imaged(nuclei, 500.0, brightness=8), np.ones(nuclei.shape, bool), SETTINGS, saturated_at=TOP)
    assert agreement(found, nuclei) > 0.95


@pytest.mark.parametrize("turn", range(8))
def test_turning_a_field_turns_its_positive_mask(turn):
    nuclei = discs(spread(20))
    image = imaged(nuclei, backgrounds()["haze"])
    valid = np.ones(image.shape, bool)
    valid[:, :30] = False

    def turned(values: np.ndarray) -> np.ndarray:
        return np.rot90(values.T if turn >= 4 else values, turn % 4)

    expected = turned(positive_mask(image, valid, SETTINGS, saturated_at=TOP))
    found = positive_mask(np.ascontiguousarray(turned(image)), turned(valid), SETTINGS, saturated_at=TOP)
    assert agreement(found, expected) > 0.97  # the disc is made on a reduced image


@pytest.mark.parametrize("gain", [0.1, 4.0])
def test_the_camera_s_gain_changes_nothing(gain):
    nuclei = discs(spread(20))
    image = imaged(nuclei, 4000.0).astype(np.float32)
    valid = np.ones(image.shape, bool)
    once, scaled = (positive_mask(image * by, valid, SETTINGS, saturated_at=np.inf) for by in (1, gain))
    assert agreement(once, scaled) > 0.999


def test_what_is_no_data_is_neither_positive_nor_background():
    nuclei = discs(spread(20))
    image = imaged(nuclei, 500.0)
    valid = np.ones(image.shape, bool)
    valid[:60, :] = False
    image[~valid] = 0
    found = positive_mask(image, valid, SETTINGS, saturated_at=TOP)
    assert not found[~valid].any()
    assert agreement(found[80:], nuclei[80:]) > 0.75
    assert not positive_mask(image, np.zeros(image.shape, bool), SETTINGS, saturated_at=TOP).any()


def test_a_saturated_pixel_is_positive_and_its_value_has_no_effect():
    nuclei = discs(spread(20))
    image = imaged(nuclei, 1500.0, brightness=4).clip(max=4095)
    found = positive_mask(image, np.ones(image.shape, bool), SETTINGS, saturated_at=4095)
    assert (image == 4095).any()
    assert found[image == 4095].all()
    everywhere = np.full(image.shape, 4095, np.uint16)
    assert positive_mask(everywhere, np.ones(image.shape, bool), SETTINGS, saturated_at=4095).all()


@pytest.mark.parametrize("n", [0, 1, 12, 30])
def test_nuclei_are_counted_where_they_lie(n):
    centres = spread(n) if n else np.zeros((0, 2))
    found = nuclei_of(discs(centres), min_area=200, max_area=5000, smoothing=2.0)
    assert len(found) == n
    for centre in centres:
        assert np.hypot(*(found - centre).T).min() < 2


def test_touching_nuclei_are_parted_and_what_is_too_small_or_too_large_is_none():
    pair = np.array([[200.0, 200.0], [200.0, 232.0]])
    mask = discs(pair)
    mask[20:26, 20:26] = True  # 36 square pixels
    found = nuclei_of(mask, min_area=200, max_area=2000, smoothing=2.0)
    inside = found[(np.abs(found[:, 0] - 200) < 20) & (found[:, 1] < 260)]
    assert len(inside) == 2
    assert not (found < 40).all(1).any()
    assert len(nuclei_of(mask, min_area=200, max_area=900, smoothing=2.0)) == 0  # a nucleus of 1,017 is too large


def test_a_centre_is_counted_in_each_window_that_holds_it():
    rng = np.random.default_rng(0)
    centres, y, x = rng.uniform(0, 100, (40, 2)), rng.integers(0, 80, 15), rng.integers(0, 80, 15)
    expected = [
        sum(top <= cy < top + 20 and left <= cx < left + 20 for cy, cx in centres)
        for top, left in zip(y, x, strict=True)
    ]
    assert count_inside(centres, y, x, size=20).tolist() == expected


def test_a_patch_is_measured_by_its_valid_area_or_by_its_nuclei():
    centres = spread(12)
    mask = discs(centres)
    no_data = np.zeros(mask.shape, bool)
    no_data[:, :20] = True
    y, x = np.array([0, 100, 170], np.int32), np.array([0, 200, 250], np.int32)
    share = measure_positive(mask, no_data, y, x, SETTINGS, size=224)
    for value, top, left in zip(share, y, x, strict=True):
        window = np.s_[top : top + 224, left : left + 224]
        assert value == pytest.approx(mask[window][~no_data[window]].mean(), abs=1e-6)
    counting = dataclasses.replace(SETTINGS, count_nuclei=True)
    assert measure_positive(mask, no_data, y, x, counting, size=224).tolist() == [
        sum(top <= cy < top + 224 and left <= cx < left + 224 for cy, cx in centres)
        for top, left in zip(y, x, strict=True)
    ]


SPLIT = {"n_sigma": 1, "least": 0.063, "power": 2, "min_patches": 50, "min_weight": 0.02}


def zero_inflated(n: int = 300) -> np.ndarray:
    """Square roots of shares: half of the patches hold nothing positive, a quarter a little, a quarter much."""
    rng = np.random.default_rng(0)
    return np.r_[np.zeros(n // 2), rng.uniform(0, 0.25, n // 4), rng.normal(0.6, 0.08, n // 4)]


def test_thresholds_of_zero_inflated_values_lie_one_standard_deviation_inside_two_classes():
    values = zero_inflated()
    found = split_zero_inflated(values, **SPLIT)
    little, much = values[values < 0.35], values[values > 0.35]
    assert found.live_below == pytest.approx(little.mean() + little.std(), rel=0.05)  # Otsu's histogram has bins
    assert found.dead_above == pytest.approx(much.mean() - much.std(), rel=0.05)
    order = np.random.default_rng(1).permutation(len(values))
    assert split_zero_inflated(values[order], **SPLIT).dead_above == pytest.approx(found.dead_above)


def test_less_than_a_nucleus_is_never_dead_and_a_class_without_spread_keeps_its_patches():
    values = np.r_[np.zeros(250), np.ones(50)]
    found = split_zero_inflated(values, **SPLIT)
    assert 0.063 <= found.live_below <= found.dead_above < 1
    faint = np.r_[np.zeros(200), np.full(100, 0.05)]
    assert split_zero_inflated(faint, **SPLIT).dead_above == 0.063


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(200), "every patch has the value 0"),
        (np.ones(200), "every patch has the value 1"),
        (np.random.default_rng(0).uniform(0.6, 0.9, 200), "two halves differ by less than twice as much PI"),
        (np.r_[np.random.default_rng(0).uniform(0.5, 0.9, 198), 0, 0], "two halves differ"),
        (np.r_[np.zeros(299), 0.8], "dead patches are too rare"),
    ],
)
def test_patches_of_one_kind_are_refused(values, said):
    with pytest.raises(InputError, match=said):
        split_zero_inflated(values, **SPLIT)


@pytest.mark.parametrize("scale", ["positive_area", "positive_nuclei", "log_background_ratio"])
def test_multiples_of_a_background_of_zero_are_refused(scale):
    with pytest.raises(InputError, match="background is 0 at curation.label.background_percentile"):
        label_values(np.array([0.3]), np.array([0.0]), scale=scale)
