"""Patches as pictures, and small ones all in one sheet."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.curation.store import cut_patches, places_of

SIDE = 64
_ALONG = 50
_QUALITY = 70
_AT_ONCE = 256


def patches_of(curated: Curated, rows: pd.DataFrame) -> NDArray[np.uint8]:
    """Bright-field patches of some rows of the manifest, shape ``(n, size, size)``."""
    return cut_patches(curated.store.field, places_of(rows), size=curated.summary["patch_size"])


def thumbnails(patches: Any, n: int) -> NDArray[np.uint8]:
    """Patches reduced to 64 px, shape ``(n, 64, 64)``.

    Args:
        patches: Gives those of an array of indices, so that not all are held at once.
        n: How many there are.
    """
    out = np.empty((n, SIDE, SIDE), np.uint8)
    for start in range(0, n, _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, n))
        for row, patch in zip(rows, patches[rows], strict=True):
            out[row] = cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return out


@dataclass(frozen=True)
class Sheet:
    """Thumbnails side by side in one JPEG.

    Attributes:
        data_uri: The picture.
        x: Left edge of each in it, pixels, shape ``(n,)``.
        y: Upper edge, likewise.
    """

    data_uri: str
    x: NDArray[np.int64]
    y: NDArray[np.int64]


def sheet(images: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> Sheet:
    """Put thumbnails of 64 px into one sheet, 50 a row."""
    n = len(images)
    columns = min(n, _ALONG)
    picture = np.full((-(-n // columns) * SIDE, columns * SIDE), 255, np.uint8)
    row, column = np.divmod(np.arange(n), columns)
    for image, y, x in zip(images, row * SIDE, column * SIDE, strict=True):
        picture[y : y + SIDE, x : x + SIDE] = image
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Sheet(f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}", column * SIDE, row * SIDE)
