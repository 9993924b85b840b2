import subprocess
import sys
import zlib

import numpy as np
import pytest
from scipy.stats import kurtosis
from scipy.stats import t as student
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, roc_auc_score

from jimt.statistics.estimates import Estimate, estimates
from jimt.statistics.intervals import interval_over_patches
from jimt.statistics.metrics import METRICS

SETTINGS = {"confidence": 0.95, "seed": 0}
OF_CLASS = {"recall_live": (1,), "recall_dead": (0,), "expected_calibration_error": (), "brier": ()}
"""Classes a metric needs several groups of; the others need both."""


def estimate(name: str, *patches: np.ndarray | None, **settings: float) -> Estimate:
    """One metric alone."""
    labels, scores, groups = patches
    return estimates(labels, scores, groups, groups, names=[name], **settings)[name]


def random_patches(n: int = 300, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, a quarter live, and scores that know something of them."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.25).astype(np.int64)
    return labels, 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5)))


def patches_that_share_their_fate(n_groups: int = 30, per_group: int = 40):
    """Groups whose patches are all right or all wrong, as patches of one spoilt raw image are."""
    rng = np.random.default_rng(0)
    groups = np.repeat([f"W{number}" for number in range(n_groups)], per_group).astype(object)
    labels = np.tile([0, 1], n_groups * per_group // 2)
    right = np.repeat(rng.random(n_groups) < 0.8, per_group)
    return labels, np.where(right == (labels == 1), 0.9, 0.1), groups


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("balanced_accuracy", lambda labels, scores, w: balanced_accuracy_score(labels, scores > 0.5, sample_weight=w)),
        ("auroc", lambda labels, scores, w: roc_auc_score(labels, scores, sample_weight=w)),
        ("brier", lambda labels, scores, w: brier_score_loss(labels, scores, sample_weight=w)),
    ],
)
def test_an_interval_is_that_of_groups_left_out_one_by_one(name, oracle):
    labels, scores = random_patches(400)
    of_patch = np.random.default_rng(2).integers(0, 12, 400)
    labels[of_patch < 5] = 0  # groups 0 to 4 hold dead patches only
    found = estimate(name, labels, scores, np.array([f"W{i:02}" for i in of_patch], object), **SETTINGS)
    left_out = [oracle(labels, scores, (of_patch != group).astype(float)) for group in range(12)]
    doubt = max((kurtosis(left_out, fisher=False) - 9 / 11) / 12, 2 / 11)
    half = student.ppf(0.975, 2 / doubt) * np.sqrt(11 * np.var(left_out)) / (found.value * (1 - found.value))
    odds = found.value / (1 - found.value) * np.exp([-half, half])
    assert found.value == pytest.approx(oracle(labels, scores, np.ones(400)))
    assert found.interval_groups == pytest.approx(odds / (1 + odds), rel=1e-9)
    assert found.note is None


