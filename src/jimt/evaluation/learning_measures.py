"""How good scores of unseen groups are, in the measures of a learning curve."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from jimt.curation.manifest import Curated
from jimt.evaluation.field_shares import field_shares
from jimt.statistics.dead_share import share_of_field
from jimt.statistics.estimates import estimates
from jimt.statistics.paired_errors import mean_errors
from jimt.statistics.weighted_patches import Floats
from jimt.vocabulary import AMBIGUOUS, ShareOf

if TYPE_CHECKING:
    from jimt.models.checkpoint import Checkpoint

MEASURES: Final = {
    "auroc_within_groups": "AUROC within groups",
    "auroc": "AUROC, pooled",
    "share_error": "error of the dead share",
}
"""Of a learning curve, in words."""


def share_errors(table: pd.DataFrame, curated: Curated, checkpoint: "Checkpoint") -> tuple[pd.DataFrame, str]:
    """How far the dead shares of fields are off, none of them calibrated by a truth.

    Args:
        table: Scores of patches with ``fold``, those between the thresholds too.
        curated: The data set.
        checkpoint: Of a model that gave some of the scores.

    Returns:
        A row for each field, ``raw_image_id``, ``group`` and ``error``; and what they are held against: ``counted``
        cells where there are, else ``pi``, of the same things as the model's share.
    """
    counted = field_shares(table, curated)
    if counted is not None:
        errors = (counted["uncalibrated"] - counted["true"]).abs()
        return counted[["raw_image_id", "group"]].assign(error=errors).dropna().reset_index(drop=True), "counted"
    rows = []
    for name, part in table.groupby("raw_image_id"):
        predicted, true = _shares(part.reset_index(drop=True), curated, checkpoint)
        rows.append((name, part["group"].iloc[0], abs(predicted - true)))
    return pd.DataFrame(rows, columns=["raw_image_id", "group", "error"]).dropna().reset_index(drop=True), "pi"


def _shares(part: pd.DataFrame, curated: Curated, checkpoint: "Checkpoint") -> tuple[float, float]:
    """Dead share of one field, as the model has it and by PI; NaN where there is none."""
    from jimt.models.pi_truth import pi_settings, pi_share  # late: torch

    number, size = int(part["field"].iloc[0]), int(curated.summary["patch_size"])
    bright_field, valid = curated.store.field(number), ~curated.store.no_data(number)
    share_of: ShareOf = part["share_of"].iloc[0] if "share_of" in part else "patches"
    if share_of == "nuclei":  # where they lie is known from their stain, or by nothing
        nuclei = curated.nuclei()
        of_field = None if nuclei is None else nuclei.loc[nuclei["field"] == number, "dead"]
        true = np.nan if of_field is None or not len(of_field) else float(of_field.mean())
        return float(part["predicted_share"].iloc[0]), true
    y, x = (part[axis].to_numpy(np.int64) for axis in ("y", "x"))
    height, width = valid.shape
    predicted = (
        part["predicted_share"].iloc[0]
        if share_of == "area"
        else share_of_field(part["score"].to_numpy(float), y, x, height=height, width=width, size=size)
    )
    by_pi = pi_share(
        curated.store.fluorescence(number),
        bright_field,
        valid,
        pi_settings(checkpoint),
        share_of=share_of,
        patches=part,
        labels=part["label"].to_numpy(np.int8),
        nuclei=None,
        size=size,
    )
    return tuple(np.nan if value is None else float(value) for value in (predicted, by_pi))  # type: ignore[return-value]


def learning_row(table: pd.DataFrame, errors: pd.DataFrame, *, confidence: float) -> dict[str, Any]:
    """Each of ``MEASURES`` with its value and interval over groups.

    Args:
        table: Scores of patches, those between the thresholds too.
        errors: As ``share_errors`` gives them.
        confidence: Coverage of the intervals.
    """
    clear = table[table["label"] != AMBIGUOUS]
    labels, scores = clear["label"].to_numpy(np.int64), clear["score"].to_numpy(np.float64)
    groups, images = (clear[name].to_numpy(object) for name in ("group", "raw_image_id"))
    names = ("auroc", "auroc_within_groups")
    found = estimates(labels, scores, groups, images, names=names, confidence=confidence, seed=0)  # no noise is asked
    row: dict[str, Any] = {}
    for name in names:
        value = found[name].value
        known = bool(np.isfinite(value))
        row[name] = {"value": value if known else None, "interval": found[name].interval_groups if known else None}
    row["share_error"] = {"value": None, "interval": None}
    if len(errors):
        of_fields: dict[str, Floats] = {"error": errors["error"].to_numpy(np.float64)}
        mean = mean_errors(of_fields, errors["group"].to_numpy(object), confidence=confidence)["error"]
        row["share_error"] = {"value": mean.value, "interval": mean.interval}
    return row


def gain(more: pd.DataFrame, fewer: pd.DataFrame, *, confidence: float) -> dict[str, Any] | None:
    """How much less dead shares are off after training on more groups, on the same fields; None where there are none.

    Args:
        more: As ``share_errors`` gives them.
        fewer: Likewise.
        confidence: Coverage of the interval.
    """
    both = more.merge(fewer, on=["raw_image_id", "group"], suffixes=("_more", "_fewer"))
    if not len(both):
        return None
    errors = {name: both[f"error_{name}"].to_numpy(np.float64) for name in ("more", "fewer")}
    mean = mean_errors(errors, both["group"].to_numpy(object), confidence=confidence)["more - fewer"]
    return {"value": mean.value, "interval": mean.interval}
