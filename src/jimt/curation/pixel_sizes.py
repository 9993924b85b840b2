"""How large a pixel is on the specimen, as a file's metadata say it, and whether that can be believed."""

import math
import re
import unicodedata
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from typing import Any, Final

import tifffile

from jimt.config.checks import PIXEL_SIZES

SAME: Final = 0.05
"""Sizes that differ by no more are one: what networks are trained to bear by chance, and objectives differ by."""

_MICROMETRES: Final = {
    "pm": 1e-6,
    "\u00c5": 1e-4,
    "nm": 1e-3,
    "\u03bcm": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "in": 25_400.0,
}
"""Of units of OME-XML, in Unicode's compatible form, which has one letter for both signs of micro."""
_SPELT: Final = {
    "um": "\u03bcm",
    "micron": "\u03bcm",
    "microns": "\u03bcm",
    "micrometer": "\u03bcm",
    "micrometre": "\u03bcm",
    "micrometers": "\u03bcm",
    "nanometer": "nm",
    "nanometers": "nm",
    "millimeter": "mm",
    "angstrom": "\u00c5",
    "inch": "in",
    "inches": "in",
    "meter": "m",
}
_RESOLUTION: Final = "its resolution"
_PER_INCH, _PER_CENTIMETRE = 2, 3  # ResolutionUnit (TIFF 6.0, page 38)


@dataclass(frozen=True)
class PixelSize:
    """What a file says of the size of its pixels.

    Attributes:
        um: Micrometres; None where the file says nothing that can be believed.
        doubt: Why what it says is not taken, as the beginning of a sentence; empty where there is no doubt.
        uneven: Width and height in micrometres, where a pixel is no square.
    """

    um: float | None = None
    doubt: str = ""
    uneven: tuple[float, float] | None = None


def is_plausible(um: float) -> bool:
    """Whether pixels of a microscope may have this size in micrometres; no number is not."""
    return PIXEL_SIZES[0] <= um <= PIXEL_SIZES[1]


def differ(one: float, other: float) -> bool:
    """Whether two sizes differ by more than ``SAME``, whichever is the larger.

    >>> differ(0.3225, 0.3112), differ(0.65, 0.325)
    (False, True)
    """
    return max(one, other) > (1 + SAME) * min(one, other)


def in_micrometres(length: float, unit: str) -> float | None:
    r"""A length in micrometres; None for a unit that is none of length, such as ``pixel``.

    >>> in_micrometres(322.5, "nm"), in_micrometres(0.3225, "\\u00B5m"), in_micrometres(1, "pixel")
    (0.3225, 0.3225, None)
    """
    unit = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), unit)  # as Java writes it
    unit = unicodedata.normalize("NFKC", unit.replace("\u00c2", "")).strip().rstrip(".")
    factor = _MICROMETRES.get(_SPELT.get(unit.lower(), unit))
    return None if factor is None else length * factor


def pixel_size_of(width: float | None, height: float | None, *, source: str) -> PixelSize:
    """Judge what was read.

    Args:
        width: Of a pixel, micrometres; None where it is not told, and the other is taken.
        height: Likewise.
        source: What tells them, as the subject of a sentence.

    >>> pixel_size_of(25_400 / 72, None, source="its resolution").doubt
    'its resolution (72 dpi) is that of a screen or printer, and tells no pixel size'
    """
    told = [size for size in (width, height) if size is not None]
    if not told:
        return PixelSize()
    for size in told:
        if not is_plausible(size):
            if size > PIXEL_SIZES[1] and source == _RESOLUTION:
                return PixelSize(
                    doubt=f"{source} ({25_400 / size:.0f} dpi) is that of a screen or printer, and tells no pixel size"
                )
            return PixelSize(doubt=f"{source} would be {size:.4g} \u00b5m a pixel, which no microscope has")
    if len(told) == 2 and differ(*told):
        return PixelSize(uneven=(told[0], told[1]))
    return PixelSize(math.sqrt(told[0] * told[-1]))


