"""How far a field lies from the fields of a training, and from which distance on it is unlike them.

A new field is of a new group: another experiment, well or plate. So distances are measured in what separates groups
and fields within groups, and the limits come from fields of groups that were left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.model_selection import GroupKFold

from jimt.statistics.intervals import Interval
from jimt.statistics.resampling import group_numbers, resample_groups
from jimt.statistics.weighted_patches import Floats

MIN_GROUPS: Final = 5
"""With fewer no limit is told: where groups differ, one of five lies beyond all others by chance alone."""
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


def joint_limits(values: Floats, *, false_alarms: float) -> Floats:
    """Limits of several kinds of values, any of which a share of the fields exceeds.

    Each kind has its limit at the same rank: so each raises as many alarms, however its values are distributed, and
    the rank is the one at which any alarm comes as often as asked for. Ranks count a further field with those held out.

    Args:
        values: Of fields held out, shape ``(n_fields, n_kinds)``.
        false_alarms: Share of fields.

    Returns:
        Shape ``(n_kinds,)``; of few fields the largest values.

    >>> joint_limits(np.arange(1.0, 20.0)[:, None], false_alarms=0.1).tolist()  # of 19 and a further one, two are above
    [18.0]
    """
    n = len(values)
    ranks = rankdata(-values, method="ordinal", axis=0).min(axis=1)
    rank = int(np.sort(ranks)[max(int((n + 1) * false_alarms), 1) - 1])
    return np.asarray(np.sort(values, axis=0)[n - rank])


def limits_interval(
    values: Floats, groups: NDArray[np.object_], *, false_alarms: float, n_resamples: int, confidence: float, seed: int
) -> Interval | None:
    """Interval of the first of ``joint_limits`` over groups, in units of it; None of fewer groups than it takes.

    Args:
        values: As of ``joint_limits``.
        groups: Group of each field, shape ``(n_fields,)``.
        false_alarms: As of ``joint_limits``.
        n_resamples: Of the bootstrap.
        confidence: Coverage wanted.
        seed: Of the resampling.
    """
    resamples = resample_groups(groups, n_resamples=n_resamples, seed=seed)
    if resamples is None:
        return None
    limit = joint_limits(values, false_alarms=false_alarms)[0]
    found = [
        joint_limits(np.repeat(values, counts[resamples.patch_groups], axis=0), false_alarms=false_alarms)[0]
        for counts in resamples.counts
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.array(found) / max(limit, _NO_SPREAD), [tail, 1 - tail])
    return float(low), float(high)
