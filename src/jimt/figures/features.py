"""What a network has learned: its features in two dimensions, as points and as thumbnails (paper: Fig. 5)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jimt.figures.performance import class_handles
from jimt.figures.style import (
    COLOURS,
    GROUP_COLOURS,
    MANY_POINTS,
    MARKERS,
    SCORE_COLOURS,
    image_axes,
    new_axes,
    shortened,
    styled,
)
from jimt.vocabulary import DEAD, LIVE

_GROUP_MARKERS = ("s", "D", "v", "P", "X", "*", "p")
_NAMED_GROUPS = 18
_THUMBNAILS_ALONG = 26


def _draw_patches(
    truth: Any,
    prediction: Any,
    coordinates: NDArray[np.floating],
    labels: NDArray[np.integer],
    scores: NDArray[np.floating],
    *,
    size: float,
) -> Any:
    """Points coloured by label and, on other axes, by score; returns what a colour bar of scores is made of."""
    drawn: Any = None
    for label in (LIVE, DEAD):
        chosen = labels == label
        points, style = coordinates[chosen].T, {"marker": MARKERS[label], "rasterized": len(labels) > MANY_POINTS}
        truth.scatter(*points, s=size, c=COLOURS[label], linewidths=0, **style)
        drawn = prediction.scatter(
            *points, s=size, c=scores[chosen], cmap=SCORE_COLOURS, vmin=0, vmax=1, edgecolors="#555555",
            linewidths=0.3, **style,
        )  # fmt: skip
    return drawn


@styled
def embedding(
    coordinates: NDArray[np.floating],
    labels: NDArray[np.integer],
    scores: NDArray[np.floating],
    groups: NDArray[np.object_] | None,
) -> Figure:
    """Test patches in two dimensions, coloured by truth, by prediction and by group (Fig. 5a, b).

    Args:
        coordinates: Of t-SNE, shape ``(n, 2)``.
        labels: Live 1, dead 0, shape ``(n,)``.
        scores: P(live), likewise; near 0.5 a point is nearly white.
        groups: Group of each, likewise; None where nothing is known of them.
    """
    n = 2 if groups is None else 3
    figure, (axes,) = new_axes(3.3 * n, 4.2, 1, n)
    size = 16 if len(labels) < 500 else 7
    drawn = _draw_patches(axes[0], axes[1], coordinates, labels, scores, size=size)
    axes[0].set_title("truth")
    axes[0].legend(handles=class_handles((LIVE, DEAD)), loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2)
    axes[1].set_title("prediction")
    bar = axes[1].inset_axes((0.1, -0.2, 0.8, 0.04))  # does not push the other axes up
    figure.colorbar(drawn, cax=bar, orientation="horizontal", label="P(live)")
    if groups is not None:
        names, of_patch, counts = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        named = set(np.argsort(-counts, kind="stable")[:_NAMED_GROUPS].tolist())
        for number, name in enumerate(names):
            colour = GROUP_COLOURS[number % len(GROUP_COLOURS)]
            marker = _GROUP_MARKERS[number // len(GROUP_COLOURS) % len(_GROUP_MARKERS)]
            known = shortened(str(name), length=16) if number in named else None
            axes[2].scatter(
                *coordinates[of_patch == number].T, s=size, c=colour, marker=marker, linewidths=0, label=known,
                rasterized=len(labels) > MANY_POINTS,
            )  # fmt: skip
        rest = len(names) - len(named)
        axes[2].set_title(f"group ({len(names)}" + (f", the {len(named)} largest named)" if rest > 0 else ")"))
        axes[2].legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, fontsize=6, handletextpad=0.1, columnspacing=0.6
        )
    for each in axes:
        each.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    return figure


@styled
def embeddings(
    models: Mapping[str, tuple[NDArray[np.floating], NDArray[np.integer], NDArray[np.floating]]],
) -> Figure:
    """The embeddings of several models side by side, by truth above and by prediction below.

    Args:
        models: By name: coordinates, labels and scores, as in ``embedding``.
    """
    figure, grid = new_axes(max(2.1 * len(models), 4.2) + 0.5, 4.6, 2, len(models))
    drawn: Any = None
    for column, (name, (coordinates, labels, scores)) in enumerate(models.items()):
        drawn = _draw_patches(grid[0, column], grid[1, column], coordinates, labels, scores, size=7)
        grid[0, column].set_title(shortened(name), fontsize=8.5)
        for axes in grid[:, column]:
            axes.set(xticks=[], yticks=[])
    grid[0, 0].set_ylabel("truth")
    grid[1, 0].set_ylabel("prediction")
    figure.colorbar(drawn, ax=grid[1].tolist(), location="right", shrink=0.9, aspect=20, label="P(live)")
    figure.legend(handles=class_handles((LIVE, DEAD)), loc="outside lower left", ncols=2)
    return figure


@styled
def embedding_thumbnails(
    coordinates: NDArray[np.floating], thumbnails: NDArray[np.uint8], labels: NDArray[np.integer]
) -> Figure:
    """The embedding with patches in place of points, framed in the colour of their label (Fig. 5c).

    Where patches would cover each other, the one nearest to the middle of its place is shown.

    Args:
        coordinates: Of t-SNE, shape ``(n, 2)``.
        thumbnails: Patches, reduced, shape ``(n, side, side)``.
        labels: Live 1, dead 0, shape ``(n,)``.
    """
    low, high = coordinates.min(0), coordinates.max(0)
    step = float(max((high - low).max(), 1e-6)) / (_THUMBNAILS_ALONG - 1)
    place = np.round((coordinates - low) / step).astype(int)
    order = np.argsort(np.abs((coordinates - low) / step - place).max(1), kind="stable")
    _, first = np.unique(place[order], axis=0, return_index=True)
    shown = order[first]
    columns, rows = place.max(0) + 1
    figure, ((axes,),) = new_axes(7.2, 7.2 * min(max(rows / columns, 0.3), 1.5) + 0.4)
    image_axes(axes)
    for index in shown:
        x, y = place[index]
        axes.imshow(thumbnails[index], vmin=0, vmax=255, extent=(x - 0.46, x + 0.46, y - 0.46, y + 0.46), zorder=2)
        axes.plot(
            np.array([-0.46, 0.46, 0.46, -0.46, -0.46]) + x,
            np.array([-0.46, -0.46, 0.46, 0.46, -0.46]) + y,
            color=COLOURS[int(labels[index])],
            linewidth=1.6,
            zorder=3,
        )
    axes.set(xlim=(-0.6, columns - 0.4), ylim=(-0.6, rows - 0.4), aspect="equal")
    axes.set_title(f"{len(shown)} of {len(labels)} patches; frame: live blue, dead orange")
    return figure
