"""What a TIFF's tags say of its numbers: which way is up, and whether zero is black."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError

_PHOTOMETRIC, _ORIENTATION = 262, 274
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


@dataclass(frozen=True)
class Meaning:
    """What a page's tags say of its numbers."""

    photometric: int | None
    orientation: int
    palette: NDArray[np.uint16] | None
    """Shape ``(3, n)``, 16 bits a colour."""


def meaning_of(page: Any) -> Meaning:
    """What the tags of a page of tifffile say."""
    orientation = page.tags.get(_ORIENTATION)
    return Meaning(
        int(page.photometric) if _PHOTOMETRIC in page.tags else None,
        1 if orientation is None else int(orientation.value),
        page.colormap,
    )


def check_colours(meaning: Meaning, image: NDArray[Any]) -> None:
    """Refuse what programs read in different ways.

    A file with white at zero, or with a reversed palette, is the negative of an image to one program and an image
    shown as a negative to another (ImageJ stores so whatever is on the screen with an inverted look-up table): which
    end is bright, and so which cell is dead, cannot be told from the file.
    """
    kinds = tifffile.PHOTOMETRIC
    if meaning.photometric is None:
        raise BadImageError("does not say whether zero is black (PhotometricInterpretation)", advice="export it again")
    if meaning.photometric == kinds.MINISWHITE:
        raise BadImageError(
            "has white at zero (MinIsWhite), which some programs invert and others do not",
            advice="export it with black at zero (ImageJ: Image > Lookup Tables > Grays)",
        )
    if meaning.photometric == kinds.PALETTE:
        if meaning.palette is None or image.dtype != np.uint8:
            raise BadImageError(NOT_GREY_PALETTE, advice=EXPORT_GREY)
        used = np.unique(image)
        if (meaning.palette[:, used] >> 8 != used).any():
            raise BadImageError(NOT_GREY_PALETTE, advice=EXPORT_GREY)
    elif meaning.photometric not in (kinds.MINISBLACK, kinds.RGB, kinds.YCBCR):
        raise BadImageError(
            f"has pixels of another kind than grey (PhotometricInterpretation {meaning.photometric})",
            advice="export it as a grey image",
        )


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn an image as its Orientation says; rows and columns are the first two axes."""
    if orientation not in _TURNS:
        raise BadImageError(
            f"has the orientation {orientation}, which does not exist (1 to 8 do)", advice="export it again"
        )
    return np.ascontiguousarray(_TURNS[orientation](image))
