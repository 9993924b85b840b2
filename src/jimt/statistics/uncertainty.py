"""What is too near to even to be counted on, and the dead shares that this leaves open."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.statistics.dead_share import share_of_field
from jimt.statistics.weighted_patches import Floats
from jimt.vocabulary import STRIDE

UNCERTAIN: Final = (0.25, 0.75)
"""Calibrated probabilities between which nothing is counted on: there at least one call in four is wrong."""
Range = tuple[float, float]


def uncertain(probabilities: Floats) -> NDArray[np.bool_]:
    """Which probabilities, of living or of being dead alike, are too near to even; NaN is not.

    >>> uncertain(np.array([0.1, 0.25, 0.3, 0.7, 0.75, np.nan])).tolist()
    [False, False, True, True, False, False]
    """
    low, high = UNCERTAIN
    return np.asarray((probabilities > low) & (probabilities < high))


def range_of_patches(
    scores: Floats, y: NDArray[np.integer], x: NDArray[np.integer], *, height: int, width: int, size: int
) -> Range | None:
    """``share_of_field`` with every uncertain patch taken for living, and for dead; None where it is.

    Arguments as of ``share_of_field``.

    >>> range_of_patches(np.array([0.1, 0.6]), np.array([0, 0]), np.array([0, 2]), height=2, width=4, size=2)
    (0.45, 0.95)
    """
    ends = []
    for taken_for in (1.0, 0.0):
        share = share_of_field(
            np.where(uncertain(scores), taken_for, scores), y, x, height=height, width=width, size=size
        )
        if share is None:
            return None
        ends.append(share)
    return ends[0], ends[1]


def range_of_area(dead: Floats, cells: Floats) -> Range | None:
    """Dead share of the area of cells with every uncertain place taken for living, and for dead; None without cells.

    Args:
        dead: Probability that a place is dead, shape ``(height, width)``.
        cells: Share of it that is of cells, likewise.

    >>> range_of_area(np.array([[0.9, 0.5, 0.1, 0.9]]), np.array([[1.0, 1.0, 1.0, 0.0]]))
    (0.3333333333333333, 0.6666666666666666)
    """
    if not cells.any():
        return None
    unclear = uncertain(dead)
    living, all_dead = (np.average(np.where(unclear, value, dead), weights=cells) for value in (0.0, 1.0))
    return float(living), float(all_dead)


def range_of_nuclei(nuclei: pd.DataFrame, dead: NDArray[np.floating], live: NDArray[np.floating]) -> Range | None:
    """Dead share of nuclei with every uncertain one taken for living, and for dead; None without nuclei.

    Args:
        nuclei: ``y`` and ``x`` in pixels and ``dead``, as ``nuclei_of_maps`` gives them.
        dead: Probability that a place lies in a dead nucleus, shape ``(height, width)``.
        live: In a living one, likewise.

    >>> nuclei = pd.DataFrame({"y": [1.5, 1.5, 1.5], "x": [1.5, 5.5, 9.5], "dead": [True, True, False]})
    >>> range_of_nuclei(nuclei, np.array([[0.9, 0.5, 0.1]]), np.array([[0.1, 0.4, 0.8]]))
    (0.3333333333333333, 0.6666666666666666)
    """
    if not len(nuclei):
        return None
    places = tuple(nuclei[axis].to_numpy(np.int64) // STRIDE for axis in ("y", "x"))
    unclear = uncertain(dead[places] / (dead[places] + live[places]))
    told = nuclei["dead"].to_numpy(bool)
    return float((told & ~unclear).mean()), float((told | unclear).mean())
