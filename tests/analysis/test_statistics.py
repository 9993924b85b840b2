import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, roc_auc_score

from jimt.analysis.statistics import METRICS, estimate, interval_over_groups, interval_over_patches

ORACLE = {
    "balanced_accuracy": lambda labels, scores, weights: balanced_accuracy_score(
        labels, scores > 0.5, sample_weight=weights
    ),
    "auroc": lambda labels, scores, weights: roc_auc_score(labels, scores, sample_weight=weights),
    "recall_live": lambda labels, scores, weights: recall_score(
        labels, scores > 0.5, pos_label=1, sample_weight=weights
    ),
    "recall_dead": lambda labels, scores, weights: recall_score(
        labels, scores > 0.5, pos_label=0, sample_weight=weights
    ),
}


def random_patches(n: int = 300, *, decimals: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a quarter live, and scores that know something of them; few decimals make ties."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.25).astype(np.int64)
    return labels, np.round(1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5))), decimals)


def patches_that_share_their_fate(n_groups: int = 30, per_group: int = 40):
    """Groups whose patches are all right or all wrong, as patches of one spoilt raw image are."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"W{number}" for number in range(n_groups)], per_group).astype(object)
    labels = np.tile([0, 1], n_groups * per_group // 2)
    right = np.repeat(rng.random(n_groups) < 0.8, per_group)
    return labels, np.where(right == (labels == 1), 0.9, 0.1), groups


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("decimals", [6, 1])
def test_metrics_are_those_of_scikit_learn_whatever_a_patch_weighs(name, decimals):
    labels, scores = random_patches(decimals=decimals)
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, (20, len(labels))).astype(float)  # as a bootstrap gives, some patches not at all
    weights[0] = 1
    weights[1] = rng.random(len(labels))
    values = METRICS[name](labels, scores, weights)
    expected = [ORACLE[name](labels, scores, row) for row in weights]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_a_score_of_one_half_counts_as_dead():
    labels, scores, once = np.array([1, 0]), np.array([0.5, 0.5]), np.ones((1, 2))
    assert METRICS["recall_live"](labels, scores, once) == [0]
    assert METRICS["recall_dead"](labels, scores, once) == [1]
    assert METRICS["auroc"](labels, scores, once) == [0.5]


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_not_a_number_where_the_class_it_needs_is_absent(name):
    labels, scores = np.array([0, 0, 1]), np.array([0.1, 0.2, 0.9])
    without_live, without_dead = METRICS[name](labels, scores, np.array([[1.0, 1, 0], [0.0, 0, 1]]))
    assert np.isnan(without_live) == (name != "recall_dead")
    assert np.isnan(without_dead) == (name != "recall_live")


@pytest.mark.parametrize(
    ("balanced_accuracy", "n_live", "n_dead", "printed"),
    [(0.866, 893, 979, (0.851, 0.881)), (0.923, 449, 4271, (0.916, 0.930))],
)
def test_the_intervals_printed_in_the_paper_come_out(balanced_accuracy, n_live, n_dead, printed):
    low, high = interval_over_patches(balanced_accuracy, n_live + n_dead, confidence=0.95)
    half = 1.96 * np.sqrt(balanced_accuracy * (1 - balanced_accuracy) / (n_live + n_dead))  # 0.01543 and 0.00761
    assert (low, high) == pytest.approx((balanced_accuracy - half, balanced_accuracy + half), abs=1e-6)
    # the paper cuts half widths to three digits, 0.015 and 0.007: rounded, the second would be 0.915 to 0.931
    cut = np.floor(1000 * (high - balanced_accuracy)) / 1000
    assert (balanced_accuracy - cut, balanced_accuracy + cut) == pytest.approx(printed, abs=1e-9)


def test_the_interval_printed_for_no_treatment_is_the_rounded_one():
    assert np.round(interval_over_patches(0.866, 893 + 979, confidence=0.95), 3).tolist() == [0.851, 0.881]


def test_the_paper_s_interval_grows_with_the_confidence_asked_for():
    # by the tables of the normal distribution: 1.6449, 1.9600, 2.5758
    for confidence, z in ((0.90, 1.6449), (0.95, 1.9600), (0.99, 2.5758)):
        low, high = interval_over_patches(0.8, 400, confidence=confidence)
        assert (low, high) == pytest.approx((0.8 - z * 0.02, 0.8 + z * 0.02), abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_the_bootstrap_is_that_of_whole_groups_drawn_one_by_one(name):
    labels, scores = random_patches(120)
    names = np.array([f"W{number}" for number in range(7)], object)
    groups = names[np.random.default_rng(2).integers(0, 7, 120)]
    interval = interval_over_groups(METRICS[name], labels, scores, groups, n_resamples=150, confidence=0.9, seed=3)
    draws = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=150)
    values = []
    for draw in draws:
        rows = np.concatenate([np.tile(np.flatnonzero(groups == names[i]), times) for i, times in enumerate(draw)])
        rows = rows.astype(int)
        values.append(ORACLE[name](labels[rows], scores[rows], np.ones(len(rows))))
    assert interval == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])), rel=1e-9)


def test_the_bootstrap_does_not_depend_on_how_many_resamples_are_held_at_a_time(monkeypatch):
    labels, scores, groups = patches_that_share_their_fate()
    arguments = (METRICS["auroc"], labels, scores, groups)
    whole = interval_over_groups(*arguments, n_resamples=200, confidence=0.95, seed=0)
    monkeypatch.setattr("jimt.analysis.statistics._AT_ONCE", 7 * len(labels) + 1)
    assert interval_over_groups(*arguments, n_resamples=200, confidence=0.95, seed=0) == whole


def test_an_interval_over_groups_is_wider_where_patches_of_a_group_share_their_fate():
    labels, scores, groups = patches_that_share_their_fate()
    shared = estimate("balanced_accuracy", labels, scores, groups, n_resamples=2000, confidence=0.95, seed=0)
    assert shared.value == pytest.approx(accuracy_score(labels, scores > 0.5))
    over_groups = np.subtract(*shared.interval_groups[::-1])
    over_patches = np.subtract(*shared.interval_patches[::-1])
    # 40 patches that go together count as one: wider by the root of 40
    assert over_groups / over_patches == pytest.approx(np.sqrt(40), rel=0.15)
    assert shared.interval_groups[0] < shared.value < shared.interval_groups[1]
    alone = interval_over_groups(
        METRICS["balanced_accuracy"],
        labels,
        scores,
        np.arange(len(labels)).astype(object),
        n_resamples=2000,
        confidence=0.95,
        seed=0,
    )
    assert np.subtract(*alone[::-1]) == pytest.approx(over_patches, rel=0.1)


def test_the_same_seed_gives_the_same_interval():
    labels, scores, groups = patches_that_share_their_fate()

    def interval(seed: int, order: np.ndarray) -> tuple[float, float] | None:
        return interval_over_groups(
            METRICS["auroc"], labels[order], scores[order], groups[order], n_resamples=300, confidence=0.95, seed=seed
        )

    in_order, shuffled = np.arange(len(labels)), np.random.default_rng(0).permutation(len(labels))
    assert interval(0, in_order) == interval(0, in_order)
    assert interval(0, in_order) == pytest.approx(interval(0, shuffled))
    assert interval(0, in_order) != interval(1, in_order)


@pytest.mark.parametrize(("n_groups", "known"), [(1, False), (2, False), (3, True)])
def test_fewer_than_three_groups_give_no_interval(n_groups, known):
    labels, scores = random_patches(60)
    groups = np.array([f"W{row % n_groups}" for row in range(60)], object)
    for metric in METRICS.values():
        interval = interval_over_groups(metric, labels, scores, groups, n_resamples=100, confidence=0.95, seed=0)
        assert (interval is not None) == known


def test_resamples_that_lack_a_class_are_left_out():
    groups = np.repeat([f"W{number}" for number in range(3)], 10).astype(object)
    labels = np.repeat([0, 0, 1], 10)  # all live patches in one group of three
    scores = random_patches(30)[1]
    values = []
    for draw in np.random.default_rng(0).multinomial(3, np.full(3, 1 / 3), size=400):
        if draw[2] and draw[:2].any():
            values.append(roc_auc_score(labels, scores, sample_weight=np.repeat(draw, 10)))
    assert len(values) / 400 == pytest.approx(18 / 27, abs=0.1)  # neither (2/3)**3 nor (1/3)**3
    interval = interval_over_groups(METRICS["auroc"], labels, scores, groups, n_resamples=400, confidence=0.95, seed=0)
    assert interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=1e-9)
    one_class = np.zeros(30, np.int64)
    assert (
        interval_over_groups(METRICS["auroc"], one_class, scores, groups, n_resamples=400, confidence=0.95, seed=0)
        is None
    )


def test_without_groups_only_the_paper_s_interval_is_given():
    labels, scores = random_patches()
    values = estimate("auroc", labels, scores, None, n_resamples=100, confidence=0.95, seed=0)
    assert values.value == pytest.approx(roc_auc_score(labels, scores))
    assert values.interval_groups is None
    assert values.interval_patches == interval_over_patches(values.value, len(labels), confidence=0.95)


def test_one_class_alone_gives_neither_value_nor_interval():
    values = estimate(
        "auroc",
        np.zeros(9, np.int64),
        np.linspace(0, 1, 9),
        np.array(list("aaabbbccc"), object),
        n_resamples=100,
        confidence=0.95,
        seed=0,
    )
    assert np.isnan(values.value)
    assert (values.interval_groups, values.interval_patches) == (None, None)


LARGE = """
import resource, time
import numpy as np
from jimt.analysis.statistics import METRICS, interval_over_groups
rng = np.random.default_rng(0)
labels = rng.integers(0, 2, 5000)
scores = rng.random(5000)
groups = rng.integers(0, 80, 5000).astype(str).astype(object)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
for metric in METRICS.values():
    interval_over_groups(metric, labels, scores, groups, n_resamples=2000, confidence=0.95, seed=0)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_test_split_of_5000_patches_is_resampled_2000_times_in_seconds_and_little_memory():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    seconds, kib = (float(word) for word in done.stdout.split())
    assert seconds < 20
    assert kib < 500 * 1024
