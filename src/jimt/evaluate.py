"""Score the test split: ``python -m jimt.evaluate RUN`` or ``CHECKPOINT``.

The only file that reads the test split: each patch exactly once, on one device, also after training on several.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jimt.errors import DISK_FULL, InputError

FEW_GROUPS = 10
"""Below this many groups a bootstrap over them covers less than it says."""
SCORE_COLUMNS = ["raw_image_id", "group", "y", "x", "label", "mean_fluorescence", "score"]


def find_checkpoint(run_or_checkpoint: Path) -> tuple[Path, Path]:
    """The checkpoint and the folder its results go to; of a run, the best checkpoint.

    Results of another checkpoint of a run do not replace those of the best one.

    Raises:
        InputError: If there is none.
    """
    if run_or_checkpoint.is_dir():
        checkpoint = run_or_checkpoint / "checkpoints" / "best.ckpt"
        if not checkpoint.is_file():
            raise InputError(f"{checkpoint} is missing: {run_or_checkpoint} holds no finished training, so train first")
        return checkpoint, run_or_checkpoint
    if not run_or_checkpoint.is_file():
        raise InputError(f"{run_or_checkpoint} is missing: give a run's folder or a checkpoint")
    parent = run_or_checkpoint.parent
    if parent.name != "checkpoints":
        return run_or_checkpoint, parent
    if run_or_checkpoint.name == "best.ckpt":
        return run_or_checkpoint, parent.parent
    return run_or_checkpoint, parent.parent / f"evaluation_{run_or_checkpoint.stem}"


def evaluate(
    run_or_checkpoint: Path,
    *,
    curated_folder: Path | None = None,
    accelerator: str | None = None,
    n_bootstrap: int | None = None,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Score the test split and write ``test_scores.csv`` and ``test_metrics.json`` into the run's folder.

    Args:
        run_or_checkpoint: A run's folder or a checkpoint file.
        curated_folder: The curated data set; None for the one the checkpoint names.
        accelerator: ``cpu`` or ``gpu``; None for the training's.
        n_bootstrap: Resamples of the interval over groups; None for the training's.
        confidence: Coverage wanted; None for the training's.

    Returns:
        What ``test_metrics.json`` holds.

    Raises:
        InputError: If the checkpoint or the data set is absent or damaged, or the data set is not the training's.
    """
    from jimt.curation.manifest import open_curated
    from jimt.vocabulary import Split

    checkpoint, folder = find_checkpoint(run_or_checkpoint)
    classifier, hyperparameters = load_classifier(checkpoint)
    prediction, provenance = hyperparameters["prediction"], hyperparameters["provenance"]
    where = curated_folder or Path(provenance["curated_folder"])
    if not where.is_dir():
        raise InputError(f"{where} is missing: give the curated data set with --curated, or curate it again")
    curated = open_curated(where)
    if (
        curated.summary["fingerprint"] != provenance["curation_fingerprint"]
        or splits_digest(curated.manifest) != provenance["splits_digest"]
    ):
        raise InputError(
            f"{curated.folder} is not the curation {checkpoint} was trained on, so test patches may "
            "have been trained on: "
            f"curate {provenance['dataset']} with the run's own settings again, or train again"
        )
    manifest = curated.manifest
    rows = manifest[manifest["split"] == Split.TEST.value].reset_index(drop=True)
    scores = _score(classifier, curated.folder, rows, prediction, provenance, accelerator)
    table = rows.assign(score=scores)[SCORE_COLUMNS]
    asked = {"n_bootstrap": n_bootstrap, "confidence": confidence}
    provenance = provenance | {key: value for key, value in asked.items() if value is not None}
    metrics = test_metrics(table, provenance, checkpoint=checkpoint)
    try:
        folder.mkdir(exist_ok=True)
        write_aside(folder / "test_scores.csv", table.to_csv(index=False))
        write_aside(folder / "test_metrics.json", json.dumps(metrics, indent=2) + "\n")
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(f"no space left for {folder} ({error.strerror}): free some") from error
    return metrics


def splits_digest(manifest: pd.DataFrame) -> str:
    """Identify which patch is in which split, whoever edited the manifest."""
    text = manifest[["field", "y", "x", "label", "split"]].to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def load_classifier(checkpoint: Path) -> tuple[Any, dict[str, Any]]:
    """Load a checkpoint without executing anything in it; returns the classifier and its hyperparameters.

    Raises:
        InputError: If the file is damaged, holds anything but tensors and plain values, or is not jimt's.
    """
    import torch

    from jimt.model.classifier import LiveDeadClassifier
    from jimt.state_dicts import UNREADABLE

    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{checkpoint} is damaged, or holds more than tensors and plain values, so it was not "
            "loaded: take another one"
        ) from error
    try:
        hyperparameters = dict(content["hyper_parameters"])
        classifier = LiveDeadClassifier(**hyperparameters)
        classifier.load_state_dict(content["state_dict"])
    except (TypeError, KeyError, ValueError, RuntimeError) as error:  # no such keys, others, or of other shapes
        raise InputError(f"{checkpoint} is not a checkpoint of jimt: give one that train.py wrote") from error
    return classifier.eval(), hyperparameters


