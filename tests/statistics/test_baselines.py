import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from jimt.statistics import baselines
from jimt.statistics.metrics import grouped_patches, resampled_metrics
from jimt.statistics.resampling import group_numbers
from jimt.statistics.share_agreement import MEASURES


def test_no_other_constant_has_a_smaller_mean_absolute_error():
    shares = np.random.default_rng(0).random(31)
    error = np.abs(shares - baselines.constant_share(shares)).mean()
    assert error == pytest.approx(min(np.abs(shares - other).mean() for other in shares))
    assert baselines.constant_share(np.append(shares, np.nan)) == baselines.constant_share(shares)
    assert baselines.constant_share(np.array([np.nan])) is None


def test_features_are_opencv_s_and_numpy_s():
    patches = np.random.default_rng(1).integers(0, 256, (5, 32, 32)).astype(np.uint8)
    found = baselines.patch_features(patches)
    for patch, (mean, sd, focus) in zip(patches, found, strict=True):
        inner = cv2.Laplacian(patch, cv2.CV_64F)[1:-1, 1:-1]
        assert (mean, sd, focus) == pytest.approx((np.mean(patch), np.std(patch), np.var(inner)))
    assert baselines.patch_features(patches[:0]).shape == (0, 3)


def test_a_turned_or_inverted_patch_has_the_same_spread_and_focus_and_a_blurred_one_less_of_both():
    patch = np.random.default_rng(2).integers(0, 256, (64, 64)).astype(np.uint8)
    blurred = gaussian_filter(patch.astype(float), 2).astype(np.uint8)
    once, turned, inverted, less = baselines.patch_features(np.stack([patch, np.rot90(patch), 255 - patch, blurred]))
    np.testing.assert_allclose(turned, once)
    np.testing.assert_allclose(inverted, [255 - once[0], *once[1:]])
    assert (less[1:] < once[1:]).all()


