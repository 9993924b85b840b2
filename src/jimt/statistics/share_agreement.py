"""Agreement of predicted with true dead shares, of fields or of groups: errors, limits of agreement, correlations.

A correlation says whether shares rise together, not whether they are right: one that is always half too high has a
Pearson's r of 1. Bias and limits of agreement (Bland and Altman, Lancet 327, 1986) say how far a share is off, and the
concordance correlation (Lin, Biometrics 45, 1989) is 1 only where every predicted share is the true one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import Jackknife, group_numbers, jackknife
from jimt.statistics.weighted_patches import Floats, Weights, ratio

LIMITS_OF_AGREEMENT: Final = 1.96
"""Standard deviations of the difference on either side of the bias: 95 % of differences that are normal."""
_CONSTANT: Final = 1e-24  # variance of values from 0 to 1, below which rounding decides
_FEWEST_CORRELATED: Final = 3


@dataclass(frozen=True)
class Measure:
    """A row of the table of measures.

    Attributes:
        words: What readers see.
        function: From weights of the shares, ``(n_resamples, n)``, predicted and true shares, ``(n,)``, to a value for
            each weighting; NaN where there is none.
        bounds: Least and largest value.
        higher_is_better: Which way a better model moves it; None of the bias, of which 0 is best.
        is_correlation: Whether it needs three shares that are not all the same.
    """

    words: str
    function: Callable[[Weights, Floats, Floats], Floats]
    bounds: tuple[float, float]
    higher_is_better: bool | None
    is_correlation: bool = True


@dataclass(frozen=True)
class Measured:
    """A measure's value and its interval.

    Attributes:
        value: None where there is none, and ``reason`` says why.
        interval_groups: Interval over groups; None where it cannot be had, and ``reason`` says why.
        reason: Why a value, or else an interval, is missing; None where neither is.
    """

    value: float | None
    interval_groups: Interval | None
    reason: str | None


@dataclass(frozen=True)
class ShareAgreement:
    """How well predicted dead shares agree with the true ones.

    Attributes:
        measures: By the names of ``MEASURES``.
        limits: Limits of agreement of predicted minus true; None of fewer than two.
        n: Shares compared.
        n_groups: Groups they are of; 0 where nothing tells.
        n_left_out: Shares left out since the predicted or the true one is NaN, such as of a field without a cell.
    """

    measures: dict[str, Measured]
    limits: Interval | None
    n: int
    n_groups: int
    n_left_out: int


def share_agreement(
    predicted: Floats, true: Floats, groups: NDArray[np.object_] | None, *, confidence: float
) -> ShareAgreement:
    """Compare predicted dead shares with true ones; every share counts alike.

    Args:
        predicted: Predicted dead shares of fields, or of groups, shape ``(n,)``; NaN where there is none.
        true: True ones, likewise.
        groups: Group of each, likewise; None where nothing is known of them.
        confidence: Coverage wanted of the intervals over groups, such as 0.95.

    >>> groups = np.array(list("aabbcc"), object)
    >>> true = np.array([0.0, 0.1, 0.3, 0.5, 0.8, 0.9])
    >>> found = share_agreement(true + 0.1, true, groups, confidence=0.95)
    >>> {name: round(measured.value, 2) for name, measured in found.measures.items()}
    {'mae': 0.1, 'bias': 0.1, 'pearson': 1.0, 'spearman': 1.0, 'concordance': 0.96}
    >>> low, high = found.limits
    >>> round(low, 2), round(high, 2)  # always off by the same
    (0.1, 0.1)
    >>> share_agreement(np.full(6, 0.4), true, groups, confidence=0.95).measures["spearman"].reason
    'every predicted share is the same'
    """
    known = np.isfinite(predicted) & np.isfinite(true)
    predicted, true = (np.asarray(values, np.float64)[known] for values in (predicted, true))
    n, n_groups, over_groups = len(predicted), 0, None
    why_no_interval = "nothing tells which group a share is of"
    if groups is not None:
        numbers = group_numbers(groups[known])
        n_groups = int(numbers.max(initial=-1)) + 1
        why_no_interval = f"{n_groups} group{'s' * (n_groups != 1)}: too few for an interval"
        over_groups = jackknife(lambda weights: weighted_measures(predicted, true, numbers, weights), groups[known])
    measures = {}
    for name, measure in MEASURES.items():
        value = float(measure.function(np.ones((1, n)), predicted, true)[0]) if n else np.nan
        reason = _why_no_value(measure, value, predicted, true)
        if reason is not None:
            measures[name] = Measured(None, None, reason)
        elif over_groups is None:
            measures[name] = Measured(value, None, why_no_interval)
        else:
            interval = interval_over_groups(over_groups[name], confidence=confidence, bounds=measure.bounds)
            measures[name] = Measured(value, interval, None if interval else why_not_told(over_groups[name]))
    return ShareAgreement(measures, limits_of_agreement(predicted - true), n, n_groups, int((~known).sum()))


def weighted_measures(
    predicted: Floats, true: Floats, numbers: NDArray[np.intp], weights: Weights
) -> dict[str, Floats]:
    """Every measure under several weightings of the groups, as resampling asks for.

    Args:
        predicted: Predicted dead shares, shape ``(n,)``.
        true: True ones, likewise.
        numbers: Number of each one's group, likewise; see ``group_numbers``.
        weights: Of the groups, shape ``(n_resamples, n_groups)``.

    Returns:
        By the names of ``MEASURES``, each of shape ``(n_resamples,)``; NaN where there is none.

    >>> predicted, true = np.array([0.2, 0.4, 0.9]), np.array([0.1, 0.4, 0.6])
    >>> weights = np.array([[1.0, 1.0], [1.0, 0.0]])
    >>> weighted_measures(predicted, true, np.array([0, 0, 1]), weights)["mae"].round(3)
    array([0.133, 0.05 ])
    """
    of_shares = weights[:, numbers]
    return {name: measure.function(of_shares, predicted, true) for name, measure in MEASURES.items()}


def limits_of_agreement(differences: Floats) -> Interval | None:
    """Mean difference -+ 1.96 standard deviations (Bland and Altman, 1986); None of fewer than two.

    Args:
        differences: Predicted minus true shares, shape ``(n,)``.

    >>> low, high = limits_of_agreement(np.array([-0.1, 0.0, 0.1]))
    >>> round(low, 3), round(high, 3)
    (-0.196, 0.196)
    """
    if len(differences) < 2:
        return None
    bias, half = float(differences.mean()), LIMITS_OF_AGREEMENT * float(differences.std(ddof=1))
    return bias - half, bias + half


def why_not_told(over_groups: Jackknife) -> str:
    """Why a statistic of enough groups has no interval.

    >>> why_not_told(Jackknife(0.5, np.array([0.5, np.nan, 0.5])))
    'without one of the groups it cannot be had'
    """
    if not np.isfinite(over_groups.left_out).all():
        return "without one of the groups it cannot be had"
    return "it is the same whichever group is left out, so they do not tell how far it is off"


def _why_no_value(measure: Measure, value: float, predicted: Floats, true: Floats) -> str | None:
    n = len(true)
    if n == 0:
        return "nothing has both a predicted and a true share"
    if not measure.is_correlation:
        return None
    if n < _FEWEST_CORRELATED:
        return f"{n} value{'s' * (n != 1)} {'are' if n != 1 else 'is'} too few for a correlation"
    if np.isfinite(value):
        return None
    constant = [word for word, values in (("predicted", predicted), ("true", true)) if np.ptp(values) ** 2 < _CONSTANT]
    return f"every {' and every '.join(constant)} share is the same"


def _mean(weights: Weights, values: Floats) -> Floats:
    return np.asarray((weights * values).sum(1) / weights.sum(1))


def _mean_absolute_error(weights: Weights, predicted: Floats, true: Floats) -> Floats:
    return _mean(weights, np.abs(predicted - true))


def _bias(weights: Weights, predicted: Floats, true: Floats) -> Floats:
    return _mean(weights, predicted - true)


def _moments(weights: Weights, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Variances of x and y, 0 where it is rounding alone, and their covariance, each ``(n_resamples,)``."""
    x, y = (values - _mean(weights, values)[:, None] for values in (x, y))
    variances = (_mean(weights, values**2) for values in (x, y))
    of_x, of_y = (np.where(variance < _CONSTANT, 0, variance) for variance in variances)
    return of_x, of_y, np.where(of_x * of_y > 0, _mean(weights, x * y), 0)


