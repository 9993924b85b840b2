"""How far what is seen lies from where it was before: one position of a plate, imaged twice.

Phase correlation (``skimage.registration``) always gives some shift, also of two images that have nothing in common. So
both images are laid over each other as it says, and it is believed only where they then look alike, and more alike than
unmoved: dirt in the light path and uneven illumination stay where they are and hold for no movement.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

_FINE: Final = 1.0
_COARSE: Final = 8.0
"""Pixels: standard deviations of the Gaussians between which structure is looked at, so that light drops out."""
_UPSAMPLED: Final = 10  # a tenth of a pixel
_CLIP: Final = 2.0  # standard deviations
_TO_SD: Final = 1.4826  # median of absolute values to the standard deviation of a normal variable
_LEAST: Final = 1e-6
_MOST: Final = 0.5
"""Of either side: beyond it less than a quarter of the images is shared."""
ALIKE: Final = 0.2
"""Correlation of two images laid over each other from which on they are taken to show the same."""


def image_shift(before: NDArray[Any], after: NDArray[Any]) -> tuple[float, float] | None:
    """How much further down and right the second image shows what the first one shows, in pixels.

    >>> rng = np.random.default_rng(0)
    >>> ground = gaussian_filter(rng.normal(size=(160, 160)), 2)
    >>> [round(part) for part in image_shift(ground[20:140, 20:140], ground[15:135, 23:143])]
    [5, -3]
    >>> image_shift(ground[20:140, 20:140], rng.normal(size=(120, 120))) is None
    True

    Args:
        before: Shape ``(height, width)``.
        after: Likewise, of the same size.

    Returns:
        ``(y, x)``; None where nothing tells: the two do not look alike, however they are laid.
    """
    seen, now = _structure(before), _structure(after)
    if not (seen.any() and now.any()):
        return None
    taper = np.outer(*(np.hanning(side) for side in before.shape)).astype(np.float32)
    back, *_ = phase_cross_correlation(seen * taper, now * taper, upsample_factor=_UPSAMPLED, normalization="phase")
    found = {
        shift: _likeness(seen, now, shift)
        for shift in ((0.0, 0.0), (round(float(-back[0]), 1), round(float(-back[1]), 1)))
    }
    best = max(found, key=lambda shift: found[shift])
    return best if found[best] >= ALIKE else None


def _structure(image: NDArray[Any]) -> NDArray[np.float32]:
    """What is neither light nor noise, in standard deviations; no single bright speck decides."""
    fine, coarse = (gaussian_filter(image.astype(np.float32), sigma, truncate=3) for sigma in (_FINE, _COARSE))
    structure = fine - coarse
    spread = _TO_SD * float(np.median(np.abs(structure))) + _LEAST  # which a few specks do not change
    return np.asarray(np.clip(structure / spread, -_CLIP, _CLIP))


def _likeness(before: NDArray[np.float32], after: NDArray[np.float32], shift: tuple[float, float]) -> float:
    """Pearson's correlation of what both show, once the second is moved back."""
    steps = [round(part) for part in shift]
    sides = before.shape
    if any(abs(step) > _MOST * side for step, side in zip(steps, sides, strict=True)):
        return -1.0
    here = tuple(slice(max(0, -step), side - max(0, step)) for step, side in zip(steps, sides, strict=True))
    there = tuple(slice(max(0, step), side - max(0, -step)) for step, side in zip(steps, sides, strict=True))
    parts = [image - image.mean() for image in (before[here], after[there])]
    spread = float(np.sqrt(np.prod([np.vdot(part, part) for part in parts], dtype=np.float64)))
    return float(np.vdot(*parts)) / spread if spread > 0 else -1.0