def patches(n: int = 300, *, seed: int = 3):
    """Features of which the first tells the classes a little, one in five patches live."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.2).astype(np.int64)
    features = rng.normal(size=(n, 3)) * [5, 100, 0.01] + [100, 0, 3]
    features[:, 0] += 6 * labels
    return features, labels


def test_scores_are_those_of_the_penalised_likelihood_with_both_classes_alike():
    features, labels = patches()
    scaled = (features - features.mean(0)) / features.std(0)
    weights = np.where(labels == 1, 1 / labels.mean(), 1 / (1 - labels.mean())) / 2

    def loss(values: np.ndarray) -> float:
        margin = (scaled @ values[1:] + values[0]) * np.where(labels == 1, 1, -1)
        return (weights * np.logaddexp(0, -margin)).sum() + (values[1:] ** 2).sum() / 2 / 0.5

    best = minimize(loss, np.zeros(4), tol=1e-10).x
    expected = 1 / (1 + np.exp(-(scaled @ best[1:] + best[0])))
    np.testing.assert_allclose(baselines.logistic_scores(features, labels, features, c=0.5), expected, atol=1e-3)


def test_units_of_features_a_constant_one_and_the_order_of_patches_change_no_score():
    features, labels = patches()
    scores = baselines.logistic_scores(features, labels, features, c=1.0)
    order = np.random.default_rng(4).permutation(len(labels))
    for other in (features * [1e-3, 40, 7] - 5, np.column_stack([features, np.full(len(labels), 6.0)])):
        np.testing.assert_allclose(baselines.logistic_scores(other, labels, other, c=1.0), scores, atol=1e-4)
    mixed = baselines.logistic_scores(features[order], labels[order], features, c=1.0)
    np.testing.assert_allclose(mixed, scores, atol=1e-4)


def test_exchanged_classes_exchange_the_scores():
    features, labels = patches()
    live = baselines.logistic_scores(features, labels, features, c=1.0)
    np.testing.assert_allclose(baselines.logistic_scores(features, 1 - labels, features, c=1.0), 1 - live, atol=1e-4)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_teaches_nothing(label):
    features, labels = patches()
    scores = baselines.logistic_scores(features, np.full_like(labels, label), features[:7], c=1.0)
    assert scores.tolist() == [baselines.CONSTANT_SCORE] * 7


def test_no_fold_is_predicted_from_itself():
    features, labels = patches()
    folds = np.arange(len(labels)) % 3

    def predict(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        assert not (train & test).any()
        assert (train | test).all()
        return baselines.logistic_scores(features[train], labels[train], features[test], c=1.0)

    scores = baselines.held_out(predict, folds)
    changed = np.where(folds == 1, 1 - labels, labels)

    def predict_changed(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return baselines.logistic_scores(features[train], changed[train], features[test], c=1.0)

    again = baselines.held_out(predict_changed, folds)
    np.testing.assert_array_equal(again[folds == 1], scores[folds == 1])
    assert (again[folds != 1] != scores[folds != 1]).all()
    assert 0.6 < roc_auc_score(labels, scores) < 0.9


ERRORS = np.random.default_rng(5).uniform(0.2, 0.4, 12)
GROUPS = np.array([f"E{number:02}" for number in range(12)], object)


def mean_of(values: np.ndarray):
    return lambda weights: weights @ values / weights.sum(1)


def versus(model, baseline, groups=GROUPS, *, higher_is_better=False):
    return baselines.against_baseline(
        model, baseline, groups, higher_is_better=higher_is_better, bounds=(0, 1), confidence=0.95,
        metric="mean absolute error", name="a constant",
    )  # fmt: skip


def test_the_difference_of_means_has_the_paired_interval_of_student():
    other = ERRORS + np.random.default_rng(6).normal(0.02, 0.04, 12)
    found = versus(mean_of(ERRORS), mean_of(other))
    paired = ERRORS - other
    half = student.ppf(0.975, 11) * paired.std(ddof=1) / np.sqrt(12)
    assert found.difference == pytest.approx(paired.mean())
    assert found.interval_groups == pytest.approx((paired.mean() - half, paired.mean() + half), abs=half / 10)
    back = versus(mean_of(other), mean_of(ERRORS))
    assert back.interval_groups == pytest.approx((-found.interval_groups[1], -found.interval_groups[0]))


@pytest.mark.parametrize(
    ("shift", "beats", "begins"),
    [(-0.1, True, ""), (0.0, False, "the model does not beat a constant: mean absolute error 0."),
     (-0.004, False, "the model is not shown to beat a constant: mean absolute error 0."),
     (0.004, False, "the model does not beat a constant: mean absolute error 0."),
     (0.1, False, "the model is worse than a constant: mean absolute error 0.")],
)  # fmt: skip
def test_a_model_beats_a_baseline_where_the_interval_excludes_zero_on_its_side(shift, beats, begins):
    noise = np.random.default_rng(7).normal(0, 0.03, 12)
    model = ERRORS + shift + noise - noise.mean()
    found = versus(mean_of(model), mean_of(ERRORS))
    assert found.beats is beats
    assert found.sentence[: len(begins)] == begins
    assert bool(found.sentence) is not beats
    low, high = found.interval_groups
    assert (low < 0 < high) == (abs(shift) < 0.1)
    of_accuracy = versus(mean_of(1 - model), mean_of(1 - ERRORS), higher_is_better=True)
    assert of_accuracy.beats is beats


def test_the_names_of_groups_and_their_order_change_no_verdict():
    model = ERRORS + np.random.default_rng(8).normal(0, 0.1, 12)
    found = versus(mean_of(model), mean_of(ERRORS))
    turned = versus(mean_of(model[::-1]), mean_of(ERRORS[::-1]), np.array([f"Z{n:02}" for n in range(12)], object))
    assert turned.interval_groups == pytest.approx(found.interval_groups)
    assert turned.beats is found.beats


def test_without_an_interval_a_difference_that_every_group_gives_decides():
    assert versus(mean_of(np.zeros(12)), mean_of(np.full(12, 0.3))).beats is True
    worse = versus(mean_of(np.full(12, 0.3)), mean_of(np.zeros(12)))
    assert worse.sentence == (
        "the model is worse than a constant: mean absolute error 0.300 against 0.000, difference +0.300"
    )
    same = versus(mean_of(ERRORS), mean_of(ERRORS))
    assert (same.beats, same.difference, same.interval_groups) == (False, 0.0, None)
    assert same.sentence.startswith("the model does not beat a constant: ")
    rounding = versus(mean_of(ERRORS - 1e-16), mean_of(ERRORS))
    assert rounding.beats is False


@pytest.mark.parametrize(
    ("model", "groups", "why"),
    [
        (mean_of(ERRORS[:2]), GROUPS[:2], "2 groups are too few"),
        (mean_of(ERRORS[:1]), GROUPS[:1], "1 group is too few"),
        (lambda weights: np.full(len(weights), np.nan), GROUPS, "it cannot be had of the model"),
        (
            lambda weights: np.where(weights[:, 0] > 0, 0.3, np.nan),
            GROUPS,
            "without one of the groups it cannot be had",
        ),
    ],
)
def test_what_cannot_be_told_is_said(model, groups, why):
    found = versus(model, mean_of(ERRORS[: len(groups)]), groups)
    assert found.beats is None
    assert found.sentence == f"mean absolute error cannot tell whether the model beats a constant: {why}"


def test_areas_under_the_roc_curve_and_errors_of_shares_are_compared_alike():
    rng = np.random.default_rng(9)
    groups, labels = np.repeat(GROUPS, 20), rng.integers(0, 2, 240)
    scores = {"model": labels + rng.normal(size=240), "constant": np.full(240, baselines.CONSTANT_SCORE)}

    def area(of: str):
        patches = grouped_patches(labels, scores[of], groups, None)
        return lambda weights: resampled_metrics(patches, ["auroc"], weights)["auroc"]

    found = versus(area("model"), area("constant"), groups, higher_is_better=True)
    assert (found.model, found.baseline) == (pytest.approx(roc_auc_score(labels, scores["model"])), 0.5)
    assert found.beats is True
    numbers, true = group_numbers(groups), rng.random(240)
    shares = {"model": true + rng.normal(0, 0.1, 240), "constant": np.full(240, np.median(true))}
    errors = [
        lambda weights, share=share: MEASURES["mae"].function(weights[:, numbers], share, true)
        for share in shares.values()
    ]
    assert versus(*errors, groups).beats is True
