"""How far a predicted image agrees with the true one, pixel by pixel, where there are data.

A correlation is blind to gain and offset: an image that is half as bright everywhere correlates perfectly. Structural
similarity (SSIM; Wang et al., IEEE Trans. Image Process. 13, 2004) compares brightness, contrast and structure in a
small window around each pixel, and is 1 only where the images are the same.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter
from skimage.metrics import structural_similarity

from jimt.statistics.weighted_patches import Floats


def pixel_correlation(predicted: NDArray[np.floating], true: NDArray[np.floating], valid: NDArray[np.bool_]) -> float:
    """Pearson's r of the valid pixels, -1 to 1; NaN where an image is constant there, or they are fewer than two.

    >>> image = np.array([[0.0, 1.0], [2.0, 3.0]])
    >>> round(pixel_correlation(2 * image + 5, image, np.ones((2, 2), bool)), 6)
    1.0

    Args:
        predicted: Shape ``(height, width)``; a pixel that is not valid may hold anything.
        true: Likewise.
        valid: Which pixels are compared, likewise.
    """
    pair = np.stack([predicted[valid], true[valid]]).astype(np.float64)
    if pair.shape[1] < 2 or (np.ptp(pair, axis=1) == 0).any():
        return float("nan")
    predicted_above, true_above = pair - pair.mean(axis=1, keepdims=True)
    spread = np.linalg.norm(predicted_above) * np.linalg.norm(true_above)
    return float(np.clip(predicted_above @ true_above / spread, -1, 1)) if spread > 0 else float("nan")


def mean_similarity(
    predicted: NDArray[np.floating],
    true: NDArray[np.floating],
    valid: NDArray[np.bool_],
    *,
    data_range: float,
    window: int,
) -> float:
    """Mean SSIM over the pixels whose whole window is valid and lies in the image; NaN where there is none.

    Constant images have one, too: of brightness alone, since neither has a structure.

    >>> image = np.random.default_rng(0).normal(size=(12, 12))
    >>> round(mean_similarity(image, image, np.ones((12, 12), bool), data_range=4.0, window=7), 6)
    1.0

    Args:
        predicted: Shape ``(height, width)``; a pixel that is not valid may hold anything.
        true: Likewise.
        valid: Which pixels hold data, likewise.
        data_range: Difference of the largest and the least value that such images can have: what counts as small.
        window: Side of the window, pixels; odd.
    """
    if min(valid.shape) < window:
        return float("nan")
    whole = _whole_windows(valid, window=window)
    if not whole.any():
        return float("nan")
    images: list[Floats] = [np.where(valid, image, 0).astype(np.float64) for image in (predicted, true)]
    _, similarity = structural_similarity(*images, win_size=window, data_range=data_range, full=True)
    return float(similarity[whole].mean())


def _whole_windows(valid: NDArray[np.bool_], *, window: int) -> NDArray[np.bool_]:
    """Which pixels have a window of nothing but valid pixels around them, shape ``(height, width)``."""
    return np.asarray(minimum_filter(valid, size=window, mode="constant", cval=0), np.bool_)
