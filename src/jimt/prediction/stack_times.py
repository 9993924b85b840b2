"""When the time points of a TIFF were imaged, as its metadata say it."""

import itertools
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import Any, Final

import tifffile

_SECONDS: Final = {
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86_400.0,
}
"""Of units of OME-XML, and of those that ImageJ writes."""
_OF_OME: Final = "s"  # where a unit is not told (OME 2016-06)


def seconds_of_tiff(tif: tifffile.TiffFile, series: int, n_times: int) -> tuple[float, ...] | None:
    """Seconds of each time point after the first; None where there is one, or nothing tells it that can be believed.

    OME-XML tells them plane by plane (``DeltaT``), which is taken where every time point has one and they rise, or by a
    step (``TimeIncrement``); ImageJ by a step (``finterval``).

    Args:
        tif: The open file.
        series: Number of the image in it.
        n_times: Time points that it has.
    """
    if n_times < 2:
        return None
    if tif.is_ome and tif.ome_metadata is not None:
        return _of_ome(tif.ome_metadata, series, n_times)
    if tif.is_imagej:
        told: Mapping[str, Any] = tif.imagej_metadata or {}
        return _by_steps(told.get("finterval"), told.get("tunit", "s"), n_times)
    return None


def _of_ome(text: str, series: int, n_times: int) -> tuple[float, ...] | None:
    try:
        images = list(ElementTree.fromstring(text).iterfind("{*}Image/{*}Pixels"))
    except ElementTree.ParseError:
        return None
    if series >= len(images):
        return None
    first: dict[int, float] = {}
    for plane in images[series].iterfind("{*}Plane"):
        seconds = _seconds(plane.get("DeltaT"), plane.get("DeltaTUnit", _OF_OME))
        number = plane.get("TheT", "")
        if seconds is not None and number.isdecimal():  # of several channels and planes, the first
            first[int(number)] = min(seconds, first.get(int(number), math.inf))
    told = [first.get(number, math.nan) for number in range(n_times)]
    if all(after > before for before, after in itertools.pairwise(told)):
        return tuple(seconds - told[0] for seconds in told)
    pixels = images[series]
    return _by_steps(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", _OF_OME), n_times)


def _by_steps(step: Any, unit: Any, n_times: int) -> tuple[float, ...] | None:
    seconds = _seconds(step, unit)
    return None if seconds is None or seconds <= 0 else tuple(seconds * number for number in range(n_times))


def _seconds(value: Any, unit: Any) -> float | None:
    """A length of time; None of what is none, or of a unit that is not known."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    factor = _SECONDS.get(str(unit).strip())
    return number * factor if factor is not None and math.isfinite(number) else None
