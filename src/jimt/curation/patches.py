"""The sliding window and the 8 bits the network sees (paper: "Patches")."""

import functools
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError
from jimt.curation.images import Image

_THIN: Final = 64  # of so many numbers one is in a sample


@dataclass(frozen=True)
class Scaling:
    """How bright-field becomes 8 bits; a checkpoint carries it, since prediction must do the same."""

    method: str
    bit_depth: int
    low_percentile: float
    high_percentile: float
    low: float | None
    """Method ``percentile_dataset``: the data set's grey values that become 0 and 255."""
    high: float | None

    @property
    def range_bits(self) -> int:
        """Bits of the range of a 16-bit image that becomes 8 bits; 0 where the images themselves say what it is."""
        return {"bit_depth": self.bit_depth, "full_range": 16}.get(self.method, 0)


def patch_origins(height: int, width: int, *, size: int, stride: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Top-left corners ``(y, x)`` of all whole patches, row by row, each of shape ``(n_patches,)``.

    >>> y, x = patch_origins(336, 340, size=224, stride=112)
    >>> list(zip(y.tolist(), x.tolist()))
    [(0, 0), (0, 112), (112, 0), (112, 112)]
    """
    ys = np.arange(0, height - size + 1, stride, dtype=np.int32)
    xs = np.arange(0, width - size + 1, stride, dtype=np.int32)
    return np.repeat(ys, len(xs)), np.tile(xs, len(ys))


def covering_origins(height: int, width: int, *, size: int, stride: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """As ``patch_origins``, with a last row and column of patches at the edge where some pixels were left over.

    >>> y, x = covering_origins(224, 340, size=224, stride=112)
    >>> list(zip(y.tolist(), x.tolist()))
    [(0, 0), (0, 112), (0, 116)]
    """
    ys, xs = (np.union1d(np.arange(0, length - size + 1, stride), [length - size]) for length in (height, width))
    return np.repeat(ys, len(xs)).astype(np.int32), np.tile(xs, len(ys)).astype(np.int32)


def window_means(
    image: Image, no_data: NDArray[np.bool_], y: NDArray[np.int32], x: NDArray[np.int32], *, size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each ``size`` x ``size`` window over the pixels that hold data, and the share of those that do not.

    Args:
        image: One channel.
        no_data: Where it holds no data, shape of the image.
        y: Top-left corners, shape ``(n_patches,)``.
        x: Likewise.
        size: Side of a window, pixels.

    Returns:
        Two arrays of shape ``(n_patches,)``; the mean is NaN where no pixel of the window holds data.
    """
    area = size * size
    if not no_data.any():
        return _window_sums(image, y, x, size=size) / area, np.zeros(len(y))
    missing = _window_sums(no_data.view(np.uint8), y, x, size=size)
    sums = _window_sums(np.where(no_data, image.dtype.type(0), image), y, x, size=size)
    means = np.full(len(y), np.nan)
    np.divide(sums, area - missing, out=means, where=missing < area)
    return means, missing / area


def _window_sums(image: Image, y: NDArray[np.int32], x: NDArray[np.int32], *, size: int) -> NDArray[np.float64]:
    """Sum of each window by integral image; of integers exactly (sums stay below 2**53)."""
    # the integral image is kept at the rows where a window begins or ends: no other is ever read
    rows = np.unique(np.concatenate([y, y + size]))
    strips = [cv2.reduce(image[a:b], 0, cv2.REDUCE_SUM, dtype=cv2.CV_64F) for a, b in itertools.pairwise(rows)]
    table = np.zeros((len(rows), image.shape[1] + 1))
    table[1:, 1:] = np.cumsum(np.cumsum(np.concatenate(strips), axis=0), axis=1)
    top, bottom = np.searchsorted(rows, y), np.searchsorted(rows, y + size)
    return np.asarray(table[bottom, x + size] - table[top, x + size] - table[bottom, x] + table[top, x], np.float64)


def grey_histogram(image: Image, valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Counts of each 16-bit grey value among the valid pixels, shape ``(65536,)``."""
    mask = None if valid.all() else valid.view(np.uint8)
    return np.asarray(cv2.calcHist([image], [0], mask, [1 << 16], [0, 1 << 16]).ravel(), np.int64)  # exact below 2**24


def histogram_percentile(histogram: NDArray[np.int64], percentile: float) -> float:
    """Percentile of integer data from its histogram, interpolated linearly as ``numpy.percentile`` does.

    >>> histogram_percentile(np.array([0, 2, 0, 2]), 50), float(np.percentile([1, 1, 3, 3], 50))
    (2.0, 2.0)
    """
    return _cumulative_percentile(np.cumsum(histogram), percentile)


def _cumulative_percentile(cumulative: NDArray[np.int64], percentile: float) -> float:
    position = (int(cumulative[-1]) - 1) * percentile / 100
    floor = math.floor(position)
    lower, upper = np.searchsorted(cumulative, np.array([floor, math.ceil(position)]), side="right")
    return float(lower + (upper - lower) * (position - floor))


def valid_percentiles(image: Image, valid: NDArray[np.bool_], percentiles: tuple[float, ...]) -> tuple[float, ...]:
    """Percentiles of the pixels that hold data, in the image's units."""
    if image.dtype.kind == "u":
        cumulative = np.cumsum(grey_histogram(image, valid))
        return tuple(_cumulative_percentile(cumulative, percentile) for percentile in percentiles)
    return tuple(float(value) for value in np.percentile(image[valid], percentiles))


def percentile_of_many(values: NDArray[np.floating[Any]], percentile: float) -> float:
    """Percentile of many numbers as ``numpy.percentile`` gives it, in a sixth of its time.

    A sample tells between which two numbers it lies, and only those in between are put in order.

    >>> percentile_of_many(np.array([4, 1, 3, 2], np.float32), 50)
    2.5

    Args:
        values: None of them NaN, shape ``(n,)``.
        percentile: 0 to 100.
    """
    position = (len(values) - 1) * (percentile / 100)
    place = math.floor(position)
    following = min(place + 1, len(values) - 1)
    sample = values[::_THIN]
    margin = 3 * math.isqrt(len(sample))  # six standard deviations, at least, of how many of it lie below a number
    first, last = max(place // _THIN - margin, 0), min(place // _THIN + margin, len(sample) - 1)
    ordered = np.partition(sample, (first, last))
    least, most = ordered[first], ordered[last]
    below = values < least
    n_below = int(np.count_nonzero(below))
    middle = values[below ^ (values <= most)]
    if place < n_below or following >= n_below + len(middle):  # by chance, or at either end
        n_below, middle = 0, values
    ordered = np.partition(middle, (place - n_below, following - n_below))
    before, after = ordered[place - n_below], ordered[following - n_below]
    share = position - place
    # as NumPy has it, which rounds otherwise in each half
    return float(before + (after - before) * share if share < 0.5 else after - (after - before) * (1 - share))


def to_8_bit(image: Image, valid: NDArray[np.bool_], scaling: Scaling) -> NDArray[np.uint8]:
    """Convert a bright-field image to 8 bits, linearly between two grey values.

    ``full_range``: the range of the file's type. ``bit_depth``: that of the camera. ``percentile_image`` and
    ``percentile_dataset``: two percentiles of the valid pixels of the image, or of the data set.

    Raises:
        BadImageError: If a method for integers meets an image of floating-point numbers.
    """
    if scaling.method == "percentile_image":
        low, high = valid_percentiles(image, valid, (scaling.low_percentile, scaling.high_percentile))
    elif image.dtype.kind == "f":
        raise BadImageError(
            f"holds floating-point numbers, which curation.scaling.method={scaling.method} cannot convert",
            remedies=("curation.scaling.method=percentile_image",),
        )
    elif scaling.method == "percentile_dataset":
        if scaling.low is None or scaling.high is None:
            raise ValueError("percentile_dataset needs the data set's low and high grey values")
        low, high = scaling.low, scaling.high
    elif scaling.method == "full_range":
        low, high = 0.0, float(np.iinfo(image.dtype).max)
    else:
        low, high = 0.0, float((1 << min(scaling.bit_depth, 8 * image.dtype.itemsize)) - 1)
    gain = 255.0 / max(high - low, float(np.finfo(np.float32).tiny))
    if image.dtype.kind == "u":
        return np.asarray(cv2.LUT(image, _levels(1 << (8 * image.dtype.itemsize), low, gain)))
    return _scaled(image, low, gain)


@functools.lru_cache(maxsize=4)  # of methods that scale all images alike
def _levels(n: int, low: float, gain: float) -> NDArray[np.uint8]:
    return _scaled(np.arange(n), low, gain)


def _scaled(values: NDArray[Any], low: float, gain: float) -> NDArray[np.uint8]:
    return np.clip(np.rint((values.astype(np.float64) - low) * gain), 0, 255).astype(np.uint8)


def dataset_grey_range(
    histograms: Iterable[NDArray[np.int64] | None], *, low_percentile: float, high_percentile: float
) -> tuple[float, float] | None:
    """Two percentiles of all valid bright-field pixels of a data set; None where no image could be read."""
    total: NDArray[np.int64] | None = None
    for histogram in histograms:
        if histogram is not None:
            total = histogram.copy() if total is None else total + histogram
    if total is None:
        return None
    return histogram_percentile(total, low_percentile), histogram_percentile(total, high_percentile)


def tiles_of_patch(origin: int, *, size: int, tile: int | Fraction) -> tuple[slice, NDArray[np.float64]]:
    """The tiles that a patch lies on along one axis, and the share of the patch on each; a tile may be cut by its edge.

    >>> tiles_of_patch(112, size=224, tile=32)[0]
    slice(3, 11, None)
    >>> (tiles_of_patch(112, size=224, tile=32)[1] * 224).round().tolist()
    [16.0, 32.0, 32.0, 32.0, 32.0, 32.0, 32.0, 16.0]

    Args:
        origin: First pixel of the patch in its field.
        size: Its side, pixels.
        tile: Side of a tile, pixels.
    """
    first, end = origin // tile, -(-(origin + size) // tile)
    edges = np.clip(np.arange(first, end + 1) * float(tile), origin, origin + size)
    return slice(first, end), np.diff(edges) / size
