from functools import partial

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from jimt.statistics import curves
from jimt.statistics.curves import GRID, accuracy_by_unit, calibration, wilson
from jimt.statistics.resampling import resample_groups

roc, precision_recall = partial(curves.curve, "roc"), partial(curves.curve, "precision_recall")

BAND = {"n_resamples": 400, "confidence": 0.95, "seed": 0}
NO_BAND = {"n_resamples": 0, "confidence": 0.95, "seed": 0}


def random_patches(n: int = 400, *, decimals: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, a third live, scores that know something of them, and twenty groups that hold both; few decimals tie."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n) % 3 == 0, 1, 0)
    scores = np.round(1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5))), decimals)
    return labels, scores, (np.arange(n) // 20).astype(object)


# ---- curves


@pytest.mark.parametrize("decimals", [6, 1])
def test_the_area_under_the_roc_curve_is_the_auroc(decimals):
    labels, scores, _ = random_patches(decimals=decimals)
    curve = roc(labels, scores, None, **NO_BAND)
    live, dead = scores[labels == 1], scores[labels == 0]
    pairs = np.mean(live[:, None] > dead) + np.mean(live[:, None] == dead) / 2  # how often a live one scores higher
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(pairs)
    assert pairs == pytest.approx(roc_auc_score(labels, scores))
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


def test_each_point_of_the_roc_curve_is_that_of_a_cut_off():
    labels, scores, _ = random_patches(60, decimals=1)
    curve = roc(labels, scores, None, **NO_BAND)
    by_hand = {
        (np.mean(scores[labels == 0] >= cut), np.mean(scores[labels == 1] >= cut))
        for cut in [*np.unique(scores), np.inf]
    }
    assert set(zip(curve.x.tolist(), curve.y.tolist(), strict=True)) <= by_hand


def test_each_point_of_the_precision_recall_curve_is_that_of_a_cut_off_and_recall_grows():
    labels, scores, _ = random_patches(60, decimals=1)
    curve = precision_recall(labels, scores, None, **NO_BAND)
    cuts = np.unique(scores)[::-1]
    called_live = [scores >= cut for cut in cuts]
    assert curve.x[1:] == pytest.approx([recall_score(labels, called) for called in called_live])
    assert curve.y[1:] == pytest.approx([precision_score(labels, called) for called in called_live])
    assert (curve.x[0], curve.y[0]) == (0, 1)  # nothing is called live
    assert (np.diff(curve.x) >= 0).all()


def test_the_steps_of_the_precision_recall_curve_add_up_to_the_average_precision():
    labels, scores, _ = random_patches()
    curve = precision_recall(labels, scores, None, **NO_BAND)
    assert np.sum(np.diff(curve.x) * curve.y[1:]) == pytest.approx(average_precision_score(labels, scores))


# ---- bands over groups


@pytest.mark.parametrize("curve_of", [roc, precision_recall])
def test_a_band_lies_about_its_curve(curve_of):
    labels, scores, groups = random_patches()
    curve = curve_of(labels, scores, groups, **BAND)
    inner = slice(5, -5)  # at the ends a curve rises or falls vertically
    at = np.interp(GRID[inner], curve.x, curve.y)
    assert np.mean((curve.band[0][inner] <= at) & (at <= curve.band[1][inner])) > 0.95
    assert GRID.tolist() == np.linspace(0, 1, 101).tolist()
    assert (curve.band[0] >= 0).all()
    assert (curve.band[0] <= curve.band[1]).all()
    assert (curve.band[1] <= 1).all()


def test_a_roc_band_is_made_of_the_curves_of_patches_repeated_as_their_group_is_resampled():
    labels, scores, groups = random_patches(120, decimals=2)
    curve = roc(labels, scores, groups, n_resamples=60, confidence=0.9, seed=3)
    resamples = resample_groups(groups, n_resamples=60, seed=3)
    grid = np.linspace(0, 1, 101)
    drawn = []
    for counts in resamples.counts:
        times = counts[resamples.patch_groups]
        x, y, _ = roc_curve(np.repeat(labels, times), np.repeat(scores, times), drop_intermediate=False)
        drawn.append(np.interp(grid, x, y))
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(curve.band[0], low, atol=1e-12)
    np.testing.assert_allclose(curve.band[1], high, atol=1e-12)


@pytest.mark.parametrize("curve_of", [roc, precision_recall])
def test_without_groups_or_with_two_there_is_no_band(curve_of):
    labels, scores, groups = random_patches()
    for of in (None, (groups > 9).astype(object)):
        curve = curve_of(labels, scores, of, **BAND)
        assert curve.band is None
        np.testing.assert_array_equal(curve.y, curve_of(labels, scores, groups, **BAND).y)


@pytest.mark.parametrize("curve_of", [roc, precision_recall])
def test_a_band_is_the_same_again_with_the_same_seed_alone(curve_of):
    labels, scores, groups = random_patches()
    first, again = (curve_of(labels, scores, groups, **BAND) for _ in range(2))
    other = curve_of(labels, scores, groups, **{**BAND, "seed": 1})
    np.testing.assert_array_equal(first.band[0], again.band[0])
    np.testing.assert_array_equal(first.band[1], again.band[1])
    assert not np.array_equal(first.band[0], other.band[0])


@pytest.mark.parametrize("curve_of", [roc, precision_recall])
def test_a_band_does_not_depend_on_how_many_resamples_are_ranked_at_a_time(curve_of, monkeypatch):
    labels, scores, groups = random_patches(decimals=2)
    whole = curve_of(labels, scores, groups, **BAND)
    monkeypatch.setattr("jimt.statistics.curves._AT_ONCE", 7 * len(labels) + 1)
    parts = curve_of(labels, scores, groups, **BAND)
    np.testing.assert_array_equal(parts.band[0], whole.band[0])
    np.testing.assert_array_equal(parts.band[1], whole.band[1])


def test_a_band_of_more_of_the_resamples_holds_one_of_fewer():
    labels, scores, groups = random_patches()
    wide, narrow = (roc(labels, scores, groups, **{**BAND, "confidence": share}) for share in (0.95, 0.5))
    assert (wide.band[0] <= narrow.band[0]).all()
    assert (wide.band[1] >= narrow.band[1]).all()
    assert (wide.band[1] - wide.band[0]).mean() > 1.5 * (narrow.band[1] - narrow.band[0]).mean()


def test_the_band_of_a_perfect_classifier_is_the_corner():
    labels, _, groups = random_patches()
    scores = np.where(labels == 1, 0.9, 0.1)
    curve = roc(labels, scores, groups, **BAND)
    assert set(zip(curve.x.tolist(), curve.y.tolist(), strict=True)) == {(0, 0), (0, 1), (1, 1)}
    assert curve.band[0].tolist() == curve.band[1].tolist() == [1] * 101
    curve = precision_recall(labels, scores, groups, **BAND)
    assert curve.band[0][:-1].tolist() == curve.band[1][:-1].tolist() == [1] * 100


def test_resamples_that_lack_a_class_have_no_curve():
    labels = np.array([1, 0, 0, 0, 0])  # one group holds live patches, so some resamples lack it
    scores, groups = np.array([0.9, 0.1, 0.2, 0.3, 0.4]), np.array(["a", "b", "c", "d", "e"], object)
    resamples = resample_groups(groups, n_resamples=50, seed=0)
    assert (resamples.counts[:, 0] == 0).any()
    curve = roc(labels, scores, groups, n_resamples=50, confidence=0.95, seed=0)
    assert curve.band[0].tolist() == [1] * 101


# ---- shares


@pytest.mark.parametrize(
    ("k", "n", "expected"),
    [(0, 10, (0, 0.2775)), (8, 10, (0.4902, 0.9433)), (10, 10, (0.7225, 1)), (1, 1, (0.2065, 1))],
)
def test_wilson_s_interval_is_the_textbook_s(k, n, expected):
    assert wilson(k, n, confidence=0.95) == pytest.approx(expected, abs=5e-5)


def test_wilson_s_limits_are_where_the_share_seen_is_just_z_standard_errors_off():
    for k, n, confidence, z in ((81, 263, 0.95, 1.959964), (3, 17, 0.90, 1.644854), (999, 1000, 0.99, 2.575829)):
        for limit in wilson(k, n, confidence=confidence):
            assert (k / n - limit) ** 2 == pytest.approx(z**2 * limit * (1 - limit) / n, rel=1e-5)


def test_wilson_s_interval_of_the_dead_is_that_of_the_living_turned_over():
    low, high = wilson(3, 17, confidence=0.95)
    assert wilson(14, 17, confidence=0.95) == pytest.approx((1 - high, 1 - low))


def test_calibration_by_hand():
    labels = np.array([0, 1, 0, 1, 1, 0, 1])
    scores = np.array([0.0, 0.1, 0.19, 0.5, 0.55, 0.5, 1.0])
    of = calibration(labels, scores, n_bins=5, confidence=0.95)
    # 0 to 0.2 holds three, 0.4 to 0.6 three, and 1 belongs to the last bin; the two others are empty
    assert of.counts.tolist() == [3, 3, 1]
    assert of.mean_score == pytest.approx([0.29 / 3, 1.55 / 3, 1])
    assert of.share_live == pytest.approx([1 / 3, 2 / 3, 1])
    assert of.low == pytest.approx([0.0615, 0.2077, 0.2065], abs=5e-5)  # Wilson's of 1 and 2 of 3, and 1 of 1
    assert of.high == pytest.approx([0.7923, 0.9385, 1], abs=5e-5)


def test_every_patch_is_in_one_bin_of_its_score():
    labels, scores, _ = random_patches(decimals=2)
    of = calibration(labels, scores, n_bins=10, confidence=0.95)
    assert of.counts.sum() == len(labels)
    assert np.average(of.mean_score, weights=of.counts) == pytest.approx(scores.mean())
    assert np.average(of.share_live, weights=of.counts) == pytest.approx(labels.mean())
    assert ((of.low < of.share_live) & (of.share_live < of.high)).all()


# ---- unit by unit


def uneven_units() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches of eight raw images, of which the first is all live and the second all dead."""
    labels, scores, _ = random_patches(160)
    units = np.array([f"image {number}" for number in np.arange(160) % 8], object)
    labels = np.where(units == "image 0", 1, np.where(units == "image 1", 0, labels))
    return labels, scores, units


def test_a_unit_of_both_classes_has_scikit_learn_s_balanced_accuracy_and_one_of_one_class_its_recall():
    labels, scores, units = uneven_units()
    table = accuracy_by_unit(labels, scores, units, confidence=0.95).set_index("unit")
    for name in np.unique(units.astype(str)):
        of = units == name
        if name in ("image 0", "image 1"):
            pos_label = 1 if name == "image 0" else 0
            expected = recall_score(labels[of], scores[of] > 0.5, pos_label=pos_label)
        else:
            expected = balanced_accuracy_score(labels[of], scores[of] > 0.5)
        assert table.loc[name, "accuracy"] == pytest.approx(expected)
        assert table.loc[name, ["live", "dead"]].tolist() == [labels[of].sum(), (1 - labels[of]).sum()]


def test_the_worst_unit_comes_first_and_equals_are_in_order_of_their_names():
    labels, scores, units = uneven_units()
    table = accuracy_by_unit(labels, scores, units, confidence=0.95)
    assert (np.diff(table["accuracy"]) >= 0).all()
    assert sorted(table["unit"]) == sorted(set(units))
    equals = accuracy_by_unit(
        np.array([1, 1, 1]), np.array([0.9, 0.9, 0.1]), np.array(["c", "b", "a"], object), confidence=0.95
    )
    assert equals["unit"].tolist() == ["a", "b", "c"]
    assert equals.index.tolist() == [0, 1, 2]


def test_a_score_of_one_half_counts_as_dead():
    table = accuracy_by_unit(np.array([1, 0]), np.array([0.5, 0.5]), np.array(["a", "b"], object), confidence=0.95)
    assert dict(zip(table["unit"], table["accuracy"], strict=True)) == {"a": 0, "b": 1}


@pytest.mark.parametrize("n_units", [1, 8, 40])
def test_a_unit_s_interval_holds_its_value_and_lies_within_0_and_1(n_units):
    labels, scores, _ = random_patches(120)
    units = (np.arange(120) % n_units).astype(object)
    for of in (scores, labels.astype(float), 1.0 - labels):  # also all right and all wrong
        table = accuracy_by_unit(labels, of, units, confidence=0.95)
        assert (table["low"] >= -1e-12).all()
        assert (table["low"] <= table["accuracy"] + 1e-12).all()
        assert (table["accuracy"] <= table["high"] + 1e-12).all()
        assert (table["high"] <= 1 + 1e-12).all()
        assert (table["high"] - table["low"] > 0.01).all()  # not nothing at 0 and 1 either


def test_the_interval_of_one_class_is_wilson_s_and_of_two_newcombe_s():
    labels = np.array([1] * 10 + [0] * 10)
    scores = np.array([0.9] * 8 + [0.1] * 2 + [0.1] * 10)  # 8 of 10 live and all dead patches are right
    of_live, of_both = (
        accuracy_by_unit(labels[:n], scores[:n], np.full(n, "a", object), confidence=0.95).iloc[0] for n in (10, 20)
    )
    assert (of_live["low"], of_live["high"]) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    # of a sum: the distances to the limits of its parts add up in squares; half of it, as it is a mean of two
    below = np.hypot(0.8 - 0.4902, 1 - 0.7225) / 2
    above = np.hypot(0.9433 - 0.8, 0) / 2
    assert (of_both["low"], of_both["high"]) == pytest.approx((0.9 - below, 0.9 + above), abs=5e-5)
