import numpy as np
import pytest

from jimt.statistics.resampling import jackknife, resample_groups


def groups_of(n: int, *, patches_each: int = 2) -> np.ndarray:
    """Group of each patch, of ``n`` groups of the same size."""
    return np.repeat([f"W{number:02}" for number in range(n)], patches_each).astype(object)


def test_a_resample_holds_one_group_fewer_than_there_are_and_all_resamples_weigh_the_same():
    resamples = resample_groups(groups_of(12), n_resamples=200, seed=0)
    assert (resamples.counts.sum(1) == 11).all()
    np.testing.assert_allclose(resamples.scaled(resamples.counts).sum(1), 12)


def test_each_group_is_drawn_as_often_as_any_other_and_missing_as_often_as_chance_has_it():
    resamples = resample_groups(groups_of(12), n_resamples=20_000, seed=0)
    np.testing.assert_allclose(resamples.counts.mean(0), 11 / 12, atol=0.03)
    np.testing.assert_allclose((resamples.counts == 0).mean(0), (11 / 12) ** 11, atol=0.015)


def test_fewer_than_three_groups_are_not_drawn():
    assert resample_groups(groups_of(2), n_resamples=10, seed=0) is None
    assert resample_groups(groups_of(1), n_resamples=10, seed=0) is None
    assert resample_groups(groups_of(3), n_resamples=10, seed=0) is not None


def test_resamples_know_the_variance_of_a_mean_over_few_groups():
    # a mean over n groups has variance s^2 / n, s^2 with n - 1 below; drawing n of n would give (n - 1) / n of it
    values = np.array([0.0, 0.1, 0.2, 0.6, 0.9])
    resamples = resample_groups(groups_of(5), n_resamples=200_000, seed=0)
    weights = resamples.scaled(resamples.counts)
    means = weights @ values / weights.sum(1)
    assert means.mean() == pytest.approx(values.mean(), abs=1e-3)
    assert means.var() == pytest.approx(values.var(ddof=1) / 5, rel=0.01)


@pytest.mark.parametrize("at_once", [2**22, 3 * 7])
def test_each_group_is_left_out_in_turn(at_once, monkeypatch):
    monkeypatch.setattr("jimt.statistics.resampling._AT_ONCE", at_once)
    values = np.random.default_rng(0).random(7)
    asked = []

    def mean(weights):
        asked.append(len(weights))
        return {"mean": weights @ values / weights.sum(1), "groups": weights.sum(1)}

    found = jackknife(mean, groups_of(7))
    assert found["mean"].value == pytest.approx(values.mean())
    np.testing.assert_allclose(found["mean"].left_out, [np.delete(values, i).mean() for i in range(7)])
    assert found["groups"].left_out.tolist() == [6] * 7
    assert max(asked) == min(7, at_once // 7)


def test_fewer_than_three_groups_are_not_left_out():
    assert jackknife(lambda weights: {"n": weights.sum(1)}, groups_of(2)) is None


def test_the_same_seed_gives_the_same_resamples_in_whatever_order_patches_come():
    groups = groups_of(12)
    order = np.random.default_rng(0).permutation(len(groups))
    counts = resample_groups(groups, n_resamples=50, seed=0).counts
    np.testing.assert_array_equal(resample_groups(groups[order], n_resamples=50, seed=0).counts, counts)
    assert (resample_groups(groups, n_resamples=50, seed=1).counts != counts).any()
