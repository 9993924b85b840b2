"""Metrics of scored test patches, as ``test_metrics.json`` and the closing table have them."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from jimt.system.screen import print_whole
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, Split

if TYPE_CHECKING:
    from rich.table import Table

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


@dataclass(frozen=True)
class Origin:
    """What the metrics say of the model and its data.

    Attributes:
        dataset: Name of the data set that was scored.
        backbone: timm's name.
        weights: Where its pretrained weights came from.
        seed: Of the resampling.
        confidence: Coverage wanted.
    """

    dataset: str
    backbone: str
    weights: str
    seed: int
    confidence: float

    @classmethod
    def of(cls, record: "Record", *, dataset: str | None = None, confidence: float | None = None) -> Self:
        """Of a checkpoint, with another data set or coverage where one is given."""
        return cls(
            record.dataset if dataset is None else dataset,
            record.settings["backbone.name"],
            record.weights,
            record.seed,
            record.confidence if confidence is None else confidence,
        )


def test_metrics(
    table: pd.DataFrame, origin: Origin, *, scale: str | None, checkpoint: Path, sample: str
) -> dict[str, Any]:
    """Metrics of scored test patches with their intervals and the counts behind them; None is what cannot be had.

    Args:
        table: The columns of ``test_scores.csv``.
        origin: Of the scores.
        scale: What ``label_value`` is on; None of patches that were published with their labels.
        checkpoint: Where the scores are from.
        sample: What was tested on, for notes.
    """
    from sklearn.metrics import confusion_matrix

    from jimt.statistics.correlation import score_fluorescence_correlation
    from jimt.statistics.estimates import estimates
    from jimt.statistics.intervals import interval_notes
    from jimt.statistics.metrics import METRICS

    labels = table["label"].to_numpy(np.int64)
    scores = table["score"].to_numpy(np.float64)
    known = bool(table["group"].notna().all())
    groups = table["group"].to_numpy(object) if known else None
    notes = ["nothing tells which raw image a patch was cut from: no interval over groups"]
    if groups is not None:
        notes = interval_notes(labels, groups, sample=sample)
    if origin.weights == "random":
        notes.append("the backbone started from random weights")
    of_labels, raw = (
        dataclasses.asdict(
            score_fluorescence_correlation(
                scores,
                table[column].to_numpy(np.float64),
                table["raw_image_id"].to_numpy(object) if known else None,
                groups,
                confidence=origin.confidence,
            )
        )
        for column in ("label_value", "mean_fluorescence")
    )
    metrics = estimates(labels, scores, groups, names=list(METRICS), confidence=origin.confidence, seed=origin.seed)
    return {
        "dataset": origin.dataset,
        "backbone": origin.backbone,
        "weights": origin.weights,
        "checkpoint": checkpoint.name,
        "group_known": known,
        "confidence": origin.confidence,
        "counts": {
            "patches": len(table),
            "live": int((labels == LIVE).sum()),
            "dead": int((labels == DEAD).sum()),
            "raw_images": int(table["raw_image_id"].nunique()),
            "groups": None if groups is None else int(table["group"].nunique()),
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


def has_few_groups(scored: pd.DataFrame) -> bool:
    """Whether a test split holds so few groups, or so few with one of the classes, that its intervals say little."""
    from jimt.statistics.intervals import interval_notes

    labels, groups = scored["label"].to_numpy(np.int64), scored["group"].to_numpy(object)
    return bool(interval_notes(labels, groups, sample="the test split"))


def _without_nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: None if isinstance(value, float) and np.isnan(value) else value for key, value in values.items()}


def metrics_table(metrics: dict[str, Any], *, confidence: float, title: str) -> "Table":
    """Metrics with their intervals, to be printed."""
    from rich.table import Table

    from jimt.statistics.metrics import METRICS
    from jimt.statistics.value_text import interval_text, number_text, percent_text

    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column(f"{percent_text(confidence)} over groups", justify="right")
    table.add_column(f"{percent_text(confidence)} (paper's)", justify="right")
    for name, values in metrics.items():
        intervals = (interval_text(values[key]) for key in ("interval_groups", "interval_patches"))
        table.add_row(METRICS[name].words, number_text(values["value"]), *intervals)
    return table


def print_metrics(metrics: dict[str, Any], run_folder: Path) -> None:
    """The closing table."""
    from rich.console import Console

    from jimt.statistics.correlation import correlation_in_words

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
    for note in metrics["notes"]:
        console.print(f"note: {note}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    console.print(f"scores and metrics are in {run_folder}", highlight=False, markup=False, soft_wrap=True)
    if metrics["advice"] is not None:
        for line in advice_lines(metrics["advice"]):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def advice_lines(advice: dict[str, Any]) -> list[str]:
    """The advice and, on a line of its own, the command."""
    if advice["command"] is None:
        return [f"advice: {advice['text']}"]
    return [f"advice: {advice['text']}:", f"  {advice['command']}"]
