"""Checkpoints: written whole or not at all, found in a run's folder, read without executing anything in them."""

import io
import os
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from jimt.errors import InputError
from jimt.models.classifier import LiveDeadClassifier
from jimt.networks.state_dicts import UNREADABLE
from jimt.system.files import BEST, CROSSVAL_RESULT, JOURNAL, write_whole


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the old checkpoint and renames, so that a full disk or a kill leaves the old one whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint; an OSError of the disk leaves what was there before."""
        save_checkpoint(checkpoint, Path(path))


def save_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint so that it is there whole or not at all."""
    content = io.BytesIO()
    torch.save(checkpoint, content)  # to memory first: torch's own writer hides that a disk is full
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of jimt without executing anything in it.

    Raises:
        InputError: If the file is damaged, holds anything but tensors and plain values, or is not jimt's.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path} is damaged, or holds more than tensors and plain values, so it was not loaded",
            advice="take another one",
        ) from error
    recorded = content.get("hyper_parameters") if isinstance(content, dict) else None
    provenance = recorded.get("provenance") if isinstance(recorded, dict) else None
    if not (isinstance(provenance, dict) and "settings" in provenance and "state_dict" in content):
        raise InputError(f"{path} is not a checkpoint of jimt", advice="give one that train.py wrote")
    return cast(dict[str, Any], content)


def load_classifier(path: Path) -> tuple[LiveDeadClassifier, dict[str, Any]]:
    """Load a checkpoint; returns the classifier, ready to score, and its hyperparameters.

    Raises:
        InputError: As ``read_checkpoint``.
    """
    content = read_checkpoint(path)
    try:
        hyperparameters = dict(content["hyper_parameters"])
        classifier = LiveDeadClassifier(**hyperparameters)
        classifier.load_state_dict(content["state_dict"])
    except (TypeError, KeyError, ValueError, RuntimeError) as error:  # no such keys, others, or of other shapes
        raise InputError(f"{path} is not a checkpoint of jimt", advice="give one that train.py wrote") from error
    return classifier.eval(), hyperparameters


def refuse_several(folder: Path) -> None:
    """Refuse the folder of a cross-validation, a sweep or a search where one run is asked for.

    Raises:
        InputError: If a finished training lies below the folder; it says what the folder is and what can be given.
    """
    runs = sorted(path.parent.parent for path in folder.rglob(str(BEST)))
    if (folder / BEST).is_file() or not runs:
        return
    what, one = f"holds {len(runs)} run{'s' * (len(runs) > 1)}", "one of them"
    takes: tuple[str, ...] = ()
    if (folder / JOURNAL).is_file():
        what, one = "is a search", "one of its trials"
    elif runs[0].parent == folder and runs[0].name.startswith("fold_"):
        is_whole = (folder / CROSSVAL_RESULT).is_file()
        what, one = f"is a{'' if is_whole else 'n unfinished'} cross-validation", "one of its folds"
        takes = () if not is_whole else ("jimt report {}", "jimt label-sensitivity {}", "jimt compare {} OTHER")
    elif any(folder.rglob(".hydra/overrides.yaml")):
        what, one, takes = "is a sweep", "one of its jobs", ("jimt report {}",)
    raise InputError(
        f"{folder} {what}, and one run is asked for",
        advice=f"give the folder of {one}, such as {runs[0]}",
        remedies=tuple(command.format(folder) for command in takes),
    )


def find_checkpoint(run_or_checkpoint: Path) -> tuple[Path, Path]:
    """The checkpoint and the folder its results go to; of a run, the best checkpoint.

    Results of another checkpoint of a run do not replace those of the best one.

    Raises:
        InputError: If there is none.
    """
    if run_or_checkpoint.is_dir():
        checkpoint = run_or_checkpoint / BEST
        if not checkpoint.is_file():
            refuse_several(run_or_checkpoint)
            raise InputError(
                f"{checkpoint} is missing", advice=f"{run_or_checkpoint} holds no finished training, so train first"
            )
        return checkpoint, run_or_checkpoint
    if not run_or_checkpoint.is_file():
        raise InputError(f"{run_or_checkpoint} is missing", advice="give a run's folder or a checkpoint")
    parent = run_or_checkpoint.parent
    if parent.name != BEST.parent.name:
        return run_or_checkpoint, parent
    if run_or_checkpoint.name == BEST.name:
        return run_or_checkpoint, parent.parent
    return run_or_checkpoint, parent.parent / f"evaluation_{run_or_checkpoint.stem}"
