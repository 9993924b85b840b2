"""Distances to the fields of a training, and limits that fields of further groups exceed as often as is said."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from jimt.statistics.familiarity import fit_spread, joint_limits, left_out, limits_interval


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def fields_of_groups(rng, n_groups, n_each, *, n_features, between):
    """Normal features, with a shift that all fields of a group share."""
    shifts = rng.normal(0, between, (n_groups, n_features))
    groups = np.repeat([f"G{number:03d}" for number in range(n_groups)], n_each).astype(object)
    return np.repeat(shifts, n_each, axis=0) + rng.normal(size=(len(groups), n_features)), groups


def test_the_distance_is_mahalanobis_by_the_covariances_of_scikit_learn(rng):
    features, groups = fields_of_groups(rng, 6, 4, n_features=10, between=2.0)
    means = np.stack([features[groups == name].mean(axis=0) for name in np.unique(groups)])
    mean = means.mean(axis=0)
    within = features - np.repeat(means, 4, axis=0)
    covariance = LedoitWolf(assume_centered=True).fit(means - mean).covariance_
    # scikit-learn divides by the number of fields, of which six means were taken away
    covariance = covariance + LedoitWolf(assume_centered=True).fit(within).covariance_ * 24 / 18
    asked = rng.normal(size=(5, 10)) * 3
    expected = np.sqrt(np.einsum("ij,jk,ik->i", asked - mean, np.linalg.inv(covariance), asked - mean) / 10)
    assert fit_spread(features, groups, n_directions=64).distances(asked) == pytest.approx(expected, rel=1e-6)


def test_neither_the_axes_nor_the_unit_nor_the_origin_of_features_matter(rng):
    features, groups = fields_of_groups(rng, 5, 3, n_features=8, between=1.5)
    asked = rng.normal(size=(4, 8))
    turned, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    expected = fit_spread(features, groups, n_directions=64).distances(asked)
    for change in (lambda x: x @ turned, lambda x: 1000 * x, lambda x: x - 50, lambda x: -x):
        found = fit_spread(change(features), groups, n_directions=64).distances(change(asked))
        assert found == pytest.approx(expected, rel=1e-6)
    renamed = np.array([name[::-1] + "x" for name in groups], object)
    assert fit_spread(features, renamed, n_directions=64).distances(asked) == pytest.approx(expected, rel=1e-9)


def test_a_direction_that_no_training_field_has_gone_is_the_farthest(rng):
    features, groups = fields_of_groups(rng, 8, 3, n_features=6, between=1.0)
    features[:, 5] = 0
    near, far = np.zeros((2, 6))
    near[0], far[5] = 3, 3
    spread = fit_spread(features, groups, n_directions=3)
    assert spread.distances(far[None])[0] > spread.distances(near[None])[0]


def test_features_that_never_vary_give_finite_distances():
    spread = fit_spread(np.ones((6, 3)), np.array(list("aabbcc"), object), n_directions=2)
    assert np.isfinite(spread.distances(np.ones((1, 3)))).all()


def test_every_group_is_held_out_whole_and_once():
    groups = np.array([f"G{number}" for number in range(30) for _ in range(number % 3 + 1)], object)
    held = []
    for on, out in left_out(groups):
        assert not set(groups[on]) & set(groups[out])
        held += out.tolist()
    assert sorted(held) == list(range(len(groups)))


@pytest.mark.parametrize(("n_groups", "between", "most"), [(30, 0.0, 0.12), (30, 1.0, 0.13), (15, 3.0, 0.18)])
def test_about_a_tenth_of_fields_of_groups_never_seen_exceed_any_limit(rng, n_groups, between, most):
    """Of distance and two measures together; more where few groups differ much, since these are all that is known."""
    alarms = []
    for _ in range(40):
        features, groups = fields_of_groups(rng, n_groups + 20, 4, n_features=6, between=between)
        new = groups >= f"G{n_groups:03d}"
        known, names = features[~new], groups[~new]
        values = []
        for on, held in left_out(names):
            spread = fit_spread(known[on], names[on], n_directions=64)
            values.append(np.column_stack([spread.distances(known[held]), np.abs(known[held][:, :2])]))
        limits = joint_limits(np.concatenate(values), false_alarms=0.1)
        spread = fit_spread(known, names, n_directions=64)
        seen = np.column_stack([spread.distances(features[new]), np.abs(features[new][:, :2])])
        alarms.append((seen > limits).any(axis=1).mean())
    assert 0.06 < np.mean(alarms) < most


def test_each_kind_has_its_limit_at_the_same_rank_and_any_is_exceeded_in_a_tenth_of_cases(rng):
    values = rng.exponential(size=(199, 3)) * [1, 10, 100]
    limits = joint_limits(values, false_alarms=0.1)
    above = values > limits
    assert len(set(above.sum(axis=0).tolist())) == 1
    assert above.any(axis=1).mean() == pytest.approx(0.1, abs=0.015)


def test_of_few_fields_the_limit_is_the_largest_value():
    assert joint_limits(np.array([[1.0], [4.0], [2.0], [3.0], [2.5]]), false_alarms=0.1).tolist() == [4.0]


def test_limits_do_not_depend_on_the_order_of_fields(rng):
    values = rng.exponential(size=(40, 3))
    assert joint_limits(values[::-1], false_alarms=0.1).tolist() == joint_limits(values, false_alarms=0.1).tolist()


def test_the_interval_of_a_limit_holds_it_and_is_the_same_each_time(rng):
    values = rng.exponential(size=(60, 2))
    groups = np.repeat([f"G{number}" for number in range(15)], 4).astype(object)
    found = [
        limits_interval(values, groups, false_alarms=0.1, n_resamples=200, confidence=0.95, seed=seed)
        for seed in (0, 0)
    ]
    assert found[0] == found[1]
    assert found[0][0] <= 1 <= found[0][1]
    few = limits_interval(values[:8], groups[:8], false_alarms=0.1, n_resamples=10, confidence=0.95, seed=0)
    assert few is None
