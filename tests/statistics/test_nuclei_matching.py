"""Predicted nuclei assigned to true ones, against every assignment there is."""

import itertools
import math

import numpy as np
import pytest

from jimt.statistics.nuclei_matching import Detection, detection, match_nuclei, pooled

RADIUS = 10.0


def every_assignment(predicted: np.ndarray, true: np.ndarray) -> tuple[int, float]:
    """The most pairs within the radius, and the least sum of distances of so many, by trying all of them."""
    best = (0, 0.0)
    for n in range(1, min(len(predicted), len(true)) + 1):
        for rows in itertools.combinations(range(len(predicted)), n):
            for columns in itertools.permutations(range(len(true)), n):
                distances = [math.dist(predicted[row], true[column]) for row, column in zip(rows, columns, strict=True)]
                if max(distances) <= RADIUS and (n > best[0] or sum(distances) < best[1]):
                    best = (n, sum(distances))
    return best


def found(predicted: np.ndarray, true: np.ndarray) -> tuple[int, float]:
    rows, columns = match_nuclei(predicted, true, radius=RADIUS)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
    assert (np.diff(rows) > 0).all()
    distances = np.linalg.norm(predicted[rows] - true[columns], axis=1)
    assert (distances <= RADIUS).all()
    return len(rows), float(distances.sum())


def field(seed: int, n_predicted: int, n_true: int, *, side: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, side, (n_predicted, 2)), rng.uniform(0, side, (n_true, 2))


@pytest.mark.parametrize("side", [15.0, 30.0, 60.0])  # crowded, competing, mostly apart
@pytest.mark.parametrize("seed", range(8))
def test_no_other_assignment_has_more_pairs_or_as_many_that_lie_closer(seed, side):
    for n_predicted, n_true in ((5, 5), (3, 6), (6, 4), (1, 5)):
        predicted, true = field(seed, n_predicted, n_true, side=side)
        n, distance = every_assignment(predicted, true)
        assert found(predicted, true) == (n, pytest.approx(distance))


def test_a_pair_more_counts_above_any_distance():
    true = np.array([[0.0, 0.0], [0.0, 10.0]])
    predicted = np.array([[0.0, 0.1], [0.0, -9.9]])  # the first lies on a true one, the second reaches that one alone
    rows, columns = match_nuclei(predicted, true, radius=RADIUS)
    assert dict(zip(rows.tolist(), columns.tolist(), strict=True)) == {0: 1, 1: 0}


@pytest.mark.parametrize("seed", range(5))
def test_order_turning_mirroring_and_moving_a_field_change_no_count(seed):
    predicted, true = field(seed, 60, 50, side=200.0)
    n, distance = found(predicted, true)
    assert 0 < n < 50
    rng = np.random.default_rng(seed)
    assert found(rng.permutation(predicted), rng.permutation(true)) == (n, pytest.approx(distance))
    assert found(true, predicted) == (n, pytest.approx(distance))
    for change in (
        lambda centres: centres[:, ::-1],
        lambda centres: np.stack([centres[:, 1], 200 - centres[:, 0]], axis=1),
        lambda centres: centres + np.array([1000.0, -3000.0]),
    ):
        assert found(change(predicted), change(true)) == (n, pytest.approx(distance))


def test_a_large_field_is_matched_crowd_by_crowd_as_a_whole_would_be():
    rng = np.random.default_rng(3)
    true = rng.uniform(0, 2000, (3000, 2))
    kept = rng.random(len(true)) < 0.8
    predicted = np.concatenate([true[kept] + rng.normal(0, 1, (kept.sum(), 2)), rng.uniform(0, 2000, (300, 2))])
    whole = detection(predicted, true, radius=RADIUS)
    halves = [centres[:, 0] < 1000 for centres in (predicted, true)]
    parts = pooled(
        detection(predicted[one], true[other], radius=RADIUS)
        for one, other in (tuple(halves), tuple(~half for half in halves))
    )
    assert whole.n_matched >= kept.sum() * 0.99
    assert parts.n_matched <= whole.n_matched <= parts.n_matched + 40  # pairs across the line that divides the halves
    assert (parts.n_predicted, parts.n_true) == (whole.n_predicted, whole.n_true)


def test_nuclei_at_the_same_place_are_a_pair_and_one_at_the_radius_is_too():
    here = np.array([[3.0, 4.0]])
    assert found(here, here) == (1, 0)
    assert found(here, np.array([[3.0, 4.0 + RADIUS]])) == (1, RADIUS)
    assert found(here, np.array([[3.0, 4.001 + RADIUS]])) == (0, 0)
    assert found(np.repeat(here, 3, axis=0), here) == (1, 0)


def test_sides_without_a_nucleus_leave_undefined_what_has_no_denominator():
    none, three = np.zeros((0, 2)), np.eye(3, 2) * 100
    missed, invented, empty = (detection(*pair, radius=RADIUS) for pair in ((none, three), (three, none), (none, none)))
    assert (missed.recall, missed.f1) == (0, 0)
    assert math.isnan(missed.precision)
    assert (invented.precision, invented.f1) == (0, 0)
    assert math.isnan(invented.recall)
    assert all(math.isnan(value) for value in (empty.precision, empty.recall, empty.f1))
    apart = detection(three, three + np.array([50.0, 0.0]), radius=RADIUS)
    assert (apart.precision, apart.recall, apart.f1) == (0, 0, 0)


def test_f1_is_the_harmonic_mean_and_pooling_adds_nuclei():
    one, other = Detection(10, 8, 6), Detection(2, 12, 2)
    assert one.f1 == pytest.approx(2 / (1 / one.precision + 1 / one.recall))
    both = pooled([one, other])
    assert (both.precision, both.recall) == (8 / 12, 8 / 20)
    assert pooled([other, one]) == both
    assert pooled([]) == Detection(0, 0, 0)
