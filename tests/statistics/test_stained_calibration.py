"""A few stained fields move the calibration as far as they can tell, and what it was before counts as well."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from jimt.statistics.last_layer import CHANGE_SD, fit_last_layer
from jimt.statistics.paired_errors import mean_errors
from jimt.statistics.stained_calibration import (
    ANSWERS,
    OFFSET_SD,
    TEMPERATURE_SD,
    Calibrates,
    OfShare,
    recalibrate,
    shift_of_shares,
)


def field(seed: int, *, offset: float = 0.0, scale: float = 1.0, n: int = 40) -> Calibrates:
    """Patches whose margins are too live by ``offset``, and too certain by ``scale``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, n)
    targets = (rng.random(n) < expit(logits)).astype(float)
    return Calibrates(scale * logits + offset, targets, np.full(n, 1 / n))


def by_hand(fields: list[Calibrates], offset: float, temperature: float, before: float) -> float:
    """What is minimised, of patches one by one."""
    total = (offset / before / OFFSET_SD) ** 2 / 2 + (np.log(before / temperature) / TEMPERATURE_SD) ** 2 / 2
    for one in fields:
        for margin, target, weight in zip(one.margins, one.targets, one.weights, strict=True):
            p = expit((margin + offset) / temperature)
            total -= ANSWERS * weight * (target * np.log(p) + (1 - target) * np.log(1 - p))
    return total


@pytest.mark.parametrize("n_fields", [1, 3])
def test_what_is_fitted_is_the_most_probable(n_fields):
    fields = [field(seed, offset=1.5, scale=2.0) for seed in range(n_fields)]
    found = recalibrate(fields, temperature=1.3)
    least = by_hand(fields, found.offset, found.temperature, 1.3)
    for change in (-0.2, 0.2):
        assert by_hand(fields, found.offset + change, found.temperature, 1.3) > least
        assert by_hand(fields, found.offset, found.temperature * np.exp(change), 1.3) > least


def test_many_fields_overrule_what_it_was_before():
    fields = [field(seed, offset=1.5, scale=2.0) for seed in range(400)]
    found = recalibrate(fields, temperature=1.0)
    margins, targets = (np.concatenate([getattr(each, name) for each in fields]) for name in ("margins", "targets"))
    free = LogisticRegression(C=np.inf).fit(margins[:, None], targets)
    assert 1 / found.temperature == pytest.approx(free.coef_[0, 0], rel=0.02)
    assert found.offset / found.temperature == pytest.approx(free.intercept_[0], rel=0.03)


def test_classes_that_change_their_names_change_the_sign_of_the_offset_alone():
    fields = [field(seed, offset=0.8) for seed in range(2)]
    renamed = [Calibrates(-one.margins, 1 - one.targets, one.weights) for one in fields]
    found, other = recalibrate(fields, temperature=2.0), recalibrate(renamed, temperature=2.0)
    assert other.offset == pytest.approx(-found.offset, abs=1e-3)
    assert other.temperature == pytest.approx(found.temperature, abs=1e-3)


@pytest.mark.parametrize("dead", [0.0, 1.0])
def test_fields_of_one_class_move_it_without_end_neither_of_scores_nor_of_maps(dead):
    rng = np.random.default_rng(0)
    logits, weights = rng.normal(0, 1, 50), np.full(50, 1 / 50)
    scores = [recalibrate([Calibrates(logits, np.full(50, 1 - dead), weights)] * n, temperature=1.0) for n in (1, 4)]
    sign = 1 - 2 * dead
    assert 0 < sign * scores[0].offset < sign * scores[1].offset < 6
    for counts in (False, True):
        one, four = (-sign * shift_of_shares([OfShare(logits, weights, dead)] * n, counts=counts) for n in (1, 4))
        assert 0 < one <= four < 6


@pytest.mark.parametrize("counts", [False, True])
def test_the_share_of_many_fields_comes_out_right(counts):
    rng = np.random.default_rng(0)
    fields = []
    for _ in range(60):
        logits = rng.normal(-1, 2, 80)
        true = float((logits + 0.9 > 0).mean() if counts else expit(logits + 0.9).mean())
        fields.append(OfShare(logits, np.full(80, 1 / 80), true))
    shift = shift_of_shares(fields, counts=counts)
    assert shift == pytest.approx(0.9, abs=0.05)
    shares = [each.shifted(shift, counts=counts) for each in fields]
    assert np.mean(shares) == pytest.approx(np.mean([each.share for each in fields]), abs=0.01)
    assert shift_of_shares([OfShare(fields[0].logits, fields[0].weights, shares[0])], counts=counts) < shift


def test_the_last_layer_is_a_ridge_regression_that_starts_from_the_old_one():
    rng = np.random.default_rng(0)
    features = rng.normal(5, 1, (30, 4))
    targets = (rng.random(30) < expit(features[:, 0] - 5)).astype(float)
    weights = np.full(30, 1 / 30)
    change = fit_last_layer([Calibrates(np.zeros(30), targets, weights)], [features], temperature=1.0)
    centred = features - features.mean(axis=0)
    spread = np.sqrt((centred**2).sum(axis=1).mean())
    with_offset = np.column_stack([centred / spread * CHANGE_SD, np.full(30, OFFSET_SD)])
    ridge = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-8).fit(
        with_offset, targets, sample_weight=np.full(30, ANSWERS / 30)
    )
    np.testing.assert_allclose(change.weight, ridge.coef_[0, :4] / spread * CHANGE_SD, atol=1e-3)
    assert (features @ change.weight + change.bias).mean() == pytest.approx(0, abs=1e-9)
    # one that is right already is left as it is
    right = Calibrates(50 * (2 * targets - 1), targets, weights)
    assert np.abs(fit_last_layer([right], [features], temperature=1.0).weight).max() < 1e-6


def test_errors_of_the_same_fields_are_compared_pairwise_with_groups_left_out_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(list("abcdefgh"), 4).astype(object)
    hard = np.repeat(rng.uniform(0.1, 0.6, 8), 4)  # groups differ by far more than the answers do
    errors = {"new": hard - 0.05, "old": hard + rng.normal(0, 0.005, 32)}
    found = mean_errors(errors, groups, confidence=0.95)
    assert found["new - old"].value == pytest.approx(np.mean(errors["new"] - errors["old"]))
    low, high = found["new - old"].interval
    assert low < -0.05 < high < 0
    assert found["new"].interval[1] > found["old"].interval[0]  # which alone would tell nothing
    assert mean_errors(errors, np.repeat(["a", "b"], 16).astype(object), confidence=0.95)["new"].interval is None
