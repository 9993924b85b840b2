"""In what images of two microscopes differ, each kind of difference measured apart from the others.

``image_quality`` asks whether a field is to be trusted, of whatever microscope, so that its measures are ratios of the
image's own scales: more noise there is less contrast, too. Here noise is taken out of contrast and of detail, and each
is told over the mean grey level.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from jimt.statistics.image_quality import noise_sd

LOOKS: Final = ("brightness", "contrast", "noise", "detail")
"""What ``looks_of`` measures."""
_LEAST: Final = 0.1  # grey levels: 8 bits tell no less, and a ratio of two images has to be finite
_SIGMAS: Final = (1.0, 2.0, 4.0)  # pixels
_TRUNCATE: Final = 3.0
_SQUARE: Final = 32  # pixels: what lamp and lens make uneven hardly changes within


def looks_of(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> dict[str, float]:
    """What can be measured of an image as a network sees it; NaN of an image without any data.

    ``brightness``: mean, grey levels. ``contrast``: standard deviation without noise within squares of 32 pixels, by
    which uneven light counts little, over the mean. ``noise``: standard deviation from pixel to pixel, over the mean.
    ``detail``: what details of 1 to 2 pixels contribute over what those of 2 to 4 pixels do, both without noise: less
    out of focus and at more pixels for a cell.

    Args:
        pixels: In 8 bits, shape ``(height, width)``.
        valid: Which of them are data, likewise.

    >>> noise = np.random.default_rng(0).normal(100, 10, (256, 256)).round().astype(np.uint8)
    >>> found = looks_of(noise, noise > 0)
    >>> round(found["brightness"]), round(found["noise"], 2), found["contrast"] < 0.02
    (100, 0.1, True)
    """
    if not valid.any():
        return dict.fromkeys(LOOKS, np.nan)
    image = pixels.astype(np.float32)
    mean = float(image[valid].mean())
    image[~valid] = mean
    noise = noise_sd(image, valid)
    blurred = [gaussian_filter(image, sigma, truncate=_TRUNCATE) for sigma in _SIGMAS]
    bands = [float((blurred[i] - blurred[i + 1])[valid].var()) for i in (0, 1)]
    fine, middle = (
        np.sqrt(max(band - passed * noise**2, 0.0)) + _LEAST / 10 for band, passed in zip(bands, _PASSED, strict=True)
    )
    cells = np.sqrt(max(_variance_within_squares(image, valid) - noise**2, 0.0))
    return {
        "brightness": mean,
        "contrast": float(cells + _LEAST) / (mean + _LEAST),
        "noise": (noise + _LEAST) / (mean + _LEAST),
        "detail": float(fine / middle),
    }


def _variance_within_squares(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> float:
    """Mean variance of the pixels of a square that hold data, each pixel alike."""
    n, total, squares = (
        np.add.reduceat(np.add.reduceat(values, _begins(image.shape[0]), axis=0), _begins(image.shape[1]), axis=1)
        for values in (valid.astype(np.float64), np.where(valid, image, 0.0), np.where(valid, image, 0.0) ** 2)
    )
    within = squares - np.divide(total**2, n, out=np.zeros_like(n), where=n > 0)
    return float(within.sum() / n.sum())


def _begins(length: int) -> NDArray[np.intp]:
    """Where squares begin along a side; what is left over at its end belongs to the last."""
    return np.arange(max(1, length // _SQUARE)) * _SQUARE


def _share_of_noise_passed() -> tuple[float, ...]:
    """Variance that white noise of variance 1 has in each band of ``looks_of``."""
    point = np.zeros((65, 65))
    point[32, 32] = 1.0
    blurred = [gaussian_filter(point, sigma, truncate=_TRUNCATE) for sigma in _SIGMAS]
    return tuple(float(((blurred[i] - blurred[i + 1]) ** 2).sum()) for i in (0, 1))


_PASSED: Final = _share_of_noise_passed()
