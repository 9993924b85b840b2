"""Opens what a run, a cross-validation or a sweep left in its folder."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

import jimt
from jimt.checkpoints import BEST, read_checkpoint
from jimt.crossval import RESULT_FILE
from jimt.crossval import SCORES_FILE as CROSSVAL_SCORES
from jimt.curation.manifest import Curated
from jimt.errors import InputError
from jimt.evaluate import METRICS_FILE, SCORES_FILE, test_rows, write_aside
from jimt.paper import paper_name
from jimt.sweep import read_jobs
from jimt.sweep_table import Job

Kind = Literal["run", "cross-validation", "sweep"]


@dataclass(frozen=True)
class Model:
    """One trained model with its test scores, or the models of a cross-validation with their out-of-fold scores.

    Attributes:
        name: In figures and tables.
        folder: What it was opened from.
        checkpoints: The best one, or that of each fold.
    """

    name: str
    folder: Path
    checkpoints: tuple[Path, ...]

    @property
    def is_crossval(self) -> bool:
        """Whether there is a model for each fold."""
        return self.checkpoints[0].parent.parent != self.folder

    @cached_property
    def hyperparameters(self) -> dict[str, Any]:
        """Of the first checkpoint: what a prediction needs, and where everything came from."""
        return dict(read_checkpoint(self.checkpoints[0])["hyper_parameters"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Where weights and data came from."""
        return dict(self.hyperparameters["provenance"])

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``test_metrics.json`` holds, or the pooled metrics of ``crossval.json`` by the same names.

        Raises:
            InputError: If the file is absent or damaged.
        """
        path = self.folder / (RESULT_FILE if self.is_crossval else METRICS_FILE)
        content = _read_json(path, self._remedy)
        return content | {"metrics": content["pooled"]} if self.is_crossval else content

    @cached_property
    def scores(self) -> pd.DataFrame:
        """What ``test_scores.csv`` holds, or the out-of-fold scores; ``group`` is None where it is not known.

        Raises:
            InputError: If the file is absent or damaged.
        """
        path = self.folder / (CROSSVAL_SCORES if self.is_crossval else SCORES_FILE)
        if not path.is_file():
            raise InputError(f"{path} is missing: {self._remedy}")
        try:
            table = pd.read_csv(path, dtype={"raw_image_id": str, "group": str})
            table["label"] = table["label"].astype("int64")
            table["score"] = table["score"].astype("float64")
        except (ValueError, KeyError) as error:
            raise InputError(f"{path} is damaged: {self._remedy}") from error
        return table

    @cached_property
    def curated(self) -> Curated:
        """The curated data set, as the first checkpoint was trained on it.

        Raises:
            InputError: If it is absent, or another one.
        """
        return test_rows(self.checkpoints[0])[0]

    @cached_property
    def tested(self) -> tuple[Curated, pd.DataFrame]:
        """The curated data set, and its rows in the order of ``scores``, with a column ``checkpoint``.

        Raises:
            InputError: If the data set is absent, or another one.
        """
        parts = []
        for number, checkpoint in enumerate(self.checkpoints):
            curated, rows = test_rows(checkpoint)
            parts.append(rows.assign(checkpoint=number))
        rows = pd.concat(parts, ignore_index=True)
        names = self.scores["raw_image_id"].astype(str).tolist()
        if rows["raw_image_id"].astype(str).tolist() != names:
            raise InputError(f"the scores in {self.folder} are not of the patches of {curated.folder}: {self._remedy}")
        return curated, rows

    def kept_table(self, name: str, make: Callable[[], pd.DataFrame], *, depends_on: dict[str, Any]) -> pd.DataFrame:
        """A table in ``figures/``, made anew where the checkpoints, the scores or what else it depends on has changed.

        Args:
            name: Of its CSV file.
            make: Makes it.
            depends_on: Plain values.
        """
        folder = self.folder / "figures"
        states = [(path.stat().st_size, path.stat().st_mtime_ns) for path in self.checkpoints]
        scores = self.scores.to_csv(index=False)
        parts = [jimt.__version__, states, scores, depends_on]
        of = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        kept, known = folder / name, folder / "made_of.json"
        made_of = json.loads(known.read_text()) if known.is_file() else {}
        if made_of.get(name) == of and kept.is_file():
            return pd.read_csv(kept, dtype={"raw_image_id": str, "group": str})
        table = make()
        folder.mkdir(exist_ok=True)
        write_aside(kept, table.to_csv(index=False))
        write_aside(known, json.dumps(made_of | {name: of}, indent=2) + "\n")
        return table

    @property
    def _remedy(self) -> str:
        command = "run the cross-validation again" if self.is_crossval else f"python -m jimt.evaluate {self.folder}"
        return f"{command} writes it"


@dataclass(frozen=True)
class Study:
    """What a report is about.

    Attributes:
        folder: Of the run, cross-validation or sweep.
        kind: Which of them.
        models: Those that are finished, in the order of the sweep.
        unfinished: Of a sweep, each job that is not finished and why.
    """

    folder: Path
    kind: Kind
    models: list[Model]
    unfinished: dict[str, str] = field(default_factory=dict)

    def by_dataset(self) -> Iterator[tuple[str, list[Model]]]:
        """The models of each curated data set, in the order of the sweep."""
        folders = dict.fromkeys(model.provenance["curated_folder"] for model in self.models)
        parts = [[model for model in self.models if model.provenance["curated_folder"] == folder] for folder in folders]
        names = [str(models[0].provenance["dataset"]) for models in parts]
        for name, models, folder in zip(names, parts, folders, strict=True):
            yield (name if names.count(name) == 1 else f"{name} in {folder}"), models


def open_study(folder: Path) -> Study:
    """Open a folder that ``train.py`` or ``jimt.crossval`` wrote.

    Raises:
        InputError: If it holds nothing that is finished.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: give the folder of a run, a sweep or a cross-validation")
    if (folder / BEST).is_file():
        return Study(folder, "run", [_model(folder, (folder / BEST,), None)])
    folds = sorted(folder.glob(f"fold_*/{BEST}"), key=lambda path: int(path.parent.parent.name.partition("_")[2]))
    if folds:
        return Study(folder, "cross-validation", [_model(folder, tuple(folds), None)])
    jobs = read_jobs(folder)
    finished = [job for job in jobs if job.metrics or (job.status == "finished")]
    if not finished:
        left = f", only {len(jobs)} jobs of a sweep that are not finished" if jobs else ""
        raise InputError(f"{folder} holds no finished training{left}: train first, or give another folder")
    models = [_model(folder / job.name, (folder / job.name / BEST,), name) for job, name in _names(finished)]
    unfinished = {job.name: job.reason or job.status for job in jobs if job not in finished}
    return Study(folder, "sweep", models, unfinished)


def _names(jobs: list[Job]) -> Iterator[tuple[Job, str]]:
    """Each job with its backbone, and as much of its settings as tells it from others of its data set."""
    for job in jobs:
        same = [other for other in jobs if (other.dataset, other.backbone) == (job.dataset, job.backbone)]
        common = set.intersection(*(set(other.settings) for other in same))
        own = [text for text in job.settings if text not in common]
        yield job, " ".join([_backbone_name(str(job.backbone)), *own])


def _model(folder: Path, checkpoints: tuple[Path, ...], name: str | None) -> Model:
    model = Model(name or "", folder, checkpoints)
    if name is not None:
        return model
    trainable = model.hyperparameters["trainable"]
    words = {"none": "frozen, linear", "head": "head trained", "last_stage": "last stage trained"}.get(trainable, "")
    backbone = _backbone_name(str(model.provenance["backbone"]))
    return Model(f"{backbone} ({words})" if words else backbone, folder, checkpoints)


def _backbone_name(name: str) -> str:
    return paper_name(name) or name.removeprefix("tf_")


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path} is missing: {remedy}")
    try:
        return dict(json.loads(path.read_text()))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {remedy}") from error