def _pearson(weights: Weights, predicted: Floats, true: Floats) -> Floats:
    of_predicted, of_true, covariance = _moments(weights, predicted, true)
    return np.clip(ratio(covariance, np.sqrt(of_predicted * of_true)), -1, 1)


def _spearman(weights: Weights, predicted: Floats, true: Floats) -> Floats:
    return _pearson(weights, _ranks(weights, predicted), _ranks(weights, true))


def _ranks(weights: Weights, values: Floats) -> Floats:
    """Weight below each value plus half of that at it, as a share of all, shape ``(n_resamples, n)``."""
    order = np.argsort(values, kind="stable")
    up_to = np.cumsum(np.pad(weights[:, order], ((0, 0), (1, 0))), axis=1)
    below, not_above = (np.searchsorted(values[order], values, side=side) for side in ("left", "right"))
    return np.asarray((up_to[:, below] + up_to[:, not_above]) / (2 * up_to[:, -1:]))


def _concordance(weights: Weights, predicted: Floats, true: Floats) -> Floats:
    of_predicted, of_true, covariance = _moments(weights, predicted, true)
    apart = of_predicted + of_true + _bias(weights, predicted, true) ** 2
    return np.clip(ratio(2 * covariance, np.where(apart < _CONSTANT, 0, apart)), -1, 1)


MEASURES: Final = {
    "mae": Measure("mean absolute error", _mean_absolute_error, (0, 1), higher_is_better=False, is_correlation=False),
    "bias": Measure("bias", _bias, (-1, 1), higher_is_better=None, is_correlation=False),
    "pearson": Measure("Pearson's r", _pearson, (-1, 1), higher_is_better=True),
    "spearman": Measure("Spearman's rho", _spearman, (-1, 1), higher_is_better=True),
    "concordance": Measure("concordance correlation", _concordance, (-1, 1), higher_is_better=True),
}
"""Every measure by name."""
