"""Plates: the mean dead share of each well, as it lies on the plate."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jimt.figures.style import COLOURS, drawable, new_axes, styled, wrapped
from jimt.vocabulary import DEAD

SHARE_COLOURS: Final = LinearSegmentedColormap.from_list(
    "dead share", [(0, "#FBF3EC"), (0.55, COLOURS[DEAD]), (1, "#3A1600")]
)
"""Of a dead share from 0 to 1; ever darker, so that it can be read in grey too."""

_FORMATS: Final = ((2, 3), (3, 4), (4, 6), (6, 8))
"""Rows and columns of plates with few wells, which are taken for one only where all of its wells are there."""
_LARGE: Final = ((8, 12), (16, 24), (32, 48))
_INCHES: Final = {12: 0.56, 24: 0.4, 48: 0.24}
"""Side of a well, by the columns of the plate."""
_LEGIBLE: Final = 0.3  # inches, of a well that has room for numbers
_HATCHED: Final[Any] = {"facecolor": "#FFFFFF", "edgecolor": "#808080", "hatch": "/////", "linewidth": 0.6}
_EMPTY: Final[Any] = {"facecolor": "#FFFFFF", "edgecolor": "#C8C8C8", "linewidth": 0.6}


@dataclass(frozen=True)
class PlateWell:
    """A well of which there are fields.

    Attributes:
        name: As letters and digits, such as ``B03``.
        share: Mean dead share of the fields that count, 0 to 1; None where none does.
        n_counted: These fields.
        n_left_out: Fields that are flagged, failed or hold no cells, and do not count.
        has_flags: Whether a field of it is flagged, counted or not.
    """

    name: str
    share: float | None
    n_counted: int
    n_left_out: int
    has_flags: bool


def well_place(name: str) -> tuple[int, int] | None:
    """Row and column of a well from 0; None of a name that is no well's, or of none that a plate of 1,536 has.

    >>> well_place("B03"), well_place("AF48"), well_place("well 3"), well_place("Z00")
    ((1, 2), (31, 47), None, None)
    """
    read = re.fullmatch(r"([A-Z]{1,2})(\d{1,2})", name)
    if read is None:
        return None
    row = 0
    for letter in read[1]:
        row = 26 * row + ord(letter) - ord("A") + 1
    place = row - 1, int(read[2]) - 1
    return place if place[1] >= 0 and place < _LARGE[-1] and place[1] < _LARGE[-1][1] else None


def row_name(row: int) -> str:
    """The letters of a row from 0.

    >>> row_name(0), row_name(25), row_name(31)
    ('A', 'Z', 'AF')
    """
    return (chr(ord("A") + row // 26 - 1) if row >= 26 else "") + chr(ord("A") + row % 26)


def plate_shape(names: Iterable[str]) -> tuple[int, int]:
    """Rows and columns of the plate that wells are of: 96 wells, or the more or fewer that the names speak for.

    Some wells of 96 could be those of a smaller plate. They are taken for one only where all of its wells are there,
    and no other.

    >>> plate_shape(["B02", "B03"]), plate_shape(["A01", "P24"]), plate_shape(["AA01"])
    ((8, 12), (16, 24), (32, 48))
    >>> plate_shape(["A01", "A02", "A03", "B01", "B02", "B03"])
    (2, 3)
    """
    places = {place for name in names if (place := well_place(name)) is not None}
    for rows, columns in _FORMATS:
        if places == {(row, column) for row in range(rows) for column in range(columns)}:
            return rows, columns
    n_rows, n_columns = (1 + max((place[axis] for place in places), default=0) for axis in (0, 1))
    return next((rows, columns) for rows, columns in _LARGE if rows >= n_rows and columns >= n_columns)


def ink_on(share: float) -> str:
    """Black or white, whichever is read better on the colour of a share (WCAG 2: relative luminance).

    >>> ink_on(0.5), ink_on(0.9)
    ('black', 'white')
    """
    channels = np.array(SHARE_COLOURS(share)[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


@styled
def draw_plate(wells: Sequence[PlateWell], *, title: str, label: str) -> Figure:
    """A plate with its wells coloured by their mean dead share on a scale from 0 to 1.

    In each well stands the share in per cent and, below it, the number of fields it is the mean of. A well of which no
    field counts is hatched, one without a field is white, and one with a flagged field has a triangle in its corner.

    Args:
        wells: Those of which there are fields; names that are no wells are not drawn.
        title: Of the figure, such as the name of the plate.
        label: What the share is of, for the colour bar.
    """
    rows, columns = plate_shape(well.name for well in wells)
    side = _INCHES.get(columns, 0.56 if columns < 12 else 0.24)
    width = max(4.4, columns * side + 1.5)
    figure, grid = new_axes(width, rows * side + 1.05)
    axes = grid[0, 0]
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
    axes.set_title(wrapped(drawable(title), width=int(12 * width)))
    _label_axes(axes, rows, columns)
    of_place = {place: well for well in wells if (place := well_place(well.name)) is not None}
    for row in range(rows):
        for column in range(columns):
            _draw_well(axes, row, column, of_place.get((row, column)), side=side)
    drawn = axes.imshow(np.full((1, 1), np.nan), cmap=SHARE_COLOURS, vmin=0, vmax=1, extent=(0, 0, 0, 0))
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))
    bar = figure.colorbar(drawn, ax=axes, label=label, shrink=0.9, pad=0.02, aspect=22)
    bar.set_ticks([0, 0.25, 0.5, 0.75, 1], labels=["0 %", "25", "50", "75", "100 %"])
    handles = _legend(wells, with_numbers=side > _LEGIBLE)
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=1 if width < 6 else len(handles), fontsize=7.5)
    return figure


def _label_axes(axes: Axes, rows: int, columns: int) -> None:
    small = 5.5 if columns > 24 else 8
    axes.set_xticks(range(columns), [str(column + 1) for column in range(columns)], fontsize=small)
    axes.set_yticks(range(rows), [row_name(row) for row in range(rows)], fontsize=small)
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_well(axes: Axes, row: int, column: int, well: PlateWell | None, *, side: float) -> None:
    look = _EMPTY if well is None else _HATCHED
    ink, small = "black", max(4.6, 10.5 * side)
    if well is not None and well.share is not None:
        look = {"facecolor": SHARE_COLOURS(well.share), "edgecolor": "#808080", "linewidth": 0.6}
        ink = ink_on(well.share)
    axes.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, **look))
    if well is None:
        return
    if well.share is not None and side > _LEGIBLE:
        for down, text, size in ((0.06, f"{100 * well.share:.0f}", 17 * side), (0.33, f"n {well.n_counted}", small)):
            axes.text(column, row + down, text, ha="center", va="center", fontsize=size, color=ink)
    if well.has_flags:
        axes.plot(
            [column + 0.3], [row - 0.3], marker="^", ms=max(3.0, 9 * side), color="black", markeredgecolor="white",
            markeredgewidth=0.6, zorder=3,
        )  # fmt: skip


def _legend(wells: Sequence[PlateWell], *, with_numbers: bool) -> list[Any]:
    handles: list[Any] = []
    if with_numbers and any(well.share is not None for well in wells):
        handles.append(Line2D([], [], linestyle="", label="n: fields that the mean is of"))
    if any(well.has_flags for well in wells):
        handles.append(Line2D([], [], linestyle="", marker="^", color="black", ms=5, label="has flagged fields"))
    if any(well.share is None for well in wells):
        handles.append(Patch(label="no field counts", **_HATCHED))
    return handles
