"""Fluorescence of a field, tile by tile on the scale of the labels, and as it is drawn: nothing where is no data."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.errors import InputError

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


UNITS = {
    "raw": "raw counts",
    "background_subtracted": "counts above background",
    "log_background_ratio": "times background",
}
"""What a fluorescence image is drawn in, by the scale of the labels."""


def in_unit(
    counts: NDArray[np.generic], no_data: NDArray[np.bool_], *, background: float, scale: str
) -> NDArray[np.float32]:
    """A fluorescence image in the unit of ``UNITS``.

    >>> in_unit(np.array([[300, 0]], np.uint16), np.array([[False, True]]), background=100.0, scale="raw")
    array([[300.,  nan]], dtype=float32)
    >>> counts, everywhere = np.array([[300, 50]], np.uint16), np.zeros((1, 2), bool)
    >>> in_unit(counts, everywhere, background=100.0, scale="log_background_ratio")
    array([[3. , 0.5]], dtype=float32)

    Args:
        counts: Shape ``(height, width)``.
        no_data: Pixels that become NaN, likewise.
        background: Of the field, in counts; of no meaning on the scale ``raw``.
        scale: Of the labels.
    """
    pixels = counts.astype(np.float32)
    pixels[no_data] = np.nan
    if scale == "background_subtracted":
        return np.asarray(pixels - background, np.float32)
    if scale == "log_background_ratio":
        return np.asarray(pixels / max(background, float(np.finfo(np.float32).tiny)), np.float32)
    return pixels


def value_in_unit(label_value: float, *, scale: str) -> float:
    """A number on the labels' scale, such as a threshold, in the unit of ``UNITS``.

    >>> value_in_unit(0.0, scale="log_background_ratio"), value_in_unit(300.0, scale="raw")
    (1.0, 300.0)
    """
    return float(np.exp(label_value)) if scale == "log_background_ratio" else label_value


def fluorescence_of_field(curated: Curated, field: int) -> NDArray[np.float32]:
    """Fluorescence of one field in the unit of ``UNITS``, NaN where there is no data, shape ``(height, width)``.

    Raises:
        InputError: If the data set holds published patches.
    """
    store = curated.store
    return in_unit(
        store.fluorescence(field),
        store.no_data(field),
        background=store.background(field),
        scale=curated.thresholds["scale"],
    )


def fluorescence_patches(curated: Curated, rows: pd.DataFrame) -> NDArray[np.float32]:
    """Fluorescence of patches in the unit of ``UNITS``, NaN where there is no data, shape ``(n, size, size)``.

    Args:
        curated: The data set.
        rows: Rows of its manifest, in any order.

    Raises:
        InputError: If the data set holds published patches.
    """
    size = int(curated.summary["patch_size"])
    out = np.empty((len(rows), size, size), np.float32)
    fields = rows["field"].to_numpy()
    y, x = (rows[name].fillna(0).to_numpy(int) for name in ("y", "x"))
    for field in np.unique(fields).tolist():
        pixels = fluorescence_of_field(curated, field)
        for row in np.flatnonzero(fields == field):
            out[row] = pixels[y[row] : y[row] + size, x[row] : x[row] + size]
    return out


def label_values(
    mean_fluorescence: NDArray[np.float64], background: NDArray[np.float64], *, scale: str
) -> NDArray[np.float64]:
    """Mean fluorescence on the scale the thresholds are on.

    >>> label_values(np.array([300.0]), np.array([100.0]), scale="background_subtracted")
    array([200.])
    >>> label_values(np.array([300.0]), np.array([100.0]), scale="log_background_ratio").round(3)
    array([1.099])

    Args:
        mean_fluorescence: Mean PI intensity of each patch in raw camera units, shape ``(n_patches,)``.
        background: Background of the field each patch was cut from, same units and shape.
        scale: ``raw`` (the paper's), ``background_subtracted`` (raw units above background) or
            ``log_background_ratio`` (natural logarithm of mean over background; patches of experiments whose
            background differs by orders of magnitude become comparable).

    Raises:
        InputError: If a logarithm is asked of a mean or background that is not positive.
    """
    if scale == "raw":
        return mean_fluorescence
    if scale == "background_subtracted":
        return mean_fluorescence - background
    if (background <= 0).any() or (mean_fluorescence <= 0).any():
        raise InputError(
            "a field's fluorescence background is 0 at curation.label.background_percentile, so no "
            "logarithm can be taken",
            remedies=("curation.label.scale=background_subtracted", "curation.label.background_percentile=NUMBER"),
        )
    return np.asarray(np.log(mean_fluorescence / background))
