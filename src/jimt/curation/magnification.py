"""Brings an image to the size of pixel that a model was trained at; what an alignment filled with zeros stays zero."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError
from jimt.curation.no_data import no_data_mask
from jimt.curation.payload import payload

MOST_ENLARGED: Final = 4.0
"""Times along each side, so 16 times the memory; what a lens has not resolved is not there to be enlarged."""


def resample(image: NDArray[Any], *, zoom: float, bit_depth: int, bit_shift: int) -> NDArray[Any]:
    """An image of ``zoom`` times the size, of the same type; grey values stay between its darkest and its brightest.

    Averaged over areas where it becomes smaller, else by cubic splines, which overshoot at edges: beyond the darkest
    and brightest pixel they are cut off, or a count would turn over the end of its range.

    Args:
        image: Shape ``(height, width)``, as its file holds it.
        zoom: Pixels of the answer for one of the image's.
        bit_depth: Bits that carry the signal, by which zeros are told.
        bit_shift: Zero bits below them.

    Raises:
        BadImageError: If nothing but zeros is there, or a pixel is left.
    """
    counts = payload(image, bit_depth=bit_depth, bit_shift=bit_shift)
    return resample_known(image, no_data_mask(counts, counts), zoom=zoom)[0]


def resample_known(
    image: NDArray[Any], no_data: NDArray[np.bool_], *, zoom: float
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """As ``resample``, where it is known which pixels are no data.

    Args:
        image: Shape ``(height, width)``.
        no_data: Which of its pixels are none, likewise.
        zoom: Pixels of the answer for one of the image's.

    Returns:
        The image, and which of its pixels are no data.

    Raises:
        BadImageError: If nothing is left of it, or it would have to be enlarged too far.
    """
    if zoom > MOST_ENLARGED:
        raise BadImageError(
            f"would have to be enlarged {zoom:.3g} times along each side to be of the model's pixel size",
            advice="image it at a magnification near that of the model's training",
        )
    if min(round(side * zoom) for side in image.shape) < 1:
        raise BadImageError(f"has nothing left when it is made {1 / zoom:.3g} times smaller", advice="remove it")
    filled = image.astype(np.float32)
    if no_data.any():  # by the nearest pixel, so that no zero takes part in a mean
        _, nearest = cv2.distanceTransformWithLabels(
            no_data.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        value_of = np.zeros(int(nearest.max()) + 1, np.float32)
        value_of[nearest[~no_data]] = filled[~no_data]
        filled = value_of[nearest]
    low, high = float(filled.min()), float(filled.max())
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    larger = np.clip(cv2.resize(filled, None, fx=zoom, fy=zoom, interpolation=how), low, high)
    result = larger if image.dtype.kind == "f" else np.rint(larger)
    without = np.zeros(result.shape, np.bool_)
    if no_data.any():
        share = cv2.resize(no_data.astype(np.float32), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        without = np.asarray(share >= 0.5)
        result[without] = image[no_data].flat[0]
    return np.asarray(result, image.dtype), without
