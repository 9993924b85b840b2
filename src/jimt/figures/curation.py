"""Raw image pairs and sample patches (paper: Figs. 1, 2a)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from jimt.figures.style import (
    COLOURS,
    MARKERS,
    draw_fluorescence,
    draw_patch,
    fluorescence_bar,
    fluorescence_range,
    framed,
    hide,
    image_axes,
    new_axes,
    shortened,
    styled,
)
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

_OUTCOMES = {
    "live": (COLOURS[LIVE], MARKERS[LIVE]),
    "dead": (COLOURS[DEAD], MARKERS[DEAD]),
    "ambiguous": (COLOURS[AMBIGUOUS], "s"),
    "empty": ("#FFFFFF", "X"),
    "no_data": ("#000000", "P"),
}
_OUTCOME_WORDS = {"ambiguous": "discarded: between the thresholds", "empty": "discarded: empty", "no_data": "no data"}


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
    figure, grid = new_axes(2.6 * len(fields) + 0.8, 5.4 * height / width + 0.9, 2, len(fields))
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
            chosen = field.outcome == outcome
            if chosen.any():
                seen[outcome] = None
                colour, marker = _OUTCOMES[outcome]
                edge = "#333333" if outcome == "empty" else "white"
                y, x = field.y[chosen] + patch_size / 2, field.x[chosen] + patch_size / 2
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
    ratios = [1] * widest + [0.12] + [1] * widest
    figure, grid = new_axes(2 * 0.95 * widest + 1.0, 2.25, 2, len(ratios), width_ratios=ratios)
    limits = fluorescence_range(fluorescence)
    hide(grid.flat)
    drawn: Any = None
    for label, half, start in zip((LIVE, DEAD), halves, (0, widest + 1), strict=True):
        for column, index in enumerate(half.tolist(), start):
            top, bottom = grid[:, column]
            draw_patch(top, brightfield[index], COLOURS[label])
            framed(image_axes(bottom), COLOURS[label])
            drawn = draw_fluorescence(bottom, fluorescence[index], limits)
            bottom.set_xlabel(f"{values[index]:.4g}", fontsize=7, labelpad=2)
        if len(half):
            grid[0, start].set_title("live patches" if label == LIVE else "dead patches", color=COLOURS[label])
    if drawn is not None:
        fluorescence_bar(figure, drawn, grid.ravel().tolist(), label=unit, shrink=0.8)
    return figure
