"""Reads TIFF files so that pixels are what the file means, or says why not; tifffile gives what stands there."""

import logging
import math
import struct
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.tiff_meaning import check_colours, orientation_of, upright

_OF_BLACK_AND_WHITE = {tifffile.COMPRESSION.CCITTRLE, tifffile.COMPRESSION.CCITT_T4, tifffile.COMPRESSION.CCITT_T6}

_DESCRIPTION = 270  # ImageDescription


class _Silence(logging.Filter):
    """Lets nothing through while a thread reads; a level would be put back to that which another thread has set."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._n_reading = 0

    def filter(self, record: logging.LogRecord) -> bool:
        return not self._n_reading

    def __enter__(self) -> None:
        with self._lock:
            self._n_reading += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._n_reading -= 1


_SILENCE = _Silence()
logging.getLogger("tifffile").addFilter(_SILENCE)
_WARNINGS = threading.Lock()  # their filters are those of all threads


@contextmanager
def open_tiff(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF so that whatever is wrong with it ends in one sentence, and tifffile logs nothing beside it."""
    with _SILENCE, decoding("TIFF"), tifffile.TiffFile(path) as tif:
        if not len(tif.pages):
            raise BadImageError("is damaged (it holds no page that can be read)", advice="export it again")
        yield tif


def read_tiff_page(path: Path) -> NDArray[Any]:
    """The one page of a TIFF at full resolution, shape ``(height, width)``, or ``(height, width, n_colours)``.

    Copies of lower resolution are passed over, whether they stand in pages of their own or in SubIFDs.

    Raises:
        BadImageError: If the file cannot be read, or holds more than one page.
    """
    with open_tiff(path) as tif:
        pages = _full_resolution(list(tif.pages))
        n_pages = max(len(pages), _n_planes(tif)) + names_another_page(tif)
        if n_pages != 1:
            raise BadImageError(
                f"has {n_pages} pages where one is expected",
                advice="export one page",
                remedies=("dataset.layout=stack",),
            )
        page = pages[0]
        check_pixels_are_there([page])
        image: NDArray[Any] = page.asarray()
        if "S" in page.axes and image.ndim == 3:  # colours may come first
            image = np.moveaxis(image, page.axes.index("S"), -1)
        check_colours(page, image)
        return upright(image, page)


def read_tiff_stack(path: Path) -> tuple[NDArray[Any], str, int]:
    """The first image series of a TIFF at full resolution.

    Returns:
        The pixels, upright, with rows and columns last; what tifffile calls each axis; and how many series there are.

    Raises:
        BadImageError: If the file cannot be read, or is no single stack of channels.
    """
    with open_tiff(path) as tif:
        all_series = series_of_this_file(tif)
        series = all_series[0]
        _check_axes(series.axes, series.shape)
        check_number_of_planes(tif, series)
        pages = as_they_stand(series.pages)
        check_pixels_are_there(pages)
        if names_another_page(tif):
            raise BadImageError("is cut off (its last pages are missing)", advice="copy or export it again")
        stack: NDArray[Any] = series.asarray()
        if len({(page.hash, orientation_of(page)) for page in pages}) > 1:
            raise BadImageError("has pages of different kinds", advice="export all channels in one way")
        for page in pages:
            check_colours(page, stack)
        axes = series.axes
        stack = upright(np.moveaxis(stack, [axes.index(axis) for axis in "YX"], [0, 1]), pages[0])
        stack = np.moveaxis(stack, [0, 1], [-2, -1])
        return stack, "".join(axis for axis in axes if axis not in "YX") + "YX", len(all_series)


def series_of_this_file(tif: tifffile.TiffFile) -> list[Any]:
    """The images whose planes lie in this file: OME metadata name those of a whole acquisition in each of its files.

    Raises:
        BadImageError: If there is none.
    """
    all_series = [series for series in tif.series if not series.keyframe.is_reduced]
    if not all_series:
        raise BadImageError("holds copies of lower resolution alone", advice="export the full image")
    own = [series for series in all_series if all(page is None or page.parent is tif for page in series.pages)]
    if not own:
        raise BadImageError(
            "is one of several files that hold the planes of one image between them", advice="export each as one file"
        )
    return own


def check_number_of_planes(tif: tifffile.TiffFile, series: Any) -> None:
    """Refuse a file whose metadata name more planes than it holds.

    Raises:
        BadImageError: If planes are missing.
    """
    n_planes = math.prod(series.shape) // math.prod(series.keyframe.shaped)
    if n_planes < _n_planes(tif):
        raise BadImageError(
            f"is cut off (it names {_n_planes(tif)} planes and holds {n_planes})", advice="copy or export it again"
        )


