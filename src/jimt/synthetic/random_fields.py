"""Smooth random maps: what varies slowly over a well plate's bottom (death, bare plastic, focus, light)."""

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]

NODES_PER_LENGTH = 2.5
"""Coarse grid points per correlation length: enough for cubic interpolation to show no grid."""

FINEST_BLUR = 1.5
"""A blurred image is sampled finely enough if its kernel still has this standard deviation, px of the smaller copy."""


def smooth_field(rng: np.random.Generator, *, height: int, width: int, length: float) -> FloatImage:
    """Draw a Gaussian random map, standardised over the image it was drawn for.

    Args:
        rng: Source of randomness.
        height: Rows.
        width: Columns.
        length: Standard deviation of the smoothing kernel, px; structures are about three times as wide.

    Returns:
        Mean 0 and standard deviation 1 over the image, but for interpolation, shape ``(height, width)``.
    """
    step = max(1.0, length / NODES_PER_LENGTH)
    sigma = length / step
    margin = int(np.ceil(3 * sigma))
    rows, columns = int(np.ceil(height / step)) + 1, int(np.ceil(width / step)) + 1
    white = rng.standard_normal((rows + 2 * margin, columns + 2 * margin), dtype=np.float32)
    taps = 2 * margin + 1
    smooth = cv2.GaussianBlur(white, (taps, taps), sigma)[margin:-margin, margin:-margin]
    standardised = (smooth - smooth.mean()) / smooth.std()
    return np.asarray(cv2.resize(standardised, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def rise_above_quantile(field: FloatImage, *, share: float, softness: float) -> FloatImage:
    """Turn a smooth map into a soft mask of its highest part.

    Args:
        field: A standardised map.
        share: Part of the image the mask covers, 0 to 1; exactly 0 and 1 give masks of 0 and 1 throughout.
        softness: Width of the transition in standard deviations of the map.

    Returns:
        Values in 0 to 1, one half where the map passes its ``1 - share`` quantile.
    """
    if share <= 0 or share >= 1:
        return np.full_like(field, float(share >= 1))
    middle = float(np.quantile(field[::4, ::4], 1 - share))
    mask: FloatImage = 1 / (1 + np.exp(np.clip((middle - field) / softness, -30, 30)))
    return mask


def gaussian_blur(image: FloatImage, *, sigma: float) -> FloatImage:
    """Blur; wide kernels work on a smaller copy, which is the same picture at a fraction of the cost.

    Args:
        image: Any map, shape ``(height, width)``.
        sigma: Standard deviation of the kernel, px.
    """
    shrink = max(1, int(sigma // FINEST_BLUR))
    taps = 2 * int(np.ceil(3 * sigma / shrink)) + 1
    if shrink == 1:
        return np.asarray(cv2.GaussianBlur(image, (taps, taps), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
    height, width = image.shape
    small = cv2.resize(image, (-(-width // shrink), -(-height // shrink)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (taps, taps), sigma / shrink, borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
