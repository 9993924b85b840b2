"""What further training groups buy: ``jimt learning-curve`` with the overrides of ``jimt crossval``."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from jimt.config.search import LearningCurveConfig
from jimt.curation.folds import Fold, draw_training_groups, split_by_fold
from jimt.curation.manifest import Curated, open_curated
from jimt.data.preparation import ConfigOf
from jimt.errors import InputError
from jimt.evaluation.curve_words import learning_frame, learning_in_words, learning_rows
from jimt.evaluation.learning_measures import MEASURES, gain, learning_row, share_errors
from jimt.evaluation.scores import read_scores
from jimt.figures.curves_over_groups import draw_learning
from jimt.figures.style import save
from jimt.models.checkpoint import read_checkpoint
from jimt.system.files import (
    ALL_CROSSVAL_SCORES,
    BEST,
    CROSSVAL_RESULT,
    LEARNING_CURVE,
    read_json,
    write_json,
    write_whole,
)
from jimt.system.locks import owner
from jimt.system.screen import print_whole, table_of
from jimt.training.choosing import MADE_OF, SCORES, is_kept, made_of
from jimt.training.crossval import cross_validate, scored_fold
from jimt.training.run import train
from jimt.training.settled import maps_cache
from jimt.vocabulary import Split


def learning_curve(
    config: LearningCurveConfig, *, begins: Callable[[], None] = lambda: None, config_of: ConfigOf | None = None
) -> dict[str, Any]:
    """Cross-validate, and train each fold again on fewer of its groups, drawn at random.

    What is finished is kept, the folds of a cross-validation too whose folder is given; of the trainings on fewer
    groups scores alone.

    Args:
        config: What a learning curve is made of.
        begins: Called when nothing stands against the first training.
        config_of: As ``preparation.prepare`` takes it.

    Returns:
        What ``learning_curve.json`` holds.

    Raises:
        InputError: If something cannot be done as asked.
    """
    folder = config.folder
    with owner(folder, who="a cross-validation"):
        if not _is_whole(config):
            cross_validate(config, begins=begins, config_of=config_of, keeps_maps=True)
        return _learning_curve(config, folder, begins)


def _is_whole(config: LearningCurveConfig) -> bool:
    """Whether the folder holds every fold of a cross-validation; whether of these settings, each training says."""
    path = config.folder / CROSSVAL_RESULT
    if not path.is_file() or config.retrain:
        return False
    result = read_json(path, advice="run the cross-validation again")
    return bool(len(result["folds_held"]) == result["n_folds"])


def _learning_curve(config: LearningCurveConfig, folder: Path, begins: Callable[[], None]) -> dict[str, Any]:
    curated = open_curated(Path(config.curation.output_root) / config.dataset.name)
    whole = read_scores(folder / ALL_CROSSVAL_SCORES)
    checkpoints = {fold: read_checkpoint(folder / f"fold_{fold}" / BEST) for fold in sorted(whole["fold"].unique())}
    folds = {number: Fold(**each.record.fold or {}) for number, each in checkpoints.items()}
    for number, fold in folds.items():  # says where the folder's folds are of other settings
        train(_of_fold(config, folder / f"fold_{number}"), fold=fold, begins=begins)
    tables, n_trained = {}, {}
    for n_groups in sorted(config.learning.groups):
        drawn = {
            number: draw_training_groups(curated.manifest, fold, n_groups=n_groups, seed=config.seed)
            for number, fold in folds.items()
        }
        if any(fold is None for fold in drawn.values()):
            print(f"learning.groups: {n_groups} is passed over, since not every fold has a group more to train on")
            continue
        parts = [
            _scores(config, fold, folder / f"trained_on_{n_groups}_fold_{number}", curated, begins).assign(fold=number)
            for number, fold in drawn.items()
            if fold is not None
        ]
        tables[n_groups], n_trained[n_groups] = pd.concat(parts, ignore_index=True), float(n_groups)
    n_whole = [len(_trained_on(curated, fold)) for fold in folds.values()]
    tables[0], n_trained[0] = whole, sum(n_whole) / len(n_whole)
    return _written(config, folder, curated, tables, n_trained)


def _of_fold(config: LearningCurveConfig, run_folder: Path) -> LearningCurveConfig:
    of_fold = copy.deepcopy(config)
    of_fold.run_dir, of_fold.retrain = str(run_folder), False
    of_fold.resume = str(run_folder) if config.resume is not None and run_folder.is_dir() else None
    return of_fold


def _trained_on(curated: Curated, fold: Fold) -> list[str]:
    manifest = split_by_fold(curated.manifest, fold)
    return sorted(manifest.loc[manifest["split"] == Split.TRAIN.value, "group"].astype(str).unique())


def _scores(
    config: LearningCurveConfig, fold: Fold, run_folder: Path, curated: Curated, begins: Callable[[], None]
) -> pd.DataFrame:
    """Scores of the held-out groups by a training on some of the others; read back where they were kept."""
    made = {"settings": made_of(config, fold, curated.summary["fingerprint"])}
    if not is_kept(run_folder, made):
        print(f"fold {fold.test}, trained on {', '.join(fold.trained_on or ())}")
        train(_of_fold(config, run_folder), fold=fold, begins=begins)
        write_whole(run_folder / SCORES, scored_fold(run_folder, maps_cache(run_folder.parent)).to_csv(index=False))
        write_json(run_folder / MADE_OF, made)
    shutil.rmtree(run_folder / "checkpoints", ignore_errors=True)  # also where a kill came before it
    return read_scores(run_folder / SCORES)


def _written(
    config: LearningCurveConfig,
    folder: Path,
    curated: Curated,
    tables: dict[int, pd.DataFrame],
    n_trained: dict[int, float],
) -> dict[str, Any]:
    confidence = config.evaluation.confidence
    checkpoint = read_checkpoint(folder / f"fold_{int(tables[0]['fold'].min())}" / BEST)
    errors, truth = {}, ""
    for key, table in tables.items():
        errors[key], truth = share_errors(table, curated, checkpoint)
    rows = [
        {
            "groups": n_trained[key],
            "trainings": int(table["fold"].nunique()),
            **learning_row(table, errors[key], confidence=confidence),
            # the last step shows what more groups would bring, and each is seen against all that there are
            "whole_less_this": None if key == 0 else gain(errors[0], errors[key], confidence=confidence),
        }
        for key, table in tables.items()
    ]
    if len(rows) < 2:
        raise InputError(f"{config.dataset.name} has too few groups to leave some out of training", advice="add groups")
    result = {
        "dataset": config.dataset.name,
        "truth": truth,
        "confidence": confidence,
        "groups": int(tables[0]["group"].nunique()),
        "seed": config.seed,
        "rows": rows,
    }
    write_whole(folder / "learning_curve.csv", learning_frame(result).to_csv(index=False))
    write_json(folder / LEARNING_CURVE, result)
    save(draw_learning(rows, MEASURES), folder / "figures", "learning_curve")
    console = Console()
    header, cells = learning_rows(result)
    title = f"{result['dataset']}: groups that were not seen, by the number of groups trained on"
    print_whole(table_of(title, header, cells, n_left=0), console)
    for line in learning_in_words(result):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"table and figure are in {folder}", highlight=False, markup=False, soft_wrap=True)
    return result
