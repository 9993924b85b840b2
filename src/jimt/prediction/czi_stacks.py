"""The scenes of a Zeiss CZI, one plane read at a time, by Zeiss's own library (the extra ``formats``)."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError, decoding
from jimt.curation.pixel_sizes import PixelSize, pixel_size_of
from jimt.prediction.stacks import Stack

_READ: Final = frozenset("CZTXYSM")
"""Dimensions that are understood: channels, planes, times, a plane's sides, scenes and the tiles of a mosaic."""


@contextmanager
def open_czi_stacks(path: Path) -> Iterator[list[Stack]]:
    """Open a CZI; each of its scenes, put together of its tiles, at full resolution.

    Raises:
        BadImageError: If the library is missing, the file cannot be read, or has a dimension of another kind.
    """
    try:
        from pylibCZIrw import czi
    except ImportError as error:
        raise BadImageError(
            "is a file of Zeiss CZI, which is read by a package that is not installed",
            advice="export it as OME-TIFF",
            remedies=("pip install pylibCZIrw",),
        ) from error
    with decoding("CZI"), czi.open_czi(str(path)) as document:
        lengths = {name: end - start for name, (start, end) in document.total_bounding_box.items()}
        if odd := [name for name, length in lengths.items() if name not in _READ and length > 1]:
            raise BadImageError(
                f"has {lengths[odd[0]]} images along {odd[0]}", advice="export channels, planes and times alone"
            )
        rectangles = document.scenes_bounding_rectangle_no_pyramid or {
            None: document.total_bounding_rectangle_no_pyramid
        }
        names, size = _told(document.raw_metadata, lengths.get("C", 1))

        def stack_of(rectangle: Any) -> Stack:
            def plane(channel: int, z: int, time: int) -> NDArray[Any]:
                with decoding("CZI"):
                    wanted = {"C": channel, "Z": z, "T": time}
                    roi = (rectangle.x, rectangle.y, rectangle.w, rectangle.h)
                    image: NDArray[Any] = document.read(roi=roi, plane=wanted)
                if image.shape[2] == 1:
                    return image[..., 0]
                return np.ascontiguousarray(image[..., 2::-1])  # blue comes first

            return Stack(lengths.get("C", 1), lengths.get("Z", 1), lengths.get("T", 1), plane, names, size)

        yield [stack_of(rectangle) for _, rectangle in sorted(rectangles.items(), key=str)]


def _told(metadata: str, n_channels: int) -> tuple[tuple[str, ...], PixelSize]:
    """Names of the channels, none where one is missing, and the pixel size."""
    try:
        root = ElementTree.fromstring(metadata)
    except ElementTree.ParseError:
        return (), PixelSize()
    channels = root.iterfind("./Metadata/Information/Image/Dimensions/Channels/Channel")
    names = tuple(name for channel in channels if (name := channel.get("Name")))
    sides = {}
    for distance in root.iterfind("./Metadata/Scaling/Items/Distance"):
        text = distance.findtext("Value")
        try:
            metres = float(text) if text else 0.0
        except ValueError:
            metres = 0.0
        sides[distance.get("Id")] = 1e6 * metres or None
    size = pixel_size_of(sides.get("X"), sides.get("Y"), source="its metadata")
    return names if len(names) == n_channels else (), size