def pixel_size_of_tiff(tif: tifffile.TiffFile, *, series: int) -> PixelSize:
    """What a TIFF says, in the order of trust: OME metadata, ImageJ's, MetaMorph's, Micro-Manager's, its resolution.

    Args:
        tif: The file.
        series: Which of its images, as OME metadata count them.
    """
    if tif.is_ome and tif.ome_metadata is not None:
        found = _of_ome(tif.ome_metadata, series)
        if found != PixelSize():
            return found
    width, height = (_per_unit(tif, tag) for tag in ("XResolution", "YResolution"))
    if tif.is_imagej:
        unit = str((tif.imagej_metadata or {}).get("unit", ""))
        sizes = [None if size is None else in_micrometres(size, unit) for size in (width, height)]
        return pixel_size_of(sizes[0], sizes[1], source="what ImageJ wrote")
    if tif.is_stk:
        named = tif.stk_metadata or {}
        sizes = [_number(named.get(key)) for key in ("XCalibration", "YCalibration")]
        if named.get("CalibrationUnits") and all(sizes):
            unit = str(named["CalibrationUnits"])
            sizes = [None if size is None else in_micrometres(size, unit) for size in sizes]
            return pixel_size_of(sizes[0], sizes[1], source="what MetaMorph wrote")
    if tif.is_micromanager:
        size = _number(((tif.micromanager_metadata or {}).get("Summary") or {}).get("PixelSize_um"))
        if size:  # 0 where nobody calibrated it
            return pixel_size_of(size, None, source="what Micro-Manager wrote")
    unit_code = int(tif.pages.first.tags.valueof("ResolutionUnit", default=_PER_INCH))
    length = {_PER_INCH: 25_400.0, _PER_CENTIMETRE: 10_000.0}.get(unit_code)
    if length is None:
        return PixelSize()
    sizes = [None if size is None else size * length for size in (width, height)]
    return pixel_size_of(sizes[0], sizes[1], source=_RESOLUTION)


def pixel_size_of_png(physical: bytes) -> PixelSize:
    """What a PNG's chunk pHYs says, which is empty where there is none.

    >>> pixel_size_of_png((3_100_775).to_bytes(4, "big") * 2 + bytes([1])).um
    0.3225
    """
    if len(physical) != 9 or physical[8] != 1:  # 1: pixels per metre; 0: their proportion alone
        return PixelSize()
    per_metre = [int.from_bytes(physical[start : start + 4], "big") for start in (0, 4)]
    sizes = [round(1e6 / n, 6) if n else None for n in per_metre]
    return pixel_size_of(sizes[0], sizes[1], source=_RESOLUTION)


def _of_ome(text: str, series: int) -> PixelSize:
    """What OME metadata say of one image; of all, where they number the images in another way than the file does."""
    try:
        images = list(ElementTree.fromstring(text).iterfind("{*}Image/{*}Pixels"))
    except ElementTree.ParseError:
        return PixelSize()
    if not images:
        return PixelSize()
    image = images[series] if series < len(images) else images[0]
    sizes = []
    for axis in ("X", "Y"):
        size = _number(image.get(f"PhysicalSize{axis}"))
        unit = image.get(f"PhysicalSize{axis}Unit", "\u00b5m")
        sizes.append(None if size is None else in_micrometres(size, unit))
    return pixel_size_of(sizes[0], sizes[1], source="its OME metadata")


def _per_unit(tif: tifffile.TiffFile, tag: str) -> float | None:
    """Size of a pixel in the file's unit of resolution, from the number of pixels in one."""
    value = tif.pages.first.tags.valueof(tag, default=None)
    if not isinstance(value, tuple) or len(value) != 2 or 0 in value:
        return None
    return float(value[1] / value[0])


def _number(value: Any) -> float | None:
    """A positive number, from whatever stands there: a fraction as two numbers, or its text."""
    if isinstance(value, tuple) and len(value) == 2 and value[1]:
        value = value[0] / value[1]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
