"""What stands beside the metrics of labels: counted cells, dead shares of fields, and simpler models."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from jimt.curation.manifest import Curated
from jimt.evaluation.baseline_models import (
    Features,
    against_baselines,
    baselines_table,
    frozen_features,
    plain_features,
)
from jimt.evaluation.counted import counted_in_words, counted_metrics
from jimt.evaluation.field_shares import field_shares, share_in_words, share_metrics
from jimt.evaluation.map_agreement import maps_in_words
from jimt.system.screen import print_whole

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor


@dataclass(frozen=True)
class Comparisons:
    """Attributes as in ``test_metrics.json`` and ``crossval.json``, but for the fields.

    Attributes:
        counted: Metrics against counted cells; None where none were counted.
        dead_share: Agreement of dead shares; likewise.
        baselines: Simpler models on the same patches; None where groups are unknown.
        notes: Sentences on what is not beaten.
        fields: A row for each field, as ``field_shares`` gives them; None where no cells were counted.
    """

    counted: dict[str, Any] | None
    dead_share: dict[str, Any] | None
    baselines: list[dict[str, Any]] | None
    notes: list[str]
    fields: pd.DataFrame | None

    @property
    def entries(self) -> dict[str, Any]:
        """What the file of metrics holds of them, but for the notes."""
        return {"counted": self.counted, "dead_share": self.dead_share, "baselines": self.baselines}


def comparisons(
    held_out: pd.DataFrame,
    curated: Curated,
    folds: NDArray[np.integer],
    predictor: "Predictor",
    *,
    calibrates: pd.DataFrame | None,
    confidence: float,
) -> Comparisons:
    """Hold scores of groups that were not trained on against all that is known of them.

    Args:
        held_out: Scored patches, those between the thresholds included, with ``fold``.
        curated: The data set.
        folds: Fold of each row of the manifest, shape ``(n_rows,)``; see ``against_baselines``.
        predictor: The model, or that of one of the folds.
        calibrates: Further patches with ``fold``, whose fields dead shares are calibrated on, and are not told of; None
            where the folds do that for one another.
        confidence: Coverage of the intervals over groups.
    """
    counted = shares = fields = baselines = None
    notes: list[str] = []
    if held_out["group"].notna().all():
        counted = counted_metrics(held_out, curated, confidence=confidence, seed=predictor.checkpoint.record.seed)
        everything = held_out if calibrates is None else pd.concat([calibrates, held_out], ignore_index=True)
        fields = field_shares(everything, curated)
        if fields is not None:
            fields = fields[fields["fold"].isin(held_out["fold"].unique())].reset_index(drop=True)
        if fields is not None and len(fields):
            shares = share_metrics(fields, confidence=confidence)
            notes += [shares["note"]] if shares["note"] else []
        given: list[Features] = plain_features(curated)
        frozen = frozen_features(predictor, curated)
        if isinstance(frozen, str):
            notes.append(frozen)
        elif frozen is not None:
            given.append(frozen)
        found = against_baselines(held_out, curated, folds, given, confidence=confidence)
        baselines, notes = found["models"], notes + found["notes"]
    return Comparisons(counted, shares, baselines, notes, fields)


def print_comparisons(metrics: dict[str, Any], console: Console) -> None:
    """What stands beside the metrics, for the terminal; the notes are the caller's.

    Args:
        metrics: What ``test_metrics.json`` or ``crossval.json`` holds.
        console: Where it is printed.
    """
    for line in maps_in_words(metrics["maps"]) if "maps" in metrics else ():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if metrics["baselines"]:
        print_whole(baselines_table(metrics["baselines"]), console)
    for told, words in (("counted", counted_in_words), ("dead_share", share_in_words)):
        if metrics[told] is not None:
            console.print(words(metrics[told]), highlight=False, markup=False, soft_wrap=True)
