"""Score the test split and write its metrics: ``jimt evaluate RUN`` or ``CHECKPOINT``."""

import argparse
import dataclasses
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import yaml

from jimt.config.own_configs import config_flags
from jimt.curation.folds import workable_folds
from jimt.curation.manifest import Curated
from jimt.errors import in_one_sentence, quoted, writing
from jimt.evaluation.comparisons import Comparisons, comparisons
from jimt.evaluation.map_agreement import map_agreement, map_metrics
from jimt.evaluation.reported_metrics import print_metrics, split_counts, test_metrics
from jimt.evaluation.scores import SCORE_COLUMNS, score_split, score_test_split, training_data
from jimt.statistics.intervals import interval_notes
from jimt.system.files import (
    ALL_SCORES_FILE,
    FIELD_SHARES,
    MAPS_FILE,
    METRICS_FILE,
    SCORES_FILE,
    write_json,
    write_whole,
)
from jimt.system.run_folders import find_checkpoint
from jimt.vocabulary import AMBIGUOUS, Split

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
    confidence = model.record.confidence if confidence is None else confidence
    metrics = test_metrics(
        scored,
        model.record,
        dataset=model.record.dataset,
        confidence=confidence,
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
    maps = None
    if model.task == "stain":
        maps = map_agreement(predictor, curated, np.unique(table["field"]).tolist())
        metrics["maps"] = map_metrics(maps, confidence=confidence)
    beside = _comparisons(predictor, curated, table, confidence=confidence)
    if model.record.adaptation is not None:
        n = len(model.record.adaptation.fields)
        metrics["notes"].append(f"the model was adapted to {n} stained field{'s' * (n != 1)}, which are not tested on")
    metrics |= beside.entries | {"notes": [*metrics["notes"], *beside.notes]}
    if metrics["group_known"] and model.record.fold is None:
        labels, groups = scored["label"].to_numpy(np.int64), scored["group"].to_numpy(object)
        if interval_notes(labels, groups, sample=_SAMPLE):  # groups so few that intervals say little
            advice = cross_validation_advice(curated.manifest, folder, method=model.record.method)
            metrics["advice"] = dataclasses.asdict(advice)
    with writing(folder, advice="copy the run to where you may write"):
        folder.mkdir(exist_ok=True)
        write_whole(folder / SCORES_FILE, scored[SCORE_COLUMNS].to_csv(index=False))
        write_whole(folder / ALL_SCORES_FILE, table.to_csv(index=False))
        if maps is not None:
            write_whole(folder / MAPS_FILE, maps.to_csv(index=False))
        if beside.fields is not None:
            write_whole(folder / FIELD_SHARES, beside.fields.to_csv(index=False))
        write_json(folder / METRICS_FILE, metrics)
    return metrics


_LEARNED, _TESTED = 0, 1  # as two folds


def _comparisons(predictor: "Predictor", curated: Curated, table: pd.DataFrame, *, confidence: float) -> Comparisons:
    """What stands beside the metrics of the test split; dead shares are calibrated on the validation split."""
    split = curated.manifest["split"]
    calibrates = None
    if curated.summary["cells"] is not None:
        # of training patches the true shares alone are of use: a model scores them better than any it has not seen
        train = curated.manifest[split == Split.TRAIN.value].assign(score=np.nan)
        validation = [score_split(predictor, curated, Split.VAL)] if (split == Split.VAL.value).any() else []
        calibrates = pd.concat([train, *validation], ignore_index=True).assign(fold=_LEARNED)
    return comparisons(
        table.assign(fold=_TESTED),
        curated,
        np.where(split == Split.TEST.value, _TESTED, _LEARNED),
        predictor,
        calibrates=calibrates,
        confidence=confidence,
    )


@in_one_sentence()
def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt evaluate``."""
    parser = argparse.ArgumentParser(prog="jimt evaluate", description="Score the test split of a run again.")
    parser.add_argument("run", type=Path, metavar="RUN|CKPT", help="a run's folder, or a checkpoint")
    parser.add_argument("--curated", type=Path, help="curated data set, where it has moved")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    metrics = evaluate(options.run, curated_folder=options.curated, accelerator=options.accelerator)
    print_metrics(metrics, find_checkpoint(options.run)[1])


MAX_FOLDS = 5
"""Of the advice: more cost a training each, and change little."""
_OF_THE_RUN = ("run_dir", "resume", "retrain")
"""Settings that name or continue one run, which no other command takes over."""
_OF_SEVERAL_DEVICES = ("trainer.devices", "trainer.num_nodes")
"""A cross-validation trains on one."""


@dataclass(frozen=True)
class Advice:
    """A sentence, and the command that does what it says; None where nothing tells how the run was started."""

    text: str
    command: str | None


def cross_validation_advice(manifest: pd.DataFrame, run_folder: Path, *, method: str) -> Advice:
    """How to test on every group of a data set, where its test split holds few of them.

    Args:
        manifest: Of the data set, its groups known.
        run_folder: Of the training, where Hydra left the overrides that it was started with.
        method: Of the training.
    """
    used = manifest[manifest["split"].notna()]
    test = used[used["split"] == Split.TEST.value]
    n_groups = used["group"].nunique()
    small = f"{len(test):,} patches of {test['group'].nunique():,} of {n_groups:,} groups are a small test"
    for validation in (True, False) if method == "finetune" else (False,):
        n_folds = workable_folds(used, at_most=MAX_FOLDS, validation=validation)
        if n_folds is not None:
            settings = [f"crossval.n_folds={n_folds}"]
            if method == "finetune" and not validation:
                settings.append("crossval.validation=false")
            told = f"{small}; a cross-validation tests on all {len(used):,} patches of all groups, each unseen"
            return Advice(told, _command(run_folder, settings))
    return Advice(
        f"{small}, and no cross-validation can mend it, since some fold would leave one class alone to train on: add "
        "raw images of other wells or experiments",
        None,
    )


def _command(run_folder: Path, settings: Sequence[str]) -> str | None:
    """``jimt crossval`` with the overrides of a run, to be pasted into a shell; None where there are none."""
    folder = run_folder / ".hydra"
    if not (folder / "overrides.yaml").is_file():  # trained by a call, not by a command
        return None
    before = [
        str(override) for override in yaml.safe_load((folder / "overrides.yaml").read_text(encoding="utf-8")) or []
    ]
    kept = [override.replace("trainer=ddp", "trainer=gpu") for override in before if _is_kept(override)]
    hydra = (
        yaml.safe_load((folder / "hydra.yaml").read_text(encoding="utf-8"))["hydra"]
        if (folder / "hydra.yaml").is_file()
        else {}
    )
    flags = config_flags(folder)
    # an experiment may fix the folder of the run, or start a sweep
    where = [f"hydra.run.dir={quoted(_folder_beside(run_folder).as_posix())}"]
    mode = ["hydra.mode=RUN"] * (hydra.get("mode") == "MULTIRUN")
    return shlex.join(["jimt", "crossval", *flags, *kept, *settings, *mode, *where])


def _is_kept(override: str) -> bool:
    key = override.partition("=")[0].lstrip("+~")
    return key not in (*_OF_THE_RUN, *_OF_SEVERAL_DEVICES) and not key.startswith(("hydra.", "hydra/", "crossval."))


def _folder_beside(run_folder: Path) -> Path:
    """``runs/crossval/NAME`` of ``runs/NAME``; of a folder elsewhere, a neighbour of it."""
    below = Path(os.path.relpath(run_folder))
    if below.parts[0] == "runs":
        return Path("runs", "crossval", *below.parts[1:])
    return below.with_name(f"{below.name}_crossval")
