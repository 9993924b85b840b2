"""How good: ROC and precision-recall curves, confusion matrices and reliability (paper: Fig. 4a)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jimt.figures.style import LINE_STYLES, MODEL_COLOURS, grid_shape, hide, new_axes, styled, wrapped
from jimt.statistics.curves import GRID, Calibration, Curve
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE


def _model_style(number: int) -> dict[str, Any]:
    return {
        "color": MODEL_COLOURS[number % len(MODEL_COLOURS)],
        "linestyle": LINE_STYLES[number // len(MODEL_COLOURS) % len(LINE_STYLES)],
    }


def _curves(models: Mapping[str, tuple[Curve, str]], parts: Sequence[Curve], *, steps: bool) -> tuple[Figure, Any, Any]:
    """The figure, its axes with the curves on it, and the axes that their legend goes to."""
    n_lines = sum(2 + words.count("\n") for _, words in models.values()) + 3
    figure, ((axes, beside),) = new_axes(6.9, max(4.7, 0.17 * n_lines), 1, 2, width_ratios=[4.2, 2.4])
    beside.set_axis_off()
    for part in parts:
        axes.plot(part.x, part.y, color="0.75", linewidth=0.8)
    for number, (name, (curve, words)) in enumerate(models.items()):
        style = _model_style(number)
        if curve.band is not None:
            axes.fill_between(
                GRID, *curve.band, color=style["color"], alpha=0.15, linewidth=0,
                step="pre" if steps else None,
            )  # fmt: skip
        name = wrapped(name, width=32)
        drawn = "steps-pre" if steps else "default"  # a precision holds up to the recall before it
        label = f"{name}\n{words}" if words else name
        axes.plot(curve.x, curve.y, linewidth=1.6, drawstyle=drawn, label=label, **style)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    return figure, axes, beside


def _legend(axes: Any, beside: Any) -> None:
    beside.legend(*axes.get_legend_handles_labels(), loc="center left", labelspacing=0.9, borderaxespad=0)


@styled
def roc_curves(models: Mapping[str, tuple[Curve, str]], *, folds: Sequence[Curve] = ()) -> Figure:
    """ROC curves of several models in one plot, with their bands over groups (Fig. 4a).

    Args:
        models: By name, the curve and what the legend says of it.
        folds: Curves of the folds of a cross-validation, drawn thin.
    """
    figure, axes, beside = _curves(models, folds, steps=False)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=0.8)
    if folds:
        axes.plot([], [], color="0.75", linewidth=0.8, label="single folds")
    axes.set(xlabel="dead patches called live (false positive rate)", ylabel="live patches called live (recall)")
    _legend(axes, beside)
    return figure


@styled
def precision_recall_curves(models: Mapping[str, tuple[Curve, str]], *, share_live: float) -> Figure:
    """Precision of live against its recall, with bands over groups.

    Args:
        models: As in ``roc_curves``.
        share_live: Live patches as a share of all, which is the precision of chance.
    """
    figure, axes, beside = _curves(models, (), steps=True)
    axes.axhline(share_live, color="0.6", linestyle=":", linewidth=0.8, label=f"chance ({share_live:.3f})")
    axes.set(xlabel="recall of live", ylabel="precision of live")
    _legend(axes, beside)
    return figure


@styled
def confusion_matrices(models: Mapping[str, NDArray[np.integer]]) -> Figure:
    """Confusion matrices, each row as shares of its class (Fig. 4a).

    Args:
        models: By name, counts of shape ``(2, 2)``: true dead and live by predicted dead and live.
    """
    rows, columns = grid_shape(len(models), columns=3)
    figure, grid = new_axes(2.2 * columns + 0.3, 2.65 * rows, rows, columns)
    names = [LABEL_NAMES[DEAD], LABEL_NAMES[LIVE]]
    hide(grid.flat[len(models) :])
    for axes, (name, counts) in zip(grid.flat, models.items(), strict=False):
        total = counts.sum(1, keepdims=True)
        share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
        axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            percent = f"{100 * value:.1f} %" if total[row, 0] else "-"
            axes.text(
                column, row, f"{percent}\n{counts[row, column]:,}", ha="center", va="center", fontsize=8.5,
                color="white" if value > 0.55 else "black",
            )  # fmt: skip
        axes.set(xticks=[0, 1], xticklabels=names, xlabel="predicted", ylabel="true")
        axes.set_yticks([0, 1], names, rotation=90, va="center")
        axes.set_title(wrapped(name, width=26), fontsize=8.5)
        axes.spines[:].set_visible(True)
    return figure


@styled
def reliability(models: Mapping[str, tuple[Calibration, str]]) -> Figure:
    """P(live) against the share that is live, and how many patches have which score.

    Args:
        models: By name, its calibration and what the title says of it.
    """
    rows, columns = grid_shape(len(models), columns=3)
    places = {"sharex": True, "height_ratios": [4, 1] * rows, "gridspec_kw": {"hspace": 0.05}}
    figure, grid = new_axes(2.5 * columns + 0.6, 3.2 * rows, 2 * rows, columns, **places)
    hide(grid.flat)
    for number, (name, (found, words)) in enumerate(models.items()):
        row, column = divmod(number, columns)
        top, bottom = grid[2 * row, column], grid[2 * row + 1, column]
        for axes in (top, bottom):
            axes.set_axis_on()
        top.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=0.8)
        colour = _model_style(number)["color"]
        errors = np.clip([found.share_live - found.low, found.high - found.share_live], 0, None)
        top.errorbar(found.mean_score, found.share_live, errors, fmt="o-", ms=3.5, lw=1.2, elinewidth=0.8, color=colour)
        top.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        top.set_title(f"{wrapped(name, width=30)}\n{words}".strip(), fontsize=8.5)
        bottom.bar(found.mean_score, found.counts, width=0.06, color=colour)
        bottom.set_xlabel("P(live)")
        if column == 0:
            top.set_ylabel("share that is live")
            bottom.set_ylabel("patches")
    return figure
