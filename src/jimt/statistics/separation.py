"""How far a measure of fields tells two data sets apart."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from jimt.statistics.estimates import estimates
from jimt.statistics.intervals import Interval
from jimt.statistics.resampling import group_numbers, resample_groups
from jimt.statistics.weighted_patches import Floats

_LEAST_SD: Final = 0.05
"""Of the logarithm of a measure: fields that are all alike to 5 % say nothing against others that differ by as much."""
_RESAMPLES: Final = 1000
_EXCHANGES: Final = 5000


@dataclass(frozen=True)
class Typical:
    """The median of a measure over the fields of a data set, with its interval over groups, None where none is told."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Separation:
    """How far a measure tells the fields of two data sets apart.

    Attributes:
        area: Area under the ROC curve of telling a field's data set by the measure, from 0.5, not at all, to 1.
        interval: Over groups of both; None of fewer than it takes, and where not one field is mistaken.
        standard_deviations: Difference of the medians of its logarithm, in standard deviations within data sets.
        beyond_chance: Whether groups that are exchanged between the data sets at random are hardly ever told apart so
            well, be it by the best of all measures that are compared. It needs no interval, which a single field that
            is unlike its data set makes wide.
    """

    area: float
    interval: Interval | None
    standard_deviations: float
    beyond_chance: bool


def _chance(labels: NDArray[np.intp], values: Floats, groups: NDArray[np.object_], *, seed: int) -> float:
    """How often data sets that exchange groups at random are told apart as well; these as they are count too.

    Args:
        labels: Data set of each field, 0 or 1, shape ``(n_fields,)``.
        values: The measure, likewise.
        groups: Group of each field, likewise, none in both data sets.
        seed: Of the exchanges.
    """
    numbers = group_numbers(groups)
    ranks, sizes = np.bincount(numbers, weights=rankdata(values)), np.bincount(numbers)
    of_first = np.bincount(numbers, weights=labels) == 0
    rng = np.random.default_rng(seed)
    drawn = np.stack([of_first, *(rng.permutation(of_first) for _ in range(_EXCHANGES))])
    n_first = drawn @ sizes
    pairs = n_first * (len(values) - n_first)
    areas = (drawn @ ranks - n_first * (n_first + 1) / 2) / pairs
    apart = np.abs(areas - 0.5)
    return float(np.mean(apart >= apart[0] - 1e-9))


def typical(values: Floats, groups: NDArray[np.object_] | None, *, confidence: float, seed: int) -> Typical:
    """Median of fields; its interval by the percentiles of a bootstrap over groups.

    Args:
        values: Of fields, shape ``(n_fields,)``.
        groups: Group of each, likewise; None where nothing tells.
        confidence: Coverage wanted.
        seed: Of the resampling.
    """
    value = float(np.median(values))
    resamples = None if groups is None else resample_groups(groups, n_resamples=_RESAMPLES, seed=seed)
    if resamples is None:
        return Typical(value, None)
    order = np.argsort(values)
    found = []
    for counts in resamples.counts[:, resamples.patch_groups[order]]:
        drawn = np.cumsum(counts)
        places = np.searchsorted(drawn, [(drawn[-1] - 1) // 2, drawn[-1] // 2], side="right")  # both in the middle
        found.append(values[order][places].mean())
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Typical(value, (float(low), float(high)))


def separation(
    values: tuple[Floats, Floats],
    groups: tuple[NDArray[np.object_] | None, NDArray[np.object_] | None],
    *,
    confidence: float,
    n_compared: int,
    seed: int,
) -> Separation:
    """How far a measure tells two data sets apart.

    Args:
        values: Of the fields of the first and of the second, each shape ``(n_fields,)`` and above 0.
        groups: Group of each, likewise; None where nothing tells.
        confidence: Coverage wanted.
        n_compared: Measures that are held against each other: of so many, one may tell them apart by chance.
        seed: Of the exchanges of groups by which chance is told.

    >>> one, other = np.array([1.0, 1.1, 1.2]), np.array([2.0, 2.2, 1.15])
    >>> names = np.array(["a", "b", "c"], object)
    >>> round(separation((one, other), (names, names), confidence=0.95, n_compared=1, seed=0).area, 3)  # 8 of 9 pairs
    0.889
    """
    labels = np.repeat([0, 1], [len(each) for each in values])
    both = np.concatenate(values)
    known = [each for each in groups if each is not None]
    names = None
    if len(known) == len(groups):
        names = np.array([f"{i}/{name}" for i, each in enumerate(known) for name in each], object)
    found = estimates(labels, both, names, names=["auroc"], confidence=confidence, seed=0)["auroc"]
    area, interval = found.value, found.interval_groups
    if area < 0.5:
        area, interval = 1 - area, None if interval is None else (1 - interval[1], 1 - interval[0])
    beyond = names is not None and _chance(labels, both, names, seed=seed) < (1 - confidence) / n_compared
    logs = [np.log(each) for each in values]
    spread = np.sqrt(np.mean([each.var() for each in logs]) + _LEAST_SD**2)
    far = abs(float(np.median(logs[1]) - np.median(logs[0]))) / float(spread)
    return Separation(float(area), interval, far, beyond)
