"""Opens what a run, a cross-validation or a sweep left in its folder."""

import dataclasses
import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import jimt
from jimt.curation.manifest import Curated
from jimt.errors import InputError
from jimt.evaluation.scores import read_scores, rows_of_test
from jimt.models.checkpoint import Checkpoint, Record, read_checkpoint
from jimt.models.predictor import Predictor
from jimt.paper import paper_name
from jimt.sweeps.sweep import FINISHED
from jimt.sweeps.table import read_jobs
from jimt.system.files import (
    BEST,
    CROSSVAL_RESULT,
    CROSSVAL_SCORES,
    METRICS_FILE,
    SCORES_FILE,
    digest_of,
    digest_of_file,
    read_json,
    write_json,
    write_whole,
)
from jimt.system.run_folders import refuse_several

Kind = Literal["run", "cross-validation", "sweep"]


@dataclass(frozen=True)
class Options:
    """How results are opened.

    Attributes:
        curated_folder: Where the curated data set has moved to; None where it has not.
        accelerator: ``cpu`` or ``gpu``, where networks run again; None for the training's.
        device_index: Which graphics card, where one is used.
        maps: Folder of the feature maps of whole fields that the folds of a cross-validation share; None for none.
    """

    curated_folder: Path | None = None
    accelerator: str | None = None
    device_index: int = 0
    maps: Path | None = None


AS_TRAINED: Final = Options()
_CROSSVAL_AGAIN: Final = "run the cross-validation again"


