"""Draws a monolayer twice: as the light it lets through and as the propidium iodide it holds, both perfectly sharp."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.synthetic.cells import Monolayer
from jimt.synthetic.random_fields import FloatImage, gaussian_blur, smooth_field

# assumption: amplitudes are relative transmittance, 1 being bare plastic; lengths are px at 0.3225 um per px
MEMBRANE: Final = 0.12  # bright line between live cells
MEMBRANE_FLANK: Final = 0.07  # dark lines on both sides of it
GRAIN: Final = (0.022, 0.055)  # granules of the cytoplasm, live and dead
NUCLEUS_RADIUS: Final = 13.0  # live, 8 um across
NUCLEUS_OUTLINE: Final = -0.07
NUCLEOLUS: Final = -0.22
NUCLEOLI: Final = 2.2  # per cell
GRANULE: Final = 0.07  # a vesicle, bright or dark, of any cell
GRANULES: Final = 10.0  # per cell
BODY_RADIUS: Final = 19.0  # a contracted cell, against 28 when spread
BODY: Final = -0.05
HALO: Final = -0.20
HALO_BLUR: Final = 4.5
SPOT: Final = 0.26
SPOTS: Final = 5.0  # per dead cell
DEAD_NUCLEUS_RADIUS: Final = 10.0
STAIN_SD: Final = 0.30  # log-normal scatter from nucleus to nucleus, about 1, which the microscope's gain makes counts

OUTLINE_POINTS: Final = 24
SUBPIXEL_BITS: Final = 4  # OpenCV draws at 1/16 px


def _outlines(
    rng: np.random.Generator, y: FloatImage, x: FloatImage, radius: FloatImage, eccentricity: float
) -> NDArray[np.int32]:
    """Draw one irregular closed outline per cell, in OpenCV's fixed-point ``(x, y)``, shape ``(n, points, 1, 2)``."""
    n = len(y)
    angle = np.linspace(0, 2 * np.pi, OUTLINE_POINTS, endpoint=False)[None, :]
    shape = np.ones((n, OUTLINE_POINTS))
    for order, amplitude in ((2, eccentricity), (3, eccentricity / 3), (5, eccentricity / 5)):
        phase = rng.uniform(0, 2 * np.pi, (n, 1))
        shape += amplitude * rng.uniform(0.3, 1.2, (n, 1)) * np.cos(order * angle + phase)
    distance = radius[:, None] * shape
    points = np.stack([x[:, None] + distance * np.cos(angle), y[:, None] + distance * np.sin(angle)], axis=-1)
    return np.round(points * 2**SUBPIXEL_BITS).astype(np.int32)[:, :, None, :]


def _fill(shape: tuple[int, int], outlines: NDArray[np.int32], values: FloatImage) -> FloatImage:
    canvas = np.zeros(shape, np.float32)
    for outline, value in zip(outlines, values, strict=True):
        cv2.fillPoly(canvas, [outline], float(value), shift=SUBPIXEL_BITS)
    return canvas


def _trace(shape: tuple[int, int], outlines: NDArray[np.int32], values: FloatImage, thickness: int) -> FloatImage:
    canvas = np.zeros(shape, np.float32)
    for outline, value in zip(outlines, values, strict=True):
        cv2.polylines(canvas, [outline], True, float(value), thickness, shift=SUBPIXEL_BITS)
    return canvas


def _spots(
    rng: np.random.Generator, cells: Monolayer, *, per_cell: float, spread: float, sigma: float, heights: FloatImage
) -> FloatImage:
    """Scatter round spots about the cell centres; ``heights`` is the peak of each cell's spots."""
    owner = np.repeat(np.arange(len(cells.y)), rng.poisson(per_cell, len(cells.y)))
    y = np.round(cells.y[owner] + rng.normal(0, spread, len(owner))).astype(np.int64)
    x = np.round(cells.x[owner] + rng.normal(0, spread, len(owner))).astype(np.int64)
    height = heights[owner] * rng.uniform(0.4, 1.3, len(owner)).astype(np.float32)
    rows, columns = cells.label.shape
    drawn = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    points = np.zeros((rows, columns), np.float32)
    np.add.at(points, (y[drawn], x[drawn]), height[drawn] * np.float32(2 * np.pi * sigma**2))
    return gaussian_blur(points, sigma=sigma)


