"""Raw pairs, sample patches, and labels by fluorescence (paper: Figs. 1, 2a, 3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.stats import norm

from jimt.figures.style import (
    COLOURS,
    MANY_POINTS,
    MARKERS,
    draw_fluorescence,
    fluorescence_bar,
    fluorescence_range,
    framed,
    image_axes,
    new_figure,
    shortened,
    styled,
    told_apart,
    wrapped,
)
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

_OUTCOMES = {
    "live": (COLOURS[LIVE], MARKERS[LIVE]),
    "dead": (COLOURS[DEAD], MARKERS[DEAD]),
    "ambiguous": (COLOURS[AMBIGUOUS], "s"),
    "empty": ("#FFFFFF", "X"),
    "no_data": ("#000000", "P"),
}
_MAX_NAMED = 30
"""Beyond so many, groups along an axis have no room for their names."""
_LETTERS_ALONG = 70
"""More letters than so many do not fit side by side below the axis."""
_OUTCOME_WORDS = {"ambiguous": "discarded: between the cut-offs", "empty": "discarded: empty", "no_data": "no data"}


@dataclass(frozen=True)
class FieldView:
    """One raw image to be drawn; patches of shape ``(n_patches,)``.

    Attributes:
        name: Its raw_image_id.
        brightfield: 8 bits, shape ``(height, width)``.
        fluorescence: Likewise, in the unit that is drawn.
        y: Origins of its patches.
        x: Likewise.
        outcome: ``live``, ``dead``, ``ambiguous``, ``empty`` or ``no_data`` for each patch.
    """

    name: str
    brightfield: NDArray[np.uint8]
    fluorescence: NDArray[np.floating]
    y: NDArray[np.integer]
    x: NDArray[np.integer]
    outcome: NDArray[np.object_]


@styled
def raw_pairs(fields: Sequence[FieldView], *, patch_size: int, unit: str) -> Figure:
    """Bright-field and fluorescence of raw images, and what became of each patch, marked at its centre (Fig. 1).

    Args:
        fields: At least one.
        patch_size: Side of a patch, pixels.
        unit: Of the fluorescence, for the colour bar.
    """
    height, width = fields[0].brightfield.shape
    figure = new_figure(2.6 * len(fields) + 0.8, 5.4 * height / width + 0.9)
    grid = figure.subplots(2, len(fields), squeeze=False)
    limits = fluorescence_range(np.concatenate([field.fluorescence.ravel() for field in fields]))
    seen: dict[str, None] = {}
    drawn: Any = None
    for column, field in enumerate(fields):
        top, bottom = (image_axes(axes) for axes in grid[:, column])
        top.imshow(field.brightfield, vmin=0, vmax=255)
        drawn = draw_fluorescence(bottom, field.fluorescence, limits)
        top.set_title(shortened(field.name, length=40), fontsize=7)
        steps = {int(step) for step in np.diff(np.unique(field.x))} or {patch_size}
        for axes in (top, bottom):
            for edge in np.unique(np.concatenate([field.x, field.x + patch_size])):
                axes.axvline(edge - 0.5, color="#FFFFFF", linewidth=0.4, alpha=0.5)
            for edge in np.unique(np.concatenate([field.y, field.y + patch_size])):
                axes.axhline(edge - 0.5, color="#FFFFFF", linewidth=0.4, alpha=0.5)
            corners = [(field.x.min(), field.y.min())]
            if len(np.unique(field.x)) > 1:
                corners.append((field.x.min() + min(steps), field.y.min()))
            for (x, y), style in zip(corners, ("-", (0, (4, 2))), strict=False):
                axes.add_patch(
                    Rectangle((x, y), patch_size, patch_size, fill=False, edgecolor="#F0E442", lw=1.4, linestyle=style)
                )
        for outcome in _OUTCOMES:
            of = field.outcome == outcome
            if of.any():
                seen[outcome] = None
                colour, marker = _OUTCOMES[outcome]
                edge = "#333333" if outcome == "empty" else "white"
                y, x = field.y[of] + patch_size / 2, field.x[of] + patch_size / 2
                top.scatter(x, y, s=26, c=colour, marker=marker, zorder=3, edgecolors=edge, linewidths=0.6)
    grid[0, 0].set_ylabel("bright-field")
    grid[1, 0].set_ylabel("propidium iodide")
    fluorescence_bar(figure, drawn, grid[1, :].tolist(), label=unit, shrink=0.9)
    handles: list[Any] = [
        Line2D(
            [],
            [],
            linestyle="",
            marker=_OUTCOMES[name][1],
            color=_OUTCOMES[name][0],
            markeredgecolor="#444444",
            label=_OUTCOME_WORDS.get(name, name),
        )
        for name in _OUTCOMES
        if name in seen
    ]
    handles.append(Line2D([], [], color="#C9BC1E", label=f"a patch of {patch_size} px and (dashed) its neighbour"))
    figure.legend(handles=handles, loc="outside lower left", ncols=3, handletextpad=0.3, columnspacing=1.2)
    return figure


@styled
def sample_patches(
    brightfield: NDArray[np.uint8],
    fluorescence: NDArray[np.floating],
    labels: NDArray[np.integer],
    values: NDArray[np.floating],
    *,
    unit: str,
) -> Figure:
    """Patches of both classes above their fluorescence (Fig. 2a).

    Args:
        brightfield: Shape ``(n, size, size)``.
        fluorescence: Likewise; all are drawn on one grey scale.
        labels: Live 1, dead 0, shape ``(n,)``.
        values: Mean fluorescence of each, likewise, in the unit of ``fluorescence``.
        unit: For the colour bar.
    """
    halves = [np.flatnonzero(labels == label) for label in (LIVE, DEAD)]
    widest = max(len(half) for half in halves)
    figure = new_figure(2 * 0.95 * widest + 1.0, 2.25)
    limits = fluorescence_range(fluorescence)
    grid = figure.subplots(2, 2 * widest + 1, width_ratios=[1] * widest + [0.12] + [1] * widest, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    drawn: Any = None
    for label, half, start in zip((LIVE, DEAD), halves, (0, widest + 1), strict=True):
        for column, index in enumerate(half.tolist(), start):
            top, bottom = grid[:, column]
            for axes in (top, bottom):
                axes.set_axis_on()
                image_axes(axes)
                framed(axes, COLOURS[label])
            top.imshow(brightfield[index], vmin=0, vmax=255)
            drawn = draw_fluorescence(bottom, fluorescence[index], limits)
            bottom.set_xlabel(f"{values[index]:.4g}", fontsize=7, labelpad=2)
        if len(half):
            grid[0, start].set_title("live patches" if label == LIVE else "dead patches", color=COLOURS[label])
    if drawn is not None:
        fluorescence_bar(figure, drawn, grid.ravel().tolist(), label=unit, shrink=0.8)
    return figure


@dataclass(frozen=True)
class LabelledValues:
    """Patches of one data set with the value their label comes from.

    Attributes:
        values: On the scale of the cut-offs, shape ``(n_patches,)``.
        labels: Live 1, dead 0, ambiguous -1, likewise.
        groups: Group of each patch, likewise.
        live_below: Cut-off; None where labels came with the patches.
        dead_above: Likewise.
        components: Weight, mean and standard deviation of the live and of the dead component, where the mixture was
            fitted on this data set.
    """

    values: NDArray[np.float64]
    labels: NDArray[np.integer]
    groups: NDArray[np.object_]
    live_below: float | None
    dead_above: float | None
    components: tuple[tuple[float, float, float], tuple[float, float, float]] | None


@styled
def fluorescence_histograms(data_sets: Mapping[str, LabelledValues], *, scale: str) -> Figure:
    """Histogram of mean fluorescence with the two components and the cut-offs, a row a data set (Fig. 3a).

    Args:
        data_sets: By name; at least one.
        scale: Name of the axis.
    """
    figure = new_figure(6.4, 0.5 + 2.1 * len(data_sets))
    pooled = np.concatenate([of.values for of in data_sets.values()])
    low, high = np.percentile(pooled, [0, 99.7])
    edges = np.linspace(low, high + (high - low) * 1e-6, 61)
    all_axes = figure.subplots(len(data_sets), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, of) in zip(all_axes, data_sets.items(), strict=True):
        parts = [of.values[of.labels == label] for label in (LIVE, AMBIGUOUS, DEAD)]
        colours = [COLOURS[label] for label in (LIVE, AMBIGUOUS, DEAD)]
        words = [f"{word} ({len(part):,})" for word, part in zip(("live", "discarded", "dead"), parts, strict=True)]
        axes.hist([np.clip(part, low, high) for part in parts], edges, stacked=True, color=colours, label=words)
        if of.components is not None:
            x = np.linspace(low, high, 500)
            per_bin = len(of.values) * (edges[1] - edges[0])
            for label, (weight, mean, sd) in zip((LIVE, DEAD), of.components, strict=True):
                axes.plot(x, per_bin * weight * norm.pdf(x, mean, sd), color="white", linewidth=3)
                axes.plot(x, per_bin * weight * norm.pdf(x, mean, sd), color=_darker(COLOURS[label]), linewidth=1.4)
        for cut, colour, word in (
            (of.live_below, COLOURS[LIVE], "live below"),
            (of.dead_above, COLOURS[DEAD], "dead above"),
        ):
            if cut is not None:
                axes.axvline(cut, color=_darker(colour), linestyle="--", linewidth=1.2, label=f"{word} {cut:.4g}")
        fitted = "" if of.components is None else ", mixture fitted here"
        axes.set_title(f"{name}{fitted}")
        axes.set_ylabel("patches")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    all_axes[-1].set_xlabel(scale + (", last bin: and more" if pooled.max() > high else ""))
    return figure


def _darker(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return 0.6 * red, 0.6 * green, 0.6 * blue


@styled
def labelled_patches(data_sets: Mapping[str, LabelledValues], *, scale: str, seed: int) -> Figure:
    """Every patch by its mean fluorescence, a column a group, coloured by its label (Fig. 3b).

    Args:
        data_sets: By name; at least one.
        scale: Name of the axis.
        seed: Of the scatter within a column.
    """
    figure = new_figure(6.6, 0.5 + 3.1 * len(data_sets))
    all_axes = figure.subplots(len(data_sets), 1, squeeze=False)[:, 0]
    for axes, (name, of) in zip(all_axes, data_sets.items(), strict=True):
        names, of_patch = np.unique(of.groups.astype(str), return_inverse=True)
        medians = np.array([np.median(of.values[of_patch == number]) for number in range(len(names))])
        rank = np.argsort(np.argsort(medians, kind="stable"), kind="stable")
        x = rank[of_patch] + np.random.default_rng(seed).uniform(-0.35, 0.35, len(of_patch))
        for label, word in ((LIVE, "live"), (AMBIGUOUS, "discarded"), (DEAD, "dead")):
            rows = of.labels == label
            axes.scatter(
                x[rows],
                of.values[rows],
                s=7,
                c=COLOURS[label],
                marker=MARKERS[label],
                linewidths=0,
                label=f"{word} ({int(rows.sum()):,})",
                rasterized=len(x) > MANY_POINTS,
            )
        for cut in (of.live_below, of.dead_above):
            if cut is not None:
                axes.axhline(cut, color="#444444", linestyle="--", linewidth=0.8)
        axes.set(
            title=name,
            ylabel=wrapped(scale, width=30),
            xlabel=f"{len(names)} groups, by median",
            xlim=(-0.6, len(names) - 0.4),
        )
        axes.set_xticks([])
        if len(names) <= _MAX_NAMED:
            words = [shortened(group, length=22) for group in told_apart(names[np.argsort(rank)].tolist())]
            upright = sum(len(word) + 2 for word in words) > _LETTERS_ALONG
            axes.set_xticks(range(len(names)), words, rotation=90 if upright else 0, fontsize=7)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2)
    return figure
