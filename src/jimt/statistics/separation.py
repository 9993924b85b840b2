"""How far a measure of fields tells two data sets apart."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.estimates import estimates
from jimt.statistics.intervals import Interval
from jimt.statistics.resampling import resample_groups
from jimt.statistics.weighted_patches import Floats

_LEAST_SD: Final = 0.05
"""Of the logarithm of a measure: fields that are all alike to 5 % say nothing against others that differ by as much."""
_RESAMPLES: Final = 1000


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
        beyond_chance: Whether the interval lies above 0.5; where not one field is mistaken, whether the groups are so
            many that chance alone hardly parts them so.
    """

    area: float
    interval: Interval | None
    standard_deviations: float
    beyond_chance: bool


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
) -> Separation:
    """How far a measure tells two data sets apart.

    Args:
        values: Of the fields of the first and of the second, each shape ``(n_fields,)`` and above 0.
        groups: Group of each, likewise; None where nothing tells.
        confidence: Coverage wanted.

    >>> one, other = np.array([1.0, 1.1, 1.2]), np.array([2.0, 2.2, 1.15])
    >>> names = np.array(["a", "b", "c"], object)
    >>> round(separation((one, other), (names, names), confidence=0.95).area, 3)  # 8 of 9 pairs
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
    beyond = interval is not None and interval[0] > 0.5
    if area == 1.0 and names is not None:
        n_groups = [len(set(each)) for each in known]
        beyond = 2 / math.comb(sum(n_groups), n_groups[0]) < 1 - confidence
    logs = [np.log(each) for each in values]
    spread = np.sqrt(np.mean([each.var() for each in logs]) + _LEAST_SD**2)
    far = abs(float(np.median(logs[1]) - np.median(logs[0]))) / float(spread)
    return Separation(float(area), interval, far, beyond)