@dataclass(frozen=True)
class Model:
    """One trained model with its test scores, or the models of a cross-validation with their out-of-fold scores.

    Attributes:
        name: In figures and tables.
        folder: What it was opened from.
        checkpoints: The best one, or that of each fold.
        options: Where the data have moved to, and where networks run again.
    """

    name: str
    folder: Path
    checkpoints: tuple[Path, ...]
    options: Options
    _opened: dict[int, Predictor] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def is_crossval(self) -> bool:
        """Whether there is a model for each fold."""
        return self.checkpoints[0].parent.parent != self.folder

    @cached_property
    def _read(self) -> tuple[Checkpoint, ...]:
        """Each checkpoint, read once."""
        return tuple(map(read_checkpoint, self.checkpoints))

    def renamed(self, name: str) -> "Model":
        """The same model by another name; what was read is kept."""
        model = dataclasses.replace(self, name=name)
        model.__dict__["_read"] = self._read
        return model

    @property
    def checkpoint(self) -> Checkpoint:
        """The first of them, which tells for all what is trained and how."""
        return self._read[0]

    @property
    def record(self) -> Record:
        """What its training was."""
        return self.checkpoint.record

    @property
    def has_metrics(self) -> bool:
        """Whether its metrics can be read."""
        return why_not(self, "metrics") is None

    @property
    def confidence(self) -> float:
        """Coverage of its intervals: that of the metrics, which may have been evaluated again with another."""
        return float(self.metrics["confidence"] if self.has_metrics else self.record.confidence)

    def predictor(self, number: int) -> Predictor:
        """The model of a checkpoint, opened once.

        Raises:
            InputError: If there is no such device, or torch cannot use it.
        """
        if number not in self._opened:
            self._opened[number] = Predictor(
                self._read[number],
                accelerator=self.options.accelerator,
                device_index=self.options.device_index,
                cache=self.options.maps,
            )
        return self._opened[number]

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """What ``test_metrics.json`` holds, or the pooled metrics of ``crossval.json`` by the same names.

        Raises:
            InputError: If the file is absent or damaged.
        """
        path = self.folder / (CROSSVAL_RESULT if self.is_crossval else METRICS_FILE)
        advice, remedies = self.ways_out
        content = read_json(path, advice=advice, remedies=remedies)
        return content | {"metrics": content["pooled"]} if self.is_crossval else content

    @cached_property
    def scores(self) -> pd.DataFrame:
        """What ``test_scores.csv`` holds, or the out-of-fold scores; ``group`` is None where it is not known.

        Raises:
            InputError: If the file is absent or damaged.
        """
        path = self.folder / (CROSSVAL_SCORES if self.is_crossval else SCORES_FILE)
        advice, remedies = self.ways_out
        if not path.is_file():
            raise InputError(f"{path} is missing", advice=advice, remedies=remedies)
        try:
            table = read_scores(path)
            table["label"] = table["label"].astype("int64")
            table["score"] = table["score"].astype("float64")
        except (ValueError, KeyError) as error:
            raise InputError(f"{path} is damaged", advice=advice, remedies=remedies) from error
        if not len(table):
            raise InputError(f"{path} holds no patch", advice=advice, remedies=remedies)
        return table

    @property
    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_] | None]:
        """Labels, scores and groups of the tested patches, each ``(n_patches,)``; None where groups are not known."""
        labels, scores = self.scores["label"].to_numpy(np.int64), self.scores["score"].to_numpy(np.float64)
        known = bool(self.scores["group"].notna().all())
        return labels, scores, self.scores["group"].to_numpy(object) if known else None

    @cached_property
    def curated(self) -> Curated:
        """The curated data set, as the first checkpoint was trained on it.

        Raises:
            InputError: If it is absent, or another one.
        """
        return rows_of_test(self.record, self.options.curated_folder, self.checkpoints[0])[0]

    @cached_property
    def tested(self) -> tuple[Curated, pd.DataFrame]:
        """The curated data set, and its rows in the order of ``scores``, with a column ``checkpoint``.

        Raises:
            InputError: If the data set is absent, or another one.
        """
        parts = []
        for number, (checkpoint, path) in enumerate(zip(self._read, self.checkpoints, strict=True)):
            curated, rows = rows_of_test(checkpoint.record, self.options.curated_folder, path)
            parts.append(rows.assign(checkpoint=number))
        rows = pd.concat(parts, ignore_index=True)
        if rows["raw_image_id"].astype(str).tolist() != self.scores["raw_image_id"].astype(str).tolist():
            advice, remedies = self.ways_out
            raise InputError(
                f"the scores in {self.folder} are not of the patches of {curated.folder}",
                advice=advice,
                remedies=remedies,
            )
        return curated, rows

    def kept_table(self, name: str, make: Callable[[], pd.DataFrame], *, depends_on: dict[str, Any]) -> pd.DataFrame:
        """A table in ``figures/``, made anew where the checkpoints, the scores or what else it depends on has changed.

        Args:
            name: Of its CSV file.
            make: Makes it.
            depends_on: Plain values.
        """
        folder = self.folder / "figures"
        states = [digest_of_file(path) for path in self.checkpoints]
        made_from = digest_of([jimt.__version__, states, self.scores.to_csv(index=False), depends_on])
        kept, known = folder / name, folder / "made_of.json"
        try:
            made_of = dict(json.loads(known.read_text(encoding="utf-8")))
        except (OSError, ValueError):  # absent, or damaged: made anew
            made_of = {}
        if made_of.get(name) == made_from and kept.is_file():
            return read_scores(kept)
        table = make()
        folder.mkdir(exist_ok=True)
        write_whole(kept, table.to_csv(index=False))
        write_json(known, made_of | {name: made_from})
        return read_scores(kept)  # as it will be next time: the file may hold fewer digits

    @property
    def ways_out(self) -> tuple[str, tuple[str, ...]]:
        """Advice and remedies where what was measured cannot be read."""
        if self.is_crossval:
            return _CROSSVAL_AGAIN, ()
        return "", (f"jimt evaluate {shlex.quote(str(self.folder))}",)


def why_not(model: Model, part: Literal["checkpoint", "metrics", "scores", "curated"]) -> str | None:
    """Why a part of a model cannot be read; None where it can."""
    try:
        getattr(model, part)
    except InputError as error:
        return str(error)
    return None


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
        """The models of each curated data set and split, in the order of the sweep; equal names are numbered."""
        parts: dict[tuple[str, ...], list[Model]] = {}
        for model in self.models:
            keys = ("dataset", "curated_folder", "curation_fingerprint", "splits_digest")
            parts.setdefault(tuple(str(getattr(model.record, key)) for key in keys), []).append(model)
        names = [dataset for dataset, *_ in parts]
        for number, (name, models) in enumerate(zip(names, parts.values(), strict=True)):
            yield (name if names.count(name) == 1 else f"{name} {names[:number].count(name) + 1}"), models


