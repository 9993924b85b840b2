"""Predicted against true dead shares, and their difference against their mean (Bland and Altman, Lancet 327, 1986)."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jimt.figures.style import GROUP_COLOURS, MANY_POINTS, new_axes, shortened, styled
from jimt.statistics.share_agreement import LIMITS_OF_AGREEMENT, limits_of_agreement
from jimt.statistics.value_text import number_text

_MARKERS = ("o", "s", "D", "P", "X", "*")  # none is the triangle of dead patches
_NO_GROUP = "#000000"


@styled
def agreement_of_shares(
    predicted: NDArray[np.floating], true: NDArray[np.floating], groups: NDArray[np.object_] | None, *, words: str
) -> Figure:
    """Two panels: predicted against true with the line of equality, and differences with bias and limits of agreement.

    Args:
        predicted: Predicted dead shares of fields, or of groups, shape ``(n,)``; where it is NaN a share is left out.
        true: True ones, likewise.
        groups: Group of each, likewise, told apart where there are six or fewer; None where nothing is known of them.
        words: What stands above: whose shares, how many, how well they agree.
    """
    known = np.isfinite(predicted) & np.isfinite(true)
    predicted, true = predicted[known], true[known]
    names = np.zeros(len(true)) if groups is None else groups[known].astype(str)
    kinds = np.unique(names)
    told_apart = 1 < len(kinds) <= len(GROUP_COLOURS)
    figure, ((against, apart),) = new_axes(7.0, 4.3 if told_apart else 3.9, 1, 2)
    for number, kind in enumerate(kinds if told_apart else [None]):
        here = np.ones(len(true), bool) if kind is None else names == kind
        for axes, x, y in ((against, true, predicted), (apart, (predicted + true) / 2, predicted - true)):
            axes.scatter(
                x[here], y[here], s=16, alpha=0.6, linewidths=0, marker=_MARKERS[number],
                color=GROUP_COLOURS[number] if told_apart else _NO_GROUP, rasterized=len(true) > MANY_POINTS,
                label=None if kind is None else shortened(str(kind)), clip_on=False, zorder=3,
            )  # fmt: skip
    against.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=0.8, scalex=False, scaley=False)
    against.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="true dead share", ylabel="predicted dead share")
    against.set_title("dotted: predicted = true", fontsize=8)
    apart.axhline(0, color="0.6", linestyle=":", linewidth=0.8)
    limits = limits_of_agreement(predicted - true)
    if limits is not None:
        low, high = limits
        bias = (low + high) / 2
        apart.axhline(bias, color="0.2", linewidth=1)
        for limit in limits:
            apart.axhline(limit, color="0.2", linestyle="--", linewidth=1)
        apart.set_title(
            f"line: bias {number_text(bias, signed=True)}\ndashed: ±{LIMITS_OF_AGREEMENT} SD, "
            f"{number_text(low, signed=True)} to {number_text(high, signed=True)}",
            fontsize=8,
        )
    most = max([0.1, *np.abs(predicted - true), *np.abs(limits or ())])
    apart.set(xlim=(0, 1), ylim=(-1.05 * most, 1.05 * most), box_aspect=1)
    apart.set(xlabel="mean of predicted and true", ylabel="predicted - true")
    figure.suptitle(words, fontsize=9)
    if told_apart:
        handles, labels = against.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure
