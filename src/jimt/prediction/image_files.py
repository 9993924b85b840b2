"""Opens a file of images, whatever its format: TIFF, PNG, JPEG, CZI."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.images import check_file, png_chunks, read_png
from jimt.curation.listing import format_name
from jimt.curation.pixel_sizes import pixel_size_of_png
from jimt.prediction.czi_stacks import open_czi_stacks
from jimt.prediction.jpeg_files import read_jpeg
from jimt.prediction.stacks import Stack
from jimt.prediction.tiff_stacks import open_tiff_stacks

_TIFF: Final = (".tif", ".tiff")
_PNG: Final = (".png",)
_JPEG: Final = (".jpg", ".jpeg")
_CZI: Final = (".czi",)
SUFFIXES: Final = (*_TIFF, *_PNG, *_JPEG, *_CZI)
"""Of files that can be read, in small letters."""
FORMATS: Final = "TIFF, OME-TIFF, PNG, JPEG or CZI"
"""Likewise, as a person calls them."""
HOW_TO_EXPORT: Final = "export it as OME-TIFF, for example by Bio-Formats in Fiji"


@contextmanager
def open_images(path: Path) -> Iterator[list[Stack]]:
    """Open a file; every image in it, whose pixels are read when they are asked for.

    Raises:
        BadImageError: If it cannot be opened, or is of another format.
    """
    check_file(path)
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        with open_tiff_stacks(path) as stacks:
            yield stacks
    elif suffix in _CZI:
        with open_czi_stacks(path) as stacks:
            yield stacks
    elif suffix in _PNG:
        with decoding("PNG"):
            physical = dict(png_chunks(path.read_bytes())).get(b"pHYs", b"")
        yield [Stack(1, 1, 1, lambda *_: read_png(path), pixel_size=pixel_size_of_png(physical))]
    elif suffix in _JPEG:
        yield [Stack(1, 1, 1, lambda *_: read_jpeg(path))]
    else:
        name = format_name(path)
        what = f"is a file of {name}" if name else f"has a name that ends in {suffix}" if suffix else "has no suffix"
        raise BadImageError(f"{what}, and {FORMATS} is read", advice=HOW_TO_EXPORT)


def holds_one_image(path: Path) -> bool:
    """Whether a file can hold no more than one image, so that it need not be opened to know it."""
    return path.suffix.lower() in (*_PNG, *_JPEG)
