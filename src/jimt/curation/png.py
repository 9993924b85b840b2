"""Reads PNG files, or says why not."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.tiff_meaning import EXPORT_GREY, NOT_GREY_PALETTE

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # colour type


def read_png(path: Path) -> NDArray[Any]:
    """The pixels of a PNG, shape ``(height, width)``, or ``(height, width, n_colours)`` with red first.

    A palette passes where each number stands for its own grey.

    Raises:
        BadImageError: If the file cannot be read, or its numbers are no grey values.
    """
    with decoding("PNG"):
        data = path.read_bytes()
    chunks = dict(_chunks(data))
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        raise BadImageError("is damaged (it has no header)", advice="export it again")
    bits, colour_type = header[8], header[9]
    if bits < 8:
        raise BadImageError(f"has {bits} bits a pixel", advice="export it with 8 or 16")
    if b"acTL" in chunks:
        raise BadImageError("is an animation of several images", advice="export one")
    if _orientation(chunks.get(b"eXIf", b"")) != 1:
        raise BadImageError("is stored turned or mirrored (its EXIF orientation)", advice="export it upright")
    if colour_type == _PALETTE and not _is_grey(chunks.get(b"PLTE", b"")):
        raise BadImageError(NOT_GREY_PALETTE, advice=EXPORT_GREY)
    with decoding("PNG"):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise BadImageError("is not a PNG, or damaged", advice="export it again")
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])  # OpenCV gives blue first


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each chunk, checked: OpenCV writes to stderr of what it misses.

    Raises:
        BadImageError: If signature, length or a checksum is wrong.
    """
    if not data.startswith(_SIGNATURE):
        raise BadImageError("is not a PNG, whatever its name says", advice="export it again")
    position, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length  # length, kind, content, checksum
        if end > len(data):
            raise BadImageError(f"is cut off after {len(data)} bytes", advice="copy or export it again")
        kind = data[position + 4 : position + 8]
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise BadImageError("is damaged (a checksum is wrong)", advice="copy or export it again")
        yield kind, data[position + 8 : end - 4]
        position = end


def _is_grey(palette: bytes) -> bool:
    return all(palette[3 * number : 3 * number + 3] == bytes([number] * 3) for number in range(len(palette) // 3))


def _orientation(exif: bytes) -> int:
    """The orientation in an eXIf chunk, which is a small TIFF: tag 274 of its first directory; 1 where it has none."""
    order = "little" if exif.startswith(b"II") else "big"
    start = int.from_bytes(exif[4:8], order)  # type: ignore[arg-type]
    for number in range(int.from_bytes(exif[start : start + 2], order)):  # type: ignore[arg-type]
        entry = exif[start + 2 + 12 * number : start + 14 + 12 * number]
        if int.from_bytes(entry[:2], order) == 274:  # type: ignore[arg-type]
            return int.from_bytes(entry[8:10], order)  # type: ignore[arg-type]
    return 1
