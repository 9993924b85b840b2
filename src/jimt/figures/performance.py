"""How good: score against fluorescence (Fig. 4b), accuracy group by group, and the training epoch by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from jimt.figures.style import (
    COLOURS,
    MANY_POINTS,
    MARKERS,
    MODEL_COLOURS,
    grid_shape,
    hide,
    new_axes,
    shortened,
    styled,
    told_apart,
    wrapped,
)
from jimt.statistics.value_text import number_text
from jimt.vocabulary import DEAD, LIVE

_MAX_UNITS = 60


@dataclass(frozen=True)
class FluorescencePanel:
    """Scored patches of one model with their fluorescence on one scale.

    Attributes:
        name: Of the model.
        scores: P(live), shape ``(n_patches,)``.
        fluorescence: Likewise.
        labels: Live 1, dead 0, likewise.
        scale: Of the fluorescence, in words.
        is_logarithm: Whether the scale is one already.
        words: The correlation in words.
    """

    name: str
    scores: NDArray[np.floating]
    fluorescence: NDArray[np.floating]
    labels: NDArray[np.integer]
    scale: str
    is_logarithm: bool
    words: str


@styled
def score_against_fluorescence(panels: Sequence[FluorescencePanel]) -> Figure:
    """P(live) against mean fluorescence (Fig. 4b), two panels a row."""
    rows, columns = grid_shape(len(panels), columns=2)
    figure, grid = new_axes(3.4 * columns + 0.4, 3.0 * rows + 0.35, rows, columns)
    hide(grid.flat[len(panels) :])
    for axes, panel in zip(grid.flat, panels, strict=False):
        for label in (LIVE, DEAD):
            chosen = panel.labels == label
            axes.scatter(
                panel.fluorescence[chosen], panel.scores[chosen], s=10, c=COLOURS[label], marker=MARKERS[label],
                alpha=0.6, linewidths=0, rasterized=len(panel.scores) > MANY_POINTS,
            )  # fmt: skip
        axes.axhline(0.5, color="0.6", linestyle=":", linewidth=0.8)
        known = panel.fluorescence[np.isfinite(panel.fluorescence)]
        if len(known) and not panel.is_logarithm and known.min() > 0 and known.max() > 30 * known.min():
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))  # powers need mathtext
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=panel.scale, ylabel="P(live)", ylim=(-0.03, 1.03))
        axes.set_title(f"{wrapped(panel.name, width=40)}\n{panel.words}".strip(), fontsize=8)
    figure.legend(handles=class_handles((LIVE, DEAD)), loc="outside upper right", ncols=2)
    return figure


def class_handles(labels: Sequence[int]) -> list[Line2D]:
    """Legend entries of classes."""
    words = {LIVE: "live", DEAD: "dead"}
    return [
        Line2D([], [], linestyle="", marker=MARKERS[label], color=COLOURS[label], label=words.get(label, "discarded"))
        for label in labels
    ]


@styled
def forest(table: pd.DataFrame, *, what: str, overall: float | None) -> Figure:
    """Balanced accuracy of each raw image or group; of one class, its recall, in the colour of the class.

    Args:
        table: What ``curves.accuracy_by_unit`` gives. Beyond 60 rows the best are left out.
        what: ``raw image`` or ``group``.
        overall: Balanced accuracy of all patches; None where a class is absent.
    """
    shown = table.head(_MAX_UNITS)
    figure, ((axes,),) = new_axes(6.6, 1.35 + 0.18 * max(2, len(shown)))
    y = np.arange(len(shown))[::-1]
    both = (shown["live"] > 0) & (shown["dead"] > 0)
    kinds = {
        "both classes: balanced accuracy": (both, "#000000", "s"),
        "live alone: recall": (~both & (shown["live"] > 0), COLOURS[LIVE], MARKERS[LIVE]),
        "dead alone: recall": (~both & (shown["dead"] > 0), COLOURS[DEAD], MARKERS[DEAD]),
    }
    for words, (rows, colour, marker) in kinds.items():
        chosen = rows.to_numpy(bool)
        if not chosen.any():
            continue
        values = shown["accuracy"].to_numpy(float)[chosen]
        errors = [values - shown["low"].to_numpy(float)[chosen], shown["high"].to_numpy(float)[chosen] - values]
        axes.errorbar(
            values,
            y[chosen],
            xerr=np.clip(errors, 0, None),
            fmt=marker,
            ms=4.5,
            color=colour,
            elinewidth=0.9,
            label=words,
        )
    axes.axvline(0.5, color="0.6", linestyle=":", linewidth=0.8)
    if overall is not None:
        axes.axvline(overall, color="0.3", linestyle="--", linewidth=0.8, label=f"all patches: {number_text(overall)}")
    names = [
        f"{shortened(unit, length=44)}  ({live}/{dead})"
        for unit, live, dead in zip(told_apart(shown["unit"].tolist()), shown["live"], shown["dead"], strict=True)
    ]
    axes.set_yticks(y, names, fontsize=7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.8, len(shown) - 0.2), xlabel="balanced accuracy, or recall")
    left_out = len(table) - len(shown)
    axes.set_title(f"each {what} (live/dead patches)" + (f", the {left_out} best left out" if left_out else ""))
    figure.legend(loc="outside lower left", ncols=2)
    return figure


_VALIDATED = ("val/balanced_accuracy", "val/correlation", "val/auroc")
"""Of them a training has the first or the second."""


@styled
def training_curves(metrics: pd.DataFrame, *, loss: str = "cross entropy") -> Figure:
    """Loss and validation metrics by epoch.

    Args:
        metrics: A row an epoch: ``epoch`` and some of ``train/loss``, ``val/loss``, ``val/balanced_accuracy``,
            ``val/correlation``, ``val/auroc``; NaN where a metric was not taken.
        loss: Its name.
    """
    figure, ((left, right),) = new_axes(6.6, 2.5, 1, 2)
    for axes, names in ((left, ("train/loss", "val/loss")), (right, _VALIDATED)):
        for number, name in enumerate(name for name in names if name in metrics):
            known = metrics[["epoch", name]].dropna()
            axes.plot(known["epoch"] + 1, known[name], marker=("o", "s")[number], ms=3,
                      color=("#000000", MODEL_COLOURS[0])[number], label=name)  # fmt: skip
        axes.set_xlabel("epoch")
        if axes.lines:
            axes.legend()
        axes.xaxis.get_major_locator().set_params(integer=True)
        if metrics["epoch"].nunique() == 1:  # else there is no place for two ticks that are epochs
            axes.set_xticks(metrics["epoch"].unique() + 1)
    left.set_ylabel(loss)
    right.set(ylabel="metric of the validation split", ylim=(min(0.45, right.get_ylim()[0]), 1.02))
    return figure
