"""The images of a TIFF with several channels, planes, time points or positions, one plane read at a time."""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import tifffile
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.pixel_sizes import pixel_size_of_tiff
from jimt.curation.tiff import (
    as_they_stand,
    check_number_of_planes,
    check_pixels_are_there,
    lost_its_description,
    names_another_page,
    open_tiff,
    series_of_this_file,
)
from jimt.curation.tiff_meaning import check_colours, upright
from jimt.prediction.stack_times import seconds_of_tiff
from jimt.prediction.stacks import Stack

_CHANNELS: Final = "CIQ"
"""tifffile's letters for channels, and for pages of which nothing says what they are."""
_POSITIONS: Final = "RP"


@contextmanager
def open_tiff_stacks(path: Path) -> Iterator[list[Stack]]:
    """Open a TIFF; each position of it, at full resolution.

    Raises:
        BadImageError: If it cannot be read, lacks pages that it names, or has an axis of another kind.
    """
    with open_tiff(path) as tif:
        if lost_its_description(tif):
            raise BadImageError("is cut off (its metadata are missing)", advice="copy or export it again")
        every = list(tif.series)
        stacks = []
        for series in series_of_this_file(tif):
            check_number_of_planes(tif, series)
            number = next(n for n, one in enumerate(every) if one is series)
            stacks += _positions(tif, series, number)
        if names_another_page(tif):
            raise BadImageError("is cut off (its last pages are missing)", advice="copy or export it again")
        yield stacks


def _positions(tif: tifffile.TiffFile, series: Any, number: int) -> list[Stack]:
    """A stack for each position of a series; mostly one."""
    inner = series.keyframe.axes
    outer = series.axes[: len(series.axes) - len(inner)]
    if not {"Y", "X"} <= set(inner) or not set(inner) <= set("YXS") or series.axes != outer + inner:
        raise BadImageError(f"holds {series.axes} of shape {series.shape}", advice="export it as OME-TIFF")
    lengths = dict.fromkeys("PCZT", 1)
    kinds = []  # of each outer axis, which of these it is
    for axis, length in zip(outer, series.shape, strict=False):
        kind = "C" if axis in _CHANNELS else "P" if axis in _POSITIONS else axis
        if kind not in lengths and length > 1:
            raise BadImageError(
                f"holds {series.axes} of shape {series.shape}", advice="export channels, planes and times alone"
            )
        lengths[kind] = lengths.get(kind, 1) * length
        kinds.append((kind, length))
    names, size = _channel_names(tif, number, lengths["C"]), pixel_size_of_tiff(tif, series=number)
    seconds = seconds_of_tiff(tif, number, lengths["T"])

    def stack_of(position: int) -> Stack:
        def plane(channel: int, z: int, time: int) -> NDArray[Any]:
            wanted = {"C": channel, "Z": z, "T": time, "P": position}
            return _read_plane(tif, series, _place(kinds, wanted))

        return Stack(lengths["C"], lengths["Z"], lengths["T"], plane, names, size, seconds)

    return [stack_of(position) for position in range(lengths["P"])]


def _place(kinds: list[tuple[str, int]], wanted: dict[str, int]) -> int:
    """Number of a plane among those of its series, the last axis running fastest; two axes of one kind run as one."""
    left, place, step = dict(wanted), 0, 1
    for kind, length in reversed(kinds):
        index = left.get(kind, 0)
        left[kind], index = divmod(index, length)
        place += index * step
        step *= length
    return place


def _read_plane(tif: tifffile.TiffFile, series: Any, place: int) -> NDArray[Any]:
    with decoding("TIFF"):
        shaped = series.keyframe.shaped
        n_planes = math.prod(series.shape) // math.prod(shaped)
        if len(series.pages) == n_planes:
            (page,) = as_they_stand([series.pages[place]])
            if page.hash != series.keyframe.hash:
                raise BadImageError("has pages of different kinds", advice="export all in one way")
            check_pixels_are_there([page])
            image = page.asarray()
        elif len(series.pages) == 1 and series.dataoffset is not None:  # all planes behind one page's tags
            page = series.keyframe
            end = series.dataoffset + series.nbytes
            if end > tif.filehandle.size:
                raise BadImageError(
                    f"is cut off ({tif.filehandle.size} bytes of {end})", advice="copy or export it again"
                )
            start = series.dataoffset + place * page.nbytes
            image = tif.filehandle.memmap_array(tif.byteorder + page.dtype.char, page.shape, start).astype(page.dtype)
        else:
            raise BadImageError(
                f"names {n_planes} planes and holds {len(series.pages)}", advice="copy or export it again"
            )
        if "S" in page.axes and image.ndim == 3:  # colours may come first
            image = np.moveaxis(image, page.axes.index("S"), -1)
        check_colours(page, image)
        return upright(image, page)


def _channel_names(tif: tifffile.TiffFile, number: int, n_channels: int) -> tuple[str, ...]:
    """Of OME metadata, or of ImageJ's labels where these are of channels alone; none where a name is missing."""
    names: list[str | None] = []
    if tif.is_ome and tif.ome_metadata is not None:
        try:
            images = list(ElementTree.fromstring(tif.ome_metadata).iterfind("{*}Image/{*}Pixels"))
        except ElementTree.ParseError:
            images = []
        names = [one.get("Name") for one in images[number].iterfind("{*}Channel")] if number < len(images) else []
    elif tif.is_imagej:
        labels = (tif.imagej_metadata or {}).get("Labels", [])
        names = list(labels) if isinstance(labels, list) else [labels]
    return tuple(name for name in names if name) if len(names) == n_channels and all(names) else ()
