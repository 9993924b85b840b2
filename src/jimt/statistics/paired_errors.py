"""Errors of several answers to the same fields, each alone and against the others, with intervals over groups."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import group_numbers, jackknife
from jimt.statistics.weighted_patches import Floats, Weights


@dataclass(frozen=True)
class MeanError:
    """A mean absolute error, or a difference of two, with its interval over groups; None where there is none."""

    value: float
    interval: Interval | None


def mean_errors(
    errors: Mapping[str, Floats], groups: NDArray[np.object_], *, confidence: float
) -> dict[str, MeanError]:
    """Mean of each kind of error over fields, every field alike.

    Args:
        errors: By kind, absolute errors of the fields, from 0 to 1, shape ``(n_fields,)``.
        groups: Group of each, likewise.
        confidence: Coverage of the intervals.

    Returns:
        Of each kind, and of the first less each other one as ``first - other``.

    >>> errors = {"new": np.array([0.1, 0.2, 0.2]), "old": np.array([0.3, 0.2, 0.4])}
    >>> found = mean_errors(errors, np.array(["a", "b", "c"], object), confidence=0.95)
    >>> {name: round(mean.value, 3) for name, mean in found.items()}
    {'new': 0.167, 'old': 0.3, 'new - old': -0.133}
    """
    first, *others = errors
    values = dict(errors) | {f"{first} - {other}": errors[first] - errors[other] for other in others}
    numbers = group_numbers(groups)

    def means(weights: Weights) -> dict[str, Floats]:
        of_fields = weights[:, numbers]
        return {name: of_fields @ each / of_fields.sum(axis=1) for name, each in values.items()}

    over_groups = jackknife(means, groups)
    found = {}
    for name, each in values.items():
        bounds = (0.0, 1.0) if name in errors else (-1.0, 1.0)
        told = None if over_groups is None else over_groups[name]
        interval = None if told is None else interval_over_groups(told, confidence=confidence, bounds=bounds)
        found[name] = MeanError(float(each.mean()), interval)
    return found
