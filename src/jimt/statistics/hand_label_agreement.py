"""Agreement of two judges on the same patches, and how well a filter finds empty ones, with intervals over groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import group_numbers, jackknife
from jimt.statistics.weighted_patches import Floats, Weights


@dataclass(frozen=True)
class Agreement:
    """A measure of agreement.

    Attributes:
        value: Of all patches; None where it cannot be had.
        interval: Over groups; None where there are too few of them, or nothing differs between them.
    """

    value: float | None
    interval: Interval | None


def cohen_kappa(tables: NDArray[Any]) -> Floats:
    """Cohen's kappa (Educ. Psychol. Meas. 20, 1960) of each of several tables of two judges' words.

    >>> cohen_kappa(np.array([[[20, 5], [10, 15]]]))  # agreement 0.7 where chance gives 0.5
    array([0.4])

    Args:
        tables: Shape ``(n, n_words, n_words)``: how often one judge said what and the other what.

    Returns:
        Shape ``(n,)``; NaN where both said one word throughout, which agree by chance alone.
    """
    total = tables.sum((1, 2), dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.trace(tables, axis1=1, axis2=2) / total
        chance = (tables.sum(1) * tables.sum(2)).sum(1) / total**2
        return np.asarray((observed - chance) / (1 - chance), np.float64)


def kappa_over_groups(
    first: NDArray[np.object_], second: NDArray[np.object_], groups: NDArray[np.object_], *, confidence: float
) -> Agreement:
    """Cohen's kappa of two judges, with its interval over groups.

    Args:
        first: Words of one judge, shape ``(n_patches,)``.
        second: Words of the other, likewise.
        groups: Group of each patch, likewise: patches of one group are not independent.
        confidence: Coverage wanted.
    """
    words, said = np.unique(np.concatenate([first, second]).astype(str), return_inverse=True)
    n, numbers = len(words), group_numbers(groups)
    tables = np.zeros((int(numbers.max(initial=-1)) + 1, n, n))
    np.add.at(tables, (numbers, said[: len(first)], said[len(first) :]), 1)
    return _over_groups(tables, groups, of=cohen_kappa, confidence=confidence, bounds=(-1, 1))


def f1_over_groups(
    truth: NDArray[np.bool_], found: NDArray[np.bool_], groups: NDArray[np.object_], *, confidence: float
) -> Agreement:
    """F1 of what was found against the truth, with its interval over groups; arguments as of ``kappa_over_groups``.

    >>> truth, found = np.array([True, True, False, False]), np.array([True, False, True, False])
    >>> f1_over_groups(truth, found, np.array(["a", "b", "c", "c"], object), confidence=0.95).value
    0.5
    """
    numbers = group_numbers(groups)
    counts = np.zeros((int(numbers.max(initial=-1)) + 1, 3))
    for column, here in enumerate((truth & found, ~truth & found, truth & ~found)):
        np.add.at(counts[:, column], numbers, here)
    return _over_groups(counts, groups, of=_f1, confidence=confidence, bounds=(0, 1))


def _f1(counts: NDArray[Any]) -> Floats:
    both, only_found, only_true = counts.T
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * both / (2 * both + only_found + only_true), np.float64)


def _over_groups(
    parts: NDArray[Any], groups: NDArray[np.object_], *, of: Any, confidence: float, bounds: tuple[float, float]
) -> Agreement:
    """A measure of sums over groups.

    Args:
        parts: What is summed, of each group, shape ``(n_groups, ...)``.
        groups: Group of each patch.
        of: From sums, shape ``(n, ...)``, to the measure, shape ``(n,)``.
        confidence: Coverage wanted.
        bounds: Least and largest value.
    """
    value = float(of(parts.sum(0, keepdims=True))[0])
    if not np.isfinite(value):
        return Agreement(None, None)

    def measured(weights: Weights) -> dict[str, Floats]:
        return {"measure": of(np.tensordot(weights, parts, 1))}

    found = jackknife(measured, groups)
    return Agreement(
        value, None if found is None else interval_over_groups(found["measure"], confidence=confidence, bounds=bounds)
    )