def _score(
    classifier: Any,
    folder: Path,
    rows: pd.DataFrame,
    prediction: dict[str, Any],
    provenance: dict[str, Any],
    accelerator: str | None,
) -> np.ndarray[Any, np.dtype[np.float32]]:
    import torch

    from jimt.data.dataset import PatchDataset, evaluation_loader
    from jimt.data.transforms import to_network_input
    from jimt.hardware import check_gpus
    from jimt.memory import keep_freed_memory
    from jimt.model.classifier import live_scores

    device = torch.device("cuda" if (accelerator or provenance["accelerator"]) == "gpu" else "cpu")
    if device.type == "cpu":
        keep_freed_memory()
    else:
        check_gpus(devices=1, precision=provenance["precision"], compile_network=False)
    bfloat16 = provenance["precision"] == "bf16-mixed"
    classifier = classifier.to(device, memory_format=torch.channels_last)
    dataset = PatchDataset(folder, rows, size=prediction["patch_size"])
    scores = np.full(len(rows), np.nan, np.float32)
    for batch in evaluation_loader(dataset, batch_size=provenance["eval_batch_size"], num_workers=0):
        mean, std = tuple(prediction["mean"]), tuple(prediction["std"])
        images = to_network_input(batch.patches.to(device), mean=mean, std=std)
        with torch.autocast(device.type, torch.bfloat16) if bfloat16 else contextlib.nullcontext():
            scores[batch.row.numpy()] = live_scores(classifier, images).cpu().numpy()
    return scores


def test_metrics(table: pd.DataFrame, provenance: dict[str, Any], *, checkpoint: Path) -> dict[str, Any]:
    """Metrics of scored test patches with their intervals and the counts behind them."""
    from sklearn.metrics import confusion_matrix

    from jimt.analysis.statistics import METRICS, estimate

    labels = table["label"].to_numpy(np.int64)
    scores = table["score"].to_numpy(np.float64)
    known = bool(table["group"].notna().all())
    groups = table["group"].to_numpy(object) if known else None
    n_groups = int(table["group"].nunique()) if known else None
    notes = []
    if n_groups is None:
        notes.append("nothing tells which raw image a patch was cut from: no interval over groups")
    elif n_groups < FEW_GROUPS:
        verdict = "too few for an interval" if n_groups < 3 else "an interval over so few is too narrow"
        notes.append(f"the test split holds {n_groups} group{'s' * (n_groups > 1)}: {verdict}")
    if provenance["weights"] == "random":
        notes.append("the backbone started from random weights")
    estimates = {
        name: dataclasses.asdict(
            estimate(
                name,
                labels,
                scores,
                groups,
                n_resamples=provenance["n_bootstrap"],
                confidence=provenance["confidence"],
                seed=provenance["seed"],
            )
        )
        for name in METRICS
    }
    return {
        "dataset": provenance["dataset"],
        "backbone": provenance["backbone"],
        "weights": provenance["weights"],
        "checkpoint": checkpoint.name,
        "group_known": known,
        "confidence": provenance["confidence"],
        "counts": {
            "patches": len(table),
            "live": int((labels == 1).sum()),
            "dead": int((labels == 0).sum()),
            "raw_images": int(table["raw_image_id"].nunique()),
            "groups": n_groups,
        },
        "metrics": estimates,
        "confusion_matrix": {
            "rows": "true dead, live",
            "columns": "predicted dead, live",
            "counts": confusion_matrix(labels, (scores > 0.5).astype(int), labels=[0, 1]).tolist(),
        },
        "notes": notes,
    }


def write_aside(path: Path, text: str) -> None:
    """Write a small file so that it is there whole or not at all."""
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text)
    aside.replace(path)


def print_metrics(metrics: dict[str, Any], run_folder: Path) -> None:
    """The closing table."""
    from rich.console import Console
    from rich.table import Table

    def text(interval: tuple[float, float] | None) -> str:
        return "-" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"

    counts = metrics["counts"]
    percent = f"{100 * metrics['confidence']:g} %"
    n_groups = counts["groups"]
    groups = f" from {n_groups} group{'s' * (n_groups > 1)}" if n_groups is not None else ""
    table = Table(
        title=f"Test split of {metrics['dataset']}: {counts['live']} live and {counts['dead']} dead patches{groups}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column(f"{percent} over groups", justify="right")
    table.add_column(f"{percent} over patches (paper)", justify="right")
    for name, values in metrics["metrics"].items():
        table.add_row(name, f"{values['value']:.3f}", text(values["interval_groups"]), text(values["interval_patches"]))
    console = Console()
    console.print(table)
    console.print(
        f"backbone {metrics['backbone']}, weights {metrics['weights']}", highlight=False, markup=False, soft_wrap=True
    )
    for note in metrics["notes"]:
        console.print(f"note: {note}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    console.print(f"scores and metrics are in {run_folder}", highlight=False, markup=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``python -m jimt.evaluate``."""
    parser = argparse.ArgumentParser(prog="python -m jimt.evaluate", description="Score the test split of a run again.")
    parser.add_argument("run", type=Path, metavar="RUN|CKPT", help="a run's folder, or a checkpoint")
    parser.add_argument("--curated", type=Path, help="curated data set, where it has moved")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    try:
        metrics = evaluate(options.run, curated_folder=options.curated, accelerator=options.accelerator)
        print_metrics(metrics, find_checkpoint(options.run)[1])
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
