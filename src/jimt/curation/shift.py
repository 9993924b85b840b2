"""How far fluorescence lies from bright-field, as where filters bend light, or the stage moved between two exposures.

The two do not look alike, but edges of dead nuclei are edges in both, and their bodies, bright in PI, are darker than
what is around them in bright-field, or brighter, all of a data set alike. Both are correlated by phase, so that no
strong edge decides alone. ``skimage.registration`` gives the place of a correlation's maximum; that of one field often
means nothing, and only the sum over several shows what they agree on, so the correlation itself is kept.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

STEP: Final = 2
"""Pixels that become one along each side: edges of nuclei are wider, and the work is a quarter."""
REACH: Final = 16
"""Largest shift along either axis that is looked for, in such pixels."""
_UNIT: Final = 16
"""Of the 8-bit numbers that a correlation is kept in: sixteenths of its standard deviation."""
_CLIP: Final = 2.0
"""Standard deviations: no single cell outweighs the others."""
_BAND: Final = 0.12
"""Standard deviation of the Gaussian that spatial frequencies are weighted with, cycles per such pixel."""
_STANDS_OUT: Final = 6.0
"""Standard deviations of the sum over fields. On mcf7, 899 pairs of bright-field and PI of different experiments reach
4.8 at most, and 15,000 sums over 2 to 70 of them 5.6."""
SMALL: Final = 3
"""Pixels, up to which nothing is said: less than a tenth of a nucleus, and little more than this can tell."""
_SHAPE: Final = (2, 2 * REACH + 1, 2 * REACH + 1)

Image32 = NDArray[np.float32]
Evidence = NDArray[np.int8]


def shift_evidence(brightfield: NDArray[Any], fluorescence: NDArray[Any], valid: NDArray[np.bool_]) -> Evidence:
    """How well the channels fit for each shift, in sixteenths of the robust standard deviation.

    The middle is no shift; in the row below it fluorescence lies two pixels further down than bright-field.

    Args:
        brightfield: Shape ``(height, width)``.
        fluorescence: Likewise.
        valid: Where both are data, likewise.

    Returns:
        Of edges and of bodies, shape ``(2, 33, 33)``; zeros of a field that is too small, or mostly no data.
    """
    height, width = (side // STEP for side in brightfield.shape)
    here = np.ascontiguousarray(valid[: height * STEP : STEP, : width * STEP : STEP])
    if min(height, width) <= 2 * REACH or here.mean() < 0.5:
        return np.zeros(_SHAPE, np.int8)
    seen, pi = (_reduced(image, here) for image in (brightfield, fluorescence))
    np.maximum(pi, 0, out=pi)
    pi += 1
    pi = np.log(pi, out=pi)
    size = (fft.next_fast_len(height, real=True), fft.next_fast_len(width, real=True))
    window, band = _window(height, width) * here, _band(*size)
    pairs = (_texture(seen), _edges(pi)), (_bodies(seen, 0.7), _bodies(pi, 1.0))
    spectra = [[_spectrum(image, window, size) for image in pair] for pair in pairs]
    return np.stack([_correlation(of_seen, of_pi, band, size) for of_seen, of_pi in spectra])


def _correlation(
    seen: NDArray[np.complex64], pi: NDArray[np.complex64], band: Image32, size: tuple[int, int]
) -> Evidence:
    cross = pi * np.conj(seen)
    cross *= band / (np.abs(cross) + np.float32(1e-12))
    found = np.asarray(fft.irfft2(cross, s=size, overwrite_x=True))
    near = np.arange(-REACH, REACH + 1)
    found = found[near[:, None], near]  # what lies before no shift stands at the end
    found = found - np.median(found)
    spread = _spread(found)
    if spread == 0:
        return np.zeros(found.shape, np.int8)
    return np.asarray(np.clip(np.rint(found / spread * _UNIT), -127, 127), np.int8)


def _spread(values: NDArray[np.floating[Any]]) -> float:
    return float(1.4826 * np.median(np.abs(values)))


def _reduced(image: NDArray[Any], here: NDArray[np.bool_]) -> Image32:
    height, width = here.shape
    cut = np.ascontiguousarray(image[: height * STEP, : width * STEP])
    small = np.asarray(cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    if not here.all():
        small[~here] = np.median(small[here])
    return small


def _texture(image: Image32) -> Image32:
    image = image - image.mean()
    mean = cv2.blur(image, (3, 3))
    variance = cv2.blur(image * image, (3, 3)) - mean * mean
    return np.asarray(np.log(np.sqrt(np.maximum(variance, 0)) + 0.05 * image.std() + np.float32(1e-12)))


def _edges(image: Image32) -> Image32:
    smooth = cv2.GaussianBlur(image, (0, 0), 1)
    return np.asarray(cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)))


def _bodies(image: Image32, inner: float) -> Image32:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), inner) - cv2.GaussianBlur(image, (0, 0), 2.5 * inner))


def _spectrum(image: Image32, window: Image32, size: tuple[int, int]) -> NDArray[np.complex64]:
    thin = image[::4, ::4]
    middle = np.float32(np.median(thin))
    scale = np.float32(1 / (_spread(thin - middle) + 1e-12))
    clipped = image - middle  # in place: a field does not fit into the cache
    clipped *= scale
    np.clip(clipped, -_CLIP, _CLIP, out=clipped)
    clipped *= window
    return np.asarray(fft.rfft2(clipped, size, overwrite_x=True))


@lru_cache(maxsize=4)
def _window(height: int, width: int) -> Image32:
    return np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)


@lru_cache(maxsize=4)
def _band(height: int, width: int) -> Image32:
    frequency = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None])
    return np.asarray(np.exp(-(frequency**2) / (2 * _BAND**2)), np.float32)


@dataclass(frozen=True)
class Shift:
    """How far fluorescence lies from bright-field, pixels: further down by ``y``, further right by ``x``."""

    y: int
    x: int


def find_shift(evidence: Evidence) -> Shift | None:
    """The shift that fields have in common; None where no one stands out.

    Args:
        evidence: Of each field, shape ``(n_fields, 2, 33, 33)``.
    """
    told = evidence[evidence.any((1, 2, 3))]
    if not len(told):
        return None
    edges, bodies = told.sum(0, dtype=np.float64) / (_UNIT * np.sqrt(2 * len(told)))
    total = max(edges + bodies, edges - bodies, key=np.max)
    row, column = np.unravel_index(total.argmax(), total.shape)
    if total[row, column] < _STANDS_OUT or not (0 < row < 2 * REACH and 0 < column < 2 * REACH):
        return None
    across, along = total[row - 1 : row + 2, column], total[row, column - 1 : column + 2]
    y, x = (place - REACH + _vertex(*values) for place, values in ((row, across.tolist()), (column, along.tolist())))
    return Shift(round(STEP * y), round(STEP * x))


def _vertex(before: float, at: float, after: float) -> float:
    """Where a parabola through three values has its maximum, in steps from the middle one, the largest.

    >>> _vertex(0.0, 3.0, 2.0)  # 3 - (x - 1/4)^2 * 2, less a constant
    0.25
    """
    bend = before - 2 * at + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0


def is_large(shift: Shift | None) -> bool:
    """Whether it is worth a warning."""
    return shift is not None and float(np.hypot(shift.y, shift.x)) > SMALL


def undo_shift(fluorescence: NDArray[Any], shift: Shift) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Move fluorescence onto bright-field; the border that it then leaves uncovered is zero, and told.

    >>> moved, uncovered = undo_shift(np.array([[1, 2], [3, 4]]), Shift(1, 0))
    >>> moved.tolist(), uncovered.tolist()
    ([[3, 4], [0, 0]], [[False, False], [True, True]])

    Args:
        fluorescence: Shape ``(height, width)``.
        shift: As ``find_shift`` gives it.
    """
    height, width = fluorescence.shape
    moved, uncovered = np.zeros_like(fluorescence), np.ones(fluorescence.shape, np.bool_)
    into = np.s_[max(0, -shift.y) : height - max(0, shift.y), max(0, -shift.x) : width - max(0, shift.x)]
    of = np.s_[max(0, shift.y) : height + min(0, shift.y), max(0, shift.x) : width + min(0, shift.x)]
    moved[into], uncovered[into] = fluorescence[of], False
    return moved, uncovered


def stacked(evidence: Iterable[Evidence | None]) -> Evidence:
    """Of all fields, shape ``(n_fields, 2, 33, 33)``; zeros of those that were not looked at."""
    parts = [np.zeros(_SHAPE, np.int8) if part is None else part for part in evidence]
    return np.stack(parts) if parts else np.zeros((0, *_SHAPE), np.int8)


def as_text(evidence: Evidence | None) -> str | None:
    """For a JSON file; None where there is nothing to keep."""
    return None if evidence is None else b64encode(evidence.tobytes()).decode()


def from_text(text: str | None) -> Evidence | None:
    """What ``as_text`` kept."""
    return None if text is None else np.frombuffer(b64decode(text), np.int8).reshape(_SHAPE)
