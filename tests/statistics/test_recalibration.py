"""Shares on another scale: what a line through other groups' shares mends, by scikit-learn and by chance."""

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from jimt.prediction.pi_agreement import MENDED
from jimt.statistics.recalibration import left_out_errors


def named(numbers: np.ndarray) -> np.ndarray:
    return np.array([f"G{number}" for number in numbers], object)


def test_the_errors_are_those_of_scikit_learns_regression_with_each_group_left_out():
    rng = np.random.default_rng(0)
    groups = named(rng.permutation(np.repeat(range(7), 3)))
    true = rng.random(21)
    predicted = 0.6 + 0.2 * true + rng.normal(0, 0.02, 21)
    expected = [
        np.abs(
            cross_val_predict(model, predicted[:, None], true, groups=groups, cv=LeaveOneGroupOut()).clip(0, 1) - true
        )
        for model in (LinearRegression(positive=True), DummyRegressor())
    ]
    assert left_out_errors(predicted, true, groups) == pytest.approx([errors.mean() for errors in expected])


def test_neither_the_scale_of_shares_nor_the_names_of_groups_matter_and_death_and_life_may_be_exchanged():
    rng = np.random.default_rng(1)
    true, groups = rng.random(12), named(np.arange(12) // 2)
    predicted = true / 2 + rng.normal(0, 0.1, 12)
    found = left_out_errors(predicted, true, groups)
    assert left_out_errors(0.7 + predicted / 5, true, groups) == pytest.approx(found)
    assert left_out_errors(1 - predicted, 1 - true, groups) == pytest.approx(found)
    order = rng.permutation(12)
    assert left_out_errors(predicted[order], true[order], groups[order]) == pytest.approx(found)


def test_a_model_upside_down_is_no_better_than_the_mean_of_the_others():
    true = np.linspace(0, 1, 6)
    line, mean = left_out_errors(1 - true, true, named(np.arange(6)))
    assert line == mean


def test_of_three_groups_nothing_is_told():
    assert left_out_errors(np.arange(6.0), np.arange(6.0), named(np.arange(6) % 3)) is None
    assert left_out_errors(np.zeros(0), np.zeros(0), named(np.zeros(0))) is None


@pytest.mark.parametrize(("n_groups", "most"), [(4, 0.11), (12, 0.03)])
def test_shares_drawn_at_random_are_seldom_said_to_be_mended(n_groups, most):
    rng = np.random.default_rng(2)
    errors = np.array([left_out_errors(*rng.random((2, n_groups)), named(np.arange(n_groups))) for _ in range(1000)])
    assert (errors[:, 0] <= MENDED * errors[:, 1]).mean() < most
