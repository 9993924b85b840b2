"""The dead share of a field that a patch model gives, and its calibration to the true one.

A patch that is scored live may hold dead cells, and one that is scored dead living ones, so the mean of 1 - P(live)
rises with the dead share and is not it. A monotone calibration, fitted on fields whose truth is known, maps one to the
other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from jimt.statistics.weighted_patches import Floats


def share_of_field(
    scores: Floats, y: NDArray[np.integer], x: NDArray[np.integer], *, height: int, width: int, size: int
) -> float | None:
    """Mean of 1 - P(live) over the pixels of a field; a pixel that several patches share has their mean.

    Args:
        scores: P(live) of its patches, shape ``(n_patches,)``.
        y: Top-left corners, pixels, likewise.
        x: Likewise.
        height: Of the field, pixels; what of a patch lies outside is cut off.
        width: Likewise.
        size: Side of a patch, pixels.

    Returns:
        The share, or None where no patch lies on the field: pixels in no patch take no part.

    >>> share_of_field(np.array([0.0, 1.0]), np.array([0, 0]), np.array([0, 1]), height=2, width=3, size=2)
    0.5
    >>> share_of_field(np.array([0.0]), np.array([0]), np.array([0]), height=2, width=8, size=2)  # of one fourth of it
    1.0
    """
    rows, top, bottom = _bands(y, size=size, length=height)
    columns, left, right = _bands(x, size=size, length=width)
    # the field falls into rectangles within which no patch begins or ends; each corner changes what comes after it
    patches, dead = np.zeros((2, len(rows), len(columns)))
    for row, column, sign in ((top, left, 1), (top, right, -1), (bottom, left, -1), (bottom, right, 1)):
        np.add.at(patches, (row, column), sign)
        np.add.at(dead, (row, column), sign * (1 - scores))
    patches, dead = (values.cumsum(0).cumsum(1)[:-1, :-1] for values in (patches, dead))
    covered = patches > 0
    if not covered.any():
        return None
    pixels = np.outer(np.diff(rows), np.diff(columns))[covered]
    return float(np.average(dead[covered] / patches[covered], weights=pixels))


def share_weights(y: NDArray[np.integer], x: NDArray[np.integer], *, height: int, width: int, size: int) -> Floats:
    """How much of a field each patch stands for in its dead share, shape ``(n_patches,)``; arguments as above.

    >>> share_weights(np.array([0, 0]), np.array([0, 1]), height=2, width=3, size=2)  # both have the middle
    array([0.5, 0.5])
    """
    alone = np.eye(len(y))
    return np.array([share_of_field(1 - one, y, x, height=height, width=width, size=size) for one in alone])


def _bands(
    start: NDArray[np.integer], *, size: int, length: int
) -> tuple[NDArray[np.integer], NDArray[np.intp], NDArray[np.intp]]:
    """Where patches begin or end along an axis, and the numbers of each one's two ends among these places."""
    first, last = (np.clip(ends, 0, length) for ends in (start, start + size))
    places = np.unique(np.concatenate([first, last]))
    return places, np.searchsorted(places, first), np.searchsorted(places, last)


def shares_of_groups(
    shares: Floats, groups: NDArray[np.object_], weights: Floats
) -> tuple[Floats, NDArray[np.object_]]:
    """Dead share of each group: the weighted mean of its fields.

    Args:
        shares: Of fields, shape ``(n_fields,)``; those that are NaN take no part.
        groups: Group of each, likewise.
        weights: Weight of each, likewise: its cells for a true share, or 1 for fields of equal area.

    Returns:
        The shares in the order of the groups' names, and these names, each ``(n_groups,)``; NaN where no field has one.

    >>> shares_of_groups(np.array([0.2, 0.4, 0.9]), np.array(["A", "A", "B"], object), np.array([30.0, 10.0, 5.0]))
    (array([0.25, 0.9 ]), array(['A', 'B'], dtype=object))
    """
    names, numbers = np.unique(groups.astype(str), return_inverse=True)
    known = np.isfinite(shares)
    whole, part = (
        np.bincount(numbers[known], weights=values[known], minlength=len(names))
        for values in (weights, weights * shares)
    )
    return np.divide(part, whole, out=np.full(len(names), np.nan), where=whole > 0), names.astype(object)


@dataclass(frozen=True)
class ShareCalibration:
    """A rising function from predicted to true dead shares: straight lines between knots, constant beyond the last.

    Attributes:
        predicted: Where the knots are, rising, shape ``(n_knots,)``.
        true: The share there, never falling, likewise.
    """

    predicted: tuple[float, ...]
    true: tuple[float, ...]

    def apply(self, shares: Floats) -> Floats:
        """Predicted shares, mapped to the truth; NaN stays NaN.

        Args:
            shares: Of any shape; one beyond the knots takes the value of the nearest.

        >>> ShareCalibration((0.2, 0.6), (0.0, 0.8)).apply(np.array([0.1, 0.3, 0.9])).round(3)
        array([0. , 0.2, 0.8])
        """
        return np.interp(shares, self.predicted, self.true)


def fit_share_calibration(predicted: Floats, true: Floats, cells: Floats | None) -> ShareCalibration | None:
    """Isotonic regression of true on predicted dead shares of training fields, within 0 to 1.

    Of one field, or of fields whose true shares are all the same, it is a constant; so it is, namely their mean, of
    fields whose true shares fall where the predicted ones rise.

    Args:
        predicted: Shares that the model gives, shape ``(n_fields,)``.
        true: True shares, likewise. Fields where either is NaN take no part.
        cells: Cells of each field, which are its weight, likewise; None where all fields weigh alike.

    Returns:
        The calibration, or None where no field has a predicted and a true share.

    >>> fitted = fit_share_calibration(np.array([0.1, 0.3, 0.4, 0.8]), np.array([0.0, 0.3, 0.1, 0.9]), None)
    >>> fitted.apply(np.array([0.0, 0.3, 0.4, 0.8])).round(3)  # the two in the wrong order have their mean
    array([0. , 0.2, 0.2, 0.9])
    """
    known = np.isfinite(predicted) & np.isfinite(true) & (True if cells is None else cells > 0)
    if not known.any():
        return None
    fitted = IsotonicRegression(y_min=0, y_max=1, increasing=True)
    fitted.fit(predicted[known], true[known], sample_weight=None if cells is None else cells[known])
    return ShareCalibration(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))
