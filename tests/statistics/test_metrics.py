import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    recall_score,
    roc_auc_score,
)
from torchmetrics.functional.classification import multiclass_calibration_error

from jimt.statistics.metrics import METRICS, resampled_metrics
from jimt.statistics.weighted_patches import CALIBRATION_BINS, ScoredPatches

OF_PATCHES = [name for name, metric in METRICS.items() if metric.within is None]
"""The others are of pairs within groups; they stand in ``test_within.py``."""


def resampled(name: str, labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A metric under several weightings of single patches."""
    return resampled_metrics(ScoredPatches(labels, scores, np.arange(len(labels))), [name], weights)[name]


def torchmetrics_calibration_error(labels, scores, weights):
    """Of two-class logits; torchmetrics knows no weights, so a patch that counts twice is there twice."""
    times = weights.astype(int)
    logits = torch.tensor(np.stack([np.log(1 - scores), np.log(scores)], axis=1)).repeat_interleave(
        torch.tensor(times), dim=0
    )
    return multiclass_calibration_error(
        logits, torch.tensor(np.repeat(labels, times)), num_classes=2, n_bins=CALIBRATION_BINS, norm="l1"
    ).item()


ORACLE = {
    "balanced_accuracy": lambda labels, scores, w: balanced_accuracy_score(labels, scores > 0.5, sample_weight=w),
    "auroc": lambda labels, scores, w: roc_auc_score(labels, scores, sample_weight=w),
    "recall_live": lambda labels, scores, w: recall_score(labels, scores > 0.5, pos_label=1, sample_weight=w),
    "recall_dead": lambda labels, scores, w: recall_score(labels, scores > 0.5, pos_label=0, sample_weight=w),
    "average_precision_live": lambda labels, scores, w: average_precision_score(labels, scores, sample_weight=w),
    "f1_live": lambda labels, scores, w: f1_score(labels, scores > 0.5, sample_weight=w),
    "f1_dead": lambda labels, scores, w: f1_score(labels, scores > 0.5, pos_label=0, sample_weight=w),
    "expected_calibration_error": torchmetrics_calibration_error,
    "brier": lambda labels, scores, w: brier_score_loss(labels, scores, sample_weight=w),
}


def random_patches(n: int = 300, *, decimals: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a quarter live, and scores that know something of them; few decimals make ties."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.25).astype(np.int64)
    return labels, np.round(1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5))), decimals).clip(0.01, 0.99)


@pytest.mark.parametrize("name", OF_PATCHES)
def test_every_metric_has_an_oracle_and_tells_a_better_score_from_a_worse(name):
    assert name in ORACLE, "a metric of the table needs an oracle that is not jimt's"
    labels, scores = random_patches(decimals=2)
    metric = METRICS[name]
    worse, better = metric.value(labels, np.full(len(labels), 0.5)), metric.value(labels, labels.astype(float))
    assert better == metric.bounds[metric.higher_is_better]
    assert metric.bounds[0] <= metric.value(labels, scores) <= metric.bounds[1]
    if name not in ("recall_dead", "expected_calibration_error"):  # all called dead, and as sure as right
        assert (better > worse) == metric.higher_is_better


@pytest.mark.parametrize("name", OF_PATCHES)
@pytest.mark.parametrize("decimals", [6, 2])
def test_metrics_are_those_of_scikit_learn_and_torchmetrics_whatever_a_patch_weighs(name, decimals):
    labels, scores = random_patches(decimals=decimals)
    weights = np.random.default_rng(1).integers(0, 4, (20, len(labels))).astype(float)  # as resampling gives, some 0
    weights[0] = 1
    values = resampled(name, labels, scores, weights)
    expected = [ORACLE[name](labels, scores, row) for row in weights]
    single_precision = name == "expected_calibration_error"
    np.testing.assert_allclose(values, expected, rtol=2e-5 if single_precision else 1e-12)


@pytest.mark.parametrize("name", [name for name in OF_PATCHES if name != "expected_calibration_error"])
def test_a_patch_may_count_by_a_fraction(name):
    labels, scores = random_patches(decimals=1)
    weights = np.random.default_rng(2).random((5, len(labels)))
    expected = [ORACLE[name](labels, scores, row) for row in weights]
    np.testing.assert_allclose(resampled(name, labels, scores, weights), expected, rtol=1e-12)


def test_four_patches_by_hand():
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.6, 0.1])
    values = {name: metric.value(labels, scores) for name, metric in METRICS.items() if name in OF_PATCHES}
    assert values == pytest.approx(
        {
            "balanced_accuracy": (1 + 1 / 2) / 2,
            "auroc": 3 / 4,
            "recall_live": 1,
            "recall_dead": 1 / 2,
            "average_precision_live": (1 / 1 + 2 / 3) / 2,
            "f1_live": 2 * 2 / (2 * 2 + 1),
            "f1_dead": 2 * 1 / (2 * 1 + 1),
            # bins of 1/15: 0.9 from 0.867 to 0.933 (twice, right), 0.8 from 0.8 (wrong), 0.6 from 0.6 (right)
            "expected_calibration_error": (abs(2 - 1.8) + abs(0 - 0.8) + abs(1 - 0.6)) / 4,
            "brier": (0.01 + 0.64 + 0.16 + 0.01) / 4,
        }
    )


def test_a_score_of_one_half_counts_as_dead():
    labels, scores, once = np.array([1, 0]), np.array([0.5, 0.5]), np.ones((1, 2))
    assert resampled("recall_live", labels, scores, once) == [0]
    assert resampled("recall_dead", labels, scores, once) == [1]
    assert resampled("auroc", labels, scores, once) == [0.5]
    assert resampled("f1_live", labels, scores, once) == [0]
    assert resampled("f1_dead", labels, scores, once) == [2 / 3]
    assert resampled("expected_calibration_error", labels, scores, once) == [0]  # half sure, and half right


def test_patches_of_one_score_share_one_precision():
    labels, once = np.array([1, 0, 1, 0, 0]), np.ones((1, 5))
    assert resampled("average_precision_live", labels, np.full(5, 0.7), once) == pytest.approx([2 / 5])
    tied = np.array([0.9, 0.9, 0.4, 0.4, 0.1])
    assert resampled("average_precision_live", labels, tied, once) == pytest.approx([(1 / 2 + 2 / 4) / 2])


def test_certainty_is_a_bin_of_its_own_as_in_torchmetrics():
    labels, scores = np.array([1, 0, 1, 1]), np.array([1.0, 1.0, 0.95, 0.97])
    logits = torch.tensor(np.stack([1 - scores, scores], axis=1))  # within 0 to 1, so taken for probabilities
    expected = multiclass_calibration_error(logits, torch.tensor(labels), num_classes=2, n_bins=CALIBRATION_BINS).item()
    value = resampled("expected_calibration_error", labels, scores, np.ones((1, 4)))[0]
    assert value == pytest.approx(expected, rel=1e-5)
    assert value == pytest.approx((abs(1 - 2) + abs(2 - 1.92)) / 4)


@pytest.mark.parametrize(
    ("name", "defined_without_live", "defined_without_dead"),
    [
        ("balanced_accuracy", False, False),
        ("auroc", False, False),
        ("recall_live", False, True),
        ("recall_dead", True, False),
        ("average_precision_live", False, True),
        ("f1_live", False, True),
        ("f1_dead", True, False),
        ("expected_calibration_error", True, True),
        ("brier", True, True),
    ],
)
def test_a_metric_is_not_a_number_where_the_class_it_needs_is_absent(name, defined_without_live, defined_without_dead):
    labels, scores = np.array([0, 0, 1]), np.array([0.1, 0.2, 0.9])
    weights = np.array([[1.0, 1, 0], [0.0, 0, 1], [0.0, 0, 0]])
    without_live, without_dead, without_any = resampled(name, labels, scores, weights)
    assert np.isfinite(without_live) == defined_without_live
    assert np.isfinite(without_dead) == defined_without_dead
    assert np.isnan(without_any)
    nothing = resampled(name, np.zeros(0, np.int64), np.zeros(0), np.ones((2, 0)))
    assert np.isnan(nothing).all()
    assert nothing.shape == (2,)


@pytest.mark.parametrize("name", OF_PATCHES)
def test_a_group_s_weight_is_that_of_each_of_its_patches(name):
    labels, scores = random_patches(decimals=2)
    rng = np.random.default_rng(3)
    units = rng.integers(0, 12, len(labels))
    weights = rng.integers(0, 4, (9, 12)).astype(float)
    values = resampled_metrics(ScoredPatches(labels, scores, units), [name], weights)[name]
    np.testing.assert_allclose(values, resampled(name, labels, scores, weights[:, units]), rtol=1e-12)


def test_metrics_do_not_depend_on_how_many_resamples_are_ranked_at_a_time(monkeypatch):
    labels, scores = random_patches(decimals=2)
    weights = np.random.default_rng(4).integers(0, 3, (50, len(labels))).astype(float)
    whole = {name: resampled(name, labels, scores, weights) for name in OF_PATCHES}
    monkeypatch.setattr("jimt.statistics.weighted_patches._AT_ONCE", 7 * len(labels) + 1)
    for name in OF_PATCHES:
        np.testing.assert_allclose(resampled(name, labels, scores, weights), whole[name], rtol=1e-13)


def test_calibration_noise_is_what_resampling_adds_to_an_error_of_none():
    # as often right as sure, in two groups that are off to either side; all are of one bin
    labels, scores = np.array([1, 1, 1, 1, 1, 0, 1, 0]), np.full(8, 0.75)
    patches = ScoredPatches(labels, scores, np.repeat([0, 1], 4))
    weights = np.array([[1.0, 1], [2.0, 0], [0.0, 2], [3.0, 1]])
    errors = resampled_metrics(patches, ["expected_calibration_error"], weights)["expected_calibration_error"]
    assert errors == pytest.approx([0, 0.25, 0.25, 0.125])
    np.testing.assert_allclose(patches.calibration_noise(weights), errors, atol=1e-15)
    # of a network that is always 0.2 too sure every resample has this error, and no noise
    patches = ScoredPatches(np.tile([1, 1, 1, 0, 0], 2), np.full(10, 0.8), np.repeat([0, 1], 5))
    weights = np.array([[1.0, 1], [2.0, 0]])
    errors = resampled_metrics(patches, ["expected_calibration_error"], weights)["expected_calibration_error"]
    assert errors == pytest.approx([0.2, 0.2])
    assert patches.calibration_noise(weights) == pytest.approx([0, 0], abs=1e-12)
