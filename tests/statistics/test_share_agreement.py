import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from scipy.stats import t as student

from jimt.statistics.share_agreement import MEASURES, limits_of_agreement, share_agreement, weighted_measures

CONFIDENCE = 0.95
CORRELATIONS = {"pearson", "spearman", "concordance"}


def shares(n_groups: int = 8, per_group: int = 5, *, seed: int = 0):
    """Predicted shares that are too high and partly of the group, true ones with ties, and groups."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"E{number}" for number in range(n_groups)], per_group).astype(object)
    true = rng.integers(0, 11, len(groups)) / 10
    of_group = np.repeat(rng.normal(size=n_groups), per_group)
    predicted = np.clip(0.15 + 0.6 * true + 0.1 * of_group + 0.1 * rng.normal(size=len(groups)), 0, 1).round(2)
    return predicted, true, groups


def lin(predicted, true):
    """Concordance correlation as Lin (1989) writes it, with moments by n."""
    covariance = np.mean(predicted * true) - predicted.mean() * true.mean()
    return 2 * covariance / (predicted.var() + true.var() + (predicted.mean() - true.mean()) ** 2)


ORACLES = {
    "mae": lambda predicted, true: np.abs(predicted - true).mean(),
    "bias": lambda predicted, true: predicted.mean() - true.mean(),
    "pearson": lambda predicted, true: pearsonr(predicted, true).statistic,
    "spearman": lambda predicted, true: spearmanr(predicted, true).statistic,
    "concordance": lin,
}


def measured(predicted, true, groups):
    return share_agreement(predicted, true, groups, confidence=CONFIDENCE)


def test_every_measure_is_scipy_s_or_its_author_s():
    predicted, true, groups = shares()
    found = measured(predicted, true, groups)
    assert set(found.measures) == set(ORACLES) == set(MEASURES)
    for name, oracle in ORACLES.items():
        assert found.measures[name].value == pytest.approx(oracle(predicted, true)), name
    difference = predicted - true
    sd = np.sqrt(((difference - difference.mean()) ** 2).sum() / (len(difference) - 1))
    assert found.limits == pytest.approx((difference.mean() - 1.96 * sd, difference.mean() + 1.96 * sd))
    assert (found.n, found.n_groups, found.n_left_out) == (40, 8, 0)


def test_a_weight_is_how_often_a_group_is_there():
    predicted, true, _ = shares()
    numbers = np.repeat(np.arange(8), 5)
    counts = np.random.default_rng(1).integers(0, 4, (20, 8))
    found = weighted_measures(predicted, true, numbers, counts.astype(float))
    for row, often in enumerate(counts):
        held = np.repeat(np.arange(40), often[numbers])
        for name, oracle in ORACLES.items():
            assert found[name][row] == pytest.approx(oracle(predicted[held], true[held])), name


def test_the_interval_of_the_bias_is_that_of_a_mean_of_groups():
    rng = np.random.default_rng(2)
    true, groups = np.full(30, 0.4), np.repeat(np.arange(30), 1).astype(object)
    predicted = 0.4 + 0.02 * rng.normal(size=30)
    low, high = measured(predicted, true, groups).measures["bias"].interval_groups
    difference = predicted - true
    half = student.ppf(0.975, 29) * difference.std(ddof=1) / np.sqrt(30)
    assert (low, high) == pytest.approx((difference.mean() - half, difference.mean() + half), abs=half / 20)


def test_intervals_hold_their_value_and_lie_within_the_bounds():
    found = measured(*shares()).measures
    for name, each in found.items():
        low, high = each.interval_groups
        least, most = MEASURES[name].bounds
        assert least <= low < each.value < high <= most
        assert each.reason is None


def test_the_order_of_fields_and_the_names_of_groups_change_nothing():
    predicted, true, groups = shares()
    order = np.random.default_rng(3).permutation(len(true))
    other = np.array([f"Z{9 - int(name[1:])}" for name in groups], object)
    once = measured(predicted, true, groups)
    again = measured(predicted[order], true[order], other[order])
    assert once.limits == pytest.approx(again.limits)
    for name, each in once.measures.items():
        assert each.value == pytest.approx(again.measures[name].value)
        assert each.interval_groups == pytest.approx(again.measures[name].interval_groups)


def test_live_in_place_of_dead_turns_the_bias_round_and_changes_nothing_else():
    predicted, true, groups = shares()
    dead, live = measured(predicted, true, groups), measured(1 - predicted, 1 - true, groups)
    assert live.limits == pytest.approx((-dead.limits[1], -dead.limits[0]))
    for name, each in dead.measures.items():
        interval = each.interval_groups
        if name == "bias":
            each_value, interval = -each.value, (-interval[1], -interval[0])
        else:
            each_value = each.value
        assert live.measures[name].value == pytest.approx(each_value)
        assert live.measures[name].interval_groups == pytest.approx(interval)


def test_truth_and_prediction_exchanged_agree_alike():
    predicted, true, groups = shares()
    once, exchanged = measured(predicted, true, groups).measures, measured(true, predicted, groups).measures
    for name in {"mae", *CORRELATIONS}:
        assert once[name].value == pytest.approx(exchanged[name].value)


def test_the_truth_itself_agrees_in_full_and_no_interval_is_made_up():
    _, true, groups = shares()
    found = measured(true, true, groups)
    assert [found.measures[name].value for name in ORACLES] == pytest.approx([0, 0, 1, 1, 1])
    assert found.limits == (0, 0)
    for each in found.measures.values():
        assert each.interval_groups is None
        assert each.reason == "it is the same whichever group is left out, so they do not tell how far it is off"


def test_a_shift_leaves_correlations_and_lowers_the_concordance():
    _, true, groups = shares()
    found = measured(true * 0.5 + 0.5, true, groups).measures
    assert found["pearson"].value == pytest.approx(1)
    assert found["spearman"].value == pytest.approx(1)
    assert found["concordance"].value < 0.7


@pytest.mark.parametrize("constant", [0.1, 0.3, 1 / 3, 0.0, 1.0])  # the mean of 0.1 is not 0.1 in binary
def test_a_constant_has_no_concordance_and_no_correlation(constant):
    _, true, groups = shares()
    found = measured(np.full(len(true), constant), true, groups).measures
    assert found["concordance"].value == 0
    assert found["mae"].interval_groups is not None
    for name in ("pearson", "spearman"):
        assert (found[name].value, found[name].interval_groups) == (None, None)
        assert found[name].reason == "every predicted share is the same"
    found = measured(true, np.full(len(true), constant), groups).measures
    assert found["spearman"].reason == "every true share is the same"
    both = measured(np.full(40, constant), np.full(40, constant), groups).measures
    for name in CORRELATIONS:
        assert both[name].reason == "every predicted and every true share is the same"


def test_fields_without_a_cell_take_no_part_and_are_counted():
    predicted, true, groups = shares()
    true[[0, 7]], predicted[9] = np.nan, np.nan
    kept = np.isfinite(true) & np.isfinite(predicted)
    found, without = measured(predicted, true, groups), measured(predicted[kept], true[kept], groups[kept])
    assert found.measures == without.measures
    assert (found.n, found.n_left_out) == (37, 3)


@pytest.mark.parametrize(
    ("n", "value", "reason"),
    [
        (0, "nothing has both a predicted and a true share", None),
        (1, "1 value is too few for a correlation", "1 group: too few for an interval"),
        (2, "2 values are too few for a correlation", "2 groups: too few for an interval"),
    ],
)
def test_what_few_fields_cannot_give_is_said(n, value, reason):
    groups = np.array(["A", "B"], object)[:n]
    found = measured(np.array([0.2, 0.4])[:n], np.array([0.1, 0.5])[:n], groups)
    for name, each in found.measures.items():
        assert each.reason == (value if name in CORRELATIONS or reason is None else reason)
        assert (each.value is None) == (name in CORRELATIONS or n == 0)
    assert (found.limits is None) == (n < 2)


def test_without_groups_there_are_values_and_no_intervals():
    predicted, true, groups = shares()
    found = measured(predicted, true, None)
    for name, each in found.measures.items():
        assert each.value == measured(predicted, true, groups).measures[name].value
        assert each.reason == "nothing tells which group a share is of"
    assert found.n_groups == 0


def test_a_correlation_that_hangs_on_one_group_has_no_interval():
    true, predicted = np.array([0.2, 0.2, 0.2, 0.9]), np.array([0.1, 0.3, 0.2, 0.8])
    found = measured(predicted, true, np.array(list("abcd"), object)).measures["pearson"]
    assert found.value == pytest.approx(pearsonr(predicted, true).statistic)
    assert (found.interval_groups, found.reason) == (None, "without one of the groups it cannot be had")


def test_nineteen_of_twenty_normal_differences_lie_within_the_limits():
    differences = np.random.default_rng(4).normal(0.1, 0.05, 10_000)
    low, high = limits_of_agreement(differences)
    assert np.mean((differences > low) & (differences < high)) == pytest.approx(0.95, abs=0.005)
