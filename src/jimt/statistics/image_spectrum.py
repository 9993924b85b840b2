"""How the contrast of an image is spread over scales: what its cells, optics and camera have in common."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

N_BANDS: Final = 12
"""From a quarter of a window to two pixels, each as wide in octaves."""
_COARSEST: Final = 4  # periods in a window: of fewer, the window itself is what is seen
_LEAST: Final = 1e-6  # of the power, of a flat image


def log_spectrum(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logarithm of the power in each band of spatial frequencies, less its mean over bands, shape ``(N_BANDS,)``.

    Gain, exposure and contrast drop out, and so do places and directions; magnification, focus, noise, compression and
    the looks of cells and their crowding do not.

    Args:
        pixels: A square window in 8 bits, shape ``(size, size)``.
        valid: Which of them are data, likewise; the others are taken for the mean of these.

    >>> noise = np.random.default_rng(0).normal(120, 10, (128, 128)).astype(np.uint8)
    >>> white = log_spectrum(noise, noise > 0)
    >>> bool(np.abs(white).max() < 0.5)  # as much power in every band
    True
    """
    size = len(pixels)
    image = pixels.astype(np.float64)
    image -= image[valid].mean() if valid.any() else 0.0
    image[~valid] = 0.0
    taper = np.hanning(size)
    power = np.abs(np.fft.fft2(image * np.outer(taper, taper))) ** 2
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None])
    band = np.digitize(frequency, np.geomspace(_COARSEST / size, 0.5, N_BANDS + 1))
    sums, counts = (np.bincount(band.ravel(), weights=w, minlength=N_BANDS + 2) for w in (power.ravel(), None))
    found = np.log(sums[1 : N_BANDS + 1] / counts[1 : N_BANDS + 1] + _LEAST)
    return np.asarray(found - found.mean())
