import numpy as np
import pytest

from jimt.analysis.resampling import draw_groups, resample


def groups_of(*classes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups of patches, from the labels each group holds."""
    labels = np.concatenate([np.array(of, np.int64) for of in classes])
    return labels, np.repeat([f"W{number:02}" for number in range(len(classes))], [len(of) for of in classes]).astype(
        object
    )


LIVE_ONLY, DEAD_ONLY, MIXED = (1, 1), (0, 0), (0, 1)


@pytest.mark.parametrize(
    ("classes", "strata"),
    [
        ([MIXED] * 4, [4]),
        ([LIVE_ONLY] * 3 + [DEAD_ONLY] * 5, [3, 5]),
        ([LIVE_ONLY] * 2 + [MIXED] * 2 + [DEAD_ONLY] * 6, [4, 6]),
        ([LIVE_ONLY] * 6 + [MIXED] * 2 + [DEAD_ONLY] * 1, [3, 6]),
        ([LIVE_ONLY] * 5, [5]),
    ],
)
def test_groups_are_drawn_within_those_that_hold_the_scarcer_class_and_the_rest(classes, strata):
    labels, groups = groups_of(*classes)
    draws = draw_groups(labels, groups, n_resamples=200, seed=0)
    assert sorted(np.bincount(draws.stratum)[np.unique(draws.stratum)]) == sorted(strata)
    for number in np.unique(draws.stratum):
        members = draws.stratum == number
        assert (draws.counts[:, members].sum(1) == members.sum() - 1).all()


@pytest.mark.parametrize("classes", [[LIVE_ONLY] + [DEAD_ONLY] * 6, [LIVE_ONLY] + [MIXED] * 6])
def test_a_group_with_no_other_like_it_is_drawn_among_all(classes):
    draws = draw_groups(*groups_of(*classes), n_resamples=200, seed=0)
    assert set(draws.stratum) == {0}
    assert set(draws.counts[:, 0]) > {0, 1}  # not once in each draw, as if it were known exactly


@pytest.mark.parametrize("n_live_only", [2, 3, 10])
@pytest.mark.parametrize("n_mixed", [0, 2, 5])
@pytest.mark.parametrize("n_dead_only", [2, 20])
def test_no_draw_lacks_a_class(n_live_only, n_mixed, n_dead_only):
    labels, groups = groups_of(*[LIVE_ONLY] * n_live_only, *[MIXED] * n_mixed, *[DEAD_ONLY] * n_dead_only)
    draws = draw_groups(labels, groups, n_resamples=3000, seed=0)
    for weights in draws.weights():
        for label in (0, 1):
            assert (weights[:, draws.of_patch] * (labels == label)).sum(1).min() > 0


def test_fewer_than_three_groups_are_not_drawn():
    assert draw_groups(*groups_of(MIXED, MIXED), n_resamples=10, seed=0) is None
    assert draw_groups(*groups_of(MIXED), n_resamples=10, seed=0) is None
    assert draw_groups(*groups_of(MIXED, MIXED, MIXED), n_resamples=10, seed=0) is not None


def test_draws_know_the_variance_of_a_mean_over_few_groups():
    # a mean over n groups has variance s^2 / n, s^2 with n - 1 below; drawing n of n would give (n - 1) / n of it
    values = np.array([0.0, 0.1, 0.2, 0.6, 0.9])
    draws = draw_groups(*groups_of(*[MIXED] * 5), n_resamples=200_000, seed=0)
    means = resample(lambda w: {"mean": w @ values / w.sum(1)}, draws)["mean"]
    assert means.value == pytest.approx(values.mean())
    assert means.draws.mean() == pytest.approx(values.mean(), abs=1e-3)
    assert means.draws.var() == pytest.approx(values.var(ddof=1) / 5, rel=0.01)
    np.testing.assert_allclose(means.left_out, (values.sum() - values) / 4)


def test_others_of_its_stratum_stand_in_for_a_group_left_out():
    labels, groups = groups_of(*[LIVE_ONLY] * 3, *[DEAD_ONLY] * 4)
    draws = draw_groups(labels, groups, n_resamples=1, seed=0)
    left_out = np.concatenate(list(draws.weights()))[2:]
    np.testing.assert_allclose(left_out[0], [0, 1.5, 1.5, 1, 1, 1, 1])
    np.testing.assert_allclose(left_out[6], [1, 1, 1, 4 / 3, 4 / 3, 4 / 3, 0])
    np.testing.assert_allclose(left_out.sum(1), 7)


def test_the_same_seed_gives_the_same_draws_in_whatever_order_patches_come():
    labels, groups = groups_of(*[LIVE_ONLY] * 4, *[MIXED] * 3, *[DEAD_ONLY] * 5)
    order = np.random.default_rng(0).permutation(len(labels))
    counts = draw_groups(labels, groups, n_resamples=50, seed=0).counts
    np.testing.assert_array_equal(draw_groups(labels[order], groups[order], n_resamples=50, seed=0).counts, counts)
    assert (draw_groups(labels, groups, n_resamples=50, seed=1).counts != counts).any()


def test_draws_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    draws = draw_groups(*groups_of(*[LIVE_ONLY] * 4, *[DEAD_ONLY] * 5), n_resamples=50, seed=0)
    whole = np.concatenate(list(draws.weights()))
    monkeypatch.setattr("jimt.analysis.resampling._AT_ONCE", 7 * 9)
    blocks = list(draws.weights())
    assert max(len(block) for block in blocks) == 7
    np.testing.assert_array_equal(np.concatenate(blocks), whole)
