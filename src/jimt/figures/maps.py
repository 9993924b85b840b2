"""What a network looks at: Grad-CAM beside propidium iodide (paper: Fig. 6), and galleries of errors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jimt.figures.style import (
    COLOURS,
    draw_fluorescence,
    draw_patch,
    fluorescence_range,
    hide,
    image_axes,
    new_axes,
    shortened,
    styled,
)
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

_GALLERY_COLUMNS = 8


@dataclass(frozen=True)
class MappedPatch:
    """A patch with its activation maps; all images of shape ``(size, size)``.

    Attributes:
        brightfield: 8 bits.
        maps: Of label live and of label dead, from 0 to 1.
        score: P(live).
        label: Live 1, dead 0.
        fluorescence: PI in the unit that is drawn; None where there is no fluorescence image.
        positive: Where PI counts as positive; None where nothing tells.
    """

    brightfield: NDArray[np.uint8]
    maps: dict[int, NDArray[np.floating]]
    score: float
    label: int
    fluorescence: NDArray[np.floating] | None
    positive: NDArray[np.bool_] | None


def _draw_map(axes: Any, patch: MappedPatch, activation: NDArray[np.floating]) -> None:
    axes.imshow(patch.brightfield, vmin=0, vmax=255)
    axes.imshow(activation, cmap="viridis", vmin=0, vmax=1, alpha=0.45)


def _draw_fluorescence(axes: Any, patch: MappedPatch, limits: tuple[float, float]) -> None:
    if patch.fluorescence is None:
        axes.set_axis_off()
        return
    draw_fluorescence(axes, patch.fluorescence, limits)
    if patch.positive is not None and 0 < patch.positive.mean() < 1:
        axes.contour(patch.positive.astype(float), [0.5], colors="#00E5FF", linewidths=0.6)


def _limits(images: Iterable[NDArray[np.floating] | None]) -> tuple[float, float]:
    there = [image for image in images if image is not None]
    return fluorescence_range(np.stack(there)) if there else (0.0, 1.0)


@styled
def activation_maps(columns: Mapping[str, Sequence[MappedPatch]], *, unit: str) -> Figure:
    """Patches, their maps for both labels with the label's probability, and their PI (Fig. 6).

    Args:
        columns: Blocks of patches side by side, such as most certain, least certain and wrong, by title; each patch is
            a row of four images.
        unit: Of the fluorescence.
    """
    n_rows = max(1, max(len(patches) for patches in columns.values()))
    every = [patch for patches in columns.values() for patch in patches]
    limits = _limits(patch.fluorescence for patch in every)
    images = ("patch", "live", "dead", "PI")
    ratios = ([1] * len(images) + [0.15]) * len(columns)
    figure, grid = new_axes(
        0.86 * (4 * len(columns)) + 0.6, 0.93 * n_rows + 0.65, n_rows, len(ratios), width_ratios=ratios
    )
    hide(grid.flat)
    shown: Any = None
    for block, (title, patches) in enumerate(columns.items()):
        column = block * (len(images) + 1)
        grid[0, column].set_title(title if len(patches) else f"{title}: none", fontsize=8.5)
        for row, patch in enumerate(patches):
            for offset, what in enumerate(images):
                axes = image_axes(grid[row, column + offset])
                if what == "patch":
                    draw_patch(axes, patch.brightfield, COLOURS[patch.label])
                elif what == "PI":
                    _draw_fluorescence(axes, patch, limits)
                    axes.set_xlabel("PI", fontsize=7, labelpad=1.5)
                else:
                    label = LIVE if what == "live" else DEAD
                    _draw_map(axes, patch, patch.maps[label])
                    shown = axes.images[-1]
                    probability = patch.score if label == LIVE else 1 - patch.score
                    axes.set_xlabel(
                        f"{LABEL_NAMES[label]} {probability:.2f}", fontsize=7, labelpad=1.5, color=COLOURS[label]
                    )
    if shown is not None:
        bar = figure.colorbar(shown, ax=grid.ravel().tolist(), shrink=0.6, pad=0.01, aspect=18, ticks=[0, 1])
        bar.set_ticklabels(["least", "most"])
        bar.set_label("activation within the map")
    if every and every[0].fluorescence is not None:
        figure.supxlabel(
            f"PI: {limits[0]:.4g} (black) to {limits[1]:.4g} {unit}; cyan: where it counts as positive", fontsize=7.5
        )
    return figure


@styled
def maps_of_models(patches: Sequence[MappedPatch], models: Mapping[str, Sequence[MappedPatch]], *, unit: str) -> Figure:
    """The same patches with the map for `dead` of several models.

    Args:
        patches: For bright-field and PI.
        models: By name, the same patches in the same order with that model's maps and scores.
        unit: Of the fluorescence.
    """
    limits = _limits(patch.fluorescence for patch in patches)
    n_columns = 2 + len(models)
    figure, grid = new_axes(1.15 * n_columns + 0.3, 1.32 * len(patches) + 0.5, len(patches), n_columns)
    for row, patch in enumerate(patches):
        for axes in grid[row]:
            image_axes(axes)
        draw_patch(grid[row, 0], patch.brightfield, COLOURS[patch.label])
        _draw_fluorescence(grid[row, 1], patch, limits)
        for column, mapped in enumerate(models.values(), 2):
            _draw_map(grid[row, column], mapped[row], mapped[row].maps[DEAD])
            grid[row, column].set_xlabel(f"dead {1 - mapped[row].score:.2f}", fontsize=7, labelpad=1.5)
    titles = ["patch", f"PI\n({unit})", *(shortened(name, length=18) for name in models)]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=7.5, loc="center")
    return figure


Entry = tuple[NDArray[np.uint8], NDArray[np.floating] | None, int, float, str]
"""A patch, its PI or None, its label, its score and its place in words."""


@styled
def gallery(groups: Mapping[str, Sequence[Entry]], *, unit: str) -> Figure:
    """Patches by group, each above its PI; small groups stand side by side.

    Args:
        groups: By name, in the order to be drawn, at least one; of each the first eight patches are.
        unit: Of the fluorescence.
    """
    groups = {name: entries[:_GALLERY_COLUMNS] for name, entries in groups.items()}
    rows = _packed(groups)
    images = [pi for group in groups.values() for _, pi, *_ in group if pi is not None]
    limits = _limits(images)
    per_row = 2 if images else 1
    height = len(rows) * (2.6 if images else 1.6) + 0.3
    figure, grid = new_axes(1.12 * _GALLERY_COLUMNS + 0.2, height, per_row * len(rows), _GALLERY_COLUMNS)
    hide(grid.flat)
    for number, row in enumerate(rows):
        for name, start in row:
            lines = [shortened(line, length=17 * len(groups[name])) for line in name.split("\n")]
            grid[per_row * number, start].set_title("\n".join(lines), fontsize=7.5)
            for column, (patch, pi, label, score, place) in enumerate(groups[name], start):
                axes = grid[per_row * number, column]
                draw_patch(axes, patch, COLOURS[label])
                if pi is not None:
                    axes = image_axes(grid[per_row * number + 1, column])
                    draw_fluorescence(axes, pi, limits)
                axes.set_xlabel(f"{LABEL_NAMES[label]}, P(live) {score:.2f}\n{place}", fontsize=6, labelpad=2)
    if images:
        figure.supxlabel(f"PI: {limits[0]:.4g} (black) to {limits[1]:.4g} {unit}", fontsize=7.5)
    return figure


def _packed(groups: Mapping[str, Sequence[Entry]]) -> list[list[tuple[str, int]]]:
    """Rows of groups, each with its first column; a column stays free between groups where there is room for one."""
    rows: list[list[tuple[str, int]]] = []
    end = _GALLERY_COLUMNS + 1
    for name, entries in groups.items():
        if end + 1 + len(entries) > _GALLERY_COLUMNS:
            rows.append([])
            end = -1
        rows[-1].append((name, end + 1))
        end += 1 + len(entries)
    return rows
