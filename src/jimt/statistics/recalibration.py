"""Whether predicted dead shares that are off would be right on another scale: a straight line through other groups."""

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.resampling import group_numbers
from jimt.statistics.weighted_patches import Floats

MIN_GROUPS = 4
"""Of fewer, a line through the others goes where chance has put two or three points."""
_NO_SPREAD = 1e-12


def left_out_errors(predicted: Floats, true: Floats, groups: NDArray[np.object_]) -> tuple[float, float] | None:
    """Mean absolute errors of two guesses at the true shares of a group, both made from the other groups alone.

    Args:
        predicted: Predicted dead shares, shape ``(n,)``.
        true: True ones, likewise.
        groups: Group of each, likewise.

    Returns:
        Of a straight line by least squares through the others' predicted and true shares, within 0 to 1, and of their
        mean true share, the same for all; None of fewer than ``MIN_GROUPS`` groups. A line that would fall is level:
        a model that takes the living for dead is not to be mended by turning its answers round.

    >>> true = np.array([0.0, 0.2, 0.4, 0.8])
    >>> line, constant = left_out_errors(0.5 + true / 4, true, np.array(list("abcd"), object))
    >>> round(line, 3), round(constant, 3)
    (0.0, 0.333)
    """
    numbers = group_numbers(groups)
    if len(numbers) == 0 or numbers.max() + 1 < MIN_GROUPS:
        return None
    line, constant = np.empty((2, len(true)))
    for number in range(int(numbers.max()) + 1):
        held = numbers == number
        mean = true[~held].mean()
        centred = predicted[~held] - predicted[~held].mean()
        spread = float(centred @ centred)
        slope = max(float(centred @ true[~held]) / spread, 0.0) if spread > _NO_SPREAD else 0.0
        line[held] = np.clip(mean + slope * (predicted[held] - predicted[~held].mean()), 0, 1)
        constant[held] = mean
    return float(np.abs(line - true).mean()), float(np.abs(constant - true).mean())
