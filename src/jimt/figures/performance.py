"""How good: ROC, precision-recall, confusion, calibration, score against fluorescence, group by group (Fig. 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from jimt.figures.style import (
    COLOURS,
    LINE_STYLES,
    MANY_POINTS,
    MARKERS,
    MODEL_COLOURS,
    new_figure,
    shortened,
    styled,
    told_apart,
    wrapped,
)
from jimt.statistics.curves import Calibration, Curve
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

_MAX_UNITS = 60


def _model_style(number: int) -> dict[str, Any]:
    return {
        "color": MODEL_COLOURS[number % len(MODEL_COLOURS)],
        "linestyle": LINE_STYLES[number // len(MODEL_COLOURS) % len(LINE_STYLES)],
    }


def _curves(models: Mapping[str, tuple[Curve, str]], parts: Sequence[Curve], *, steps: bool) -> tuple[Figure, Any, Any]:
    """The figure, its axes with the curves on it, and the axes that their legend goes to."""
    n_lines = sum(2 + words.count("\n") for _, words in models.values()) + 3
    figure = new_figure(6.9, max(4.4, 0.17 * n_lines))
    axes, beside = figure.subplots(1, 2, width_ratios=[4.2, 2.4])
    beside.set_axis_off()
    for part in parts:
        axes.plot(part.x, part.y, color="0.75", linewidth=0.8)
    for number, (name, (curve, words)) in enumerate(models.items()):
        style = _model_style(number)
        if curve.band_x is not None and curve.band_low is not None and curve.band_high is not None:
            axes.fill_between(
                curve.band_x, curve.band_low, curve.band_high, color=style["color"], alpha=0.15, linewidth=0,
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
        share_live: Live patches as a share of all, which is the precision of guessing.
    """
    figure, axes, beside = _curves(models, (), steps=True)
    guess = f"guessing ({share_live:.3f})"
    axes.axhline(share_live, color="0.6", linestyle=":", linewidth=0.8, label=guess)
    axes.set(xlabel="recall of live", ylabel="precision of live")
    _legend(axes, beside)
    return figure


def _grid(n: int, *, columns: int) -> tuple[int, int]:
    columns = min(n, columns)
    return -(-n // columns), columns


@styled
def confusion_matrices(models: Mapping[str, NDArray[np.integer]]) -> Figure:
    """Confusion matrices, each row as shares of its class (Fig. 4a).

    Args:
        models: By name, counts of shape ``(2, 2)``: true dead and live by predicted dead and live.
    """
    rows, columns = _grid(len(models), columns=3)
    figure = new_figure(2.2 * columns + 0.3, 2.65 * rows)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    names = [LABEL_NAMES[DEAD], LABEL_NAMES[LIVE]]
    for axes in all_axes[len(models) :]:
        axes.set_axis_off()
    for axes, (name, counts) in zip(all_axes, models.items(), strict=False):
        total = counts.sum(1, keepdims=True)
        share = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
        axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(share):
            of = f"{value:.1%}" if total[row, 0] else "-"
            axes.text(
                column, row, f"{of}\n{counts[row, column]:,}", ha="center", va="center", fontsize=8.5,
                color="white" if value > 0.55 else "black",
            )  # fmt: skip
        axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=names, yticklabels=names)
        axes.set_yticklabels(names, rotation=90, va="center")
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(wrapped(name, width=26), fontsize=8.5)
        for spine in axes.spines.values():
            spine.set_visible(True)
    return figure


