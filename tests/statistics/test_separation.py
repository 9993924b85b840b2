"""How far a measure tells two data sets apart."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from jimt.statistics.separation import separation, typical


def named(n_groups: int, each: int) -> np.ndarray:
    return np.repeat([f"g{n}" for n in range(n_groups)], each).astype(object)


def two(shift: float, *, n_groups: int = 8, each: int = 4, seed: int = 0) -> tuple:
    rng = np.random.default_rng(seed)
    values = tuple(np.exp(rng.normal(by, 1, n_groups * each)) for by in (0, shift))
    return values, (named(n_groups, each), named(n_groups, each))


def test_the_area_is_that_of_scikit_learn_and_lies_above_one_half_whichever_is_the_larger():
    (one, other), groups = two(0.8)
    labels = np.repeat([0, 1], [len(one), len(other)])
    expected = roc_auc_score(labels, np.concatenate([one, other]))
    assert expected > 0.5
    there, back = (
        separation((one, other), groups, confidence=0.95, n_compared=1, seed=0),
        separation((other, one), groups, confidence=0.95, n_compared=1, seed=0),
    )
    assert there.area == pytest.approx(expected)
    assert back.area == pytest.approx(expected)
    assert back.interval == pytest.approx(there.interval)
    assert back.standard_deviations == pytest.approx(there.standard_deviations)
    assert there.beyond_chance
    assert there.interval[0] > 0.5


def test_what_does_not_differ_is_not_told_apart_by_more_than_chance():
    told = [
        separation(*two(0.0, seed=seed), confidence=0.95, n_compared=1, seed=0).beyond_chance for seed in range(100)
    ]
    assert np.mean(told) <= 0.1


def test_where_no_field_is_mistaken_the_number_of_groups_decides():
    # chance alone parts 3 and 3 groups in one of 10 cases, 4 and 4 in one of 35
    for n_groups, told in ((2, False), (3, False), (4, True)):
        values, groups = two(30.0, n_groups=n_groups)
        found = separation(values, groups, confidence=0.95, n_compared=1, seed=0)
        assert (found.area, found.interval, found.beyond_chance) == (1.0, None, told), n_groups


def test_chance_is_that_of_the_exact_rank_test_where_each_group_is_one_field():
    for seed in range(12):
        (one, other), groups = two(1.0, n_groups=9, each=1, seed=seed)
        p = mannwhitneyu(one, other, method="exact").pvalue
        for confidence in (0.9, 0.95, 0.99):
            if abs(p / (1 - confidence) - 1) > 0.25:  # exchanges are drawn
                told = separation((one, other), groups, confidence=confidence, n_compared=1, seed=0).beyond_chance
                assert told == (p < 1 - confidence), (seed, p, confidence)


def test_one_field_that_is_unlike_its_data_set_does_not_hide_what_all_others_say():
    one, other = np.linspace(1, 2, 10), np.append(np.linspace(3, 4, 9), 0.5)  # an AUROC of 0.9
    found = separation((one, other), (named(10, 1), named(10, 1)), confidence=0.95, n_compared=5, seed=0)
    assert found.area == pytest.approx(0.9)
    assert found.beyond_chance


def test_of_several_measures_that_differ_by_chance_hardly_ever_one_is_told_to_part_the_data_sets():
    told = [
        any(
            separation(*two(0.0, seed=5 * seed + k), confidence=0.95, n_compared=5, seed=0).beyond_chance
            for k in range(5)
        )
        for seed in range(100)
    ]
    assert np.mean(told) <= 0.05
    values, groups = two(30.0, n_groups=4)  # in one of 35 cases by chance, which is one of 7 in five tries
    assert not separation(values, groups, confidence=0.95, n_compared=5, seed=0).beyond_chance
    values, groups = two(30.0, n_groups=5)
    assert separation(values, groups, confidence=0.95, n_compared=5, seed=0).beyond_chance
    weak, groups = two(0.8, seed=3)
    one, several = (separation(weak, groups, confidence=0.95, n_compared=n, seed=0) for n in (1, 5))
    assert several.interval == one.interval


def test_without_groups_there_is_a_value_and_no_interval():
    values, groups = two(0.8)
    found = separation(values, (None, groups[1]), confidence=0.95, n_compared=1, seed=0)
    assert found.area == separation(values, groups, confidence=0.95, n_compared=1, seed=0).area
    assert (found.interval, found.beyond_chance) == (None, False)


def test_a_measure_that_is_the_same_in_all_fields_tells_nothing_apart():
    same = np.full(12, 0.3)
    found = separation((same, same), (named(4, 3), named(4, 3)), confidence=0.95, n_compared=1, seed=0)
    assert (found.area, found.interval, found.standard_deviations, found.beyond_chance) == (0.5, None, 0.0, False)


@pytest.mark.parametrize("n", [11, 12])
def test_the_typical_value_is_the_median_and_its_interval_holds_it(n):
    values = np.random.default_rng(3).lognormal(0, 1, 3 * n)
    found = typical(values, named(n, 3), confidence=0.95, seed=0)
    assert found.value == np.median(values)
    assert found.interval[0] < found.value < found.interval[1]
    assert typical(values[:6], named(2, 3), confidence=0.95, seed=0).interval is None
    assert typical(values, None, confidence=0.95, seed=0).interval is None


def test_the_interval_of_the_median_covers_the_truth_about_as_often_as_it_says():
    inside = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of_group = np.repeat(rng.normal(0, 1, 20), 3)
        low, high = typical(
            np.exp(of_group + rng.normal(0, 0.5, 60)), named(20, 3), confidence=0.95, seed=seed
        ).interval
        inside.append(low <= 1 <= high)
    assert 0.87 <= np.mean(inside) <= 0.99