def _full_resolution(pages: Sequence[Any]) -> list[Any]:
    full = [page for page in pages if not page.is_reduced]
    if not full:
        raise BadImageError("holds copies of lower resolution alone", advice="export the full image")
    if any(page.size > full[0].size for page in pages if page.is_reduced):
        raise BadImageError(
            "holds a copy of lower resolution that is larger than the image", advice="export the full image"
        )
    return full


def _n_planes(tif: tifffile.TiffFile) -> int:
    """Planes that the metadata name, which may all stand behind one page's tags; 1 where they name none."""
    if tif.is_imagej:
        named = tif.imagej_metadata or {}
        counts = [int(named.get(key, 1)) for key in ("channels", "slices", "frames")]
        samples = tif.pages.first.samplesperpixel  # Bio-Formats names the colours of one plane as channels
        counts[0] = 1 if counts[0] == samples else counts[0]
        return max(math.prod(counts), 1 if int(named.get("images", 1)) == samples else int(named.get("images", 1)))
    if tif.is_shaped:
        shapes = [named["shape"] for named in tif.shaped_metadata or () if "shape" in named]
        return max(1, math.prod(shapes[0]) // max(1, tif.pages.first.size)) if shapes else 1
    if tif.is_stk:
        return int((tif.stk_metadata or {}).get("NumberPlanes", 1))
    return 1


def as_they_stand(pages: Iterable[Any]) -> list[Any]:
    """Pages with their own tags: tifffile lends those of a stack's first page to the others, whatever they say."""
    pages = list(pages)
    if None in pages:
        raise BadImageError("lacks a plane that its metadata names", advice="export it again as one file")
    with _WARNINGS, warnings.catch_warnings():  # a plane in another file, which is opened for a moment
        warnings.filterwarnings("ignore", "reading array from closed file|reading TiffPage from closed file")
        return [page if isinstance(page, tifffile.TiffPage) else page.aspage() for page in pages]


def check_pixels_are_there(pages: Iterable[Any]) -> None:
    """Refuse pages without whole pixels, or not all in the file: tifffile fills with zeros what it does not find."""
    for page in pages:
        if page.samplesperpixel < 1 or page.bitspersample < 8:
            raise BadImageError(
                f"has {page.samplesperpixel} samples of {page.bitspersample} bits a pixel",
                advice="export one of 8 or 16",
            )
        if page.compression in _OF_BLACK_AND_WHITE:
            raise BadImageError("is compressed as a fax, in black and white", advice="export it again")
        n_segments = math.prod(page.chunked)
        offsets, counts = page.dataoffsets[:n_segments], page.databytecounts[:n_segments]
        if len(offsets) < n_segments or len(counts) < n_segments or 0 in offsets or 0 in counts:
            raise BadImageError("is damaged (it lacks some of its strips or tiles)", advice="copy or export it again")
        end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
        size = page.parent.filehandle.size
        if end > size:
            raise BadImageError(f"is cut off ({size} bytes of {end})", advice="copy or export it again")
        if page.is_contiguous and sum(counts) < page.nbytes:  # tifffile would read on behind them
            raise BadImageError(
                f"is damaged (its strips hold {sum(counts)} bytes of {page.nbytes})", advice="copy or export it again"
            )


def names_another_page(tif: tifffile.TiffFile) -> bool:
    """Whether the last page that could be read points at one more: the rest of the file is missing."""
    form, file = tif.tiff, tif.filehandle
    file.seek(tif.pages[-1].offset)
    (n_tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    file.seek(n_tags * form.tagsize, 1)
    return any(file.read(form.offsetsize))


def lost_its_description(tif: tifffile.TiffFile) -> bool:
    """Whether the text that says what the pages are lies behind the end of the file, where it has one.

    tifffile then takes the planes of an OME-TIFF, whose text is written last, for pages of no meaning.
    """
    form, file = tif.tiff, tif.filehandle
    file.seek(tif.pages.first.offset)
    (n_tags,) = struct.unpack(form.tagnoformat, file.read(form.tagnosize))
    codes = [struct.unpack(f"{form.byteorder}H", file.read(form.tagsize)[:2])[0] for _ in range(n_tags)]
    return _DESCRIPTION in codes and _DESCRIPTION not in tif.pages.first.tags


def _check_axes(axes: str, shape: tuple[int, ...]) -> None:
    # slices (Z) pass: ImageJ's "Images to Stack" calls channels so; frames (T) do not, since nothing writes channels so
    several = [axis for axis, length in zip(axes, shape, strict=True) if axis not in "YX" and length > 1]
    if len(several) > 1 or "T" in several or not {"Y", "X"} <= set(axes):
        raise BadImageError(f"holds {axes} of shape {shape}", advice="export one time and one plane, channels only")
