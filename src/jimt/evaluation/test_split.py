"""Score the test split and write its metrics: ``jimt evaluate RUN`` or ``CHECKPOINT``."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jimt.errors import InputError, writing
from jimt.evaluation.advice import cross_validation_advice
from jimt.evaluation.reported_metrics import print_metrics, split_counts, test_metrics
from jimt.evaluation.scores import SCORE_COLUMNS, score_test_split, training_data
from jimt.statistics.intervals import interval_notes
from jimt.system.files import ALL_SCORES_FILE, METRICS_FILE, SCORES_FILE, write_json, write_whole
from jimt.system.run_folders import find_checkpoint
from jimt.vocabulary import AMBIGUOUS

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor

_SAMPLE = "the test split"


def evaluate(
    run_or_checkpoint: Path, *, curated_folder: Path | None = None, accelerator: str | None = None
) -> dict[str, Any]:
    """Score the test split and write ``test_scores.csv`` and ``test_metrics.json`` into the run's folder.

    Args:
        run_or_checkpoint: A run's folder or a checkpoint file.
        curated_folder: The curated data set; None for the one the checkpoint names.
        accelerator: ``cpu`` or ``gpu``; None for the training's.

    Returns:
        What ``test_metrics.json`` holds.

    Raises:
        InputError: If the checkpoint or the data set is absent or damaged, or the data set is not the training's.
    """
    from jimt.models.predictor import open_predictor  # late: torch

    checkpoint, folder = find_checkpoint(run_or_checkpoint)
    predictor = open_predictor(run_or_checkpoint, accelerator=accelerator)
    return evaluate_model(predictor, checkpoint, folder, curated_folder=curated_folder)


def evaluate_model(
    predictor: "Predictor",
    checkpoint: Path,
    folder: Path,
    *,
    curated_folder: Path | None = None,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Likewise with a model that is open.

    Args:
        predictor: The model.
        checkpoint: The file it was opened from.
        folder: Where its results go.
        curated_folder: As of ``evaluate``.
        confidence: Coverage wanted; None for the training's.
    """
    model = predictor.checkpoint
    curated = training_data(model.record, curated_folder, checkpoint)
    table = score_test_split(predictor, curated)
    scored = table[table["label"] != AMBIGUOUS]
    metrics = test_metrics(
        scored,
        model.record,
        dataset=model.record.dataset,
        confidence=model.record.confidence if confidence is None else confidence,
        scale=curated.thresholds["scale"],
        checkpoint=checkpoint,
        sample=_SAMPLE,
    ) | {
        "temperature": model.output.temperature,
        "orientations": model.output.orientations,
        "thresholds": curated.thresholds,
        "split_counts": split_counts(curated.manifest),
        "n_raw_images": curated.summary["n_raw_images"],
        "advice": None,
    }
    if metrics["group_known"] and model.record.fold is None:
        labels, groups = scored["label"].to_numpy(np.int64), scored["group"].to_numpy(object)
        if interval_notes(labels, groups, sample=_SAMPLE):  # groups so few that intervals say little
            advice = cross_validation_advice(curated.manifest, folder, method=model.record.method)
            metrics["advice"] = dataclasses.asdict(advice)
    with writing(folder, advice="copy the run to where you may write"):
        folder.mkdir(exist_ok=True)
        write_whole(folder / SCORES_FILE, scored[SCORE_COLUMNS].to_csv(index=False))
        write_whole(folder / ALL_SCORES_FILE, table.to_csv(index=False))
        write_json(folder / METRICS_FILE, metrics)
    return metrics


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt evaluate``."""
    parser = argparse.ArgumentParser(prog="jimt evaluate", description="Score the test split of a run again.")
    parser.add_argument("run", type=Path, metavar="RUN|CKPT", help="a run's folder, or a checkpoint")
    parser.add_argument("--curated", type=Path, help="curated data set, where it has moved")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    try:
        metrics = evaluate(options.run, curated_folder=options.curated, accelerator=options.accelerator)
        print_metrics(metrics, find_checkpoint(options.run)[1])
    except InputError as error:
        sys.exit(f"error: {error}")
