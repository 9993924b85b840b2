"""Metrics of scored test patches, as ``test_metrics.json`` and the closing table have them."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.metrics import confusion_matrix

from jimt.evaluation.comparisons import print_comparisons
from jimt.statistics.correlation import correlation_in_words, score_fluorescence_correlation
from jimt.statistics.estimates import estimates
from jimt.statistics.intervals import interval_notes, mixed_groups_notes
from jimt.statistics.metrics import METRICS, headline_metrics
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.statistics.within import pair_counts, pair_notes
from jimt.system.screen import print_whole, table_of
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, Split

if TYPE_CHECKING:
    from jimt.models.checkpoint import Record


def split_counts(manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Live and dead patches of each split, as in the paper's Table 1."""
    return {
        split.value: {
            LABEL_NAMES[label]: int(((manifest["split"] == split.value) & (manifest["label"] == label)).sum())
            for label in (LIVE, DEAD)
        }
        for split in Split
    }


def test_metrics(
    table: pd.DataFrame,
    record: "Record",
    *,
    dataset: str,
    confidence: float,
    scale: str | None,
    checkpoint: Path,
    sample: str,
) -> dict[str, Any]:
    """Metrics of scored test patches with their intervals and the counts behind them; None is what cannot be had.

    Args:
        table: The columns of ``test_scores.csv``.
        record: Of the checkpoint, whose seed is that of the resampling.
        dataset: Name of the data set that was scored.
        confidence: Coverage wanted.
        scale: What ``label_value`` is on; None of patches that were published with their labels.
        checkpoint: Where the scores are from.
        sample: What was tested on, for notes.
    """
    labels = table["label"].to_numpy(np.int64)
    scores = table["score"].to_numpy(np.float64)
    known = bool(table["group"].notna().all())
    groups = table["group"].to_numpy(object) if known else None
    raw_images = table["raw_image_id"].to_numpy(object) if known else None
    notes = ["nothing tells which raw image a patch was cut from: no interval over groups"]
    pairs: dict[str, int | float | None] = {}
    if groups is not None and raw_images is not None:
        pairs = pair_counts(labels, groups, raw_images)
        n_mixed, n_groups = int(pairs["groups_of_both"] or 0), len(np.unique(groups.astype(str)))
        notes = interval_notes(labels, groups, sample=sample)
        notes += mixed_groups_notes(n_groups, n_mixed, sample=sample) + pair_notes(pairs, sample=sample)
    if record.weights == "random":
        notes.append("the backbone started from random weights")
    of_labels, raw = (
        dataclasses.asdict(
            score_fluorescence_correlation(
                scores,
                table[column].to_numpy(np.float64),
                raw_images,
                groups,
                confidence=confidence,
            )
        )
        for column in ("label_value", "mean_fluorescence")
    )
    metrics = estimates(
        labels, scores, groups, raw_images, names=list(METRICS), confidence=confidence, seed=record.seed
    )
    return {
        "dataset": dataset,
        "backbone": record.settings["backbone.name"],
        "weights": record.weights,
        "checkpoint": checkpoint.name,
        "group_known": known,
        "confidence": confidence,
        "counts": {
            "patches": len(table),
            "live": int((labels == LIVE).sum()),
            "dead": int((labels == DEAD).sum()),
            "raw_images": int(table["raw_image_id"].nunique()),
            "groups": None if groups is None else int(table["group"].nunique()),
            **pairs,
        },
        "metrics": {name: _without_nan(dataclasses.asdict(value)) for name, value in metrics.items()},
        "correlation": {"scale": scale or "raw"} | of_labels | {"raw": raw},
        "confusion_matrix": {
            "rows": "true dead, live",
            "columns": "predicted dead, live",
            "counts": confusion_matrix(labels, (scores > 0.5).astype(int), labels=[0, 1]).tolist(),
        },
        "notes": notes,
    }


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in values.items()}


def metrics_table(metrics: dict[str, Any], *, confidence: float, title: str) -> Table:
    """Metrics with their intervals, to be printed."""
    percent = percent_text(confidence)
    intervals = ("interval_groups", "interval_patches")
    rows = [
        [METRICS[name].words, number_text(values["value"]), *(interval_text(values[key]) for key in intervals)]
        for name, values in metrics.items()
    ]
    return table_of(title, ["metric", "value", f"{percent} over groups", f"{percent} (paper's)"], rows)


def rows_of_folds(folds: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table of folds; where each holds one group out, the group is named.

    Args:
        folds: As ``crossval.json`` has them.
    """
    shown, alone = headline_metrics(), all(len(fold["groups"]) == 1 for fold in folds)
    header = ["fold", "group" if alone else "groups", "live", "dead", *(metric.words for metric in shown)]
    return header, [
        [
            str(fold["fold"]),
            fold["groups"][0] if alone else f"{len(fold['groups']):,}",
            *(f"{fold['counts'][label]:,}" for label in ("live", "dead")),
            *(number_text(fold[metric.name]) for metric in shown),
        ]
        for fold in folds
    ]


def next_command(run_folder: Path) -> str:
    """What may be done with a trained model.

    >>> next_command(Path("runs/my run"))
    "predict images without a stain: jimt predict 'runs/my run' IMAGES --out DIR"
    """
    return f"predict images without a stain: jimt predict {shlex.quote(str(run_folder))} IMAGES --out DIR"


def print_metrics(metrics: dict[str, Any], run_folder: Path) -> None:
    """The closing table."""
    counts = metrics["counts"]
    n_groups = counts["groups"]
    groups = f" from {n_groups} group{'s' * (n_groups > 1)}" if n_groups is not None else ""
    title = f"Test split of {metrics['dataset']}: {counts['live']} live and {counts['dead']} dead patches{groups}"
    console = Console()
    print_whole(metrics_table(metrics["metrics"], confidence=metrics["confidence"], title=title), console)
    console.print(
        f"backbone {metrics['backbone']}, weights {metrics['weights']}", highlight=False, markup=False, soft_wrap=True
    )
    for line in correlation_in_words(metrics["correlation"]):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    print_comparisons(metrics, console)
    for note in metrics["notes"]:
        console.print(f"note: {note}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    console.print(f"scores and metrics are in {run_folder}", highlight=False, markup=False, soft_wrap=True)
    if metrics["advice"] is not None:
        command = metrics["advice"]["command"]
        on_a_line_of_its_own = "" if command is None else f":\n  {command}"
        advice = f"advice: {metrics['advice']['text']}{on_a_line_of_its_own}"
        console.print(advice, highlight=False, markup=False, soft_wrap=True)