def draw_transmittance(rng: np.random.Generator, cells: Monolayer) -> FloatImage:
    """Draw what bright-field sees.

    A live cell is smooth grey with a crisp membrane, a nucleus and dark nucleoli; a dead one is contracted, granular,
    with a blurred dark halo and bright spots. A look in between shows both, each faintly.

    Args:
        rng: Source of randomness.
        cells: The monolayer.

    Returns:
        Relative transmittance, 1 where nothing is, shape ``(height, width)``.
    """
    height, width = shape = cells.label.shape
    look = np.concatenate([np.zeros(1, np.float32), cells.look])[cells.label]
    covered = (cells.label > 0).astype(np.float32)
    vivid = 1 - cells.look
    n = len(cells.y)

    fading = 0.75 + 0.35 * smooth_field(rng, height=height, width=width, length=12)
    line = MEMBRANE * np.exp(-((cells.edge_distance / 1.2) ** 2))
    line -= MEMBRANE_FLANK * np.exp(-(((cells.edge_distance - 4) / 2) ** 2))
    image: FloatImage = 1 + covered * (1 - look) * np.clip(fading, 0.1, 1.5) * line

    body_outline = _outlines(rng, cells.y, cells.x, (BODY_RADIUS * rng.uniform(0.7, 1.25, n)).astype(np.float32), 0.22)
    body = gaussian_blur(_fill(shape, body_outline, np.ones(n, np.float32)), sigma=1.5)
    nucleus_outline = _outlines(
        rng, cells.y, cells.x, (NUCLEUS_RADIUS * rng.uniform(0.8, 1.2, n)).astype(np.float32), 0.15
    )
    nucleus = _fill(shape, nucleus_outline, vivid)

    fine = smooth_field(rng, height=height, width=width, length=1.0)
    grain = fine - gaussian_blur(fine, sigma=2.5)
    # granules fill a spread cell but for its nucleus, and of a contracted one only what is left
    image += grain * covered * (GRAIN[0] * (1 - look) * (1 - 0.7 * nucleus) + GRAIN[1] * look * (0.25 + 0.75 * body))
    image += 0.012 * covered * smooth_field(rng, height=height, width=width, length=10)

    image += gaussian_blur(_trace(shape, nucleus_outline, NUCLEUS_OUTLINE * vivid, 2), sigma=0.8)
    image += 0.015 * nucleus
    for sigma in (1.5, 2.2):
        image += _spots(rng, cells, per_cell=NUCLEOLI / 2, spread=4.0, sigma=sigma, heights=NUCLEOLUS * vivid)
    for height_of_granules in (GRANULE, -GRANULE):
        image += _spots(
            rng, cells, per_cell=GRANULES / 2, spread=13.0, sigma=1.3, heights=height_of_granules * np.ones_like(vivid)
        )
    halo = _trace(shape, body_outline, (HALO * cells.look * rng.uniform(0.5, 1.4, n)).astype(np.float32), 6)
    image += gaussian_blur(halo, sigma=HALO_BLUR) + BODY * look * body
    for sigma in (1.1, 2.0):
        image += _spots(rng, cells, per_cell=SPOTS / 2, spread=7.0, sigma=sigma, heights=SPOT * cells.look)
    return np.clip(image, 0.2, 2.0)


def draw_stain(rng: np.random.Generator, cells: Monolayer) -> FloatImage:
    """Draw where propidium iodide is: in the nuclei of dead cells only, as their membranes let it in.

    Args:
        rng: Source of randomness.
        cells: The monolayer.

    Returns:
        Amount of stain, about 1 in a dead nucleus and 0 elsewhere, shape ``(height, width)``.
    """
    y, x = cells.y[cells.dead], cells.x[cells.dead]
    amount = np.exp(rng.normal(0, STAIN_SD, len(y)) - STAIN_SD**2 / 2)
    radius = DEAD_NUCLEUS_RADIUS * rng.uniform(0.8, 1.2, len(y))
    outlines = _outlines(rng, y, x, radius.astype(np.float32), 0.12)
    shape = cells.label.shape
    mottle = 1 + 0.15 * smooth_field(rng, height=shape[0], width=shape[1], length=2.5)
    stain: FloatImage = _fill(shape, outlines, amount.astype(np.float32)) * np.clip(mottle, 0, None)
    return stain
