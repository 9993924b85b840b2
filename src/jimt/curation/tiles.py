"""Fluorescence of small cells of a field, in place of one mean for a whole patch."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.fluorescence import label_values
from jimt.curation.rereading import read_fluorescence

_SMALLEST = 1e-6  # of the background, in a cell without any signal: its logarithm is still a number


@dataclass(frozen=True)
class FluorescenceCells:
    """Cells of one field, from its upper left corner; the last row and column may reach beyond its edge.

    Attributes:
        label_value: Mean fluorescence of each cell's valid pixels on the scale the cut-offs are on, shape ``(h, w)``.
        valid: Share of each cell's pixels that are data, likewise.
    """

    label_value: NDArray[np.float64]
    valid: NDArray[np.float64]


def fluorescence_cells(
    dataset: DatasetConfig, curation: CurationConfig, raw_image_ids: Collection[str], *, cell: int
) -> dict[str, FluorescenceCells]:
    """Read the fluorescence of some raw images again, cell by cell.

    Args:
        dataset: Where the raw images lie.
        curation: Scale and background of the labels.
        raw_image_ids: Which of them.
        cell: Side of a cell, pixels.

    Raises:
        InputError: If a raw image is no longer there, or the data set has no fluorescence images.
    """
    cells = {}
    for image in read_fluorescence(dataset, curation, raw_image_ids, needed_by="probe.tile"):
        cells[image.raw_image_id] = _cells(
            image.pixels, image.valid, image.background, scale=curation.label.scale, cell=cell
        )
    return cells


def _cells(
    fluorescence: NDArray[np.generic], valid: NDArray[np.bool_], background: float, *, scale: str, cell: int
) -> FluorescenceCells:
    height, width = (-(-side // cell) for side in fluorescence.shape)

    def sums(values: NDArray[np.generic]) -> NDArray[np.float64]:
        padded = np.zeros((height * cell, width * cell))
        padded[: values.shape[0], : values.shape[1]] = values
        return np.asarray(padded.reshape(height, cell, width, cell).sum((1, 3)))

    counts = sums(valid)
    means = sums(np.where(valid, fluorescence, 0)) / np.maximum(counts, 1)
    if scale == "log_background_ratio":
        means = np.maximum(means, _SMALLEST * background)
    values = label_values(means.ravel(), np.full(means.size, background), scale=scale)
    return FluorescenceCells(values.reshape(means.shape), counts / cell**2)
