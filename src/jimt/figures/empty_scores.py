"""The empty filter (paper: Fig. 2b): its features as barcodes, its decision on a map, and where it is least sure."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from jimt.figures.style import draw_patch, framed, image_axes, new_axes, styled

WITH_CELLS, EMPTY = "#009E73", "#CC79A7"
_GRID = 160
_NEIGHBOURS = 12


@styled
def feature_barcodes(patches: NDArray[np.uint8], features: NDArray[np.floating], empty: NDArray[np.bool_]) -> Figure:
    """Hand-labelled patches, each beside its feature vector as a row of stripes.

    Args:
        patches: Shape ``(n, size, size)``.
        features: Likewise, shape ``(n, n_features)``; each feature is scaled to these patches.
        empty: Whether each holds no cells, shape ``(n,)``.
    """
    order = np.argsort(empty, kind="stable")
    low, high = features.min(0), features.max(0)
    scaled = (features - low) / np.where(high > low, high - low, 1)
    figure, grid = new_axes(6.6, 0.62 * len(patches) + 0.5, len(patches), 2, width_ratios=[1, 9])
    for row, index in enumerate(order):
        picture, stripes = grid[row]
        colour = EMPTY if empty[index] else WITH_CELLS
        draw_patch(picture, patches[index], colour)
        image_axes(stripes).imshow(scaled[index][None], aspect="auto", cmap="gray_r", vmin=0, vmax=1)
        framed(stripes, colour, width=1.2)
        if row == 0 or empty[index] != empty[order[row - 1]]:
            stripes.set_title("without cells (empty)" if empty[index] else "with cells", color=colour)
    grid[-1, 1].set_xlabel(f"{features.shape[1]} features, white least and black most among these patches")
    return figure


@styled
def decision_map(coordinates: NDArray[np.floating], empty: NDArray[np.bool_], decision: NDArray[np.floating]) -> Figure:
    """Hand-labelled patches in two dimensions, and level sets of the decision value between them.

    The filter decides in the space of all features, so a level here is a local mean over the nearest patches.

    Args:
        coordinates: Of the patches, such as t-SNE gives, shape ``(n, 2)``.
        empty: Hand labels, shape ``(n,)``.
        decision: Decision value of each by a filter that was not trained on its raw image, likewise; above 0 is empty.
    """
    figure, ((axes,),) = new_axes(6.0, 4.6)
    low, high = coordinates.min(0), coordinates.max(0)
    margin = 0.06 * (high - low) + 1e-6
    x, y = (np.linspace(low[i] - margin[i], high[i] + margin[i], _GRID) for i in (0, 1))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    k = min(_NEIGHBOURS, len(coordinates))
    distance, index = cKDTree(coordinates).query(points, k=list(range(1, k + 1)))
    width = np.median(cKDTree(coordinates).query(coordinates, k=[k])[0]) + 1e-9
    weight = np.exp(-0.5 * (distance / width) ** 2) + 1e-12
    local = (weight * decision[index]).sum(1) / weight.sum(1)
    level = np.ma.masked_where(distance[:, 0] > 2 * width, local).reshape(_GRID, _GRID)
    spread = max(float(np.percentile(np.abs(decision), 95)), 1e-6)
    step = float(f"{spread / 4:.1g}")
    levels = step * np.arange(-4, 5)
    axes.contourf(x, y, level, levels, cmap="PRGn_r", alpha=0.55, extend="both")
    drawn = axes.contourf(x, y, level, levels, cmap="PRGn_r", alpha=0, extend="both")
    if level.min() < 0 < level.max():
        axes.contour(x, y, level, [0.0], colors="black", linewidths=1.4)
    for value, colour, marker, word in ((False, WITH_CELLS, "o", "with cells"), (True, EMPTY, "D", "empty")):
        rows = empty == value
        axes.scatter(
            *coordinates[rows].T,
            s=16,
            c=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.4,
            label=f"{word} ({int(rows.sum())})",
        )
    wrong = (decision > 0) != empty
    if wrong.any():
        axes.scatter(
            *coordinates[wrong].T,
            s=52,
            facecolors="none",
            edgecolors="black",
            linewidths=0.9,
            label=f"on the wrong side ({int(wrong.sum())})",
        )
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, aspect=25, pad=0.02)
    if bar.solids is not None:
        bar.solids.set(alpha=0.55)
    bar.set_label("decision value (above 0: empty)")
    figure.legend(loc="outside lower left", ncols=3)
    return figure


@styled
def hardest_patches(
    patches: NDArray[np.uint8], decision: NDArray[np.floating], labelled_empty: NDArray[np.object_]
) -> Figure:
    """Patches nearest to the decision surface, kept above and dropped below.

    Args:
        patches: Shape ``(n, size, size)``.
        decision: Decision value of each, shape ``(n,)``; above 0 is dropped.
        labelled_empty: True, False or None (not labelled by hand), likewise.
    """
    halves = [np.flatnonzero(decision <= 0), np.flatnonzero(decision > 0)]
    halves = [half[np.argsort(np.abs(decision[half]))] for half in halves]
    widest = max(len(half) for half in halves)
    figure, grid = new_axes(0.95 * widest + 0.5, 2.9, 2, widest)
    for row, (half, colour, word) in enumerate(zip(halves, (WITH_CELLS, EMPTY), ("kept", "dropped"), strict=True)):
        for column in range(widest):
            axes = image_axes(grid[row, column])
            if column >= len(half):
                continue
            index = half[column]
            draw_patch(axes, patches[index], colour)
            hand = {True: "\nhand: empty", False: "\nhand: cells"}.get(labelled_empty[index], "")
            axes.set_xlabel(f"{decision[index]:+.2f}{hand}", fontsize=7, labelpad=2)
        if len(half):
            grid[row, 0].set_title(word, color=colour)
        else:
            grid[row, 0].text(0, 0.5, f"no patch was {word}", transform=grid[row, 0].transAxes)
    return figure