def made_up_of(n_live: int, n_mixed: int, n_dead: int, *, seed: int):
    """Patches of groups that are all live, mixed or all dead; scores are exact in binary, none is 0.5."""
    rng = np.random.default_rng(seed)
    share = np.repeat([1, 0.5, 0], [n_live, n_mixed, n_dead])
    groups = np.repeat(np.arange(len(share)), rng.integers(4, 12, len(share)))
    labels = (rng.random(len(groups)) < share[groups]).astype(np.int64)
    quality = 1 + rng.normal(size=len(share))[groups] + rng.normal(size=len(groups))
    scores = (np.round(1024 / (1 + np.exp(-np.where(labels == 1, quality, -quality)))).clip(1, 1023) // 2 + 0.5) / 512
    return labels, scores, np.array([f"W{number:02}" for number in groups], object)


@pytest.mark.parametrize(("n_live", "n_mixed", "n_dead"), [(4, 11, 4), (8, 4, 4), (3, 5, 12), (6, 0, 6), (0, 12, 0)])
def test_intervals_are_the_same_whichever_class_is_called_live(n_live, n_mixed, n_dead):
    labels, scores, groups = made_up_of(n_live, n_mixed, n_dead, seed=n_live)
    names = ["balanced_accuracy", "auroc", "recall_live", "recall_dead", "brier", "expected_calibration_error"]
    found = estimates(labels, scores, groups, groups, names=names, **SETTINGS)
    renamed = estimates(1 - labels, 1 - scores, groups, groups, names=names, **SETTINGS)
    other = {"recall_live": "recall_dead", "recall_dead": "recall_live"}
    for name in names:
        assert renamed[other.get(name, name)].value == pytest.approx(found[name].value, rel=1e-12)
        assert renamed[other.get(name, name)].interval_groups == pytest.approx(found[name].interval_groups, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_the_same_in_whatever_order_patches_come(seed):
    labels, scores, groups = made_up_of(4, 6, 4, seed=seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    found = estimates(labels, scores, groups, groups, names=METRICS, **SETTINGS)
    shuffled = estimates(labels[order], scores[order], groups[order], groups[order], names=METRICS, **SETTINGS)
    for name in METRICS:
        assert shuffled[name].interval_groups == pytest.approx(found[name].interval_groups, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_intervals_are_the_same_whatever_groups_are_called(seed):
    labels, scores, groups = made_up_of(4, 6, 4, seed=seed)
    renamed = np.array([f"{zlib.crc32(name.encode())}" for name in groups], object)
    found, again = (estimates(labels, scores, of, of, names=METRICS, **SETTINGS) for of in (groups, renamed))
    for name in METRICS:
        assert again[name].interval_groups == pytest.approx(found[name].interval_groups, rel=1e-9)


def test_several_metrics_at_once_are_what_each_is_alone():
    labels, scores = random_patches()
    groups = np.arange(300).astype(object) // 10
    together = estimates(labels, scores, groups, groups, names=METRICS, **SETTINGS)
    assert list(together) == list(METRICS)
    for name in METRICS:
        alone = estimate(name, labels, scores, groups, **SETTINGS)
        assert together[name].value == METRICS[name].value(labels, scores, groups, groups)
        assert alone.interval_groups == pytest.approx(together[name].interval_groups, rel=1e-12)
        low, high = alone.interval_groups
        assert 0 <= low < alone.value < high <= 1


def test_an_interval_over_groups_is_wider_where_patches_of_a_group_share_their_fate():
    labels, scores, groups = patches_that_share_their_fate()
    shared = estimate("balanced_accuracy", labels, scores, groups, **SETTINGS)
    assert shared.value == pytest.approx(accuracy_score(labels, scores > 0.5))
    over_groups = np.subtract(*shared.interval_groups[::-1])
    over_patches = np.subtract(*shared.interval_patches[::-1])
    # 40 patches that go together count as one: wider by the root of 40
    assert over_groups / over_patches == pytest.approx(np.sqrt(40), rel=0.15)
    assert shared.interval_groups[0] < shared.value < shared.interval_groups[1]
    alone = estimate("balanced_accuracy", labels, scores, np.arange(len(labels)).astype(object), **SETTINGS)
    assert np.subtract(*alone.interval_groups[::-1]) == pytest.approx(over_patches, rel=0.1)


def test_intervals_draw_nothing_but_the_noise_of_a_calibration_error():
    labels, scores, groups = made_up_of(6, 6, 6, seed=0)
    one, two = (estimates(labels, scores, groups, groups, names=METRICS, confidence=0.95, seed=seed) for seed in (0, 1))
    for name in set(METRICS) - {"expected_calibration_error"}:
        assert one[name] == two[name]
    found = [of["expected_calibration_error"].interval_groups for of in (one, two)]
    assert found[0] == pytest.approx(found[1], abs=0.01)


@pytest.mark.parametrize(("n_groups", "known"), [(1, False), (2, False), (3, True)])
def test_fewer_than_three_groups_give_no_interval(n_groups, known):
    labels, scores = random_patches(60)
    groups = np.array([f"W{row % n_groups}" for row in range(60)], object)
    for found in estimates(labels, scores, groups, groups, names=METRICS, **SETTINGS).values():
        assert (found.interval_groups is not None) == known
        assert found.note == (None if known else f"{n_groups} group{'s' * (n_groups > 1)}: too few for an interval")


@pytest.mark.parametrize("n_live_groups", [1, 2, 3])
def test_a_class_held_by_fewer_than_three_groups_gives_no_interval_of_what_needs_it(n_live_groups):
    groups = np.repeat([f"W{number:02}" for number in range(15)], 10).astype(object)
    labels = np.repeat((np.arange(15) < n_live_groups).astype(np.int64), 10)
    names = [name for name, metric in METRICS.items() if metric.within is None]
    found = estimates(labels, random_patches(150)[1], groups, names=names, **SETTINGS)
    for name, values in found.items():
        assert (values.interval_groups is not None) == (n_live_groups == 3 or 1 not in OF_CLASS.get(name, (0, 1)))
        assert values.interval_patches is not None or name in {
            "average_precision_live",
            "f1_live",
            "f1_dead",
            "expected_calibration_error",
        }
    plural = "s" * (n_live_groups > 1)
    if n_live_groups < 3:
        assert found["auroc"].note == f"{n_live_groups} group{plural} with live patches: too few for an interval"


def test_a_perfect_test_split_gives_no_interval_over_groups_as_none_tells_how_far_it_may_be_off():
    labels = np.tile([0, 1], 100)
    found = estimate("auroc", labels, labels * 0.8 + 0.1, np.arange(200).astype(object) // 10, **SETTINGS)
    assert found.value == 1
    assert found.interval_groups is None
    assert found.note.startswith("it is the same whichever group is left out")
    assert found.interval_patches == (1, 1)  # the paper's formula


def test_without_groups_only_the_paper_s_interval_is_given():
    labels, scores = random_patches()
    found = estimate("auroc", labels, scores, None, **SETTINGS)
    assert found.value == pytest.approx(roc_auc_score(labels, scores))
    assert found.interval_groups is None
    assert found.interval_patches == interval_over_patches(found.value, len(labels), confidence=0.95)
    assert found.note == "nothing tells which group a patch is of"


def test_intervals_over_patches_count_the_patches_that_a_metric_is_a_mean_of():
    labels, scores = random_patches()
    found = estimates(labels, scores, None, names=METRICS, **SETTINGS)
    for name, n in {
        "balanced_accuracy": 300,
        "auroc": 300,
        "recall_live": sum(labels),
        "recall_dead": 300 - sum(labels),
    }.items():
        assert found[name].interval_patches == interval_over_patches(found[name].value, n, confidence=0.95)
    squares = (scores - labels) ** 2
    half = 1.95996 * squares.std(ddof=1) / np.sqrt(300)
    assert found["brier"].interval_patches == pytest.approx((squares.mean() - half, squares.mean() + half), rel=1e-5)
    for name in ("average_precision_live", "f1_live", "f1_dead", "expected_calibration_error"):
        assert found[name].interval_patches is None


def test_one_class_alone_gives_neither_value_nor_interval_of_what_compares_the_two():
    labels, scores, groups = np.zeros(9, np.int64), np.linspace(0, 1, 9), np.array(list("aaabbbccc"), object)
    found = estimates(labels, scores, groups, groups, names=METRICS, **SETTINGS)
    for name in ("balanced_accuracy", "auroc", "recall_live", "average_precision_live", "f1_live"):
        assert np.isnan(found[name].value)
        assert (found[name].interval_groups, found[name].interval_patches) == (None, None)
        assert found[name].note == "a class it needs is absent"
    for name in ("recall_dead", "brier", "expected_calibration_error"):
        assert found[name].interval_groups is not None


LARGE = """
import resource, time
import numpy as np
from jimt.statistics.estimates import estimates
from jimt.statistics.metrics import METRICS
rng = np.random.default_rng(0)
labels = rng.integers(0, 2, 5000)
scores = rng.random(5000)
groups = rng.integers(0, 80, 5000).astype(str).astype(object)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
estimates(labels, scores, groups, groups, names=METRICS, confidence=0.95, seed=0)
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_test_split_of_5000_patches_has_its_intervals_in_seconds_and_little_memory():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    seconds, kib = (float(word) for word in done.stdout.split())
    assert seconds < 5  # 0.3 on one core
    assert kib < 200 * 1024
