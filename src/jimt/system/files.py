"""Files that are there whole or not at all, and what the files of a run are called."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from jimt.errors import InputError

BEST: Final = Path("checkpoints", "best.ckpt")
"""Of a finished run: its model."""
BEST_EPOCH: Final = Path("checkpoints", "best_epoch.ckpt")
LAST: Final = Path("checkpoints", "last.ckpt")
"""Lightning's, of a fine-tuning: the best and the last finished epoch, to go on from."""
FINISHED: Final = "finished.json"
"""Of a run that has come to its end: what its result depends on."""
METRICS_BY_EPOCH: Final = "metrics.csv"
"""Of a fine-tuning: what was logged, by step and by epoch."""
VALIDATION_FILE: Final = "val_metrics.json"
"""Metrics of the best checkpoint on the validation split, by name."""
METRICS_FILE: Final = "test_metrics.json"
SCORES_FILE: Final = "test_scores.csv"
ALL_SCORES_FILE: Final = "test_scores_with_ambiguous.csv"
"""The test split's patches and, with label -1, those between the thresholds in its groups; with their label value."""
REPORT: Final = "report.html"
MODEL_CARD: Final = "MODEL_CARD.md"
CROSSVAL_RESULT: Final = "crossval.json"
ADAPTATION_CURVE: Final = "adaptation_curve.json"
"""Of a cross-validation: what stained fields of a new experiment buy."""
LEARNING_CURVE: Final = "learning_curve.json"
"""Likewise further training groups."""
CROSSVAL_SCORES: Final = "scores.csv"
"""Of a cross-validation: the out-of-fold scores of all folds; their metrics stand in ``crossval.json``."""
FIELD_SHARES: Final = "field_shares.csv"
"""Predicted and true dead share of each field of a cross-validation, where cells were counted."""
MAPS_FILE: Final = "maps.csv"
"""Of a model that predicts maps, a row for each tested field: how far they agree with what they predict."""
ALL_CROSSVAL_SCORES: Final = "scores_with_ambiguous.csv"
FAILURE: Final = "failed.json"
"""Of a job that failed: the sentence, the traceback of what nobody foresaw, and when."""
JOURNAL: Final = "study.journal"
"""Of a search: Optuna's file for several writers."""


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that is there whole or not at all; whatever is raised leaves what was there before."""
    aside = path.with_name(f".{path.name}.partial")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file so that it is there whole or not at all; an OSError of the disk leaves what was there before."""
    with written_whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Likewise of plain values, as JSON."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def read_json(path: Path, *, advice: str = "", remedies: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a JSON file of jimt holds.

    Args:
        path: The file.
        advice: What to do where it is missing or damaged.
        remedies: What to type there.

    Raises:
        InputError: If it is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", advice=advice, remedies=remedies)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # brackets within brackets, as no file of jimt has
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path} is damaged", advice=advice, remedies=remedies)
    return content


def digest_of(content: object) -> str:
    """Identify plain values, such as settings, by 64 hexadecimal digits.

    >>> digest_of({"seed": 0, "lr": 1e-4}) == digest_of({"lr": 1e-4, "seed": 0})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def digest_of_file(path: Path) -> str:
    """Identify what a file holds, likewise."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
