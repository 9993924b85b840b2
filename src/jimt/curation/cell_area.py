"""Where the cells of a field lie, by the texture of its bright-field image: what a dead area is a share of."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SD: Final = 5.0  # pixels: wider than the grain of a camera, narrower than a cell
PERCENTILE: Final = 95.0
SHARE: Final = 1 / 6
"""Of the local contrast at that percentile, above which a pixel is of a cell: neither gain nor exposure matters. Of the
counted nuclei of mcf7 99.5 % lie in it, and it ranks the 70 fields as the density of all nuclei on Hoechst does
(Spearman 0.71; ``benchmarks/cell_area.py``)."""


def cell_area(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pixels of a bright-field image are of cells, shape ``(height, width)``.

    A field without any cell has an area, too, of its brightest grain: it is a share of cells where there are some.

    Args:
        pixels: In 8 bits, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
    """
    if not valid.any():
        return np.zeros(pixels.shape, np.bool_)
    image = pixels.astype(np.float32)
    image[~valid] = image[valid].mean()
    mean, square = _blurred(image), _blurred(image * image)
    contrast = _blurred(np.sqrt(np.maximum(square - mean * mean, 0)))
    strongest = float(np.percentile(contrast[valid], PERCENTILE))
    return np.asarray(valid & (contrast > SHARE * strongest), np.bool_)


def _blurred(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), SD, borderType=cv2.BORDER_REFLECT), np.float32)
