"""Labels by mean fluorescence: histogram and patches group by group (paper: Fig. 3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import norm

from jimt.figures.style import COLOURS, MANY_POINTS, MARKERS, new_axes, shortened, styled, told_apart, wrapped
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

_MAX_NAMED = 30
"""Beyond so many, groups along an axis have no room for their names."""
_LETTERS_ALONG = 70
"""More letters than so many do not fit side by side below the axis."""


@dataclass(frozen=True)
class LabelledValues:
    """Patches of one data set with the value their label comes from.

    Attributes:
        values: On the scale of the thresholds, shape ``(n_patches,)``.
        labels: Live 1, dead 0, ambiguous -1, likewise.
        groups: Group of each patch, likewise.
        live_below: Threshold; None where labels came with the patches.
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
    """Histogram of mean fluorescence with the two components and the thresholds, a row a data set (Fig. 3a).

    Args:
        data_sets: By name; at least one.
        scale: Name of the axis.
    """
    figure, grid = new_axes(6.4, 0.5 + 2.1 * len(data_sets), len(data_sets), sharex=True)
    pooled = np.concatenate([data.values for data in data_sets.values()])
    low, high = np.percentile(pooled, [0, 99.7])
    edges = np.linspace(low, high + (high - low) * 1e-6, 61)
    for (axes,), (name, data) in zip(grid, data_sets.items(), strict=True):
        parts = [data.values[data.labels == label] for label in (LIVE, AMBIGUOUS, DEAD)]
        colours = [COLOURS[label] for label in (LIVE, AMBIGUOUS, DEAD)]
        words = [f"{word} ({len(part):,})" for word, part in zip(("live", "discarded", "dead"), parts, strict=True)]
        axes.hist([np.clip(part, low, high) for part in parts], edges, stacked=True, color=colours, label=words)
        if data.components is not None:
            x = np.linspace(low, high, 500)
            per_bin = len(data.values) * (edges[1] - edges[0])
            for label, (weight, mean, sd) in zip((LIVE, DEAD), data.components, strict=True):
                axes.plot(x, per_bin * weight * norm.pdf(x, mean, sd), color="white", linewidth=3)
                axes.plot(x, per_bin * weight * norm.pdf(x, mean, sd), color=_darker(COLOURS[label]), linewidth=1.4)
        for threshold, colour, word in (
            (data.live_below, COLOURS[LIVE], "live below"),
            (data.dead_above, COLOURS[DEAD], "dead above"),
        ):
            if threshold is not None:
                axes.axvline(
                    threshold, color=_darker(colour), linestyle="--", linewidth=1.2, label=f"{word} {threshold:.4g}"
                )
        axes.set(title=name if data.components is None else f"{name}, mixture fitted here", ylabel="patches")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    grid[-1, 0].set_xlabel(scale + (", last bin: and more" if pooled.max() > high else ""))
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
    figure, grid = new_axes(6.6, 0.5 + 3.1 * len(data_sets), len(data_sets))
    for (axes,), (name, data) in zip(grid, data_sets.items(), strict=True):
        names, numbers = np.unique(data.groups.astype(str), return_inverse=True)
        medians = np.array([np.median(data.values[numbers == number]) for number in range(len(names))])
        rank = np.argsort(np.argsort(medians, kind="stable"), kind="stable")
        x = rank[numbers] + np.random.default_rng(seed).uniform(-0.35, 0.35, len(numbers))
        for label, word in ((LIVE, "live"), (AMBIGUOUS, "discarded"), (DEAD, "dead")):
            rows = data.labels == label
            axes.scatter(
                x[rows],
                data.values[rows],
                s=7,
                c=COLOURS[label],
                marker=MARKERS[label],
                linewidths=0,
                label=f"{word} ({int(rows.sum()):,})",
                rasterized=len(x) > MANY_POINTS,
            )
        for threshold in (data.live_below, data.dead_above):
            if threshold is not None:
                axes.axhline(threshold, color="#444444", linestyle="--", linewidth=0.8)
        axes.set(
            title=name,
            ylabel=wrapped(scale, width=30),
            xlabel=f"{len(names)} groups, by median",
            xlim=(-0.6, len(names) - 0.4),
            xticks=[],
        )
        if len(names) <= _MAX_NAMED:
            words = [shortened(group, length=22) for group in told_apart(names[np.argsort(rank)].tolist())]
            upright = sum(len(word) + 2 for word in words) > _LETTERS_ALONG
            axes.set_xticks(range(len(names)), words, rotation=90 if upright else 0, fontsize=7)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2)
    return figure
