"""Fluorescence of small cells of a field, in place of one mean for a whole patch."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jimt.config import CurationConfig, DatasetConfig
from jimt.curation.curate import find_raw_images
from jimt.curation.fluorescence import label_values
from jimt.curation.images import read_channels, read_page
from jimt.curation.patches import no_data_mask, valid_percentiles
from jimt.errors import InputError

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
    if dataset.layout == "patches":
        raise InputError(f"probe.cell needs fluorescence images, and {dataset.name} holds published patches alone")
    wanted = set(raw_image_ids)
    images = [
        raw for raw in find_raw_images(dataset, curation, Path(dataset.root)).images if raw.raw_image_id in wanted
    ]
    if missing := wanted - {raw.raw_image_id for raw in images}:
        raise InputError(
            f"{len(missing)} raw images of {dataset.name}, for example {min(missing)}, are no longer in "
            f"{dataset.root}: probe.cell reads their fluorescence again"
        )
    cells = {}
    for raw in images:
        if dataset.layout == "stack":
            indices = (dataset.brightfield_index, dataset.fluorescence_index)
            channels = read_channels(raw.brightfield, indices=indices, bit_depth=dataset.bit_depth)
            brightfield, fluorescence = channels[0], channels[1]
        else:
            assert raw.fluorescence is not None
            brightfield = read_page(raw.brightfield, bit_depth=dataset.bit_depth)
            fluorescence = read_page(raw.fluorescence, bit_depth=dataset.bit_depth)
        valid = ~no_data_mask(brightfield, fluorescence)
        (background,) = valid_percentiles(fluorescence, valid, (curation.label.background_percentile,))
        cells[raw.raw_image_id] = _cells(fluorescence, valid, background, scale=curation.label.scale, cell=cell)
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
