"""Score the test split: ``jimt evaluate RUN`` or ``CHECKPOINT``.

The only file that reads the test split: each patch exactly once, on one device, also after training on several.
"""

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from jimt.config.checks import check_confidence
from jimt.curation.manifest import Curated, open_curated
from jimt.curation.splits import Fold, split_by_fold
from jimt.curation.store import read_field_names
from jimt.errors import InputError, writing
from jimt.system.files import ALL_SCORES_FILE, METRICS_FILE, SCORES_FILE, write_json, write_whole
from jimt.system.screen import print_whole
from jimt.vocabulary import AMBIGUOUS, DEAD, LABEL_NAMES, LIVE, Excluded, Split

if TYPE_CHECKING:
    from rich.table import Table

    from jimt.models.checkpoint import Record
    from jimt.models.predictor import Predictor

SCORE_COLUMNS = ["raw_image_id", "group", "file", "y", "x", "label", "mean_fluorescence", "label_value", "score"]
"""Of ``test_scores.csv``; ``file`` is the bright-field image below the data set's folder, or the published patch."""


def evaluate(
    run_or_checkpoint: Path,
    *,
    curated_folder: Path | None = None,
    accelerator: str | None = None,
    device_index: int = 0,
    confidence: float | None = None,
) -> dict[str, Any]:
    """Score the test split and write ``test_scores.csv`` and ``test_metrics.json`` into the run's folder.

    Args:
        run_or_checkpoint: A run's folder or a checkpoint file.
        curated_folder: The curated data set; None for the one the checkpoint names.
        accelerator: ``cpu`` or ``gpu``; None for the training's.
        device_index: Which graphics card, where one is used.
        confidence: Coverage wanted; None for the training's.

    Returns:
        What ``test_metrics.json`` holds.

    Raises:
        InputError: If the checkpoint or the data set is absent or damaged, or the data set is not the training's.
    """
    from jimt.models.predictor import open_predictor
    from jimt.system.run_folders import find_checkpoint

    if confidence is not None:
        check_confidence("confidence", confidence)
    checkpoint, folder = find_checkpoint(run_or_checkpoint)
    predictor = open_predictor(run_or_checkpoint, accelerator=accelerator, device_index=device_index)
    return evaluate_model(predictor, checkpoint, folder, curated_folder=curated_folder, confidence=confidence)


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
        confidence: Likewise.
    """
    from jimt.evaluation.advice import cross_validation_advice

    model = predictor.checkpoint
    curated = training_data(model.record, curated_folder, checkpoint)
    table = score_test_split(predictor, curated)
    scored = table[table["label"] != AMBIGUOUS]
    origin = Origin.of(model.record, confidence=confidence)
    scale = curated.thresholds["scale"]
    metrics = test_metrics(scored, origin, scale=scale, checkpoint=checkpoint, sample="the test split") | {
        "temperature": model.output.temperature,
        "orientations": model.output.orientations,
        "thresholds": curated.thresholds,
        "split_counts": split_counts(curated.manifest),
        "n_raw_images": curated.summary["n_raw_images"],
        "advice": None,
    }
    if metrics["group_known"] and model.record.fold is None and has_few_groups(scored):
        advice = cross_validation_advice(curated.manifest, folder, method=model.record.method)
        metrics["advice"] = dataclasses.asdict(advice)
    with writing(folder, advice="copy the run to where you may write"):
        folder.mkdir(exist_ok=True)
        write_whole(folder / SCORES_FILE, scored[SCORE_COLUMNS].to_csv(index=False))
        write_whole(folder / ALL_SCORES_FILE, table.to_csv(index=False))
        write_json(folder / METRICS_FILE, metrics)
    return metrics


def training_data(record: "Record", curated_folder: Path | None, checkpoint: Path) -> Curated:
    """The curated data set a checkpoint was trained on, its split that of the training.

    Args:
        record: Of the checkpoint.
        curated_folder: The curated data set; None for the one the record names.
        checkpoint: The file, for the message.

    Raises:
        InputError: If it is absent, or another one.
    """
    where = curated_folder or Path(record.curated_folder)
    if not where.is_dir():
        raise InputError(f"{where} is missing", advice="curate it again", remedies=("--curated FOLDER",))
    curated = open_curated(where)
    if record.fold is not None:
        manifest = split_by_fold(curated.manifest, Fold(**record.fold))
        curated = dataclasses.replace(curated, manifest=manifest)
    if (
        curated.summary["fingerprint"] != record.curation_fingerprint
        or splits_digest(curated.manifest) != record.splits_digest
    ):
        raise InputError(
            f"{curated.folder} is not the curation {checkpoint} was trained on, so test patches may have "
            "been trained on",
            advice=f"curate {record.dataset} with the run's own settings again, or train again",
        )
    return curated


def split_counts(manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Live and dead patches of each split, as in the paper's Table 1."""
    return {
        split.value: {
            LABEL_NAMES[label]: int(((manifest["split"] == split.value) & (manifest["label"] == label)).sum())
            for label in (LIVE, DEAD)
        }
        for split in Split
    }


