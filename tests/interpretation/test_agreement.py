import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jimt.interpretation.agreement import pixel_auroc, pointing_game, positive_pixels, summarise

SIDE = 20


def random_maps(n: int = 6, *, decimals: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Maps that know something of a square that is positive."""
    rng = np.random.default_rng(seed)
    positive = np.zeros((n, SIDE, SIDE), bool)
    for number, mask in enumerate(positive):
        mask[2 : 6 + number, 3:9] = True
    return np.round(rng.normal(positive * 0.7, 1), decimals).astype(np.float32), positive


def square(n_pixels: int) -> np.ndarray:
    """A mask of 400 pixels of which the first so many are positive."""
    return (np.arange(SIDE * SIDE) < n_pixels).reshape(1, SIDE, SIDE)


# ---- a map against its mask


@pytest.mark.parametrize("decimals", [6, 0])
def test_a_map_s_auroc_is_that_of_scikit_learn_over_its_pixels(decimals):
    maps, positive = random_maps(decimals=decimals)
    expected = [roc_auc_score(mask.ravel(), each.ravel()) for each, mask in zip(maps, positive, strict=True)]
    assert pixel_auroc(maps, positive) == pytest.approx(expected)


def test_maps_in_half_precision_are_counted_and_give_the_same_as_sorted_ones():
    maps, positive = random_maps(decimals=2)
    few = np.abs(maps).astype(np.float16)
    few[0, 5:] = np.nan
    few[1, few[1] < 0.5] = -0.0
    assert pixel_auroc(few, positive) == pytest.approx(pixel_auroc(few.astype(np.float64), positive), abs=1e-12)
    below = maps.astype(np.float16)  # some below 0
    assert pixel_auroc(below, positive) == pytest.approx(pixel_auroc(below.astype(np.float64), positive), abs=1e-12)


def test_a_map_that_is_the_mask_is_perfect_and_its_inverse_perfectly_wrong():
    _, positive = random_maps()
    assert pixel_auroc(positive.astype(float), positive).tolist() == [1] * 6
    assert pixel_auroc(1.0 - positive, positive).tolist() == [0] * 6


def test_a_constant_map_knows_nothing():
    _, positive = random_maps()
    assert pixel_auroc(np.zeros(positive.shape), positive) == pytest.approx([0.5] * 6)
    assert pointing_game(np.zeros(positive.shape), positive) == pytest.approx(positive.mean((1, 2)))


@pytest.mark.parametrize("measure", [pixel_auroc, pointing_game])
def test_a_patch_counts_where_1_percent_of_its_pixels_is_positive_and_1_percent_is_not(measure):
    maps, _ = random_maps(1)
    counts = {n: bool(np.isfinite(measure(maps, square(n))[0])) for n in (0, 3, 4, 200, 396, 397, 400)}
    assert counts == {0: False, 3: False, 4: True, 200: True, 396: True, 397: False, 400: False}


def test_a_patch_without_a_measure_does_not_move_the_others():
    maps, positive = random_maps()
    alone = pixel_auroc(maps, positive)
    positive[2] = False
    assert np.isnan(pixel_auroc(maps, positive)).tolist() == [False, False, True, False, False, False]
    np.testing.assert_array_equal(np.delete(pixel_auroc(maps, positive), 2), np.delete(alone, 2))


def test_the_pointing_game_asks_where_the_highest_pixel_lies():
    maps = np.zeros((3, SIDE, SIDE))
    maps[0, 0, 5] = 1  # in the mask
    maps[1, 19, 5] = 1  # outside
    maps[2, [0, 0, 0, 19], [1, 2, 3, 0]] = 0.2  # of four highest three are inside
    assert pointing_game(maps, np.repeat(square(100), 3, axis=0)).tolist() == [1, 0, 0.75]


def test_of_no_patches_there_are_no_measures():
    none = np.zeros((0, SIDE, SIDE))
    assert pixel_auroc(none, none > 0).shape == pointing_game(none, none > 0).shape == (0,)
    assert positive_pixels(none, least=1.0, smoothing=1.0).shape == none.shape


# ---- where PI counts as positive


def discs(*, haze: float, bright: float, side: int = 128, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei of 12 px radius on a haze that doubles from left to right, with noise; and where they are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    true = np.zeros((side, side), bool)
    for cy, cx in ((30, 30), (90, 40), (60, 100)):
        true |= (y - cy) ** 2 + (x - cx) ** 2 <= 12**2
    return rng.normal(np.where(true, bright, haze * (1 + x / side)), 0.1 * haze), true


@pytest.mark.parametrize(("haze", "bright"), [(100, 1000), (600, 4000), (100, 700)])
def test_nuclei_count_as_positive_and_the_haze_around_them_does_not(haze, bright):
    image, true = discs(haze=haze, bright=bright)
    found = positive_pixels(image[None], least=450.0, smoothing=2.0)[0]
    assert (found & true).sum() / (found | true).sum() > 0.8


def test_a_patch_without_pi_has_no_positive_pixel():
    noise = np.random.default_rng(0).normal(224, 30, (3, 64, 64))
    assert not positive_pixels(noise, least=450.0, smoothing=2.0).any()
    assert not positive_pixels(np.zeros((1, 64, 64)), least=450.0, smoothing=2.0).any()


def test_a_single_hot_pixel_is_no_nucleus():
    image = np.random.default_rng(0).normal(224, 10, (1, 64, 64))
    image[0, 32, 32] = 4095
    assert not positive_pixels(image, least=450.0, smoothing=2.0).any()
    assert positive_pixels(image, least=450.0, smoothing=0.3).any()  # it is the smoothing that takes it away


def test_no_pixel_below_the_least_value_is_positive():
    image, _ = discs(haze=30, bright=800)
    image[100:, 100:] = 200  # a faint cell, well above the haze
    assert positive_pixels(image[None], least=100.0, smoothing=1.0)[0, 105:125, 105:125].all()
    assert not positive_pixels(image[None], least=450.0, smoothing=1.0)[0, 105:125, 105:125].any()


def test_each_patch_is_split_by_itself_whatever_its_bits():
    faint, true = discs(haze=100, bright=700)
    bright, _ = discs(haze=400, bright=4000, seed=1)
    both = positive_pixels(np.stack([faint, bright]).astype(np.float32), least=450.0, smoothing=2.0)
    for found in both:
        assert (found & true).sum() / (found | true).sum() > 0.8
    alone = positive_pixels(faint[None].astype(np.float32), least=450.0, smoothing=2.0)
    np.testing.assert_array_equal(both[:1], alone)


def test_a_patch_s_own_pixels_are_left_as_they_were():
    image, _ = discs(haze=100, bright=2000)
    before = image.copy()
    positive_pixels(image[None], least=450.0, smoothing=2.0)
    np.testing.assert_array_equal(image, before)


# ---- over patches

OF = {"confidence": 0.95}


def by_group(means: list[float], *, n_each: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """A measure of so many patches a group, within a tenth of the group's mean, which they have to the digit."""
    within = np.linspace(-0.05, 0.05, n_each)
    return (
        np.concatenate([mean + within for mean in means]),
        np.repeat([f"well {n}" for n in range(len(means))], n_each).astype(object),
    )


def test_means_by_hand():
    trained, randomised = np.array([0.9, 0.8, 0.4, 0.7]), np.array([0.5, 0.6, 0.4, 0.1])
    agreement = summarise(trained, randomised, None, **OF)
    assert agreement.trained.value == pytest.approx(0.7)
    assert agreement.randomised.value == pytest.approx(0.4)
    assert agreement.difference.value == pytest.approx(0.3)
    assert (agreement.n_patches, agreement.n_groups) == (4, None)
    assert agreement.trained.interval is agreement.randomised.interval is agreement.difference.interval is None


def test_a_patch_counts_where_both_networks_have_the_measure():
    trained, randomised = np.array([0.9, np.nan, 0.4, 0.7]), np.array([0.5, 0.6, np.nan, 0.1])
    groups = np.array(["a", "b", "c", "d"], object)
    agreement = summarise(trained, randomised, groups, **OF)
    assert (agreement.trained.value, agreement.randomised.value) == pytest.approx((0.8, 0.3))
    assert agreement.difference.value == pytest.approx(0.5)
    assert (agreement.n_patches, agreement.n_groups) == (2, 2)  # of a and d: too few groups for an interval
    assert agreement.trained.interval is None


@pytest.mark.parametrize("n_groups", [1, 2])
def test_fewer_than_3_groups_give_no_interval(n_groups):
    values, groups = by_group([0.7, 0.8][:n_groups])
    agreement = summarise(values, values - 0.2, groups, **OF)
    assert agreement.n_groups == n_groups
    assert agreement.trained.interval is agreement.difference.interval is None


def test_an_interval_covers_the_mean_and_is_wider_where_groups_differ_more():
    widths = []
    for spread in (0.02, 0.1):
        values, groups = by_group([0.7 - spread, 0.7, 0.7 + spread, 0.7 - spread / 2, 0.7 + spread / 2, 0.7])
        low, high = summarise(values, np.full(len(values), 0.5), groups, **OF).trained.interval
        assert 0 < low < 0.7 < high < 1
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_an_interval_is_student_s_of_the_means_of_equal_groups_on_the_scale_of_the_logit():
    means = np.linspace(0.62, 0.78, 9)
    values, groups = by_group(means.tolist())
    low, high = summarise(values, np.full(len(values), 0.5), groups, **OF).trained.interval
    half = 2.306 * means.std(ddof=1) / np.sqrt(9) / (0.7 * 0.3)  # t of 8 degrees of freedom, from a table
    odds = 0.7 / 0.3 * np.exp([-half, half])
    assert (low, high) == pytest.approx(odds / (1 + odds), abs=0.002)


def test_patches_of_one_group_count_as_what_they_share():
    few, groups_of_few = by_group([0.6, 0.7, 0.8, 0.65, 0.75], n_each=5)
    many, groups_of_many = by_group([0.6, 0.7, 0.8, 0.65, 0.75], n_each=200)
    narrow = summarise(many, many * 0 + 0.5, groups_of_many, **OF).trained.interval
    assert summarise(few, few * 0 + 0.5, groups_of_few, **OF).trained.interval == pytest.approx(narrow)


def test_both_networks_lose_a_group_at_once_so_what_groups_share_leaves_the_difference():
    values, groups = by_group([0.6, 0.9, 0.7, 0.85, 0.65])
    gain = 0.2 + np.repeat([0.004, -0.002, -0.004, 0.002, 0], 10)
    agreement = summarise(values, values - gain, groups, **OF)
    low, high = agreement.difference.interval
    assert low < 0.2 < high
    assert high - low < 0.1 * (agreement.trained.interval[1] - agreement.trained.interval[0])


def test_a_network_that_looks_elsewhere_than_a_random_one_has_a_negative_difference():
    values, groups = by_group([0.3, 0.4, 0.35, 0.45])
    agreement = summarise(values, values[::-1] + 0.3, groups, **OF)
    assert agreement.difference.value == pytest.approx(-0.3)
    assert -1 < agreement.difference.interval[0] < -0.3 < agreement.difference.interval[1]


# ---- no data


@pytest.mark.parametrize("decimals", [6, 0])
def test_pixels_without_data_take_no_part_in_a_map_s_agreement(decimals):
    maps, positive = random_maps(decimals=decimals)
    maps[:, :, -3:] = np.nan
    positive[:, :, -3:] = True
    found, highest = pixel_auroc(maps, positive), pointing_game(maps, positive)
    for each, mask, auroc, hit in zip(maps[:, :, :-3], positive[:, :, :-3], found, highest, strict=True):
        assert auroc == pytest.approx(roc_auc_score(mask.ravel(), each.ravel()))
        assert hit == pytest.approx(mask[each == each.max()].mean())
    assert np.isnan(pixel_auroc(np.full_like(maps, np.nan), positive)).all()


def test_a_padded_edge_moves_no_threshold_of_pi():
    image, true = discs(haze=300, bright=1500)
    whole = positive_pixels(image[None], least=100.0, smoothing=2.0)[0]
    image[-6:] = np.nan
    found = positive_pixels(image[None], least=100.0, smoothing=2.0)[0]
    assert not found[-6:].any()
    np.testing.assert_array_equal(found[:-14], whole[:-14])  # beyond the reach of the smoothing
    assert (found & true).sum() / (found | true).sum() > 0.8
    image[:] = np.nan
    assert not positive_pixels(image[None], least=100.0, smoothing=2.0).any()
