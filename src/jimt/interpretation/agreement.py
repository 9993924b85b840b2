"""How far a network looks where the dye is: activation maps for `dead` against propidium iodide, pixel by pixel.

The next step that the paper's Discussion names. A map is scored on each patch that holds pixels with and without PI: by
the area under the ROC curve of its pixels, and by the pointing game (does its highest pixel lie in PI; Zhang et al.,
2018). The null is the map of the same network with random weights (Adebayo et al., 2018): what the shape of the cells
alone would give.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import group_numbers, jackknife
from jimt.statistics.weighted_patches import Floats

_FAINTEST: Final = 1e-3  # of the least positive value: what is darker is all the same
MIN_SHARE: Final = 0.01
"""A patch counts where at least this share of its pixels is positive, and at least this share is not."""


def positive_pixels(images: NDArray[np.floating], *, least: float, smoothing: float) -> NDArray[np.bool_]:
    """Where PI counts as positive: nuclei, not the haze around them; shape ``(n, height, width)``.

    Each patch is smoothed and split in two by Otsu's method on the logarithm, but never below a least value, so that a
    patch without PI has no positive pixel.

    Args:
        images: PI of patches, likewise; NaN where there is no data, which is never positive.
        least: Least positive value, such as the cut-off for dead, in the images' unit; above 0.
        smoothing: Standard deviation of a Gaussian, pixels: a single noisy pixel is no nucleus.
    """
    masks = np.zeros(images.shape, bool)
    for mask, image in zip(masks, images, strict=True):
        data = np.isfinite(image)
        if not data.any():
            continue
        smoothed = _smoothed(image.astype(np.float64), data, smoothing)
        if smoothed.max() > least and np.ptp(smoothed) > 0:
            logarithm = np.log(np.maximum(smoothed, least * _FAINTEST))
            mask[data] = smoothed > max(least, float(np.exp(_otsu(logarithm))))
        else:
            mask[data] = smoothed > least  # all of it, where it is saturated
    return masks


def _smoothed(image: Floats, data: NDArray[np.bool_], smoothing: float) -> Floats:
    """Gaussian mean of the pixels that hold data, at each of them, shape ``(n_pixels,)``."""
    if data.all():
        return np.asarray(gaussian_filter(image, smoothing)).ravel()
    weight = gaussian_filter(data.astype(np.float64), smoothing)[data]
    return np.asarray(gaussian_filter(np.where(data, image, 0), smoothing)[data] / weight)


def _otsu(values: Floats) -> float:
    """The cut that parts values into the two classes that differ most (Otsu, 1979), of 256 bins."""
    counts, edges = np.histogram(values, 256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    total, sum_below = below[-1], np.cumsum(counts * middles)
    above = total - below
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = sum_below / below - (sum_below[-1] - sum_below) / above
        between = below * above * difference**2
    return float(edges[1:][int(np.nanargmax(between[:-1]))])


def pixel_auroc(maps: NDArray[np.floating], positive: NDArray[np.bool_]) -> Floats:
    """AUROC of each map's pixels against where PI is positive, shape ``(n,)``; ties count half.

    Args:
        maps: Shape ``(n, height, width)``; NaN where there is no data, which takes no part.
        positive: Likewise.

    Returns:
        NaN where fewer than 1 % of the pixels are positive, or are not.
    """

    def auroc(pixels: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
        if pixels.dtype == np.float16 and pixels.min() >= 0:  # so few values that they are counted, not sorted
            values = (pixels + np.float16(0)).view(np.uint16)  # of numbers from 0 up, in their order; -0 is 0
            n_values = int(values.max()) + 1
            with_pi, without = (np.bincount(values[each], minlength=n_values) for each in (mask, ~mask))
            below = np.cumsum(without) - without / 2
            return float(with_pi @ below / (with_pi.sum() * without.sum()))
        n = int(mask.sum())
        return float((rankdata(pixels)[mask].sum() - n * (n + 1) / 2) / (n * (mask.size - n)))

    return _measured(auroc, maps, positive)


def pointing_game(maps: NDArray[np.floating], positive: NDArray[np.bool_]) -> Floats:
    """Whether each map's highest pixel lies in PI, 1 or 0, shape ``(n,)``; NaN as in ``pixel_auroc``.

    Of several highest pixels each counts its share; a constant map so gives the share of positive pixels.
    """
    return _measured(lambda pixels, mask: float(mask[pixels == pixels.max()].mean()), maps, positive)


def _measured(
    measure: Callable[[NDArray[np.floating], NDArray[np.bool_]], float],
    maps: NDArray[np.floating],
    positive: NDArray[np.bool_],
) -> Floats:
    """A measure of each map's pixels that hold data and of which are positive; NaN where too few are, or are not."""
    values = np.full(len(maps), np.nan)
    for row, (each, mask) in enumerate(zip(maps, positive, strict=True)):
        data = np.isfinite(each)
        if data.any() and MIN_SHARE <= mask[data].mean() <= 1 - MIN_SHARE:
            values[row] = measure(each[data], mask[data])
    return values


@dataclass(frozen=True)
class Mean:
    """A mean over patches; ``interval`` is over groups, and None where there are too few."""

    value: float
    interval: Interval | None


@dataclass(frozen=True)
class Agreement:
    """A measure of the trained network, of the same one with random weights, and the difference, over patches."""

    trained: Mean
    randomised: Mean
    difference: Mean
    n_patches: int
    n_groups: int | None


def summarise(
    trained: Floats,
    randomised: Floats,
    groups: NDArray[np.object_] | None,
    *,
    confidence: float,
) -> Agreement:
    """Means over the patches where both are known, one at least, with intervals over groups, of both at once.

    Args:
        trained: A measure of each patch's map, shape ``(n_patches,)``, from 0 to 1.
        randomised: The same of the network with random weights.
        groups: Group of each patch, likewise; None where nothing is known of them.
        confidence: Coverage wanted.
    """
    known = np.isfinite(trained) & np.isfinite(randomised)
    columns = {"trained": trained[known], "randomised": randomised[known], "difference": (trained - randomised)[known]}
    intervals: dict[str, Interval | None] = dict.fromkeys(columns)
    n_groups = None
    if groups is not None:
        numbers = group_numbers(groups[known])
        n_groups = int(numbers.max(initial=-1)) + 1
        sums = np.zeros((n_groups, 1 + len(columns)))
        np.add.at(sums, numbers, np.stack([np.ones(len(numbers)), *columns.values()], axis=1))

        def means(weights: Floats) -> dict[str, Floats]:
            total = weights @ sums
            return {name: total[:, column] / total[:, 0] for column, name in enumerate(columns, 1)}

        for name, statistic in (jackknife(means, groups[known]) or {}).items():
            bounds = (-1.0, 1.0) if name == "difference" else (0.0, 1.0)
            intervals[name] = interval_over_groups(statistic, confidence=confidence, bounds=bounds)
    means_by_name = {name: Mean(float(values.mean()), intervals[name]) for name, values in columns.items()}
    return Agreement(**means_by_name, n_patches=int(known.sum()), n_groups=n_groups)
