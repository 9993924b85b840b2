"""Which of several settings a fold of a cross-validation is trained with, by the groups it is trained on alone."""

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jimt.config.search import ChoiceConfig, CrossvalConfig
from jimt.curation.folds import Fold, cross_validation_folds, without_fold
from jimt.curation.manifest import open_curated
from jimt.errors import InputError
from jimt.evaluation.scores import read_scores
from jimt.statistics.metrics import METRICS
from jimt.system.files import digest_of, read_json, write_json, write_whole
from jimt.training.run import train
from jimt.vocabulary import AMBIGUOUS

WithOverrides = Callable[[list[str]], CrossvalConfig]
"""The config of a cross-validation with further overrides."""
SCORES, MADE_OF = "scores.csv", "made_of.json"
"""Of a training whose checkpoint is not kept: its scores, and what they depend on."""


def choose_settings(
    config: CrossvalConfig,
    fold: Fold,
    folder: Path,
    with_overrides: WithOverrides,
    *,
    validation: bool,
    begins: Callable[[], None],
    scored: Callable[[Path], pd.DataFrame],
) -> tuple[CrossvalConfig, dict[str, Any]]:
    """Cross-validate each choice on the groups that a fold trains on, and take the best.

    What is finished is kept: scores alone, since checkpoints of all choices would fill a disk.

    Args:
        config: Of the cross-validation.
        fold: Whose held-out groups take no part.
        folder: Where the inner trainings go.
        with_overrides: Makes the config of a choice.
        validation: Whether an inner fold is held back, as of the outer ones.
        begins: As ``training.run.train`` takes it.
        scored: Out-of-fold scores of a finished inner training, by its folder.

    Returns:
        The config of the best choice, its trainings not shortened; and ``fold``, ``chosen`` and the ``values`` of all.

    Raises:
        InputError: If a choice is of other data, or cannot be trained.
    """
    choice = config.crossval.choose
    values = {}
    for name in choice.among:
        inner = with_overrides([*choice.among[name], *choice.shortened])
        if inner.dataset != config.dataset or inner.curation != config.curation:
            raise InputError(
                f"crossval.choose.among.{name} changes dataset or curation, and all choices have the same folds",
                advice="choose among settings of the training",
            )
        table = _inner_scores(inner, fold, folder / name, choice, validation=validation, begins=begins, scored=scored)
        clear = table[table["label"] != AMBIGUOUS]
        columns = [clear[column] for column in ("label", "score", "group", "raw_image_id")]
        labels, scores, *names = (column.to_numpy() for column in columns)
        values[name] = METRICS[choice.by].value(labels, scores, *(column.astype(object) for column in names))
        print(f"fold {fold.test}, {name}: inner {METRICS[choice.by].words} {values[name]:.3f}")
    best = max(values, key=lambda name: -1.0 if np.isnan(values[name]) else values[name])
    told = {name: None if np.isnan(value) else value for name, value in values.items()}
    return with_overrides(choice.among[best]), {"fold": fold.test, "chosen": best, "by": choice.by, "values": told}


def _inner_scores(
    config: CrossvalConfig,
    outer: Fold,
    folder: Path,
    choice: ChoiceConfig,
    *,
    validation: bool,
    begins: Callable[[], None],
    scored: Callable[[Path], pd.DataFrame],
) -> pd.DataFrame:
    curated = open_curated(Path(config.curation.output_root) / config.dataset.name)
    manifest = without_fold(curated.manifest, n_folds=outer.n_folds, test=outer.test)
    tables = []
    for fold in cross_validation_folds(manifest, n_folds=choice.n_folds, validation=validation):
        inner = dataclasses.replace(fold, outer_folds=outer.n_folds, outer_test=outer.test)
        run_folder = folder / f"inner_{fold.test}"
        made = {"settings": made_of(config, inner, curated.summary["fingerprint"])}
        if not is_kept(run_folder, made):
            of_fold = copy.deepcopy(config)
            of_fold.run_dir, of_fold.resume = str(run_folder), None
            if config.resume is not None and run_folder.is_dir():
                of_fold.resume = str(run_folder)
            train(of_fold, fold=inner, begins=begins)
            write_whole(run_folder / SCORES, scored(run_folder).to_csv(index=False))
            write_json(run_folder / MADE_OF, made)
        shutil.rmtree(run_folder / "checkpoints", ignore_errors=True)  # also where a kill came before it
        tables.append(read_scores(run_folder / SCORES))
    return pd.concat(tables, ignore_index=True)


def made_of(config: CrossvalConfig, fold: Fold, fingerprint: str) -> str:
    """Identify what the scores of a training depend on, whose checkpoint is not kept."""
    settings = dataclasses.asdict(config)
    for name in ("run_dir", "resume", "retrain", "report", "logger", "crossval", "learning"):
        settings.pop(name, None)
    return digest_of(json.loads(json.dumps([settings, dataclasses.asdict(fold), fingerprint])))


def is_kept(run_folder: Path, made: dict[str, Any]) -> bool:
    """Whether a folder holds the scores of this training."""
    known = run_folder / MADE_OF
    return known.is_file() and (run_folder / SCORES).is_file() and read_json(known) == made
