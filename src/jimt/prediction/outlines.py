"""Outlines of dead regions as GeoJSON (RFC 7946), which QuPath reads as annotations."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from jimt.figures.style import COLOURS
from jimt.prediction.answer_tables import printable
from jimt.prediction.answers import FieldAnswer
from jimt.prediction.dead_places import dead_places
from jimt.system.files import write_whole
from jimt.vocabulary import DEAD

Ring = list[tuple[int, int]]
"""Corners in places, x and y; the last is joined to the first."""

_COLOUR: Final = [int(COLOURS[DEAD][at : at + 2], 16) for at in (1, 3, 5)]
_AHEAD: Final = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Steps along y and x while a place is walked round: its upper side, its right, its lower, its left one."""
_END: Final = ((1, 0), (1, 1), (0, 1), (0, 0))
"""Where each of these sides ends, x and y from the place's upper left corner."""


@dataclass(frozen=True)
class Region:
    """Places taken for dead that join at their sides.

    Attributes:
        rings: The outer one, whose area is positive in x and y as they are counted, then those of its holes, whose area
            is negative. No ring meets itself.
        probability: Of death, mean over its places.
        places: Which they are, rows and columns.
    """

    rings: list[Ring]
    probability: float
    places: tuple[NDArray[np.intp], NDArray[np.intp]]


def write_outlines(answer: FieldAnswer, path: Path, *, threshold: float) -> None:
    """Write the outlines of a field's dead regions in pixels of its file; the same answer is the same bytes.

    Of a model of nuclei each region holds a dead one, and says how many.

    Args:
        answer: Of the field.
        path: Of the file.
        threshold: Probability of death from which on a place is taken for dead.
    """
    regions = dead_regions(answer.dead_map, dead_places(answer, threshold=threshold))
    content = {
        "type": "FeatureCollection",
        "name": printable(answer.row.raw_image_id),
        "features": [_feature(answer, region, f"dead {number}") for number, region in enumerate(regions, 1)],
    }
    write_whole(path, json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


def _feature(answer: FieldAnswer, region: Region, name: str) -> dict[str, Any]:
    row = answer.row
    assert row.height is not None
    assert row.width is not None
    side = answer.place / row.zoom
    rings = [np.minimum(np.array(ring) * side, [row.width, row.height]) for ring in region.rings]
    area = sum(area_of(ring) for ring in rings)
    measured = {"area px^2": round(area, 3)}
    if row.pixel_size_um is not None:
        measured["area µm^2"] = round(area * row.pixel_size_um**2, 3)
    if answer.dead_nuclei is not None:
        its = set(zip(*(axis.tolist() for axis in region.places), strict=True))
        measured["dead nuclei"] = sum(place in its for place in map(tuple, answer.dead_nuclei // answer.place))
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [_closed(ring) for ring in rings]},
        "properties": {
            "objectType": "annotation",
            "name": name,
            "classification": {"name": "dead", "color": _COLOUR},
            "measurements": measured | {"probability of death": round(region.probability, 3)},
        },
    }


def _closed(ring: NDArray[np.floating]) -> list[list[float]]:
    corners = [[_short(x), _short(y)] for x, y in ring.tolist()]
    return [*corners, corners[0]]


def _short(value: float) -> float:
    return int(value) if value.is_integer() else round(value, 3)


def area_of(ring: NDArray[np.floating]) -> float:
    """Area within a ring, negative where it is walked the other way round.

    >>> area_of(np.array([[0, 0], [2, 0], [2, 3], [0, 3]]))
    6.0

    Args:
        ring: Its corners, x and y, shape ``(n, 2)``.
    """
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def dead_regions(probability: NDArray[np.floating], dead: NDArray[np.bool_]) -> list[Region]:
    """Regions of places that are taken for dead, row by row from the top.

    Args:
        probability: Of death at each place, shape ``(height, width)``.
        dead: Which places are taken for dead, likewise.
    """
    numbers = label(dead, connectivity=1)
    rings: dict[int, list[Ring]] = {}
    for number, walk in _walks(numbers):
        rings.setdefault(number, []).extend(_without_touching(walk))
    counts = np.bincount(numbers.ravel())
    rows, columns = np.unravel_index(np.argsort(numbers, axis=None, kind="stable"), numbers.shape)
    ends = counts.cumsum()
    means = np.bincount(numbers.ravel(), weights=np.where(dead, probability, 0).ravel()) / np.maximum(counts, 1)
    return [
        Region(
            sorted(rings[number], key=lambda ring: area_of(np.array(ring)) < 0),
            float(means[number]),
            (rows[ends[number - 1] : ends[number]], columns[ends[number - 1] : ends[number]]),
        )
        for number in sorted(rings)
    ]


def _walks(numbers: NDArray[np.integer]) -> Iterator[tuple[int, Ring]]:
    """Walk once along every side where a region ends, the region always at the same hand.

    Yields:
        The region's number, and the corners where the walk turns; it may come to a corner twice.
    """
    padded = np.pad(numbers, 1)
    inside: list[list[bool]] = (padded > 0).tolist()
    # what lies beyond a side is the way that is ahead on the side before it
    beyond = [np.roll(padded, (-down, -across), (0, 1)) for down, across in (_AHEAD[side - 1] for side in range(4))]
    ends = [(padded > 0) & (other == 0) for other in beyond]
    left = dict.fromkeys(map(tuple, np.argwhere(np.stack(ends, axis=-1)).tolist()))
    while left:
        y, x, side = start = next(iter(left))
        corners: Ring = []
        while True:
            del left[y, x, side]
            (down, across), (out_down, out_across) = _AHEAD[side], _AHEAD[side - 1]
            ahead, beside = (y + down, x + across), (y + down + out_down, x + across + out_across)
            if not inside[ahead[0]][ahead[1]]:
                turned = (y, x, (side + 1) % 4)
            elif not inside[beside[0]][beside[1]]:
                turned = (*ahead, side)
            else:
                turned = (*beside, (side - 1) % 4)
            if turned[2] != side:
                corners.append((x - 1 + _END[side][0], y - 1 + _END[side][1]))
            y, x, side = turned
            if turned == start:
                break
        yield int(padded[y, x]), corners


def _without_touching(walk: Ring) -> Iterator[Ring]:
    """Part a walk where it comes to a corner again, so that none of the rings touches itself."""
    open_: Ring = []
    place: dict[tuple[int, int], int] = {}
    for corner in walk:
        if corner in place:
            ring = open_[place[corner] :]
            yield ring
            del open_[place[corner] + 1 :]
            for each in ring[1:]:
                del place[each]
        else:
            place[corner] = len(open_)
            open_.append(corner)
    yield open_
