"""Pixels of fluorescence that are as bright as the camera can tell: how bright the cell was, nobody knows."""

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import ways_out

_SOME: Final = 0.001
"""Share of a field's pixels from which it is counted among those with saturated ones."""
_MANY: Final = 0.01
"""Share from which a warning is given: a mean PI is then too low."""
_PLATEAU: Final = 20
"""Pixels at the largest value, at least, of a camera that ends below the top of its bits."""
_TIMES: Final = 5
"""And so many times the pixels of the values just below: bright nuclei thin out towards the brightest."""
_NEAR: Final = 0.98
"""Of the largest value: those just below it lie above this, or where none does they are the next lower value."""


@dataclass(frozen=True)
class Saturation:
    """Saturated pixels of a field.

    Attributes:
        share: Of its valid pixels.
        value: The largest count, where pixels are saturated at it; NaN where none is.
    """

    share: float
    value: float


def saturation_of(fluorescence: NDArray[Any], valid: NDArray[np.bool_], *, top: float) -> Saturation:
    """How many pixels are at the camera's top, or at a plateau below it.

    A 12-bit camera in a 16-bit file ends at 4095, and one whose software takes an offset off ends lower: then
    many pixels share one largest value, and hardly any lies just below.

    Args:
        fluorescence: Counts, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
        top: The largest count of the camera's bits; infinite of floating-point numbers.

    >>> counts = np.array([[*range(101, 171), *[4000] * 30]], np.uint16)
    >>> saturation_of(counts, counts > 0, top=65535)
    Saturation(share=0.3, value=4000.0)
    """
    n_valid = int(np.count_nonzero(valid))
    if not n_valid or not fluorescence.size:
        return Saturation(0.0, float("nan"))
    largest = float(fluorescence.max())
    at_top = fluorescence >= _comparable(min(largest, top), fluorescence)
    n = int(np.count_nonzero(at_top & valid))
    if largest < top and (n < _PLATEAU or not _ends_abruptly(fluorescence, valid, largest, n)):
        return Saturation(0.0, float("nan"))
    return Saturation(n / n_valid, min(largest, top))


def _comparable(least: float, counts: NDArray[Any]) -> float:
    """The least count that is as large; an integer for integers, which are compared with one in a fifth of the time."""
    return math.ceil(least) if counts.dtype.kind == "u" else least


def _ends_abruptly(fluorescence: NDArray[Any], valid: NDArray[np.bool_], largest: float, n: int) -> bool:
    near = min(_NEAR * largest, largest)
    least = _comparable(near, fluorescence)
    n_near = int(np.count_nonzero((fluorescence >= least) & valid)) - n
    if not n_near:
        below = fluorescence[(fluorescence < least) & valid]
        if not below.size:
            return False  # a blank image
        n_near = int(np.count_nonzero(below == below.max()))
    return n > _TIMES * n_near


def saturation_summary(fields: pd.DataFrame) -> dict[str, Any]:
    """What ``summary.json`` says of saturated pixels.

    Args:
        fields: ``raw_image_id``, ``saturated`` and ``saturated_at`` of each.
    """
    share = fields["saturated"].fillna(0.0).to_numpy(float)
    worst = int(share.argmax()) if len(share) else 0
    return {
        "share": float(share.mean()) if len(share) else 0.0,
        "fields": int((share > _SOME).sum()),
        "fields_of_many": int((share > _MANY).sum()),
        "worst": str(fields["raw_image_id"].iloc[worst]) if share.any() else None,
        "worst_share": float(share[worst]) if share.any() else 0.0,
        "at": float(fields["saturated_at"].iloc[worst]) if share.any() else None,
    }


def describe_saturation(saturation: dict[str, Any], *, n_fields: int) -> list[str]:
    """A line for the terminal and the report; none where hardly any pixel is saturated.

    Args:
        saturation: As ``saturation_summary`` gives it.
        n_fields: Fields in all.
    """
    if not saturation["fields"]:
        return []
    told = (
        f"{100 * saturation['share']:.2g} % of all PI pixels are saturated; more than {100 * _SOME:g} % of a raw "
        f"image's in {saturation['fields']:,} of {n_fields:,}, most in {saturation['worst']} "
        f"({100 * saturation['worst_share']:.2g} %, at {saturation['at']:.0f})"
    )
    if not saturation["fields_of_many"]:
        return [told]
    ways = ways_out(
        advice="expose PI for a shorter time, or label by PI-positive area, as which a saturated pixel counts"
    )
    return [
        f"WARNING: {told}; with more than {100 * _MANY:g} % in {saturation['fields_of_many']:,}, a mean PI is too low: "
        f"{ways}"
    ]
