"""Read raw images: 8-, 12- and 16-bit TIFF, OME-TIFF and PNG, one page or a stack of channels (paper: "Raw images")."""

import logging
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.errors import InputError

# What tifffile stumbles over, depending on which bytes are missing or wrong (found by flipping them at random).
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


Image = NDArray[Any]
"""uint8, uint16 or float32, shape ``(height, width)``."""


class BadImageError(InputError):
    """One raw image cannot be used; the message says why and what to do, without the file's name."""


def mask_payload(image: Image, *, bit_depth: int) -> Image:
    """Keep the low ``bit_depth`` bits of a 16-bit image (ScanR stores a 12-bit payload in 16-bit files)."""
    if image.dtype == np.uint16 and bit_depth < 16 and image.size and cv2.minMaxLoc(image)[1] >= 1 << bit_depth:
        return np.asarray(image & np.uint16((1 << bit_depth) - 1))
    return image


def _decode_png(path: Path) -> Image:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadImageError(f"cannot be read ({error.strerror}): check the file and its permissions") from error
    _check_png(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise BadImageError("is not a PNG, or damaged: export it again")
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])  # OpenCV gives blue first


def _check_png(data: bytes) -> None:
    """Check signature and checksums: OpenCV goes by content, not by name, and writes to stderr of what it misses."""
    if not data.startswith(_PNG_SIGNATURE):
        raise BadImageError("is not a PNG, whatever its name says: export it again")
    position, kind = len(_PNG_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length  # length, kind, content, checksum
        if end > len(data):
            raise BadImageError(f"is cut off after {len(data)} bytes: copy or export it again")
        kind = data[position + 4 : position + 8]
        if zlib.crc32(memoryview(data)[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise BadImageError("is damaged (a checksum is wrong): copy or export it again")
        position = end


@contextmanager
def _open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF so that whatever is wrong with it ends in one sentence, and tifffile logs nothing beside it."""
    logger = logging.getLogger("tifffile")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with tifffile.TiffFile(path) as tif:
            if not len(tif.pages):
                raise BadImageError("is damaged (it holds no page that can be read): export it again")
            yield tif
    except BadImageError:
        raise
    except OSError as error:
        raise BadImageError(
            f"cannot be read ({error.strerror or error}): check the file and its permissions"
        ) from error
    except _UNREADABLE as error:
        raise BadImageError(f"is not a TIFF, or damaged ({_first_line(error)}): export it again") from error
    finally:
        logger.setLevel(level)


def _check_pixels_are_there(pages: Iterable[Any]) -> None:
    """Refuse pages whose pixels are not all in the file: tifffile fills with zeros what it does not find."""
    for page in pages:
        if page is None:
            raise BadImageError("lacks a plane that its metadata names: export it again as one file")
        n_segments = math.prod(page.chunked)
        offsets, counts = page.dataoffsets[:n_segments], page.databytecounts[:n_segments]
        if len(offsets) < n_segments or len(counts) < n_segments or 0 in offsets or 0 in counts:
            raise BadImageError("is damaged (it lacks some of its strips or tiles): copy or export it again")
        end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
        size = page.parent.filehandle.size
        if end > size:
            raise BadImageError(f"is cut off ({size} bytes of {end}): copy or export it again")


def _names_another_page(tif: tifffile.TiffFile) -> bool:
    """Whether the last page that could be read points at one more: the rest of the file is missing."""
    form, file = tif.tiff, tif.filehandle
    file.seek(tif.pages[-1].offset)
    (n_tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(n_tags * form.tagsize, 1)
    return any(file.read(form.offsetsize))


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise BadImageError("is missing: copy it there")
    if path.stat().st_size == 0:
        raise BadImageError("is empty (zero bytes): copy or export it again")


def _check_type(image: Image) -> Image:
    if image.dtype == np.uint8 or image.dtype == np.uint16:
        return image
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is refused
            image = image.astype(np.float32)
        if not np.isfinite(image).all():
            raise BadImageError("holds NaN or infinite pixels: export it again as 8- or 16-bit integers")
        return image
    raise BadImageError(f"has {image.dtype} pixels: export it as 8- or 16-bit unsigned integers")


def read_page(path: Path, *, bit_depth: int) -> Image:
    """Read one grey image, shape ``(height, width)``: uint8, uint16 or float32.

    A colour file whose three channels are equal counts as grey.

    Raises:
        BadImageError: If the file cannot be read, has more than one page, or is a colour image.
    """
    _check_file(path)
    if path.suffix.lower() == ".png":
        image = _decode_png(path)
    else:
        with _open_tiff(path) as tif:
            n_pages = len(tif.pages) + _names_another_page(tif)
            if n_pages != 1:
                raise BadImageError(
                    f"has {n_pages} pages where one is expected: export one page, or read it as layout stack"
                )
            page = tif.pages[0]
            _check_pixels_are_there([page])
            image = page.asarray()
            if "S" in page.axes and image.ndim == 3:  # colours may come first
                image = np.moveaxis(image, page.axes.index("S"), -1)
    if image.ndim == 3 and image.shape[2] >= 3 and all((image[..., 0] == image[..., i]).all() for i in (1, 2)):
        image = np.ascontiguousarray(image[..., 0])
    if image.ndim != 2:
        raise BadImageError(f"has shape {image.shape} where one grey page is expected: export it as a grey image")
    return mask_payload(_check_type(image), bit_depth=bit_depth)


def read_channels(path: Path, *, indices: tuple[int, int], bit_depth: int) -> list[Image]:
    """Read two channels of a multi-channel file, each of shape ``(height, width)``.

    Raises:
        BadImageError: If the file cannot be read, is no single stack of channels, or lacks a channel.
    """
    _check_file(path)
    if path.suffix.lower() == ".png":
        stack = _decode_png(path)
        axes = "YXS"[: stack.ndim]
        n_series = 1
    else:
        with _open_tiff(path) as tif:
            n_series = len(tif.series)
            series = tif.series[0]
            axes = series.axes
            _check_axes(axes, series.shape)
            _check_pixels_are_there(series.pages)
            if _names_another_page(tif):
                raise BadImageError("is cut off (its last pages are missing): copy or export it again")
            stack = series.asarray()
    channels = [(i, axis) for i, axis in enumerate(axes) if axis not in "YX" and stack.shape[i] > 1]
    n_channels = stack.shape[channels[0][0]] if channels else 1
    of_series = f" in the first of its {n_series} image series" if n_series > 1 else ""
    for index in indices:
        if index >= n_channels:
            raise BadImageError(
                f"has {n_channels} channel{'s' * (n_channels > 1)}{of_series}, so no channel {index}: "
                "set dataset.brightfield_index and dataset.fluorescence_index (from 0)"
            )
    stack = np.moveaxis(stack, channels[0][0], 0).reshape(n_channels, *(stack.shape[axes.index(a)] for a in "YX"))
    return [mask_payload(_check_type(stack[index]), bit_depth=bit_depth) for index in indices]


def _check_axes(axes: str, shape: tuple[int, ...]) -> None:
    # slices (Z) pass: ImageJ's "Images to Stack" calls channels so; frames (T) do not, since nothing writes channels so
    several = [axis for axis, length in zip(axes, shape, strict=True) if axis not in "YX" and length > 1]
    if len(several) > 1 or "T" in several or not {"Y", "X"} <= set(axes):
        raise BadImageError(f"holds {axes} of shape {shape}: export one time and one plane, channels only")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def check_pair(brightfield: Image, fluorescence: Image | None, *, patch_size: int) -> None:
    """Refuse what can be read but not used.

    Raises:
        BadImageError: If the sizes differ, the image is smaller than a patch, or constant.
    """
    height, width = brightfield.shape
    if fluorescence is not None and fluorescence.shape != brightfield.shape:
        raise BadImageError(
            f"bright-field is {width} x {height} px and fluorescence {fluorescence.shape[1]} x "
            f"{fluorescence.shape[0]}: export both at one size"
        )
    if height < patch_size or width < patch_size:
        raise BadImageError(
            f"is {width} x {height} px, smaller than a patch of {patch_size}: remove it, or set curation.patches.size"
        )
    for name, image in (("bright-field", brightfield), ("fluorescence", fluorescence)):
        if image is None:
            continue
        low, high, *_ = cv2.minMaxLoc(image)
        if low == high:
            raise BadImageError(f"{name} is constant (every pixel {image.flat[0]}): acquire or export it again")
