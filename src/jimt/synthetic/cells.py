"""Grows an adherent monolayer: where cells are, how they are shaped, which are dead and how dead they look.

Every cell has a ``look`` between 0 (the textbook live cell) and 1 (the textbook dead cell). Difficulty pulls the looks
of live and dead cells together; propidium iodide knows only the truth.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.synthetic.random_fields import FloatImage, rise_above_quantile, smooth_field

# assumption: shape numbers below are read off 20x pictures (0.3225 um per px) of MCF-7 and JIMT-1 monolayers
CELL_PITCH: Final = 56.0  # px between neighbours, 18 um: spread cells measure about 45-70 px
JITTER: Final = 0.24  # of the pitch; more makes slivers
WARPS: Final = ((30.0, 11.0), (6.0, 1.6))  # (length, displacement) px: bends polygons, then roughens their sides

DEATH_LENGTH: Final = 190.0  # px; patches of dying cells are wider than a 224 px patch, so most patches are of one kind
DEATH_SOFTNESS: Final = 0.08  # in standard deviations of the death map
DEAD_INSIDE: Final = 0.96  # chance to be dead where death has struck: some cells survive
DEAD_OUTSIDE: Final = 0.025  # chance elsewhere: any culture has some dead cells
BARE_LENGTH: Final = 140.0  # px; bare plastic must be able to fill a patch

LOOK_GAP: Final = (0.94, 0.10)  # mean look of dead less that of live cells, at difficulty 0 and 1
LOOK_CELL_SD: Final = (0.03, 0.22)  # scatter from cell to cell, at difficulty 0 and 1
LOOK_REGION_SD: Final = (0.01, 0.42)  # scatter that neighbours share: it does not average out over a patch
LOOK_LENGTH: Final = 55.0  # px, about one patch wide


@dataclass(frozen=True)
class Monolayer:
    """The cells of one field; positions may lie outside the image, because cells at the border are cut."""

    label: NDArray[np.int32]
    """Which cell owns a pixel: its number from 1, or 0 for bare plastic; shape ``(height, width)``."""
    edge_distance: FloatImage
    """Distance to the nearest cell border, px; shape ``(height, width)``."""
    y: FloatImage
    """Row of each cell's centre, px; shape ``(n_cells,)``."""
    x: FloatImage
    """Column of each cell's centre, px; shape ``(n_cells,)``."""
    dead: NDArray[np.bool_]
    """The truth; shape ``(n_cells,)``."""
    look: FloatImage
    """How dead each cell looks, 0 to 1; shape ``(n_cells,)``."""


def between(ends: tuple[float, float], difficulty: float) -> float:
    """Give the value at a difficulty of a number that changes evenly from difficulty 0 to 1."""
    return ends[0] + (ends[1] - ends[0]) * difficulty


def _place_centres(rng: np.random.Generator, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw cell centres on a jittered triangular lattice, inside the image, no two on the same pixel."""
    rows = np.arange(0, height, CELL_PITCH * np.sqrt(3) / 2)
    columns = np.arange(0, width, CELL_PITCH)
    y = np.repeat(rows, len(columns))
    x = np.tile(columns, len(rows)) + np.repeat(np.arange(len(rows)) % 2, len(columns)) * CELL_PITCH / 2
    whole_y = np.clip(np.round(y + rng.normal(0, JITTER * CELL_PITCH, y.shape)), 0, height - 1).astype(np.int64)
    whole_x = np.clip(np.round(x + rng.normal(0, JITTER * CELL_PITCH, x.shape)), 0, width - 1).astype(np.int64)
    _, first = np.unique(whole_y * width + whole_x, return_index=True)
    return whole_y[first], whole_x[first]


def _bend(rng: np.random.Generator, height: int, width: int) -> tuple[FloatImage, FloatImage]:
    """Draw where each pixel of the bent picture comes from: rows and columns of the straight one."""
    map_y, map_x = np.meshgrid(np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32), indexing="ij")
    for length, displacement in WARPS:
        map_y = map_y + np.float32(displacement) * smooth_field(rng, height=height, width=width, length=length)
        map_x = map_x + np.float32(displacement) * smooth_field(rng, height=height, width=width, length=length)
    return map_y, map_x


def _edge_distance(label: NDArray[np.int32]) -> FloatImage:
    interior = np.ones(label.shape, np.uint8)
    interior[:, 1:][label[:, 1:] != label[:, :-1]] = 0
    interior[1:][label[1:] != label[:-1]] = 0
    # without any border OpenCV answers with the largest float
    return np.asarray(np.minimum(cv2.distanceTransform(interior, cv2.DIST_L2, 5), CELL_PITCH), np.float32)


def grow_monolayer(
    rng: np.random.Generator,
    *,
    height: int,
    width: int,
    dead_fraction: float,
    bare_fraction: float,
    difficulty: float,
    look_shift: float,
) -> Monolayer:
    """Grow one field of cells.

    Args:
        rng: Source of randomness.
        height: Rows, px.
        width: Columns, px.
        dead_fraction: Share of the area that death has struck, 0 to 1; it forms coherent regions.
        bare_fraction: Share of the area without cells, 0 to 1.
        difficulty: 0 (looks tell everything) to 1 (looks tell next to nothing).
        look_shift: Added to the look of every cell; what a well's cells have in common.
    """
    size = {"height": height, "width": width}
    y, x = _place_centres(rng, height, width)
    bare = rise_above_quantile(smooth_field(rng, **size, length=BARE_LENGTH), share=bare_fraction, softness=0.02)
    death = smooth_field(rng, **size, length=DEATH_LENGTH)
    struck = rise_above_quantile(death, share=dead_fraction, softness=DEATH_SOFTNESS)[y, x]
    region = smooth_field(rng, **size, length=LOOK_LENGTH)[y, x]

    dead = rng.random(len(y)) < DEAD_OUTSIDE + (DEAD_INSIDE - DEAD_OUTSIDE) * struck
    look = 0.5 + (dead - 0.5) * between(LOOK_GAP, difficulty) + look_shift
    look = look + between(LOOK_REGION_SD, difficulty) * region
    look = look + rng.normal(0, between(LOOK_CELL_SD, difficulty), len(y))

    away_from_centre = np.ones((height, width), np.uint8)
    away_from_centre[y, x] = 0
    _, nearest = cv2.distanceTransformWithLabels(away_from_centre, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    present = bare[y, x] < 0.5
    number = np.zeros(int(nearest.max()) + 1, np.int32)  # OpenCV's number of a cell -> ours, 0 if it is not there
    number[nearest[y, x][present]] = np.arange(1, present.sum() + 1)
    map_y, map_x = _bend(rng, height, width)
    # remap has no integer type of 32 bits; float32 holds cell numbers exactly
    straight = number[nearest].astype(np.float32)
    label = cv2.remap(straight, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE).astype(np.int32)
    return Monolayer(
        label=label,
        edge_distance=_edge_distance(label),
        # what the map takes from c + shift appears, to first order, at c - shift
        y=(2 * y - map_y[y, x])[present].astype(np.float32),
        x=(2 * x - map_x[y, x])[present].astype(np.float32),
        dead=dead[present],
        look=np.clip(look[present], 0, 1).astype(np.float32),
    )
