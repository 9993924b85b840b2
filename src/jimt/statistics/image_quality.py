"""What can be measured of a bright-field image without a network: focus, noise and contrast.

Each measure is a ratio of two of the image's own scales, so that neither gain nor exposure of a camera matters.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve, gaussian_filter

_SECOND_DIFFERENCE: Final = np.outer([1, -2, 1], [1, -2, 1]).astype(np.float32)
"""Along y and x at once: edges of cells drop out, noise does not (Immerkaer, Comput. Vis. Image Underst. 64, 1996)."""
_OF_NOISE: Final = 6.0  # its standard deviation where noise has 1: the root of the sum of its squares
_TO_SD: Final = 1.4826  # median of absolute values to the standard deviation of a normal variable
_LEAST: Final = 0.1  # grey levels: 8 bits tell no less, and the logarithm of a flat image has to be finite


@dataclass(frozen=True)
class Measure:
    """One measure, with the words that a flag is given in.

    Attributes:
        flag: Name of the flag that it raises.
        called: What the number is, as in "sharpness 0.12".
        low: What a field is that has less than training fields.
        high: Likewise more.
    """

    flag: str
    called: str
    low: str
    high: str


MEASURES: Final = {
    "focus": Measure(
        "focus", "sharpness", "out of focus, or magnified more", "sharper than expected: magnified less, or sharpened"
    ),
    "noise": Measure("noise", "noise over contrast", "smoother than expected: compressed, or smoothed", "noisy"),
    "contrast": Measure(
        "contrast",
        "standard deviation over mean",
        "low in contrast",
        "high in contrast, as fluorescence is and bright-field is not",
    ),
}
"""Every measure, by its name in ``measure_image``."""


def measure_image(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The natural logarithm of each of ``MEASURES``, shape ``(n_measures,)``; NaN of an image without any data.

    ``focus``: what details of 1 to 2 pixels contribute over what those of 2 to 4 pixels do. ``noise``: standard
    deviation from pixel to pixel over that of the image. ``contrast``: standard deviation over mean.

    Args:
        pixels: In 8 bits, shape ``(height, width)``.
        valid: Which of them are data, likewise.

    >>> noise = np.random.default_rng(0).normal(120, 10, (256, 256)).astype(np.uint8)
    >>> measured = dict(zip(MEASURES, np.exp(measure_image(noise, noise > 0)), strict=True))
    >>> {name: round(float(value), 2) for name, value in measured.items() if name != "focus"}
    {'noise': 0.99, 'contrast': 0.08}
    """
    if not valid.any():
        return np.full(len(MEASURES), np.nan)
    image = pixels.astype(np.float32)
    mean = float(image[valid].mean())
    image[~valid] = mean
    blurred = {sigma: gaussian_filter(image, sigma, truncate=3) for sigma in (1.0, 2.0, 4.0)}
    fine = (blurred[1.0] - blurred[2.0])[valid]
    middle = (blurred[2.0] - blurred[4.0])[valid]
    sd = float(image[valid].std()) + _LEAST
    noise = noise_sd(image, valid)
    ratios = (
        (fine.std() + _LEAST / 10) / (middle.std() + _LEAST / 10),
        (noise + _LEAST) / sd,
        sd / (mean + _LEAST),
    )
    return np.log(np.array(ratios, np.float64))


def noise_sd(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> float:
    """Standard deviation from pixel to pixel that is not of cells, grey levels.

    Args:
        image: Grey levels, shape ``(height, width)``; where there are no data their mean.
        valid: Which pixels are data, likewise; at least one.
    """
    return _TO_SD * float(np.median(np.abs(convolve(image, _SECOND_DIFFERENCE)[valid]))) / _OF_NOISE
