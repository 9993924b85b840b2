"""Pictures that a prediction has left of its fields, opened again to follow a position from one time to the next."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.prediction.answers import FieldRow
from jimt.prediction.field_files import THUMBNAILS, stem_of
from jimt.statistics.image_shift import image_shift

Shift = tuple[float, float]
"""Down and right, pixels of the file's image."""


class FieldPictures(Mapping[int, NDArray[np.uint8]]):
    """Thumbnails of bright-field by the number of the field, each read when it is asked for.

    Args:
        rows: All fields; those without an answer have none.
        out: The output folder.
    """

    def __init__(self, rows: Sequence[FieldRow], out: Path) -> None:
        folder = out / THUMBNAILS
        self._paths = {row.number: folder / f"{stem_of(row)}_field.jpg" for row in rows if row.failed is None}

    def __getitem__(self, number: int) -> NDArray[np.uint8]:
        image = read_picture_file(self._paths[number], cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise KeyError(number)
        return image

    def __iter__(self) -> Iterator[int]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def read_picture_file(path: Path, how: int) -> NDArray[Any] | None:
    """A picture that was written before, in cv2's order of colours; None where it has gone or is damaged."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        return None
    return cv2.imdecode(data, how) if len(data) else None


def shift_of(before: NDArray[np.uint8], after: NDArray[np.uint8], *, width: int | None) -> Shift | None:
    """How much further down and right the second picture of a position shows what the first one shows.

    Args:
        before: Of the time before.
        after: Small, as the one before.
        width: Of the file's image, pixels.

    Returns:
        In pixels of that image; None where they are of different sizes, or nothing tells.
    """
    if before.shape != after.shape or width is None:
        return None
    found = image_shift(before, after)
    if found is None:
        return None
    factor = width / after.shape[1]
    return round(factor * found[0], 1), round(factor * found[1], 1)
