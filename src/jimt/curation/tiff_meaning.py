"""What a TIFF's tags say of its numbers: which way is up, and whether zero is black."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError

_Turn = Callable[[NDArray[Any]], NDArray[Any]]
# by Orientation: what puts the first row on top and the first column left (TIFF 6.0, page 36)
_TURNS: dict[int, _Turn] = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: np.swapaxes(image, 0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(np.swapaxes(image, 0, 1), 2),
    8: lambda image: np.rot90(image, 1),
}

NOT_GREY_PALETTE = "has a palette that is not the grey of its numbers (a look-up table of colours, or a reversed one)"
EXPORT_GREY = "export it with plain grey (ImageJ: Image > Lookup Tables > Grays)"


def check_colours(page: tifffile.TiffPage, image: NDArray[Any]) -> None:
    """Refuse what programs read in different ways.

    A file with white at zero, or with a reversed palette, is the negative of an image to one program and an image
    shown as a negative to another (ImageJ stores so whatever is on the screen with an inverted look-up table): which
    end is bright, and so which cell is dead, cannot be told from the file.
    """
    kinds = tifffile.PHOTOMETRIC
    if "PhotometricInterpretation" not in page.tags:
        raise BadImageError("does not say whether zero is black (PhotometricInterpretation)", advice="export it again")
    if page.photometric == kinds.MINISWHITE:
        raise BadImageError(
            "has white at zero (MinIsWhite), which some programs invert and others do not",
            advice="export it with black at zero (ImageJ: Image > Lookup Tables > Grays)",
        )
    if page.photometric == kinds.PALETTE:
        palette, used = page.colormap, np.unique(image)  # of shape (3, n), 16 bits a colour
        if palette is None or image.dtype != np.uint8 or (palette[:, used] >> 8 != used).any():
            raise BadImageError(NOT_GREY_PALETTE, advice=EXPORT_GREY)
    elif page.photometric not in (kinds.MINISBLACK, kinds.RGB, kinds.YCBCR):
        raise BadImageError(
            f"has pixels of another kind than grey (PhotometricInterpretation {int(page.photometric)})",
            advice="export it as a grey image",
        )


def orientation_of(page: tifffile.TiffPage) -> int:
    """Which way is up; as it stands, where a page does not say it."""
    return int(page.tags.valueof("Orientation", default=1))


def upright(image: NDArray[Any], page: tifffile.TiffPage) -> NDArray[Any]:
    """Turn an image as its page's Orientation says; rows and columns are the first two axes."""
    orientation = orientation_of(page)
    if orientation not in _TURNS:
        raise BadImageError(
            f"has the orientation {orientation}, which does not exist (1 to 8 do)", advice="export it again"
        )
    return np.ascontiguousarray(_TURNS[orientation](image))
