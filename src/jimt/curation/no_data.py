"""Which pixels of a raw image pair hold no data: what an alignment fills with zeros at an image's edge."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError
from jimt.curation.images import Image

_MAX_ZEROS_INSIDE = 0.01  # of a channel's aligned part: with more, zero is a grey value of that channel
_MIN_ALIGNED = 0.5  # of the image: no registration shifts a channel further


def no_data_mask(brightfield: Image, fluorescence: Image) -> NDArray[np.bool_]:
    """Pixels that are no data, in both channels alike: zero in both, or padding of one of them.

    Where a registration has moved one channel alone, its padding lies beside real pixels of the other. What is left of
    a moved or turned image is convex, so padding is what lies outside the convex hull of a channel's other pixels. A
    channel that is zero inside that hull as well, as a fluorescence image whose background was subtracted, has no
    padding that could be told from its signal.

    Args:
        brightfield: One channel.
        fluorescence: The other, of the same shape.

    Returns:
        True where there is no data, shape of the images.

    Raises:
        BadImageError: If no pixel is left.
    """
    zeros = [_zeros(channel) for channel in (brightfield, fluorescence)]
    if zeros[0] is None and zeros[1] is None:
        return np.zeros(brightfield.shape, np.bool_)
    mask = np.zeros(brightfield.shape, np.bool_)
    if zeros[0] is not None and zeros[1] is not None:
        mask |= zeros[0] & zeros[1]
    for of_channel in zeros:
        if of_channel is not None:
            mask |= _padding(of_channel)
    if mask.all():
        raise BadImageError(
            "holds no pixel that is data in both channels (zero-filled edges cover them)",
            advice="align it again, or remove it",
        )
    return mask


def _zeros(image: Image) -> NDArray[np.bool_] | None:
    """Pixels that are exactly zero; None where there is none."""
    low, high, *_ = cv2.minMaxLoc(image)  # five times as fast as the comparison, and enough for most images
    if low > 0 or high < 0:
        return None
    zeros = np.asarray(image == 0)
    return zeros if zeros.any() else None


def _padding(zeros: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Zeros outside the convex hull of the other pixels, where these are what an alignment has left."""
    nothing = np.zeros(zeros.shape, np.bool_)
    edges = zeros[[0, -1]].any() or zeros[:, [0, -1]].any()
    rows = np.flatnonzero(~zeros.all(axis=1))
    if not edges or not len(rows):
        return nothing
    of_rows = ~zeros[rows]
    first, last = of_rows.argmax(axis=1), zeros.shape[1] - 1 - of_rows[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)]).astype(np.int32)
    hull = _inside(cv2.convexHull(ends)[:, 0], zeros.shape)
    n_inside = int(hull.sum())
    if n_inside < _MIN_ALIGNED * zeros.size or (zeros & hull).sum() > _MAX_ZEROS_INSIDE * n_inside:
        return nothing
    return np.asarray(zeros & ~hull)


def _inside(corners: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels whose centre lies in a convex polygon of corners ``(x, y)``; OpenCV's fill takes in more at its edge."""
    left, right = np.full(shape[0], np.inf), np.full(shape[0], -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        rows = np.arange(min(y0, y1), max(y0, y1) + 1)
        # both ends of a level edge are ends of its neighbours as well
        x = np.interp(rows, [y0, y1], [x0, x1]) if y0 < y1 else np.interp(rows, [y1, y0], [x1, x0])
        left[rows], right[rows] = np.minimum(left[rows], x), np.maximum(right[rows], x)
    columns = np.arange(shape[1])
    rounding = 1e-6  # pixels
    return np.asarray((columns >= left[:, None] - rounding) & (columns <= right[:, None] + rounding))
