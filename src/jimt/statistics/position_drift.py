"""Whether a position that is imaged again and again stays what it was: as sharp, as bright, and in its place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Shift = tuple[float, float]
"""Down and right, pixels."""


def drifted(values: Sequence[float | None], *, limit: float) -> NDArray[np.bool_]:
    """Time points at which a measure of a position differs from the median of its other time points.

    >>> drifted([100, 101, None, 99, 60], limit=0.2).tolist()
    [False, False, False, False, True]

    Args:
        values: Of each time point, above zero; None where it is not known.
        limit: Share of that median by which a value may be above it, or that median above the value.
    """
    known = np.array([np.nan if value is None else value for value in values], np.float64)
    factors = np.ones(len(known))
    for place in np.flatnonzero(np.isfinite(known)):
        others = np.delete(known, place)
        others = others[np.isfinite(others)]
        if len(others):
            factors[place] = known[place] / np.median(others)
    return (factors > 1 + limit) | (factors < 1 / (1 + limit))


def moved(shifts: Sequence[Shift | None], *, limit: float) -> NDArray[np.bool_]:
    """Time points by which a position has moved farther than a limit since the last one that was told of, or the first.

    A jump is told of once, where it happens, and a slow drift each time that it has come so far.

    >>> moved([None, (0, 1), (30, 2), (0, 0)], limit=10).tolist()
    [False, False, True, False]
    >>> moved([None, (4, 0), (4, 0), (4, 0)], limit=10).tolist()
    [False, False, False, True]

    Args:
        shifts: Of each time point, from the one before; None where nothing tells it, as of the first.
        limit: Pixels.
    """
    told = np.zeros(len(shifts), np.bool_)
    y = x = 0.0
    for place, shift in enumerate(shifts):
        if shift is None:
            continue
        y, x = y + shift[0], x + shift[1]
        if np.hypot(y, x) > limit:
            told[place] = True
            y = x = 0.0
    return told
