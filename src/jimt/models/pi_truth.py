"""What PI beside a field says of it, on the terms of the answer that it is held against or adapted to."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.cell_area import cell_area
from jimt.curation.field_fluorescence import label_values
from jimt.curation.labels import label_patches
from jimt.curation.patches import valid_percentiles, window_means
from jimt.curation.positive import PositiveSettings, measure_positive, positive_mask
from jimt.errors import InputError
from jimt.models.checkpoint import Checkpoint
from jimt.statistics.dead_share import share_of_field
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE, POSITIVE_SCALES, ShareOf

NOT_CHECKED: Final = -2
"""Label of a patch without cells: PI says nothing of it."""
_SEEN: Final = 5
"""Pixels around the centre of a predicted nucleus, along y and x, whose median says whether PI is positive there."""


@dataclass(frozen=True)
class PiSettings:
    """How PI tells dead from living, as it did when the model was trained.

    Attributes:
        labels: What the checkpoint says of its labels.
        positive: What counts as PI-positive.
        top: The camera's largest count.
    """

    labels: dict[str, Any]
    positive: PositiveSettings
    top: float

    def __post_init__(self) -> None:
        if self.labels["scale"] in (None, "nuclei", "cells"):
            raise InputError(
                "the model learned from labels that PI alone does not give, so PI cannot check it patch by patch",
                advice="give a run that was trained on labels by PI, or check nothing",
            )


def pi_settings(checkpoint: Checkpoint) -> PiSettings:
    """How PI tells dead from living.

    Args:
        checkpoint: Of the model.

    Raises:
        InputError: If the labels are not of PI alone.
    """
    labels = checkpoint.record.labels
    return PiSettings(labels, PositiveSettings(**labels["positive"]), 2.0**checkpoint.input.bit_depth - 1)


def pi_labels(
    fluorescence: NDArray[Any], valid: NDArray[np.bool_], patches: pd.DataFrame, settings: PiSettings, *, size: int
) -> NDArray[np.int8]:
    """Labels of patches by PI, as those of the training: live 1, dead 0, between the thresholds -1; shape ``(n,)``.

    Args:
        fluorescence: Counts, shape ``(height, width)``.
        valid: Which pixels are data, likewise.
        patches: ``y`` and ``x`` of their upper left corners, pixels.
        settings: How PI tells.
        size: Side of a patch, pixels.

    Raises:
        InputError: If the field has no background to tell multiples of.
    """
    y, x = (patches[axis].to_numpy(np.int32) for axis in ("y", "x"))
    labels, positive = settings.labels, settings.positive
    (background,) = valid_percentiles(fluorescence, valid, (labels["background_percentile"],))
    if labels["scale"] in POSITIVE_SCALES:
        mask = positive_mask(fluorescence, valid, positive, saturated_at=settings.top)
        measured = measure_positive(mask, ~valid, y, x, positive, size=size)
    else:
        measured, _ = window_means(fluorescence, ~valid, y, x, size=size)
    values = label_values(measured, np.full(len(y), float(background)), scale=labels["scale"])
    return label_patches(values, live_below=labels["live_below"], dead_above=labels["dead_above"])


def pi_share(
    fluorescence: NDArray[Any],
    bright_field: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    settings: PiSettings,
    *,
    share_of: ShareOf,
    patches: pd.DataFrame,
    labels: NDArray[np.int8],
    nuclei: pd.DataFrame | None,
    size: int,
) -> float | None:
    """Dead share of a field by PI, of the same things that the predicted one is a share of.

    Args:
        fluorescence: Counts, shape ``(height, width)``.
        bright_field: In 8 bits, likewise.
        valid: Which pixels are data, likewise.
        settings: How PI tells.
        share_of: Patches: the area of those that PI labels dead, those between the thresholds half; area: of cells,
            that is PI-positive; nuclei: of those predicted, that lie on PI-positive pixels.
        patches: Those with cells, ``y`` and ``x``, pixels.
        labels: Theirs by PI.
        nuclei: Predicted ones, ``y`` and ``x``; None where none are predicted.
        size: Side of a patch, pixels.

    Returns:
        The share, or None where there is nothing to take one of.
    """
    height, width = bright_field.shape
    if share_of == "patches":
        living = np.select([labels == LIVE, labels == DEAD, labels == AMBIGUOUS], [1.0, 0.0, 0.5])
        y, x = (patches[axis].to_numpy(np.int64) for axis in ("y", "x"))
        return share_of_field(living, y, x, height=height, width=width, size=size)
    mask = positive_mask(fluorescence, valid, settings.positive, saturated_at=settings.top)
    if share_of == "area":
        cells = cell_area(bright_field, valid)
        return float(mask[cells].mean()) if cells.any() else None
    assert nuclei is not None
    reach = _SEEN // 2
    on_pi = [
        np.median(mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1])
        for y, x in nuclei[["y", "x"]].to_numpy().round().astype(int)
        if valid[min(y, height - 1), min(x, width - 1)]
    ]
    return float(np.mean(np.array(on_pi) > 0.5)) if on_pi else None
