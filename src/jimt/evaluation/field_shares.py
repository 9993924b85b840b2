"""Dead shares of whole fields from out-of-fold scores, against cells that were counted."""

import dataclasses
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.statistics.baselines import against_baseline, constant_share, held_out
from jimt.statistics.dead_share import fit_share_calibration, share_of_field
from jimt.statistics.resampling import group_numbers
from jimt.statistics.share_agreement import ShareAgreement, share_agreement, weighted_measures
from jimt.statistics.value_text import value_text
from jimt.statistics.weighted_patches import Floats

MIN_CELLS: Final = 5
"""Fields with fewer cells take no part: of four cells a share is known to a quarter."""


def field_shares(table: pd.DataFrame, curated: Curated) -> pd.DataFrame | None:
    """Predicted and true dead share of each field of a cross-validation.

    The calibration that maps a fold's shares to the truth is fitted on the out-of-fold scores of the other folds'
    fields, and so is the constant, their median: neither has seen a cell of the fold's groups.

    Args:
        table: Out-of-fold scores, those of patches between the thresholds included, with ``fold``; a field of NaN has a
            true share alone.
        curated: The data set.

    Returns:
        A row for each field of ``MIN_CELLS`` cells or more: ``raw_image_id``, ``group``, ``fold``, ``n_cells``,
        ``n_dead``, ``true``, ``uncalibrated`` (the share that maps of the field give, or without maps the mean of
        1 - P(live) over its pixels), ``calibrated`` and ``constant``, the last two NaN where there is one fold alone.
        None where no cells were counted, or in no such field.
    """
    counted = curated.summary["cells"]
    if counted is None:
        return None
    numbers = curated.manifest.drop_duplicates("raw_image_id").set_index("raw_image_id")["field"]
    size, rows = int(curated.summary["patch_size"]), []
    for name, part in table.groupby("raw_image_id"):
        n_cells, n_dead = counted["by_field"].get(str(name), (0, 0))
        if n_cells < MIN_CELLS:
            continue
        height, width = curated.store.field(int(numbers[name])).shape
        y, x = (part[axis].to_numpy(np.int64) for axis in ("y", "x"))
        first = part.iloc[0]
        share: float | None
        if "predicted_share" in part:
            share = float(first["predicted_share"])
        else:
            share = share_of_field(part["score"].to_numpy(float), y, x, height=height, width=width, size=size)
        rows.append((name, first["group"], first["fold"], n_cells, n_dead, n_dead / n_cells, share))
    if not rows:
        return None
    columns = ["raw_image_id", "group", "fold", "n_cells", "n_dead", "true", "uncalibrated"]
    fields = pd.DataFrame(rows, columns=columns)
    true, raw, cells = (fields[name].to_numpy(float) for name in ("true", "uncalibrated", "n_cells"))

    def calibrated(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> Floats | float:
        fitted = fit_share_calibration(raw[train], true[train], cells[train])
        return np.nan if fitted is None else fitted.apply(raw[test])

    def constant(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> float:
        share = constant_share(true[train])
        return np.nan if share is None else share

    folds = fields["fold"].to_numpy(np.int64)
    return fields.assign(calibrated=held_out(calibrated, folds), constant=held_out(constant, folds))


def share_metrics(fields: pd.DataFrame, *, confidence: float) -> dict[str, Any]:
    """How well the dead shares agree with the counted cells, and whether they beat a constant.

    Args:
        fields: As ``field_shares`` gives them.
        confidence: Coverage of the intervals over groups.
    """
    groups, true = fields["group"].to_numpy(object), fields["true"].to_numpy(float)
    shares = {name: fields[name].to_numpy(float) for name in ("calibrated", "uncalibrated", "constant")}
    found = {name: share_agreement(share, true, groups, confidence=confidence) for name, share in shares.items()}
    sentence = "no fields but those that are tested were scored: nothing to calibrate dead shares by"
    known = np.isfinite(shares["calibrated"])  # of a field in which maps show no cells there is no share
    if known.any():
        numbers = group_numbers(groups[known])
        model, baseline = (
            lambda weights, share=shares[name][known]: weighted_measures(share, true[known], numbers, weights)["mae"]
            for name in ("calibrated", "constant")
        )
        sentence = against_baseline(
            model,
            baseline,
            groups[known],
            higher_is_better=False,
            bounds=(0, 1),
            confidence=confidence,
            metric="mean absolute error of the dead share",
            name="a constant, the median share of the other groups' fields",
        ).sentence
    return {
        "fields": len(fields),
        "min_cells": MIN_CELLS,
        "cells": int(fields["n_cells"].sum()),
        "dead": int(fields["n_dead"].sum()),
        **{name: _plain(agreement, is_constant=name == "constant") for name, agreement in found.items()},
        "note": sentence,
    }


def _plain(agreement: ShareAgreement, *, is_constant: bool) -> dict[str, Any]:
    measures = {name: dataclasses.asdict(measured) for name, measured in agreement.measures.items()}
    if is_constant:  # over folds it differs, and highest where the held-out fields are lowest
        for name in measures.keys() - {"mae", "bias"}:
            measures[name] = {"value": None, "interval_groups": None, "reason": "a constant is correlated with nothing"}
    return {**measures, "limits_of_agreement": agreement.limits}


def share_in_words(metrics: dict[str, Any]) -> str:
    """The agreement in one line for the terminal."""
    told = {
        name: value_text(metrics[name]["mae"]["value"], metrics[name]["mae"]["interval_groups"])
        for name in ("calibrated", "uncalibrated", "constant")
    }
    return (
        f"dead share of {metrics['fields']} fields of {metrics['min_cells']} counted cells or more, mean absolute "
        f"error: {told['calibrated']}, uncalibrated {told['uncalibrated']}, a constant {told['constant']}"
    )