@styled
def reliability(models: Mapping[str, tuple[Calibration, str]]) -> Figure:
    """P(live) against the share that is live, and how many patches have which score.

    Args:
        models: By name, its calibration and what the title says of it.
    """
    rows, columns = _grid(len(models), columns=3)
    figure = new_figure(2.5 * columns + 0.6, 3.2 * rows)
    grid = figure.subplots(
        2 * rows, columns, squeeze=False, sharex=True, height_ratios=[4, 1] * rows, gridspec_kw={"hspace": 0.05}
    )
    for axes in grid.flat:
        axes.set_axis_off()
    for number, (name, (of, words)) in enumerate(models.items()):
        row, column = divmod(number, columns)
        top, bottom = grid[2 * row, column], grid[2 * row + 1, column]
        for axes in (top, bottom):
            axes.set_axis_on()
        top.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=0.8)
        colour = _model_style(number)["color"]
        errors = np.clip([of.share_live - of.low, of.high - of.share_live], 0, None)
        top.errorbar(of.mean_score, of.share_live, errors, fmt="o-", ms=3.5, lw=1.2, elinewidth=0.8, color=colour)
        top.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        top.set_title(f"{wrapped(name, width=30)}\n{words}".strip(), fontsize=8.5)
        bottom.bar(of.mean_score, of.counts, width=0.06, color=colour)
        bottom.set_xlabel("P(live)")
        if column == 0:
            top.set_ylabel("share that is live")
            bottom.set_ylabel("patches")
    return figure


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
    rows, columns = _grid(len(panels), columns=2)
    figure = new_figure(3.4 * columns + 0.4, 3.0 * rows + 0.35)
    all_axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in all_axes[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(all_axes, panels, strict=False):
        for label in (LIVE, DEAD):
            of = panel.labels == label
            axes.scatter(
                panel.fluorescence[of], panel.scores[of], s=10, c=COLOURS[label], marker=MARKERS[label], alpha=0.6,
                linewidths=0, rasterized=len(panel.scores) > MANY_POINTS,
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
    figure = new_figure(6.6, 1.35 + 0.18 * max(2, len(shown)))
    axes = figure.add_subplot()
    y = np.arange(len(shown))[::-1]
    both = (shown["live"] > 0) & (shown["dead"] > 0)
    kinds = {
        "both classes: balanced accuracy": (both, "#000000", "s"),
        "live alone: recall": (~both & (shown["live"] > 0), COLOURS[LIVE], MARKERS[LIVE]),
        "dead alone: recall": (~both & (shown["dead"] > 0), COLOURS[DEAD], MARKERS[DEAD]),
    }
    for words, (rows, colour, marker) in kinds.items():
        of = rows.to_numpy(bool)
        if not of.any():
            continue
        values = shown["accuracy"].to_numpy(float)[of]
        errors = [values - shown["low"].to_numpy(float)[of], shown["high"].to_numpy(float)[of] - values]
        axes.errorbar(
            values, y[of], xerr=np.clip(errors, 0, None), fmt=marker, ms=4.5, color=colour, elinewidth=0.9, label=words
        )
    axes.axvline(0.5, color="0.6", linestyle=":", linewidth=0.8)
    if overall is not None:
        axes.axvline(overall, color="0.3", linestyle="--", linewidth=0.8, label=f"all patches: {overall:.3f}")
    names = [
        f"{shortened(unit, length=44)}  ({live}/{dead})"
        for unit, live, dead in zip(told_apart(shown["unit"].tolist()), shown["live"], shown["dead"], strict=True)
    ]
    axes.set_yticks(y, names, fontsize=7)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.8, len(shown) - 0.2), xlabel="balanced accuracy, or recall")
    left_out = len(table) - len(shown)
    more = f", the {left_out} best left out" if left_out else ""
    axes.set_title(f"each {what} (live/dead patches){more}")
    figure.legend(loc="outside lower left", ncols=2)
    return figure


@styled
def training_curves(metrics: pd.DataFrame) -> Figure:
    """Loss and validation metrics by epoch.

    Args:
        metrics: A row an epoch: ``epoch`` and some of ``train/loss``, ``val/loss``, ``val/balanced_accuracy``,
            ``val/auroc``; NaN where a metric was not taken.
    """
    figure = new_figure(6.6, 2.5)
    left, right = figure.subplots(1, 2)
    for axes, names in ((left, ("train/loss", "val/loss")), (right, ("val/balanced_accuracy", "val/auroc"))):
        for number, name in enumerate(names):
            if name in metrics:
                known = metrics[["epoch", name]].dropna()
                axes.plot(known["epoch"] + 1, known[name], marker=("o", "s")[number], ms=3,
                          color=("#000000", MODEL_COLOURS[0])[number], label=name)  # fmt: skip
        axes.set_xlabel("epoch")
        if axes.lines:
            axes.legend()
        axes.xaxis.get_major_locator().set_params(integer=True)
    left.set_ylabel("cross entropy")
    right.set(ylabel="validation split", ylim=(min(0.45, right.get_ylim()[0]), 1.02))
    return figure
