"""Read raw images: 8-, 12- and 16-bit TIFF, OME-TIFF and PNG, one page or a stack of channels (paper: "Raw images")."""

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.tiff import read_tiff_page, read_tiff_stack
from jimt.curation.tiff_meaning import EXPORT_GREY, NOT_GREY_PALETTE

Image = NDArray[Any]
"""uint8, uint16, int16 as it stands in the file (see ``curation.payload``), or float32, shape ``(height, width)``."""


def check_file(path: Path) -> None:
    """Refuse a file that is missing or empty, or that cannot be looked at.

    Raises:
        BadImageError: With the reason.
    """
    try:
        is_file = path.is_file()
        size = path.stat().st_size if is_file else 0
    except OSError as error:
        raise BadImageError(
            f"cannot be read ({error.strerror})", advice="check the file and its permissions"
        ) from error
    if not is_file:
        raise BadImageError("is missing", advice="copy it there")
    if size == 0:
        raise BadImageError("is empty (zero bytes)", advice="copy or export it again")


def check_type(image: Image) -> Image:
    """Pixels of a type that can be used, those of floating-point numbers as float32.

    Raises:
        BadImageError: If they are of another type, or not all finite.
    """
    if image.dtype in (np.uint8, np.uint16, np.int16):
        return image
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused
            image = image.astype(np.float32)
        if not np.isfinite(image).all():
            raise BadImageError("holds NaN or infinite pixels", advice="export it again as 8- or 16-bit integers")
        return image
    raise BadImageError(f"has {image.dtype} pixels", advice="export it as 8- or 16-bit unsigned integers")


def read_page(path: Path) -> Image:
    """Read one grey image, shape ``(height, width)``: uint8, uint16, int16 or float32.

    A colour file whose three channels are equal counts as grey.

    Raises:
        BadImageError: If the file cannot be read, has more than one page, or is a colour image.
    """
    check_file(path)
    image = read_png(path) if path.suffix.lower() == ".png" else read_tiff_page(path)
    if image.ndim == 3 and image.shape[2] >= 3 and all((image[..., 0] == image[..., i]).all() for i in (1, 2)):
        image = np.ascontiguousarray(image[..., 0])
    if image.ndim != 2:
        raise BadImageError(
            f"has shape {image.shape} where one grey page is expected", advice="export it as a grey image"
        )
    return check_type(image)


def read_channels(path: Path, *, indices: tuple[int, ...]) -> list[Image]:
    """Read channels of a multi-channel file, each of shape ``(height, width)``.

    Args:
        path: The file.
        indices: Place of each channel in it, from 0: bright-field, fluorescence, and further ones where there are any.

    Raises:
        BadImageError: If the file cannot be read, is no single stack of channels, or lacks a channel.
    """
    check_file(path)
    if path.suffix.lower() == ".png":
        stack = read_png(path)
        axes, n_series = "YXS"[: stack.ndim], 1
    else:
        stack, axes, n_series = read_tiff_stack(path)
    channels = [(i, axis) for i, axis in enumerate(axes) if axis not in "YX" and stack.shape[i] > 1]
    n_channels = stack.shape[channels[0][0]] if channels else 1
    of_series = f" in the first of its {n_series} image series" if n_series > 1 else ""
    for number, index in enumerate(indices):
        if index >= n_channels:
            further = ("dataset.nuclei_index=null dataset.live_stain_index=null",) if number > 1 else ()
            raise BadImageError(
                f"has {n_channels} channel{'s' * (n_channels > 1)}{of_series}, so no channel {index} (counted from 0)",
                remedies=further or ("dataset.brightfield_index=NUMBER dataset.fluorescence_index=NUMBER",),
            )
    stack = np.moveaxis(stack, channels[0][0], 0).reshape(n_channels, *(stack.shape[axes.index(a)] for a in "YX"))
    return [check_type(np.ascontiguousarray(stack[index])) for index in indices]


def check_pair(
    brightfield: Image, fluorescence: Image | None, *, patch_size: int, further: Mapping[str, Image] | None = None
) -> None:
    """Refuse what can be read but not used.

    Args:
        brightfield: Of a raw image.
        fluorescence: Of the same.
        patch_size: Pixels.
        further: Its images of other stains, by what they are in words.

    Raises:
        BadImageError: If the sizes differ, the image is smaller than a patch, or constant.
    """
    height, width = brightfield.shape
    stains = {"fluorescence": fluorescence, **(further or {})}
    for name, image in stains.items():
        if image is not None and image.shape != brightfield.shape:
            raise BadImageError(
                f"bright-field is {width} x {height} px and {name} {image.shape[1]} x {image.shape[0]}",
                advice="export both at one size",
            )
    if height < patch_size or width < patch_size:
        raise BadImageError(
            f"is {width} x {height} px, smaller than a patch of {patch_size}",
            advice="remove it",
            remedies=("curation.patches.size=NUMBER",),
        )
    for name, image in {"bright-field": brightfield, **stains}.items():
        if image is None:
            continue
        low, high, *_ = cv2.minMaxLoc(image)
        if low == high:
            raise BadImageError(
                f"{name} is constant (every pixel {image.flat[0]})", advice="acquire or export it again"
            )


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # colour type
_GREYS = np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes()  # a palette in which each number is its own grey


def read_png(path: Path) -> NDArray[Any]:
    """The pixels of a PNG, shape ``(height, width)``, or ``(height, width, n_colours)`` with red first.

    A palette passes where each number stands for its own grey.

    Raises:
        BadImageError: If the file cannot be read, or its numbers are no grey values.
    """
    with decoding("PNG"):
        data = path.read_bytes()
    chunks = dict(png_chunks(data))
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        raise BadImageError("is damaged (it has no header)", advice="export it again")
    bits, colour_type = header[8], header[9]
    if bits < 8:
        raise BadImageError(f"has {bits} bits a pixel", advice="export it with 8 or 16")
    if b"acTL" in chunks:
        raise BadImageError("is an animation of several images", advice="export one")
    if exif_orientation(chunks.get(b"eXIf", b"")) != 1:
        raise BadImageError("is stored turned or mirrored (its EXIF orientation)", advice="export it upright")
    if colour_type == _PALETTE and not _GREYS.startswith(chunks.get(b"PLTE", b"")):
        raise BadImageError(NOT_GREY_PALETTE, advice=EXPORT_GREY)
    with decoding("PNG"):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise BadImageError("is not a PNG, or damaged", advice="export it again")
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])  # OpenCV gives blue first


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
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


def exif_orientation(exif: bytes) -> int:
    """The orientation in EXIF data, which are a small TIFF: tag 274 of its first directory; 1 where it has none."""
    order = "little" if exif.startswith(b"II") else "big"
    start = int.from_bytes(exif[4:8], order)  # type: ignore[arg-type]
    for number in range(int.from_bytes(exif[start : start + 2], order)):  # type: ignore[arg-type]
        entry = exif[start + 2 + 12 * number : start + 14 + 12 * number]
        if int.from_bytes(entry[:2], order) == 274:  # type: ignore[arg-type]
            return int.from_bytes(entry[8:10], order)  # type: ignore[arg-type]
    return 1
