"""Which pixels and nuclei are PI-positive: above a multiple of a background that holds under haze and gradients.

A mean over a patch confuses few bright nuclei with a bright background. What stands out of the background nearby does
not: dead nuclei take up PI (paper: "Percentage of area with PI").
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label, regionprops_table
from skimage.segmentation import watershed

from jimt.curation.patches import percentile_of_many, window_means

HAZE: Final = 3.0  # of the field's background: what is brighter over a wide area is crowded nuclei, not haze
_STEPS = 12  # a radius on the reduced image: enough for a disc, and 70 times quicker than on the image itself


@dataclass(frozen=True)
class PositiveSettings:
    """What counts as PI-positive.

    Attributes:
        ratio: A pixel is positive above this multiple of the background nearby.
        smoothing: Standard deviation of the Gaussian that fluorescence is smoothed with before, pixels.
        radius: Of the neighbourhood that holds some background, pixels; about the diameter of two nuclei.
        percentile: Of a field's valid pixels that counts as its background.
        min_area: Least area of a nucleus, square pixels.
        max_area: Largest.
        count_nuclei: Whether nuclei are counted, in place of the share of pixels.
    """

    ratio: float
    smoothing: float
    radius: float
    percentile: float
    min_area: float
    max_area: float
    count_nuclei: bool


def smoothed(fluorescence: NDArray[np.generic], valid: NDArray[np.bool_], *, sd: float) -> NDArray[np.float32]:
    """Fluorescence after a Gaussian over valid pixels alone, shape ``(height, width)``; 0 where none is near.

    Args:
        fluorescence: Counts, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
        sd: Standard deviation, pixels.
    """
    everywhere = bool(valid.all())
    values = (fluorescence if everywhere else np.where(valid, fluorescence, 0)).astype(np.float32)
    if sd == 0:
        return values

    def blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sd, borderType=cv2.BORDER_REFLECT), np.float32)

    total = blurred(values)
    if everywhere:
        return total
    weight = blurred(valid.astype(np.float32))
    return np.asarray(np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6))


def background_nearby(
    image: NDArray[np.float32], valid: NDArray[np.bool_], *, radius: float, percentile: float
) -> NDArray[np.float32]:
    """Background of each pixel: the lower envelope of its neighbourhood, and no more than three times the field's.

    A morphological opening by a disc follows haze and gradients, which are wider than the disc, and passes below
    nuclei, which are narrower. Where nuclei crowd together over more than the disc it would follow them, too: hence the
    bound.

    Args:
        image: Smoothed fluorescence, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
        radius: Of the disc, pixels.
        percentile: Of the valid pixels that counts as the field's background.
    """
    everywhere = bool(valid.all())
    level = percentile_of_many(image.ravel() if everywhere else image[valid], percentile)
    step = max(1, int(radius // _STEPS))
    height, width = image.shape
    size = (max(1, width // step), max(1, height // step))
    # no data is as bright as can be: an opening does not see it
    filled = image if everywhere else np.where(valid, image, HAZE * level).astype(np.float32)
    small = cv2.resize(filled, size, interpolation=cv2.INTER_AREA)
    reach = max(1, round(radius / step))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    opened = cv2.morphologyEx(small, cv2.MORPH_OPEN, disc, borderType=cv2.BORDER_REFLECT)
    smooth = cv2.GaussianBlur(opened, (0, 0), reach / 2, borderType=cv2.BORDER_REFLECT)
    nearby = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.threshold(nearby, HAZE * level, 0, cv2.THRESH_TRUNC, dst=nearby)[1], np.float32)


def positive_mask(
    fluorescence: NDArray[Any], valid: NDArray[np.bool_], settings: PositiveSettings, *, saturated_at: float
) -> NDArray[np.bool_]:
    """Which pixels of a field are PI-positive, shape ``(height, width)``; none that is no data.

    Args:
        fluorescence: Counts, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
        settings: What counts as positive.
        saturated_at: The camera's largest count. A saturated pixel is positive; how bright it is is not known.
    """
    if not valid.any():
        return np.zeros(valid.shape, np.bool_)
    image = smoothed(fluorescence, valid, sd=settings.smoothing)
    background = background_nearby(image, valid, radius=settings.radius, percentile=settings.percentile)
    background *= settings.ratio
    above = (image > background) & (image > 0)
    return np.asarray(valid & (above | (fluorescence >= saturated_at)), np.bool_)


def positive_share(mask: NDArray[np.bool_], valid: NDArray[np.bool_]) -> float:
    """Share of a field's valid pixels that are positive; NaN where none is valid.

    >>> positive_share(np.array([[True, False, False]]), np.array([[True, True, False]]))
    0.5

    Args:
        mask: Which pixels are positive, none of them no data, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
    """
    n_valid = int(np.count_nonzero(valid))
    return int(np.count_nonzero(mask)) / n_valid if n_valid else float("nan")


def part_nuclei(mask: NDArray[np.bool_], *, min_area: float, max_area: float, smoothing: float) -> NDArray[np.int32]:
    """The nuclei in a mask, those that touch parted by a watershed: the number of each in its pixels, 0 elsewhere.

    Args:
        mask: Which pixels are of nuclei, shape ``(height, width)``.
        min_area: Least area of a nucleus, square pixels: smaller ones are debris.
        max_area: Largest: what is larger is no nucleus, and is not counted.
        smoothing: Standard deviation that the distance to the edge is smoothed with before its peaks are found, pixels.
    """
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), smoothing)
    apart = max(1, round(np.sqrt(min_area / np.pi)))  # two centres lie a radius of the smallest nucleus apart
    peaks = peak_local_max(distance, min_distance=apart, labels=label(mask), exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts = watershed(-distance, markers, mask=mask)
    areas = np.bincount(parts.ravel(), minlength=len(peaks) + 1)
    is_nucleus = (areas >= min_area) & (areas <= max_area)
    is_nucleus[0] = False
    return np.asarray(np.where(is_nucleus[parts], parts, 0), np.int32)


def nuclei_of(mask: NDArray[np.bool_], *, min_area: float, max_area: float, smoothing: float) -> NDArray[np.float64]:
    """Centres of the nuclei in a mask, as ``part_nuclei`` parts them; shape ``(n, 2)``, y and x in pixels."""
    parts = part_nuclei(mask, min_area=min_area, max_area=max_area, smoothing=smoothing)
    found = regionprops_table(parts, properties=("centroid",))
    return np.stack([found["centroid-0"], found["centroid-1"]], axis=1).astype(np.float64)


def measure_positive(
    mask: NDArray[np.bool_],
    no_data: NDArray[np.bool_],
    y: NDArray[np.int32],
    x: NDArray[np.int32],
    settings: PositiveSettings,
    *,
    size: int,
) -> NDArray[np.float64]:
    """What each patch of a field holds of PI-positive pixels or nuclei, shape ``(n_patches,)``.

    Args:
        mask: Which pixels are positive, shape ``(height, width)``.
        no_data: Which pixels are no data, likewise.
        y: Upper edge of each patch, shape ``(n_patches,)``.
        x: Left edge, likewise.
        settings: What is measured.
        size: Side of a patch, pixels.

    Returns:
        The share of a patch's valid pixels, NaN where it has none; or the number of nuclei whose centre lies in it.
    """
    if settings.count_nuclei:
        nuclei = nuclei_of(mask, min_area=settings.min_area, max_area=settings.max_area, smoothing=settings.smoothing)
        return count_inside(nuclei, y, x, size=size).astype(np.float64)
    share, _ = window_means(mask.astype(np.uint8), no_data, y, x, size=size)
    return share


def count_inside(
    centres: NDArray[np.float64], y: NDArray[np.int32], x: NDArray[np.int32], *, size: int
) -> NDArray[np.int32]:
    """How many centres lie in each window.

    >>> count_inside(np.array([[0.0, 0.0], [9.0, 3.0], [10.0, 3.0]]), np.array([0]), np.array([0]), size=10)
    array([2], dtype=int32)

    Args:
        centres: Of nuclei or cells, y and x in pixels, shape ``(n, 2)``.
        y: Upper edge of each window, shape ``(n_windows,)``.
        x: Left edge, likewise.
        size: Side of a window, pixels.
    """
    below, right = (centres[:, axis] - edge[:, None] for axis, edge in ((0, y), (1, x)))
    inside = (below >= 0) & (below < size) & (right >= 0) & (right < size)
    return np.asarray(inside.sum(1), np.int32)
