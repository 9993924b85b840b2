"""How far a field lies from the fields of a training, and from which distance on it is unlike them.

A new field is of a new group: another experiment, well or plate. So distances are measured in what separates groups
and fields within groups, and the limits come from fields of groups that were left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.model_selection import GroupKFold

from jimt.statistics.intervals import Interval
from jimt.statistics.resampling import group_numbers, resample_groups
from jimt.statistics.weighted_patches import Floats

MIN_GROUPS: Final = 5
"""With fewer no limit is told: the largest value of G groups is exceeded by a field of a further one up to once in
G + 1 times, so of four groups in a fifth of all cases."""
_N_FOLDS: Final = 20
"""Of so many groups each is left out alone; of more, several at once, since each time all is fitted anew."""
_NO_SPREAD: Final = 1e-12


@dataclass(frozen=True)
class Spread:
    """How the features of fields are spread about their mean, from group to group and within groups.

    Attributes:
        mean: Shape ``(n_features,)``; every group counts alike.
        directions: Along which the spread is largest, each of length 1, shape ``(n_directions, n_features)``.
        variances: Along each, shape ``(n_directions,)``.
        rest: Variance along any direction at right angles to these.
    """

    mean: Floats
    directions: Floats
    variances: Floats
    rest: float

    def distances(self, features: Floats) -> Floats:
        """Mahalanobis distance over the root of the number of features, shape ``(n,)``; of typical fields about 1.

        Args:
            features: Shape ``(n, n_features)``.

        >>> flat = Spread(np.zeros(2), np.array([[1.0, 0.0]]), np.array([4.0]), 1.0)
        >>> flat.distances(np.array([[2.0, 0.0], [0.0, 2.0]])).round(3).tolist()
        [0.707, 1.414]
        """
        centred = features - self.mean
        along = centred @ self.directions.T
        beside = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
        squares = (along**2 / self.variances).sum(axis=1) + beside / self.rest
        return np.asarray(np.sqrt(squares / features.shape[1]))


def fit_spread(features: Floats, groups: NDArray[np.object_], *, n_directions: int) -> Spread:
    """The covariance of group means and that of fields about them, each shrunken after Ledoit and Wolf, added.

    There are fewer groups than features, so the covariance itself has no inverse; shrunken, it takes every direction
    that no training field has gone as the least variable one (J. Multivar. Anal. 88, 2004).

    Args:
        features: Of fields, shape ``(n_fields, n_features)``.
        groups: Group of each, shape ``(n_fields,)``.
        n_directions: How many are kept; the variance of the others is averaged.
    """
    numbers = group_numbers(groups)
    sizes = np.bincount(numbers)
    means = np.stack([features[numbers == number].mean(axis=0) for number in range(len(sizes))])
    mean = means.mean(axis=0)
    degrees = len(features) - len(sizes)  # of freedom within groups
    parts = [(means - mean, len(sizes))]
    if degrees:
        parts.append((features - means[numbers], degrees))
    rows, even = [], _NO_SPREAD
    for deviations, n in parts:
        shrinkage = float(ledoit_wolf_shrinkage(deviations, assume_centered=True)) if deviations.any() else 0.0
        rows.append(np.sqrt((1 - shrinkage) / n) * deviations)
        even += shrinkage * float((deviations**2).sum()) / n / features.shape[1]
    _, roots, directions = np.linalg.svd(np.concatenate(rows), full_matrices=False)
    variances = roots**2
    n_kept = min(n_directions, len(variances))
    n_others = features.shape[1] - n_kept
    rest = even + (float(variances[n_kept:].sum()) / n_others if n_others else 0.0)
    return Spread(mean, directions[:n_kept], variances[:n_kept] + even, rest)


def left_out(groups: NDArray[np.object_]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Fields that are fitted on and fields that are held out, whole groups, until each was held out once."""
    numbers = group_numbers(groups)
    folds = GroupKFold(min(_N_FOLDS, int(numbers.max()) + 1))
    yield from folds.split(numbers, groups=numbers)


def joint_limits(values: Floats, groups: NDArray[np.object_], *, false_alarms: float) -> Floats:
    """Limits that a field of a new group exceeds, any of them, at most as often as ``false_alarms`` says.

    Each kind of value counts in units of its root mean square, and the largest of a field decides: so one limit serves
    all kinds, and no more fields exceed any than exceed it. Every group weighs alike, and a further one as much as each
    of them is taken to exceed everything, so that the rate holds for a group that is drawn as these were (Dunn et al.,
    J. Am. Stat. Assoc. 118, 2023). Of groups too few for that, the limit is the largest value.

    Args:
        values: Of fields held out, 0 or above, shape ``(n_fields, n_kinds)``.
        groups: Group of each, shape ``(n_fields,)``.
        false_alarms: Share of fields.

    Returns:
        Shape ``(n_kinds,)``.

    >>> names = np.array([f"A{number}" for number in range(19)], object)
    >>> round(float(joint_limits(np.arange(1.0, 20.0)[:, None], names, false_alarms=0.1)[0]), 6)  # 20th, and one
    18.0
    """
    numbers = group_numbers(groups)
    weights = 1.0 / np.bincount(numbers)[numbers]
    return _joint_limits(values, weights, int(numbers.max()) + 1, false_alarms)


def _joint_limits(values: Floats, weights: Floats, n_groups: int, false_alarms: float) -> Floats:
    units = np.maximum(np.sqrt(np.average(values**2, axis=0, weights=weights)), _NO_SPREAD)
    return np.asarray(units * _limit((values / units).max(axis=1), weights, n_groups, false_alarms))


def _limit(values: Floats, weights: Floats, n_groups: int, false_alarms: float) -> float:
    order = np.argsort(-values, kind="stable")
    # above each value lie those before it, and the further group
    above = (1.0 + np.cumsum(weights[order]) - weights[order]) / (n_groups + 1)
    allowed = np.flatnonzero(above <= false_alarms + _NO_SPREAD)
    return float(values[order[allowed[-1] if len(allowed) else 0]])


def limits_interval(
    values: Floats, groups: NDArray[np.object_], *, false_alarms: float, n_resamples: int, confidence: float, seed: int
) -> Interval | None:
    """Interval of the first of ``joint_limits`` over groups, in units of it; None of fewer groups than it takes.

    Args:
        values: As of ``joint_limits``.
        groups: Likewise.
        false_alarms: Likewise.
        n_resamples: Of the bootstrap.
        confidence: Coverage wanted.
        seed: Of the resampling.
    """
    resamples = resample_groups(groups, n_resamples=n_resamples, seed=seed)
    if resamples is None:
        return None
    numbers, n_groups = resamples.patch_groups, resamples.counts.shape[1]
    weights = resamples.scaled(resamples.counts)[:, numbers] / np.bincount(numbers)[numbers]
    limit = joint_limits(values, groups, false_alarms=false_alarms)[0]
    found = [_joint_limits(values[held > 0], held[held > 0], n_groups, false_alarms)[0] for held in weights]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.array(found) / limit, [tail, 1 - tail])
    return float(low), float(high)
