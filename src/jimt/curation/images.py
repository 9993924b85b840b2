"""Read raw images: 8-, 12- and 16-bit TIFF, OME-TIFF and PNG, one page or a stack of channels (paper: "Raw images")."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.errors import InputError

# What tifffile raises, depending on which bytes are missing; a file it cannot read is a bad image, not a crash.
_UNREADABLE = (tifffile.TiffFileError, ValueError, IndexError, KeyError, TypeError, RuntimeError, OSError, EOFError)


Image = NDArray[Any]
"""uint8, uint16 or float32, shape ``(height, width)``."""


class BadImageError(InputError):
    """One raw image cannot be used; the message says why and what to do, without the file's name."""


def mask_payload(image: Image, *, bit_depth: int) -> Image:
    """Keep the low ``bit_depth`` bits of a 16-bit image (ScanR stores a 12-bit payload in 16-bit files)."""
    if image.dtype == np.uint16 and bit_depth < 16:
        return np.asarray(image & np.uint16((1 << bit_depth) - 1))
    return image


def _decode_png(path: Path) -> Image:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise BadImageError("is not an image, or damaged: export it again")
    return image if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])  # OpenCV gives blue first


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise BadImageError("is missing: copy it there")
    if path.stat().st_size == 0:
        raise BadImageError("is empty (zero bytes): copy or export it again")


def _check_type(image: Image) -> Image:
    if image.dtype == np.uint8 or image.dtype == np.uint16:
        return image
    if image.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise BadImageError("holds NaN or infinite pixels: export it again as 8- or 16-bit integers")
        return image.astype(np.float32)
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
        try:
            with tifffile.TiffFile(path) as tif:
                n_pages = len(tif.pages)
                if n_pages != 1:
                    raise BadImageError(
                        f"has {n_pages} pages where one is expected: export one page, or read it as layout stack"
                    )
                image = tif.pages[0].asarray()
        except BadImageError:
            raise
        except _UNREADABLE as error:
            raise BadImageError(f"is not a TIFF, or damaged ({_first_line(error)}): export it again") from error
    if image.ndim == 3 and image.shape[2] >= 3 and all((image[..., 0] == image[..., i]).all() for i in (1, 2)):
        image = image[..., 0]
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
        stack, axes = _decode_png(path), "YXS"
    else:
        try:
            with tifffile.TiffFile(path) as tif:
                series = tif.series[0]
                stack, axes = series.asarray(), series.axes
        except _UNREADABLE as error:
            raise BadImageError(f"is not a TIFF, or damaged ({_first_line(error)}): export it again") from error
    channels = [(i, axis) for i, axis in enumerate(axes) if axis not in "YX" and stack.shape[i] > 1]
    if stack.ndim == 2:
        channels = []
    elif len(channels) > 1:
        raise BadImageError(f"holds {axes} of shape {stack.shape}: export one time and one plane, channels only")
    n_channels = stack.shape[channels[0][0]] if channels else 1
    for index in indices:
        if index >= n_channels:
            raise BadImageError(
                f"has {n_channels} channel{'s' * (n_channels > 1)}, so no channel {index}: "
                "set dataset.brightfield_index and dataset.fluorescence_index (from 0)"
            )
    stack = np.moveaxis(stack, channels[0][0], 0).reshape(n_channels, *(stack.shape[axes.index(a)] for a in "YX"))
    return [mask_payload(_check_type(stack[index]), bit_depth=bit_depth) for index in indices]


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
        if image is not None and image.min() == image.max():
            raise BadImageError(f"{name} is constant (every pixel {image.flat[0]}): acquire or export it again")
