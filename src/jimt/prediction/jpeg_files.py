"""Reads JPEG: 8 bits, upright, grey or of three colours."""

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.images import exif_orientation

_START: Final = b"\xff\xd8"
_EXIF: Final = b"Exif\0\0"
_APP1, _SCAN = 0xE1, 0xDA
_FRAMES: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # SOF0 to SOF15; the others are tables


def read_jpeg(path: Path) -> NDArray[Any]:
    """The pixels of a JPEG, uint8, shape ``(height, width)``, or ``(height, width, 3)`` with red first.

    Raises:
        BadImageError: If the file cannot be read, is stored turned, or has other pixels.
    """
    with decoding("JPEG"):
        data = path.read_bytes()
    bits, n_colours, orientation = _header(data)
    if bits != 8:
        raise BadImageError(f"has {bits} bits a pixel, and JPEG of 8 is read", advice="export it as TIFF")
    if n_colours not in (1, 3):
        raise BadImageError(f"has {n_colours} colours, as for a printer", advice="export it as a grey image")
    if orientation != 1:
        raise BadImageError("is stored turned or mirrored (its EXIF orientation)", advice="export it upright")
    image: NDArray[Any] | None
    with decoding("JPEG"):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise BadImageError("is cut off or damaged", advice="copy or export it again")
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., ::-1])  # OpenCV gives blue first


def _header(data: bytes) -> tuple[int, int, int]:
    """Bits of a pixel and of how many colours, and the EXIF orientation, from the segments before the pixels.

    Raises:
        BadImageError: If these end before the size is told.
    """
    if not data.startswith(_START):
        raise BadImageError("is not a JPEG, whatever its name says", advice="export it again")
    position, frame, orientation = len(_START), None, 1
    while position + 4 <= len(data) and data[position] == 0xFF:
        kind, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if kind == 0xFF:  # padding
            position += 1
            continue
        content = data[position + 4 : position + 2 + length]
        if kind in _FRAMES and len(content) >= 6:
            frame = content[0], content[5]
        elif kind == _APP1 and content.startswith(_EXIF):
            orientation = exif_orientation(content[len(_EXIF) :])
        elif kind == _SCAN and frame is not None:
            return *frame, orientation
        position += 2 + length
    raise BadImageError("is cut off or damaged", advice="copy or export it again")
