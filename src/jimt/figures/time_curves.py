"""Dead shares over time, one panel for each well."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jimt.figures.style import COLOURS, drawable, grid_shape, hide, new_axes, shortened, styled
from jimt.statistics.value_text import percent_text
from jimt.vocabulary import DEAD

_INK: Final = "#333333"
_COLUMNS: Final = 6
_BELOW: Final = -0.08
"""Where the interval of the onset lies, so that it hides no share of 0."""
_Points = tuple[Sequence[float], Sequence[float | None]]


@dataclass(frozen=True)
class TimePanel:
    """One well, or all that were given the same.

    Attributes:
        title: Its name.
        words: Its onset, in a few words.
        members: Times and shares of each of its positions, or wells.
        mean: Of these.
        ends: Interval at each time of the mean; None where there is none.
        onset: First time at which the threshold is passed; None where it never is.
        onset_range: Its interval, an end that is open None; None where there is no interval.
        flagged: Times and shares of positions that drifted or moved.
    """

    title: str
    words: str
    members: Sequence[_Points]
    mean: _Points
    ends: Sequence[tuple[float, float] | None]
    onset: float | None
    onset_range: tuple[float | None, float | None] | None
    flagged: _Points


@styled
def draw_time_curves(
    panels: Sequence[TimePanel],
    *,
    kind: Literal["wells", "treatments"],
    unit: str,
    label: str,
    threshold: float,
    confidence: float,
) -> Figure:
    """Dead shares over time: thin lines are positions or wells, a thick one their mean with its interval as a band.

    A vertical line is the onset, the first time at which the dotted threshold is passed and held, and a bar below it
    the interval of that time.

    Args:
        panels: Of each well or treatment; at least one.
        kind: Which.
        unit: Of the times.
        label: What the share is of, for the axis.
        threshold: Dead share whose passing is the onset.
        confidence: Coverage of the intervals.
    """
    rows, columns = grid_shape(len(panels), columns=_COLUMNS)
    wide = columns > 2
    width, height = (1.9 * columns + 0.4, 1.6 * rows + 0.9) if wide else (4.2 * columns + 0.4, 3.2 * rows + 0.7)
    figure, grid = new_axes(width, height, rows, columns, sharex=True, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel, threshold, line=26 if wide else 64)
    hide(grid.flat[len(panels) :])
    for column in range(columns):  # the lowest panel of each, below which there may be none
        grid[(len(panels) - 1 - column) // columns, column].tick_params(labelbottom=True)
    figure.supxlabel(unit if unit == "time point" else f"time ({unit})", fontsize=9)
    figure.supylabel(textwrap.fill(label, (22 if wide else 44) * rows), fontsize=9)
    handles = [
        Line2D([], [], color="#999999", linewidth=0.8, label="a position" if kind == "wells" else "a well"),
        Line2D([], [], color=COLOURS[DEAD], label="their mean"),
        Patch(facecolor=COLOURS[DEAD], alpha=0.22, label=f"its {percent_text(confidence)} interval"),
        Line2D([], [], color=_INK, linewidth=1, label="onset"),
        Line2D([], [], color=_INK, linewidth=2.4, marker=">", ms=4.5, label="its interval, open at an arrow"),
        Line2D([], [], color=_INK, marker="x", linestyle="", ms=5, label="drifted or moved"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=6 if columns > 4 else min(columns + 1, 3))
    return figure


def _draw(axes: Axes, panel: TimePanel, threshold: float, *, line: int) -> None:
    """One panel, in which lines of its words have at most ``line`` letters."""
    axes.set_title(shortened(drawable(panel.title), length=24))
    words = textwrap.fill(panel.words, line)
    axes.text(0.03, 0.97, words, transform=axes.transAxes, va="top", fontsize=7, color=_INK, zorder=5)
    axes.set(ylim=(-0.13, 1.14), yticks=[0, 0.5, 1])
    axes.set_yticklabels(["0", "0.5", "1"])
    axes.axhline(threshold, color=_INK, linewidth=0.7, linestyle=":")
    for times, shares in panel.members:
        axes.plot(times, _numbers(shares), color="#999999", linewidth=0.7, marker=".", ms=2.5)
    times, shares = panel.mean
    known = [(time, *ends) for time, ends in zip(times, panel.ends, strict=True) if ends is not None]
    if known:
        axes.fill_between(*np.array(known).T, color=COLOURS[DEAD], alpha=0.22, linewidth=0)
    axes.plot(times, _numbers(shares), color=COLOURS[DEAD], linewidth=1.6, marker="o", ms=2.5)
    axes.plot(*map(_numbers, panel.flagged), color=_INK, marker="x", linestyle="", ms=4, zorder=6)
    if panel.onset is not None:
        axes.axvline(panel.onset, ymax=0.87, color=_INK, linewidth=1)
    if panel.onset_range is not None and panel.onset_range != (None, None):
        earliest, latest = panel.onset_range
        first, last = times[0] if earliest is None else earliest, times[-1] if latest is None else latest
        axes.plot([first, last], [_BELOW] * 2, color=_INK, linewidth=2.4, solid_capstyle="butt", zorder=4)
        for end, place, marker in ((earliest, first, "<"), (latest, last, ">")):
            if end is None:
                axes.plot([place], [_BELOW], color=_INK, marker=marker, ms=4.5, zorder=4, clip_on=False)


def _numbers(values: Sequence[float | None]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array([np.nan if value is None else value for value in values], np.float64)
