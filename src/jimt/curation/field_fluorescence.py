"""Fluorescence of a field, tile by tile on the scale of the labels, and as it is drawn: nothing where is no data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.curation.positive import PositiveSettings, positive_mask
from jimt.errors import InputError
from jimt.vocabulary import COUNTING_SCALES, POSITIVE_SCALES, SCALES

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
    store, thresholds = curated.store, curated.thresholds
    top = 2 ** int(curated.summary["config"]["dataset"]["bit_depth"]) - 1
    tiles = {}
    for field in fields:
        counts, valid, background = store.fluorescence(field), ~store.no_data(field), store.background(field)
        if thresholds["scale"] in ("raw", "background_subtracted", "log_background_ratio"):
            tiles[field] = _tiles(counts, valid, background=background, scale=thresholds["scale"], tile=tile)
        else:
            mask = positive_mask(counts, valid, PositiveSettings(**thresholds["positive"]), saturated_at=top)
            tiles[field] = _tiles(mask, valid, background=background, scale="positive_area", tile=tile)
    return tiles


def _tiles(
    values: NDArray[np.generic], valid: NDArray[np.bool_], *, background: float, scale: str, tile: int
) -> FluorescenceTiles:
    height, width = (-(-side // tile) for side in values.shape)

    def sums(image: NDArray[np.generic]) -> NDArray[np.float64]:
        padded = np.zeros((height * tile, width * tile))
        padded[: image.shape[0], : image.shape[1]] = image
        return np.asarray(padded.reshape(height, tile, width, tile).sum((1, 3)))

    n_valid = sums(valid)
    means = sums(np.where(valid, values, 0)) / np.maximum(n_valid, 1)
    if scale == "log_background_ratio":
        means = np.maximum(means, _SMALLEST * background)
    label_value = label_values(means.ravel(), np.full(means.size, background), scale=scale)
    return FluorescenceTiles(label_value.reshape(means.shape), n_valid / tile**2)


UNITS = dict.fromkeys(SCALES, "times background") | {
    "raw": "raw counts",
    "background_subtracted": "counts above background",
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
    if scale != "raw":
        return np.asarray(pixels / max(background, float(np.finfo(np.float32).tiny)), np.float32)
    return pixels


def threshold_in_unit(thresholds: Mapping[str, Any], name: str) -> float:
    """A threshold in the unit of ``UNITS``; a share of area, or of cells, has none, but what makes a pixel positive.

    >>> threshold_in_unit({"scale": "log_background_ratio", "dead_above": 0.0}, "dead_above")
    1.0
    >>> threshold_in_unit({"scale": "positive_area", "dead_above": 0.3, "positive": {"ratio": 1.5}}, "dead_above")
    1.5

    Args:
        thresholds: What ``thresholds.json`` holds.
        name: ``live_below`` or ``dead_above``.
    """
    if thresholds["scale"] in COUNTING_SCALES:
        return float(thresholds["positive"]["ratio"])
    value = float(thresholds[name])
    return float(np.exp(value)) if thresholds["scale"] == "log_background_ratio" else value


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


def label_values(measured: NDArray[np.float64], reference: NDArray[np.float64], *, scale: str) -> NDArray[np.float64]:
    """What was measured of each patch, on the scale the thresholds are on.

    >>> label_values(np.array([300.0]), np.array([100.0]), scale="background_subtracted")
    array([200.])
    >>> label_values(np.array([300.0]), np.array([100.0]), scale="log_background_ratio").round(3)
    array([1.099])
    >>> label_values(np.array([0.09]), np.array([np.nan]), scale="positive_area")
    array([0.3])
    >>> label_values(np.array([1.0, 0.0]), np.array([4.0, 0.0]), scale="nuclei")
    array([0.25,  nan])

    Args:
        measured: Mean PI intensity of each patch in raw camera units; on the scales ``positive_area`` and
            ``positive_nuclei`` the share of PI-positive pixels and the number of PI-positive nuclei, on ``nuclei`` that
            of those a stain of all nuclei shows; on ``cells`` the number of dead cells. Shape ``(n_patches,)``.
        reference: Background of the field each patch was cut from, in camera units; on ``nuclei`` and ``cells`` the
            number of all nuclei or cells. Same shape.
        scale: ``raw`` (the paper's), ``background_subtracted`` (raw units above background),
            ``log_background_ratio`` (natural logarithm of mean over background; patches of experiments whose
            background differs by orders of magnitude become comparable), ``positive_area`` or ``positive_nuclei``
            (the square root, on which areas and counts near zero spread as much as larger ones), ``nuclei`` or
            ``cells`` (the share; NaN where there is none).

    Raises:
        InputError: If a background is not positive where fluorescence is told in multiples of it, or a mean is not
            where its logarithm is taken.
    """
    if scale == "raw":
        return measured
    if scale == "background_subtracted":
        return measured - reference
    if scale in ("nuclei", "cells"):
        return np.divide(measured, reference, out=np.full_like(measured, np.nan), where=reference > 0)
    refuse_no_background(reference)
    if scale in POSITIVE_SCALES:
        return np.sqrt(measured)
    if (measured <= 0).any():
        raise InputError(
            "the mean fluorescence of a patch is 0, so no logarithm can be taken",
            remedies=("curation.label.scale=background_subtracted",),
        )
    return np.asarray(np.log(measured / reference))


def refuse_no_background(background: NDArray[np.float64]) -> None:
    """Refuse fields in which nothing can be told in multiples of the background.

    Args:
        background: Of each field, or of that of each patch, in camera units.

    Raises:
        InputError: If one is not positive.
    """
    if (background <= 0).any():
        raise InputError(
            "a field's fluorescence background is 0 at curation.label.background_percentile, so nothing can be told in "
            "multiples of it",
            remedies=("curation.label.scale=background_subtracted", "curation.label.background_percentile=NUMBER"),
        )
