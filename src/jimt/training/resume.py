"""Whether a run's folder holds a training, finished or cut off, and whether it is the one that is asked for."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jimt
from jimt.config.training import TrainConfig
from jimt.curation.folds import Fold
from jimt.curation.manifest import Curated
from jimt.errors import InputError
from jimt.evaluation.scores import splits_digest
from jimt.models.checkpoint import read_tensors, write_tensors
from jimt.system.files import BEST, FINISHED, LAST, read_json
from jimt.system.run_folders import refuse_several

_LONG = ("curation", "splits", "fold", "adaptation")
"""Settings whose values say nothing to a reader."""
# what may differ when a run is resumed, at a constant learning rate
_MAY_GROW = "trainer.max_epochs"


def settings_of(config: TrainConfig, curated: Curated, weights: str, fold: Fold | None) -> dict[str, Any]:
    """What the result of a training depends on, flat, by the names of the config."""
    content = dataclasses.asdict(config)
    kept: dict[str, Any] = {
        "seed": config.seed,
        "jimt version": jimt.__version__,
        "evaluation.orientations": config.evaluation.orientations,  # temperature and scores depend on it
        "task": config.task,
        "method": config.method,
        "adaptation": None,  # of a run that jimt adapt wrote, what it was adapted to
    }
    for part in ("backbone", "probe", "stain", "augmentation", "optim", "trainer"):
        if content[part] is not None:  # of the other method or task
            values = {key: list(value) if isinstance(value, tuple) else value for key, value in content[part].items()}
            kept |= {f"{part}.{key}": value for key, value in values.items()}
    for key in ("num_workers", "num_threads", "eval_batch_size", "progress", "profiler", "fast_dev_run"):
        del kept[f"trainer.{key}"]
    return kept | {
        "dataset": config.dataset.name,
        "curation": curated.summary["fingerprint"],
        "splits": splits_digest(curated.manifest),
        "fold": None if fold is None else _as_json(dataclasses.asdict(fold)),
        "weights": weights,
    }


def _as_json(values: dict[str, Any]) -> dict[str, Any]:
    """What these values are when they have been written as JSON and read back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def is_finished(folder: Path, settings: dict[str, Any], *, resumed: bool) -> bool:
    """Whether the folder holds this training, finished; one that is resumed with more epochs is not.

    Raises:
        InputError: If it holds another finished training.
    """
    if not (folder / FINISHED).is_file():
        return False
    before = read_json(folder / FINISHED, remedies=("retrain=true",))
    other = _other(before, settings)
    if not other:
        return (folder / BEST).is_file()
    told = "; ".join(key if key in _LONG else f"{key}={before[key]}, not {settings[key]}" for key in other)
    if other == [_MAY_GROW]:
        told = f"{before[_MAY_GROW]} epochs done, {settings[_MAY_GROW]} asked for"
        if resumed and settings[_MAY_GROW] > before[_MAY_GROW] and settings["optim.schedule"] == "constant":
            return False
    raise InputError(
        f"{folder} holds another training ({told})",
        remedies=("resume=null hydra.run.dir=FOLDER", "resume=null retrain=true"),
    )


def _other(before: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Settings that differ; those that one of two methods lacks are told by the method."""
    return [key for key in settings if key in before and before[key] != settings[key]]


@dataclass(frozen=True)
class Unfinished:
    """A training that was cut off.

    Attributes:
        path: What Lightning goes on from.
        n_epochs: Finished ones.
        settings: What its result depends on, as ``settings_of`` gives it.
        weights: Where its pretrained weights came from.
        precision: What it computes in.
    """

    path: Path
    n_epochs: int
    settings: dict[str, Any]
    weights: str
    precision: str


def unfinished_training(config: TrainConfig, folder: Path) -> Unfinished | None:
    """Where a resumed run goes on; None to start anew.

    Raises:
        InputError: If there is nothing to resume, or it is damaged.
    """
    if config.resume is None:
        return None
    # a folder that this start has made and locked, or that Hydra has made for a job of a sweep
    if not folder.is_dir() or all(path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(f"resume={config.resume} holds no training", remedies=("resume=RUN", "resume=null"))
    if config.retrain:
        raise InputError(
            "resume goes on with a run and retrain=true trains anew", remedies=("resume=null", "retrain=false")
        )
    last = folder / LAST
    if last.is_file():
        content = read_tensors(last)
        record = content.get("record")  # of LiveDeadClassifier, beside what Lightning wrote
        if not isinstance(record, dict) or "epoch" not in content:
            raise InputError(
                f"{last} is not a checkpoint of jimt", advice="give the folder of a run that train.py wrote"
            )
        return Unfinished(last, int(content["epoch"]) + 1, **record)
    refuse_several(folder)
    if not (folder / FINISHED).is_file():  # a finished linear probe has no epochs to go on from
        print(f"{folder} holds no finished epoch: starting anew")
    return None


def check_same_training(unfinished: Unfinished, settings: dict[str, Any], folder: Path) -> None:
    """Raise unless a training that was cut off is the one that was asked for; it may be asked for more epochs."""
    before, done = unfinished.settings, unfinished.n_epochs
    other = _other(before, settings)
    if settings.get("optim.schedule") == "constant":
        other = [key for key in other if key != _MAY_GROW]
        if settings[_MAY_GROW] < done:
            raise InputError(
                f"{folder} holds {done} finished epochs", remedies=(f"{_MAY_GROW}={done}", "resume=null retrain=true")
            )
    if not other:
        return
    if "dataset" in other:
        raise InputError(
            f"{folder} was trained on {before['dataset']}, not on {settings['dataset']}",
            remedies=(f"dataset={before['dataset']}", "resume=null retrain=true"),
        )
    if "curation" in other or "splits" in other:
        raise InputError(
            f"{folder} was trained on another curation or other splits of {settings['dataset']}, so its "
            "test patches may be trained on",
            advice="give the run's own curation settings",
            remedies=("resume=null retrain=true",),
        )
    told = ", ".join(f"{key}={before.get(key)} (not {settings[key]})" for key in other)
    raise InputError(
        f"{folder} is another training, with {told}", advice="give the same", remedies=("resume=null retrain=true",)
    )


def relocate(last: Path) -> None:
    """Tell a checkpoint of a run whose folder was moved where it lies, so that its best checkpoint still counts."""
    content = read_tensors(last)
    new = str(last.parent.resolve())  # as Lightning writes it
    states = [state for state in content.get("callbacks", {}).values() if isinstance(state, dict)]
    moved = [state for state in states if state.get("dirpath", new) != new]
    for state in moved:
        old = str(state["dirpath"])
        for key in ("dirpath", "best_model_path", "last_model_path", "kth_best_model_path"):
            state[key] = str(state[key]).replace(old, new, 1)
        state["best_k_models"] = {
            str(path).replace(old, new, 1): value for path, value in state.get("best_k_models", {}).items()
        }
    if moved:
        write_tensors(content, last)