def splits_digest(manifest: pd.DataFrame) -> str:
    """Identify which patch is in which split, whoever edited the manifest."""
    text = manifest[["field", "y", "x", "label", "split"]].to_csv(index=False)
    return hashlib.sha256(text.encode()).hexdigest()


def score_test_split(predictor: "Predictor", curated: Curated) -> pd.DataFrame:
    """Scores of the test split of a data set, and of the patches between the thresholds in its groups.

    Args:
        predictor: The model.
        curated: The data set.

    Returns:
        A table of the columns of ``test_scores.csv`` and of ``logit`` (live above dead, before the temperature); in the
        order of the manifest.
    """
    from jimt.statistics.calibration import live_score

    manifest = curated.manifest
    test = (manifest["split"] == Split.TEST.value).to_numpy()
    groups = set(manifest.loc[test, "group"].dropna())
    between = (manifest["excluded"] == Excluded.AMBIGUOUS.value) & manifest["group"].isin(groups)
    rows = manifest[test | between.to_numpy(bool)].reset_index(drop=True)
    logits = predictor.logits(curated.store, rows)
    files = read_field_names(curated.folder)["file"]
    return rows.assign(
        file=files.to_numpy(object)[rows["field"].to_numpy()],
        score=live_score(logits, temperature=predictor.checkpoint.output.temperature),
        logit=logits[:, 1] - logits[:, 0],
    )[[*SCORE_COLUMNS, "logit"]]


def read_scores(path: Path) -> pd.DataFrame:
    """A table of scored patches; names stay text, such as 001 and NA, and an empty one is missing."""
    return pd.read_csv(path, dtype={"raw_image_id": str, "group": str}, keep_default_na=False, na_values=[""])


def rows_of_test(record: "Record", curated_folder: Path | None, checkpoint: Path) -> tuple[Curated, pd.DataFrame]:
    """The curated data set of a checkpoint, and the rows that it is tested on, in the order of ``test_scores.csv``.

    Arguments are those of ``training_data``.

    Raises:
        InputError: If the data set is absent, or not the training's.
    """
    curated = training_data(record, curated_folder, checkpoint)
    return curated, curated.manifest[curated.manifest["split"] == Split.TEST.value]


class TestPatches(Sequence[np.ndarray[Any, np.dtype[np.uint8]]]):
    """The patches of some rows of a manifest, cut when they are asked for.

    Args:
        curated: The data set.
        rows: Rows of its manifest.
    """

    __test__ = False  # pytest takes the name for a test

    def __init__(self, curated: Curated, rows: pd.DataFrame) -> None:
        self._store, self._size = curated.store, curated.summary["patch_size"]
        self._field = rows["field"].to_numpy(np.int32)
        self._y, self._x = (rows[name].fillna(0).to_numpy(np.int32) for name in ("y", "x"))

    def __len__(self) -> int:
        return len(self._field)

    def __getitem__(self, index: Any) -> Any:
        """Patches of an array of indices, shape ``(n, size, size)``, or one patch."""
        at = np.atleast_1d(index)
        patches = self._store.patches(self._field[at], self._y[at], self._x[at], size=self._size)
        return patches if np.ndim(index) else patches[0]


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


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt evaluate``."""
    parser = argparse.ArgumentParser(prog="jimt evaluate", description="Score the test split of a run again.")
    parser.add_argument("run", type=Path, metavar="RUN|CKPT", help="a run's folder, or a checkpoint")
    parser.add_argument("--curated", type=Path, help="curated data set, where it has moved")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    from jimt.system.run_folders import find_checkpoint

    try:
        metrics = evaluate(options.run, curated_folder=options.curated, accelerator=options.accelerator)
        print_metrics(metrics, find_checkpoint(options.run)[1])
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