def open_study(folder: Path, options: Options = AS_TRAINED) -> Study:
    """Open a folder that ``train.py`` or ``jimt crossval`` wrote.

    Args:
        folder: Of a run, a sweep or a cross-validation.
        options: Where the data have moved to, and where networks run again.

    Raises:
        InputError: If it holds nothing that is finished.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is missing", advice="give the folder of a run, a sweep or a cross-validation")
    if (folder / BEST).is_file():
        return Study(folder, "run", [_alone(folder, (folder / BEST,), options)])
    if folds := _folds(folder):
        return Study(folder, "cross-validation", [_alone(folder, folds, options)])
    jobs = read_jobs(folder)
    unfinished = {job["job"]: job["reason"] or job["status"] for job in jobs if job["status"] != FINISHED}
    finished = [job for job in jobs if job["status"] == FINISHED]
    readable: list[tuple[dict[str, Any], Model]] = []
    for job in finished:
        model = Model(job["job"], folder / job["job"], (folder / job["job"] / BEST,), options)
        if reason := why_not(model, "checkpoint"):
            unfinished[job["job"]] = f"its checkpoint cannot be read ({reason})"
        else:
            readable.append((job, model))
    if not readable:
        refuse_several(folder)
        left = f", only {len(jobs)} jobs of a sweep that are not finished" if jobs else ""
        raise InputError(f"{folder} holds no finished training{left}", advice="train first, or give another folder")
    names = _names([job for job, _ in readable])
    models = [model.renamed(name) for (_, model), name in zip(readable, names, strict=True)]
    return Study(folder, "sweep", models, unfinished)


def _folds(folder: Path) -> tuple[Path, ...]:
    """Checkpoints of the folds of a cross-validation, in order; others are older, or were cut off."""
    numbered = {
        int(path.parent.parent.name.removeprefix("fold_")): path
        for path in folder.glob(f"fold_*/{BEST}")
        if path.parent.parent.name.removeprefix("fold_").isdecimal()
    }
    held = list(numbered)
    if (folder / CROSSVAL_RESULT).is_file():
        held = read_json(folder / CROSSVAL_RESULT, advice=_CROSSVAL_AGAIN)["folds_held"]
    return tuple(path for number, path in sorted(numbered.items()) if number in held)


def _names(jobs: Sequence[dict[str, Any]]) -> list[str]:
    """Short names that tell the jobs of a data set apart: backbone and own settings, else timm's name, else the job."""
    short_and_long = []
    for job in jobs:
        alike = [other for other in jobs if (other["dataset"], other["backbone"]) == (job["dataset"], job["backbone"])]
        common = set.intersection(*(set(other["settings"]) for other in alike))
        own = " ".join(text for text in job["settings"] if text not in common)
        short_and_long.append(
            [f"{name} {own}".strip() for name in (_backbone_name(str(job["backbone"])), str(job["backbone"]))]
        )
    keys = [(job["dataset"], short) for job, (short, _) in zip(jobs, short_and_long, strict=True)]
    names = [long if keys.count(key) > 1 else short for key, (short, long) in zip(keys, short_and_long, strict=True)]
    keys = [(job["dataset"], name) for job, name in zip(jobs, names, strict=True)]
    return [f"{name} ({job['job']})" if keys.count(key) > 1 else name
            for job, key, name in zip(jobs, keys, names, strict=True)]  # fmt: skip


def _alone(folder: Path, checkpoints: tuple[Path, ...], options: Options) -> Model:
    words = {None: "frozen, linear", "head": "head trained", "last_stage": "last stage trained"}
    model = Model("", folder, checkpoints, options)
    backbone = _backbone_name(model.checkpoint.network.name)
    trained = words.get(model.record.settings["backbone.trainable"])
    return model.renamed(f"{backbone} ({trained})" if trained else backbone)


def _backbone_name(name: str) -> str:
    return paper_name(name) or name.removeprefix("tf_")
