"""Percentage of area of each condition and day with its wells, and the difference to the control (paper: Results)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jimt.figures.style import GROUP_COLOURS, new_axes, shortened, styled
from jimt.statistics.condition_areas import ConditionArea
from jimt.statistics.value_text import percent_text

_CONTROL = "#000000"
_OTHERS = [colour for colour in GROUP_COLOURS if colour != _CONTROL]
_ABOVE = 0.24  # of a row, so that no well hides behind the mean
_DAY_GAP = 0.7  # of a row, between two days


@styled
def areas_by_condition(rows: Sequence[ConditionArea], *, control: str, words: str, confidence: float) -> Figure:
    """Two panels with a row for each condition, day by day: means, and differences to the control of the same day.

    Args:
        rows: What ``compare_conditions`` gives; at least one.
        control: The condition that the others are held against.
        words: What is measured, for the axis.
        confidence: Coverage of the intervals.
    """
    treated = [name for name in dict.fromkeys(row.condition for row in rows) if name != control]
    colours = {control: _CONTROL} | {name: _OTHERS[n % len(_OTHERS)] for n, name in enumerate(treated)}
    days = list(dict.fromkeys(row.day for row in rows))
    y = np.array([-number - _DAY_GAP * days.index(row.day) for number, row in enumerate(rows)])
    height = 0.3 * (1 - y[-1]) + 1.15
    compares = any(row.difference is not None for row in rows)
    figure, grid = new_axes(7.0, height, 1, 1 + compares, sharey=True, width_ratios=(3, 2)[: 1 + compares])
    means, last = grid[0, 0], grid[0, -1]
    for place, row in zip(y, rows, strict=True):
        colour = colours[row.condition]
        wells = 100 * np.array(list(row.wells.values()))
        means.scatter(
            wells, np.full(len(wells), place + _ABOVE), s=18, facecolors="none", edgecolors=colour, linewidths=0.9,
            zorder=3, clip_on=False,
        )  # fmt: skip
        _draw(means, row.mean, row.interval, place, colour)
        if row.difference is not None:
            _draw(last, row.difference, row.difference_interval, place, colour)
    means.set_yticks(y, [shortened(row.condition) for row in rows])
    means.set(ylim=(y[-1] - 0.7, 0.7), xlabel=words)
    means.set_xlim(0, min(100, max(1, means.get_xlim()[1])))
    if compares:
        last.axvline(0, color="0.6", linestyle=":", linewidth=0.8)
        last.set(xlabel=f"minus {shortened(control)}\n(percentage points)")
        last.tick_params(axis="y", length=0)
    for day in days:
        of_day = [place for place, row in zip(y, rows, strict=True) if row.day == day]
        if day is not None:
            last.text(1.02, float(np.mean(of_day)), f"day {day:g}", transform=last.get_yaxis_transform(), va="center")
        if day != days[0]:
            for axes in grid.flat:
                axes.axhline(max(of_day) + (1 + _DAY_GAP) / 2, color="0.85", linewidth=0.8)
    handles = [
        Line2D([], [], linestyle="", marker="o", markerfacecolor="none", color="0.2", ms=4.5, label="a well"),
        Line2D(
            [], [], marker="D", color="0.2", ms=4, linewidth=1.2, label=f"mean, {percent_text(confidence)} interval"
        ),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2)
    return figure


def _draw(axes: Axes, value: float, interval: Sequence[float] | None, y: float, colour: str) -> None:
    """A mean or a difference, with its interval where there is one, in per cent."""
    if interval is not None:
        axes.plot([100 * limit for limit in interval], [y, y], color=colour, linewidth=1.2, solid_capstyle="butt")
    axes.plot([100 * value], [y], marker="D", ms=4, color=colour, zorder=4)
