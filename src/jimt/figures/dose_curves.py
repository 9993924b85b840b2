"""Dose-response curves with their wells, one panel for each compound."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from jimt.figures.style import COLOURS, drawable, grid_shape, hide, new_axes, shortened, styled
from jimt.statistics.dose_response import FittedCurve
from jimt.statistics.value_text import percent_text
from jimt.vocabulary import DEAD

_INK: Final = "#333333"
_VEHICLE: Final = 0.7  # decades that dose 0 stands left of the lowest dose
_COLUMNS: Final = 4
_EVERY: Final = (1, 2, 3, 5)
"""Decades between two ticks of an axis."""


@dataclass(frozen=True)
class DosePanel:
    """One compound.

    Attributes:
        title: Its name.
        words: Its EC50 or what stands for it, in a few words.
        doses: Of each well, 0 of those of the vehicle.
        shares: Their dead shares.
        fit: None where there is no curve.
    """

    title: str
    words: str
    doses: NDArray[np.float64]
    shares: NDArray[np.float64]
    fit: FittedCurve | None


@styled
def draw_dose_curves(
    panels: Sequence[DosePanel], *, title: str | None, unit: str | None, label: str, confidence: float
) -> Figure:
    """Dead shares by dose on an axis of decades, on which 0 has a place of its own left of a break.

    A circle is a well. The curve has its interval as a band; a vertical line is the EC50 and a bar its interval, or an
    arrow where that is open. Without an effect a broken line is the mean of all wells.

    Args:
        panels: Of each compound; at least one.
        title: Plate and time, where there are several.
        unit: Of the doses.
        label: What the share is of, for the axis.
        confidence: Coverage of the intervals.
    """
    rows, columns = grid_shape(len(panels), columns=_COLUMNS)
    width = 3.0 * columns + 0.3 if columns > 1 else 5.0
    figure, grid = new_axes(width, 2.35 * rows + 0.6 if columns > 1 else 3.9, rows, columns, sharey=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw(axes, panel)
    hide(grid.flat[len(panels) :])
    for column in range(columns):
        last = grid[(len(panels) - 1 - column) // columns, column]
        last.set_xlabel("dose" if unit is None else f"dose ({drawable(unit)})")
    figure.supylabel(label, fontsize=9)
    if title is not None:
        figure.suptitle(shortened(drawable(title), length=60), fontsize=9)
    handles = [
        Line2D([], [], linestyle="", marker="o", markerfacecolor="none", color=_INK, ms=4.5, label="a well"),
        Line2D([], [], color=COLOURS[DEAD], label="curve"),
        Patch(facecolor=COLOURS[DEAD], alpha=0.22, label=f"its {percent_text(confidence)} interval"),
        Line2D([], [], color=_INK, linewidth=2.2, label="interval of the EC50"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4 if columns > 1 else 2)
    return figure


def _draw(axes: Axes, panel: DosePanel) -> None:
    axes.set_title(shortened(drawable(panel.title), length=34))
    axes.text(0.02, 0.985, panel.words, transform=axes.transAxes, va="top", fontsize=7.5, color=_INK, zorder=5)
    axes.set(ylim=(-0.03, 1.16), yticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_yticklabels(["0", "0.25", "0.5", "0.75", "1"])
    if not (panel.doses > 0).any():
        axes.set(xticks=[])
        return
    positive = np.log10(panel.doses[panel.doses > 0])
    low, high = float(positive.min()), float(positive.max())
    of_vehicle = low - _VEHICLE
    has_vehicle = bool((panel.doses == 0).any())
    places = np.where(panel.doses > 0, np.log10(np.where(panel.doses > 0, panel.doses, 1)), of_vehicle)
    fit = panel.fit
    if fit is not None and fit.curve is not None:
        _draw_curve(axes, fit, of_vehicle if has_vehicle else None, low, high)
    elif fit is not None:
        left = of_vehicle if has_vehicle else low
        axes.plot([left, high], [panel.shares.mean()] * 2, color=_INK, linestyle="--", linewidth=1)
    axes.scatter(places, panel.shares, s=16, facecolors="none", edgecolors=_INK, linewidths=0.9, zorder=4)
    axes.set_xlim((of_vehicle if has_vehicle else low) - 0.2, high + 0.25)
    _label_doses(axes, low, high, of_vehicle if has_vehicle else None)


def _draw_curve(axes: Axes, fit: FittedCurve, of_vehicle: float | None, low: float, high: float) -> None:
    assert fit.curve is not None
    assert fit.band is not None
    assert fit.band_doses is not None
    colour, x = COLOURS[DEAD], np.log10(fit.band_doses)
    axes.fill_between(x, fit.band[0, 1:], fit.band[1, 1:], color=colour, alpha=0.22, linewidth=0)
    axes.plot(x, fit.curve.shares(fit.band_doses), color=colour, linewidth=1.4)
    if of_vehicle is not None:
        beside = [of_vehicle - 0.12, of_vehicle + 0.12]
        axes.fill_between(beside, *np.repeat(fit.band[:, :1], 2, axis=1), color=colour, alpha=0.22, linewidth=0)
        axes.plot(beside, [fit.curve.at_zero] * 2, color=colour, linewidth=1.4)
    if fit.verdict == "unknown":
        return
    ends = [None if end is None else float(np.log10(end)) for end in fit.ec50]
    if fit.bound is not None:
        ends = [np.log10(fit.bound), None] if fit.verdict == "above" else [None, np.log10(fit.bound)]
    at = [end if end is not None else limit for end, limit in zip(ends, (low - 0.15, high + 0.15), strict=True)]
    height = 0.5 * (fit.curve.at_zero + fit.curve.at_high)
    if fit.verdict == "ec50":
        axes.axvline(np.log10(fit.curve.ec50), color=_INK, linewidth=0.8, linestyle=":")
    else:
        height = 0.03
    axes.plot(at, [height] * 2, color=_INK, linewidth=2.2, solid_capstyle="butt", zorder=3)
    for end, place, marker in zip(ends, at, "<>", strict=True):
        if end is None:
            axes.plot([place], [height], marker=marker, color=_INK, ms=5, zorder=3)


def _label_doses(axes: Axes, low: float, high: float, of_vehicle: float | None) -> None:
    """Ticks at whole decades, and at 0 beside a break of the axis."""
    first, last = int(np.ceil(low - 1e-9)), int(np.floor(high + 1e-9))
    every = next((step for step in _EVERY if (last - first) / step < 6), _EVERY[-1])
    decades = list(range(first, last + 1, every))
    ticks = [float(decade) for decade in decades] if len(decades) > 1 else sorted({low, high})
    labels = [f"{10**tick:g}" if -4 <= tick < 5 else f"1e{round(tick)}" for tick in ticks]
    if len(decades) < 2:
        labels = [f"{10**tick:.3g}" for tick in ticks]
    if of_vehicle is not None:
        ticks, labels = [of_vehicle, *ticks], ["0", *labels]
        gap = (of_vehicle + low) / 2
        axes.plot(
            [gap - 0.05, gap + 0.05], [0, 0], transform=axes.get_xaxis_transform(), color="white", linewidth=3,
            clip_on=False, zorder=6,
        )  # fmt: skip
        for side in (-0.05, 0.05):
            axes.plot(
                [gap + side - 0.04, gap + side + 0.04], [-0.025, 0.025], transform=axes.get_xaxis_transform(),
                color="black", linewidth=0.8, clip_on=False, zorder=7,
            )  # fmt: skip
    axes.set_xticks(ticks, labels)
