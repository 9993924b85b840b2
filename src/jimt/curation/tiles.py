"""Fluorescence of small tiles of a field, in place of one mean for a whole patch."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.curation.fluorescence import label_values
from jimt.curation.manifest import Curated

_SMALLEST = 1e-6  # of the background, in a tile without any signal: its logarithm is still a number


@dataclass(frozen=True)
class FluorescenceTiles:
    """Tiles of one field, from its upper left corner; the last row and column may reach beyond its edge.

    Attributes:
        label_value: Mean fluorescence of each tile's valid pixels on the scale the thresholds are on, shape ``(h, w)``.
        valid: Share of each tile's pixels that are data, likewise.
    """

    label_value: NDArray[np.float64]
    valid: NDArray[np.float64]


def fluorescence_tiles(curated: Curated, fields: list[int], *, tile: int) -> dict[int, FluorescenceTiles]:
    """Fluorescence of some fields, tile by tile.

    Args:
        curated: The data set; scale and background are those of its labels.
        fields: Numbers of fields in its store.
        tile: Side of a tile, pixels.

    Returns:
        The tiles of each field, by its number.

    Raises:
        InputError: If the data set holds published patches.
    """
    store, scale = curated.store, curated.thresholds["scale"]
    return {
        field: _tiles(
            store.fluorescence(field),
            ~store.no_data(field),
            background=store.background(field),
            scale=scale,
            tile=tile,
        )
        for field in fields
    }


def _tiles(
    fluorescence: NDArray[np.generic], valid: NDArray[np.bool_], *, background: float, scale: str, tile: int
) -> FluorescenceTiles:
    height, width = (-(-side // tile) for side in fluorescence.shape)

    def sums(values: NDArray[np.generic]) -> NDArray[np.float64]:
        padded = np.zeros((height * tile, width * tile))
        padded[: values.shape[0], : values.shape[1]] = values
        return np.asarray(padded.reshape(height, tile, width, tile).sum((1, 3)))

    counts = sums(valid)
    means = sums(np.where(valid, fluorescence, 0)) / np.maximum(counts, 1)
    if scale == "log_background_ratio":
        means = np.maximum(means, _SMALLEST * background)
    values = label_values(means.ravel(), np.full(means.size, background), scale=scale)
    return FluorescenceTiles(values.reshape(means.shape), counts / tile**2)
