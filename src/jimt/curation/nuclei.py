"""All nuclei of a field by a stain such as Hoechst: where they lie, which are PI-positive, whether they can be told.

They are all nuclei: where other cells were added, such as lymphocytes, theirs count as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from skimage.measure import regionprops_table

from jimt.curation.images import Image
from jimt.curation.no_data import no_data_mask
from jimt.curation.positive import count_inside, part_nuclei, smoothed
from jimt.errors import ways_out

_DARKEST: Final = 0.01  # of the mean: what is darker, as after a background was taken off, has a logarithm of noise
_MIN_CONTRAST: Final = 10.0
"""Times the noise; below, Otsu's threshold parts noise in halves. The fields of mcf7 have 26 or more, noise alone has
1.6, on haze 5.2 or less."""
_MIN_FOCUS: Final = 0.5
"""Of the data set's median. No field of mcf7 has less, the most blurred one as much; once blurred by a Gaussian of 6
pixels, 63 of 70 have."""
_FINE, _COARSE = (1.5, 3.0), (6.0, 12.0)  # pixels: bands between two Gaussians; outlines of nuclei, and nuclei
_NAMED: Final = 10  # raw images in a warning; summary.json has all


@dataclass(frozen=True)
class NucleiSettings:
    """How all nuclei are found on their stain; lengths and areas in pixels.

    Attributes:
        smoothing: Standard deviation of the Gaussian that the stain is smoothed with before.
        background: Of the Gaussian whose mean is the background nearby.
        min_area: Least area of a nucleus.
        max_area: Largest.
    """

    smoothing: float
    background: float
    min_area: float
    max_area: float


@dataclass(frozen=True)
class Nuclei:
    """All nuclei of one field.

    Attributes:
        centres: y and x in pixels, shape ``(n, 2)``.
        positive: Which are PI-positive, shape ``(n,)``.
        contrast: Logarithm of the stain in nuclei less that beside them, in standard deviations of the noise.
        focus: Contrast near nuclei as fine as their outlines, to that as coarse as nuclei themselves.
    """

    centres: NDArray[np.float64]
    positive: NDArray[np.bool_]
    contrast: float
    focus: float

    def count(
        self, y: NDArray[np.int32], x: NDArray[np.int32], *, size: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """How many nuclei, and PI-positive ones, have their centre in each window, as ``count_inside``."""
        return count_inside(self.centres, y, x, size=size), count_inside(self.centres[self.positive], y, x, size=size)


def find_nuclei(
    stain: Image, valid: NDArray[np.bool_], positive: NDArray[np.bool_], settings: NucleiSettings
) -> Nuclei:
    """Find the nuclei of a field: what stands out of the stain nearby on a logarithmic scale, by Otsu's threshold.

    On that scale a nucleus three times as faint as others is found as they are, and the stain's gain does not matter.
    A nucleus is PI-positive where more than half of its pixels are: where the median of PI over the background nearby
    lies above ``curation.label.positive.ratio``.

    Args:
        stain: Counts of the nuclear stain, shape ``(height, width)``.
        valid: Which pixels of bright-field and PI are data, likewise.
        positive: Which are PI-positive, likewise.
        settings: What a nucleus is.

    Returns:
        The nuclei; none where nothing stands out of the noise.
    """
    valid = valid & ~no_data_mask(stain, stain)
    darkest = _DARKEST * float(stain[valid].mean()) if valid.any() else 0.0
    if darkest <= 0:
        return Nuclei(np.zeros((0, 2)), np.zeros(0, np.bool_), 0.0, float("nan"))
    level = np.log(np.maximum(smoothed(stain, valid, sd=settings.smoothing), darkest)).astype(np.float32)
    above = level - smoothed(level, valid, sd=settings.background)
    inside = valid & (above > threshold_otsu(above[valid]))
    counts = np.log(np.maximum(stain, darkest)).astype(np.float32)
    contrast = _contrast(above, inside, valid, noise=_noise(counts, valid) * _left_by(settings.smoothing))
    if contrast < _MIN_CONTRAST:
        inside = np.zeros_like(inside)
    labels = part_nuclei(inside, min_area=settings.min_area, max_area=settings.max_area, smoothing=settings.smoothing)
    found = regionprops_table(labels, positive.astype(np.float64), properties=("centroid", "intensity_mean"))
    return Nuclei(
        centres=np.stack([found["centroid-0"], found["centroid-1"]], axis=1).astype(np.float64),
        positive=np.asarray(found["intensity_mean"] > 0.5, np.bool_),
        contrast=contrast,
        focus=_focus(counts, inside, valid),
    )


def _contrast(
    above: NDArray[np.float32], inside: NDArray[np.bool_], valid: NDArray[np.bool_], *, noise: float
) -> float:
    beside = valid & ~inside
    if not inside.any() or not beside.any():
        return 0.0
    difference = float(above[inside].mean()) - float(above[beside].mean())
    return difference / max(noise, 1e-9 * difference)


def _noise(counts: NDArray[np.float32], valid: NDArray[np.bool_]) -> float:
    """Standard deviation of noise from pixel to pixel (J. Immerkaer, Comput. Vis. Image Underst. 64, 1996)."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    answer = cv2.filter2D(counts, -1, mask, borderType=cv2.BORDER_REFLECT)
    return (
        float(1.4826 * np.median(np.abs(answer[_well_inside(valid, 1)]))) / 6 if _well_inside(valid, 1).any() else 0.0
    )


