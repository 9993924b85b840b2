"""Controls and edges: arithmetic by hand, and a least-squares fit with a column for each treatment."""

import numpy as np
import pytest

from jimt.statistics.plate_quality import edge_difference, z_prime


def z_of(negative, positive, **told):
    return z_prime(np.array(negative), np.array(positive), **{"confidence": 0.95, "n_draws": 2000, "seed": 0} | told)


def test_z_prime_is_one_less_three_deviations_over_the_distance_of_means():
    found = z_of([0.05, 0.10, 0.15], [0.7, 0.8, 0.9, 0.8])
    sd = 0.05, np.std([0.7, 0.8, 0.9, 0.8], ddof=1)
    assert found.value == pytest.approx(1 - 3 * sum(sd) / 0.7)
    assert found.interval[0] < found.value < found.interval[1] < 1
    assert (found.n_negative, found.n_positive) == (3, 4)


def test_z_prime_is_the_same_of_living_shares_and_its_interval_narrows_with_wells():
    few = z_of([0.05, 0.10, 0.15], [0.7, 0.8, 0.9])
    assert z_of([0.95, 0.90, 0.85], [0.3, 0.2, 0.1]).value == pytest.approx(few.value)
    many = z_of([0.05, 0.10, 0.15] * 8, [0.7, 0.8, 0.9] * 8)
    assert many.interval[1] - many.interval[0] < 0.3 * (few.interval[1] - few.interval[0])


def test_its_interval_holds_the_truth_of_three_wells_each():
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        low, high = z_of(rng.normal(0.1, 0.05, 3), rng.normal(0.7, 0.05, 3)).interval
        held += low <= 0.5 <= high
    assert held >= 89


@pytest.mark.parametrize(("negative", "positive"), [([0.1, 0.2], [0.8] * 3), ([0.1] * 3, []), ([0.1] * 3, [0.1] * 3)])
def test_too_few_controls_or_means_that_are_the_same_have_none(negative, positive):
    assert z_of(negative, positive) is None


def test_the_difference_of_edges_is_that_of_a_fit_with_a_level_for_each_treatment():
    rng = np.random.default_rng(0)
    treatments = rng.integers(0, 5, 30)
    is_edge = rng.random(30) < 0.4
    shares = 0.1 * treatments + 0.07 * is_edge + rng.normal(0, 0.02, 30)
    found = edge_difference(shares, treatments.tolist(), is_edge, confidence=0.95)
    design = np.column_stack([treatments[:, None] == np.arange(5), is_edge]).astype(float)
    best = np.linalg.lstsq(design, shares, rcond=None)[0]
    assert found.value == pytest.approx(best[-1])
    assert found.differs
    assert found.interval[0] < 0.07 < found.interval[1]
    assert (found.n_edge + found.n_inside, found.n_treatments) == (30, 5)


def test_treatments_that_lie_at_the_edge_alone_say_nothing_of_it():
    is_edge = np.array([True, True, False, False])
    assert edge_difference(np.array([0.9, 0.8, 0.1, 0.2]), ["a", "a", "b", "b"], is_edge, confidence=0.95) is None
    assert edge_difference(np.array([0.9, 0.8]), ["a", "a"], is_edge[1:3], confidence=0.95) is None
