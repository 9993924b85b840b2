"""Reads the fluorescence of raw images again, after the curation has kept one mean a patch of it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.config.curating import CurationConfig, curation_config
from jimt.config.data import DatasetConfig, dataset_config
from jimt.curation.curate import find_raw_images
from jimt.curation.decoding import BadImageError
from jimt.curation.images import Image, read_channels, read_page
from jimt.curation.manifest import Curated
from jimt.curation.no_data import no_data_mask
from jimt.curation.patches import valid_percentiles
from jimt.curation.payload import payload
from jimt.errors import InputError

UNITS = {
    "raw": "raw counts",
    "background_subtracted": "counts above background",
    "log_background_ratio": "times background",
}
"""What a fluorescence image is drawn in, by the scale of the labels."""


@dataclass(frozen=True)
class Fluorescence:
    """The fluorescence of one raw image.

    Attributes:
        raw_image_id: Its raw image.
        pixels: In raw camera units, shape ``(height, width)``.
        valid: Where it is data, likewise.
        background: Percentile of the valid pixels that counts as background.
    """

    raw_image_id: str
    pixels: Image
    valid: NDArray[np.bool_]
    background: float


def read_fluorescence(
    dataset: DatasetConfig, curation: CurationConfig, raw_image_ids: Collection[str], *, needed_by: str
) -> Iterator[Fluorescence]:
    """Read the fluorescence of some raw images again.

    Args:
        dataset: Where the raw images lie.
        curation: Which percentile is background.
        raw_image_ids: Which of them.
        needed_by: What needs them, for the message.

    Raises:
        InputError: If a raw image is no longer there, or the data set has no fluorescence images.
    """
    if dataset.layout == "patches":
        raise InputError(f"{needed_by} needs fluorescence images, and {dataset.name} holds published patches alone")
    wanted = set(raw_image_ids)
    images = [
        raw for raw in find_raw_images(dataset, curation, Path(dataset.root)).images if raw.raw_image_id in wanted
    ]
    if missing := wanted - {raw.raw_image_id for raw in images}:
        raise InputError(
            f"{len(missing)} raw images of {dataset.name}, for example {min(missing)}, are no longer in {dataset.root}",
            advice=f"{needed_by} reads their fluorescence again",
        )
    for raw in images:
        try:
            if dataset.layout == "stack":
                indices = (dataset.brightfield_index, dataset.fluorescence_index)
                stored = read_channels(raw.brightfield, indices=indices)
            else:
                assert raw.fluorescence is not None
                stored = [read_page(path) for path in (raw.brightfield, raw.fluorescence)]
            brightfield, fluorescence = (
                payload(image, bit_depth=dataset.bit_depth, bit_shift=dataset.bit_shift) for image in stored
            )
            valid = ~no_data_mask(brightfield, fluorescence)
        except BadImageError as error:
            raise error.about(f"{raw.brightfield.name} or its fluorescence {error.cause}") from error
        (background,) = valid_percentiles(fluorescence, valid, (curation.label.background_percentile,))
        yield Fluorescence(raw.raw_image_id, fluorescence, valid, background)


def fluorescence_patches(curated: Curated, rows: pd.DataFrame, *, needed_by: str) -> NDArray[np.float32]:
    """Fluorescence of patches in the unit that their labels' scale is drawn in (``UNITS``), shape ``(n, size, size)``.

    Pixels without data are NaN.

    Args:
        curated: The data set.
        rows: Rows of its manifest, in any order.
        needed_by: What needs them, for the message.

    Raises:
        InputError: As ``read_fluorescence``.
    """
    dataset, curation = configs_of(curated)
    size = int(curated.summary["patch_size"])
    out = np.empty((len(rows), size, size), np.float32)
    ids = rows["raw_image_id"].astype(str).to_numpy()
    y, x = (rows[name].fillna(0).to_numpy(int) for name in ("y", "x"))
    for image in read_fluorescence(dataset, curation, set(ids), needed_by=needed_by):
        pixels = in_unit(image, scale=curation.label.scale)
        for row in np.flatnonzero(ids == image.raw_image_id):
            out[row] = pixels[y[row] : y[row] + size, x[row] : x[row] + size]
    return out


def in_unit(image: Fluorescence, *, scale: str) -> NDArray[np.float32]:
    """A fluorescence image in the unit of ``UNITS``; NaN where it holds no data."""
    pixels = image.pixels.astype(np.float32)
    pixels[~image.valid] = np.nan
    if scale == "background_subtracted":
        return np.asarray(pixels - image.background, np.float32)
    if scale == "log_background_ratio":
        return np.asarray(pixels / max(image.background, float(np.finfo(np.float32).tiny)), np.float32)
    return pixels


def value_in_unit(label_value: float, *, scale: str) -> float:
    """A number on the labels' scale, such as a cut-off, in the unit of ``UNITS``."""
    return float(np.exp(label_value)) if scale == "log_background_ratio" else label_value


def configs_of(curated: Curated) -> tuple[DatasetConfig, CurationConfig]:
    """The settings a data set was curated with, its root where it was then."""
    recorded = curated.summary["config"]
    dataset, curation = dataset_config(recorded["dataset"]), curation_config(recorded["curation"])
    dataset.root = curated.summary.get("root", dataset.root)  # absent from curations of the first days
    return dataset, curation