def _left_by(smoothing: float) -> float:
    """What a Gaussian leaves of noise that differs from pixel to pixel."""
    return min(1.0, 1 / (2 * np.sqrt(np.pi) * smoothing)) if smoothing > 0 else 1.0


def _focus(counts: NDArray[np.float32], inside: NDArray[np.bool_], valid: NDArray[np.bool_]) -> float:
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
    near = cv2.dilate(inside.astype(np.uint8), reach).astype(np.bool_) & _well_inside(valid, int(_COARSE[1]))
    if not near.any():
        return float("nan")

    def contrast(band: tuple[float, float]) -> float:
        fine, coarse = (cv2.GaussianBlur(counts, (0, 0), sd, borderType=cv2.BORDER_REFLECT) for sd in band)
        return float((fine - coarse)[near].std())

    of_nuclei = contrast(_COARSE)
    return contrast(_FINE) / of_nuclei if of_nuclei > 0 else float("nan")


def _well_inside(valid: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    if valid.all():
        return valid
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * distance + 1, 2 * distance + 1))
    return cv2.erode(valid.astype(np.uint8), reach, borderValue=1).astype(np.bool_)


def nuclei_of_fields(fields: pd.DataFrame) -> dict[str, Any] | None:
    """What ``summary.json`` says of all nuclei of a data set; None where it has no such stain.

    Args:
        fields: ``raw_image_id``, ``n_nuclei``, ``n_positive_nuclei``, ``nuclei_contrast`` and ``nuclei_focus`` of every
            field that was read.
    """
    if "n_nuclei" not in fields:
        return None
    names = fields["raw_image_id"].to_numpy(object)
    told = fields["nuclei_contrast"].to_numpy(float) >= _MIN_CONTRAST
    focus = fields["nuclei_focus"].to_numpy(float)
    known = told & np.isfinite(focus)
    usual = float(np.median(focus[known])) if known.any() else float("nan")
    return {
        "n": int(fields["n_nuclei"].sum()),
        "n_positive": int(fields["n_positive_nuclei"].sum()),
        "n_raw_images": len(fields),
        "not_told": names[~told].tolist(),
        "out_of_focus": names[known & (focus < _MIN_FOCUS * usual)].tolist(),
    }


def describe_nuclei(nuclei: Mapping[str, Any]) -> list[str]:
    """What was found, and warnings of fields in which nuclei cannot be told.

    Args:
        nuclei: As ``nuclei_of_fields`` gives it.
    """
    n, n_all = nuclei["n"], nuclei["n_raw_images"]
    share = f" ({100 * nuclei['n_positive'] / n:.1f} %)" if n else ""
    lines = [f"all nuclei on their stain: {n:,}, of which {nuclei['n_positive']:,}{share} are PI-positive"]
    for key, what, why in (
        ("not_told", "no nucleus stands out of the noise", "they are empty, or the stain has failed"),
        ("out_of_focus", "nuclei are blurred far beyond the usual", "fewer may be told apart than there are"),
    ):
        if names := nuclei[key]:
            listed = ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")
            ways = ways_out(advice=f"look at {listed} (summary.json lists all)")
            lines.append(f"WARNING: {what} on the nuclear stain of {len(names)} of {n_all} raw images; {why}: {ways}")
    return lines
