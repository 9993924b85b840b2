"""Dose-response curves: what SciPy's own fit says of the same wells, and what must not depend on how they are told."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import f as fisher
from scipy.stats import t as student

from jimt.statistics.dose_response import fit_dose_response, p_of_no_effect, why_no_curve

DOSES = np.repeat([0.0, 0.03, 0.1, 0.3, 1, 3, 10, 30], 3)


def logistic(dose, log_ec50, slope, at_zero, at_high):
    with np.errstate(divide="ignore"):
        return at_zero + (at_high - at_zero) / (1 + (10**log_ec50 / dose) ** slope)


def drawn(*truth: float, seed: int = 0, spread: float = 0.04, doses=DOSES) -> np.ndarray:
    shares = logistic(doses, *truth)
    return np.clip(shares + np.random.default_rng(seed).normal(0, spread, len(doses)) * 4 * shares * (1 - shares), 0, 1)


def fitted(doses, shares, **told):
    given = {"confidence": 0.95, "significance": 0.01, "n_shuffles": 199, "seed": 0} | told
    return fit_dose_response(doses, shares, **given)


def test_the_curve_and_its_interval_are_those_of_scipy():
    shares = drawn(0.0, 1.2, 0.08, 0.9)
    found = fitted(DOSES, shares)
    of_curve = logistic(DOSES, np.log10(found.curve.ec50), found.curve.slope, found.curve.at_zero, found.curve.at_high)
    sigma = of_curve * (1 - of_curve) + 0.02
    best, _ = curve_fit(logistic, DOSES, shares, p0=(0.2, 1, 0.1, 0.8), sigma=sigma)
    assert np.log10(found.curve.ec50) == pytest.approx(best[0], abs=0.01)
    assert (found.curve.slope, found.curve.at_zero, found.curve.at_high) == pytest.approx(best[1:], abs=0.03)

    def squares(parameters):
        return (((logistic(DOSES, *parameters) - shares) / sigma) ** 2).sum()

    allowed = squares(best) * (1 + fisher.ppf(0.95, 1, len(DOSES) - 4) / (len(DOSES) - 4))
    for place in np.log10(found.ec50):
        fixed, _ = curve_fit(lambda x, *rest, of=place: logistic(x, of, *rest), DOSES, shares, p0=best[1:], sigma=sigma)
        assert squares((place, *fixed)) == pytest.approx(allowed, rel=0.03)
    for place, ends in enumerate((found.slope, found.at_zero, found.at_high), 1):
        assert ends[0] < best[place] < ends[1]


def test_wells_of_a_curve_without_spread_give_it_back():
    found = fitted(DOSES, logistic(DOSES, 0.3, 1.5, 0.1, 0.8))
    assert found.verdict == "ec50"
    assert (found.curve.ec50, found.curve.slope) == pytest.approx((10**0.3, 1.5), rel=1e-3)
    assert (found.curve.at_zero, found.curve.at_high) == pytest.approx((0.1, 0.8), abs=1e-3)


@pytest.mark.parametrize("spread", [0.01, 0.001, 0.0001])
def test_intervals_of_wells_close_to_their_curve_are_as_narrow_as_scipy_has_them_and_hold_it(spread):
    shares = drawn(0.313, 1.43, 0.1, 0.85, spread=spread)
    found = fitted(DOSES, shares)
    assert found.ec50[0] < found.curve.ec50 < found.ec50[1]
    assert found.slope[0] < found.curve.slope < found.slope[1]
    of_curve = logistic(DOSES, 0.313, 1.43, 0.1, 0.85)
    best, covariance = curve_fit(
        logistic, DOSES, shares, p0=(0.3, 1.4, 0.1, 0.8), sigma=of_curve * (1 - of_curve) + 0.02
    )
    half = student.ppf(0.975, len(DOSES) - 4) * np.sqrt(np.diag(covariance))  # which so little spread makes exact
    intervals = np.log10(found.ec50), found.slope, found.at_zero, found.at_high
    for (low, high), value, reach in zip(intervals, best, half, strict=True):
        assert (high - low) / 2 == pytest.approx(reach, rel=0.15)
        assert (high + low) / 2 == pytest.approx(value, abs=0.2 * reach)


def test_another_unit_moves_the_ec50_and_nothing_else():
    shares = drawn(0.0, 1.2, 0.08, 0.9)
    one, other = fitted(DOSES, shares), fitted(1000 * DOSES, shares)
    assert other.curve.ec50 == pytest.approx(1000 * one.curve.ec50, rel=1e-3)
    assert other.ec50 == pytest.approx([1000 * end for end in one.ec50], rel=1e-3)
    assert (other.slope, other.at_high, other.p_value) == (
        pytest.approx(one.slope, rel=1e-3),
        pytest.approx(one.at_high, abs=1e-3),
        one.p_value,
    )


def test_the_order_of_wells_changes_nothing_and_living_for_dead_mirrors_the_plateaus():
    shares = drawn(0.0, 1.2, 0.08, 0.9)
    turned = np.random.default_rng(1).permutation(len(DOSES))
    one, other, mirrored = fitted(DOSES, shares), fitted(DOSES[turned], shares[turned]), fitted(DOSES, 1 - shares)
    assert (one.curve, one.ec50, one.p_value) == (other.curve, other.ec50, other.p_value)
    assert mirrored.ec50 == pytest.approx(one.ec50, rel=1e-3)
    assert mirrored.at_high == pytest.approx((1 - one.at_high[1], 1 - one.at_high[0]), abs=1e-3)


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [((2.2, 1, 0.05, 0.95), "above"), ((-2.5, 1, 0.05, 0.95), "below"), ((0, 1.5, 0.1, 0.9), "ec50")],
)
def test_a_plateau_out_of_reach_gives_a_bound_that_holds(truth, verdict):
    found = fitted(DOSES, drawn(*truth))
    assert found.verdict == verdict
    if verdict == "above":
        assert 0.03 < found.bound <= 30
        assert found.ec50[1] is None
    elif verdict == "below":
        assert 0.03 <= found.bound < 30
        assert found.ec50[0] is None
    else:
        assert found.bound is None


def test_a_flat_line_is_no_effect_and_shuffled_wells_seldom_are_one():
    assert fitted(DOSES, np.full(len(DOSES), 0.2)).verdict == "no effect"
    p_values = [
        p_of_no_effect(DOSES, np.random.default_rng(seed).beta(4, 16, len(DOSES)), n_shuffles=99, seed=seed)
        for seed in range(200)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.04)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_the_interval_holds_the_truth_and_the_band_the_curve():
    held, within = [], []
    for seed in range(16):
        found = fitted(DOSES, drawn(0.0, 1.2, 0.08, 0.9, seed=seed))
        held.append(found.ec50[0] <= 1 <= found.ec50[1])
        truth = logistic(np.concatenate([[0.0], found.band_doses]), 0.0, 1.2, 0.08, 0.9)
        within.append(((found.band[0] <= truth) & (truth <= found.band[1])).mean())
    assert sum(held) >= 12  # of 95 % with a probability of less than 0.001 fewer
    assert np.mean(within) > 0.85


def test_a_step_between_two_doses_leaves_the_slope_open():
    found = fitted(DOSES, np.where(DOSES < 0.5, 0.1, 0.9) + 0.01 * np.tile([-1, 0, 1], 8))
    assert found.slope[1] is None
    assert 0.3 < found.ec50[0] < found.curve.ec50 < found.ec50[1] < 1


@pytest.mark.parametrize(
    ("doses", "said"),
    [
        ([0, 0, 1, 1, 1, 1], "2 different doses"),
        ([5] * 9, "1 dose,"),
        ([0, 1, 2, 3, 4], "5 wells, and a curve takes 6"),
    ],
)
def test_too_few_doses_or_wells_give_no_curve_and_the_reason(doses, said):
    assert said in why_no_curve(np.array(doses, float))
