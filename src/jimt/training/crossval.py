"""Cross-validation over whole groups: ``jimt crossval`` with the overrides of ``train.py``."""

import copy
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from jimt.config.search import CrossvalConfig, FoldsConfig
from jimt.curation.curate import find_raw_images, refuse_few_groups
from jimt.curation.folds import check_folds, cross_validation_folds, folds_of
from jimt.curation.manifest import open_curated
from jimt.data.preparation import ConfigOf, prepare
from jimt.errors import InputError, as_list_typed, did_you_mean
from jimt.evaluation.comparisons import comparisons, print_comparisons
from jimt.evaluation.map_agreement import map_agreement, map_metrics
from jimt.evaluation.reported_metrics import metrics_table, next_command, rows_of_folds, test_metrics
from jimt.evaluation.scores import SCORE_COLUMNS, read_scores, score_test_split, training_data
from jimt.models.predictor import open_predictor
from jimt.statistics.correlation import correlation_in_words
from jimt.statistics.metrics import METRICS, headline_metrics
from jimt.statistics.value_text import number_text, spread_text
from jimt.system.files import (
    ADAPTATION_CURVE,
    ALL_CROSSVAL_SCORES,
    ALL_SCORES_FILE,
    BEST,
    CROSSVAL_RESULT,
    CROSSVAL_SCORES,
    FIELD_SHARES,
    FINISHED,
    LEARNING_CURVE,
    MAPS_FILE,
    MODEL_CARD,
    REPORT,
    write_json,
    write_whole,
)
from jimt.system.locks import owner
from jimt.system.screen import print_whole, table_of
from jimt.training.choosing import WithOverrides, choose_settings
from jimt.training.gpu_memory import scoring
from jimt.training.run import train
from jimt.training.settled import maps_cache
from jimt.vocabulary import AMBIGUOUS


def cross_validate(
    config: CrossvalConfig,
    *,
    begins: Callable[[], None] = lambda: None,
    config_of: ConfigOf | None = None,
    keeps_maps: bool = False,
    with_overrides: WithOverrides | None = None,
) -> dict[str, Any]:
    """Train once for each fold and score the fold that was held out; write ``scores.csv`` and ``crossval.json``.

    Finished folds are kept when the same folder is given again, those too that ``crossval.folds`` leaves out: what is
    written is of all folds that the folder holds then, and says which these are. Pooled metrics are of all out-of-fold
    scores together, so they are honest about folds whose scores are on different scales; the mean of the folds' own
    metrics is not.

    Args:
        config: What a cross-validation is made of.
        begins: Called when nothing stands against the first fold that is trained.
        config_of: As ``preparation.prepare`` takes it.
        keeps_maps: Whether the feature maps of whole fields, which the folds share, are left for the report.
        with_overrides: Makes the config of what folds choose among; needed where they do.

    Returns:
        What ``crossval.json`` holds.

    Raises:
        InputError: If something cannot be done as asked.
    """
    if config.trainer.devices * config.trainer.num_nodes > 1:
        raise InputError(
            "a cross-validation trains on one device",
            remedies=("trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto",),
        )
    folder = config.folder
    with owner(folder, who="a cross-validation"):
        return _cross_validate(config, folder, begins, config_of, keeps_maps, with_overrides)


def _cross_validate(
    config: CrossvalConfig,
    folder: Path,
    begins: Callable[[], None],
    config_of: ConfigOf | None,
    keeps_maps: bool,
    with_overrides: WithOverrides | None,
) -> dict[str, Any]:
    shutil.rmtree(maps_cache(folder), ignore_errors=True)  # of whichever network was there before
    asked_for = config.crossval.validation
    # maps are learned at a rate that falls to 0, and their last epoch is taken: a fold is better trained on
    chooses = config.method == "finetune" and config.task == "patch"
    validation = chooses if asked_for is None else asked_for
    n_folds = config.crossval.n_folds
    if Path(config.dataset.root).is_dir():  # simulated fields are not there yet
        finding = find_raw_images(config.dataset, config.curation, Path(config.dataset.root))
        n_groups = len({image.group for image in finding.images})
        fewer = (f"crossval.n_folds={n_groups}",) if n_groups > 1 else ()
        needed = n_folds or 2
        refuse_few_groups(config.dataset, finding, n=needed, what=f"{needed} folds", remedies=fewer)
    prepare(config.dataset, config.curation, config_of=config_of)
    manifest = open_curated(Path(config.curation.output_root) / config.dataset.name).manifest
    folds = cross_validation_folds(manifest, n_folds=n_folds, validation=validation)
    of_patches = folds_of(manifest, n_folds=len(folds))
    names = [str(test) for test in range(len(folds))]
    if n_folds is None:
        names = [str(manifest.loc[of_patches == test, "group"].iloc[0]) for test in range(len(folds))]
    asked = _asked(config.crossval, names)
    check_folds(manifest, of_patches, [folds[test] for test in sorted(asked)])
    tables, choices = [], []
    for test, fold in enumerate(folds):
        run_folder = folder / f"fold_{test}"
        if test not in asked and not (run_folder / FINISHED).is_file():
            continue
        group = "" if n_folds is not None else f", group {names[test]}"
        print(f"fold {test}{group} ({test + 1} of {len(folds)})")
        fold_config = copy.deepcopy(config)
        if config.crossval.choose.among:
            assert with_overrides is not None
            fold_config, choice = choose_settings(
                config,
                fold,
                folder / f"choice_{test}",
                with_overrides,
                validation=validation,
                begins=begins,
                scored=partial(scored_fold, cache=maps_cache(folder)),
            )
            choices.append(choice)
        fold_config.run_dir = str(run_folder)
        fold_config.resume = str(run_folder) if config.resume is not None and run_folder.is_dir() else None
        fold_config.retrain = config.retrain and test in asked
        train(fold_config, fold=fold, begins=begins)
        tables.append(scored_fold(run_folder, maps_cache(folder)).assign(fold=test))
    if not keeps_maps:
        shutil.rmtree(maps_cache(folder), ignore_errors=True)
    table = pd.concat(tables, ignore_index=True)
    maps = None
    if config.task == "stain":
        held = [folder / f"fold_{fold}" / MAPS_FILE for fold in table["fold"].unique()]
        maps = pd.concat(map(read_scores, held), ignore_index=True)
        write_whole(folder / MAPS_FILE, maps.to_csv(index=False))
    scored = table[table["label"] != AMBIGUOUS]
    result = _result(config, folder, table, names, of_patches)
    result["choices"] = choices
    if maps is not None:
        result["maps"] = map_metrics(maps, confidence=config.evaluation.confidence)
    everything = table.to_csv(index=False)
    if _differs(folder / ALL_CROSSVAL_SCORES, everything):  # curves are of the scores before
        for name in (ADAPTATION_CURVE, LEARNING_CURVE):
            (folder / name).unlink(missing_ok=True)
    for name in (REPORT, MODEL_CARD, *([MAPS_FILE] if maps is None else [])):  # of the scores that are replaced now
        (folder / name).unlink(missing_ok=True)
    write_whole(folder / CROSSVAL_SCORES, scored[[*SCORE_COLUMNS, "fold"]].to_csv(index=False))
    write_whole(folder / ALL_CROSSVAL_SCORES, everything)
    write_json(folder / CROSSVAL_RESULT, result)
    _print(result, folder)
    return result


def _differs(path: Path, text: str) -> bool:
    return not path.is_file() or path.read_text(encoding="utf-8") != text


def _asked(settings: FoldsConfig, names: list[str]) -> set[int]:
    """The folds to run, by their number or by the name of the group that is left out; a name goes before a number."""
    if settings.folds is None:
        return set(range(len(names)))
    found = {names.index(str(fold)) if str(fold) in names else fold for fold in settings.folds}
    asked = {fold for fold in found if isinstance(fold, int) and 0 <= fold < len(names)}
    if unknown := sorted(map(str, found - asked)):
        known = f"name one of {', '.join(sorted(names))}, or number one from 0 to {len(names) - 1}"
        raise InputError(
            f"crossval.folds holds {', '.join(unknown)}, which is no group of the patches that are used",
            advice=did_you_mean(unknown[0], names, otherwise=known),
        )
    return asked


@scoring()
def scored_fold(run_folder: Path, cache: Path) -> pd.DataFrame:
    """Scores of the held-out fold by its finished training; read back where they were written before."""
    path, checkpoint = run_folder / ALL_SCORES_FILE, run_folder / BEST
    if path.is_file() and path.stat().st_mtime_ns >= checkpoint.stat().st_mtime_ns:
        table = read_scores(path)
        if "field" in table:  # not of an older fold
            return table
    predictor = open_predictor(run_folder, cache=cache)
    curated = training_data(predictor.checkpoint.record, None, checkpoint)
    table = score_test_split(predictor, curated)
    if predictor.checkpoint.task == "stain":
        maps = map_agreement(predictor, curated, np.unique(table["field"]).tolist())
        write_whole(run_folder / MAPS_FILE, maps.to_csv(index=False))
    write_whole(path, table.to_csv(index=False))
    return read_scores(path)


def _result(
    config: CrossvalConfig, folder: Path, table: pd.DataFrame, names: list[str], of_patches: NDArray[np.integer]
) -> dict[str, Any]:
    scored = table[table["label"] != AMBIGUOUS]
    held = sorted(int(fold) for fold in scored["fold"].unique())
    checkpoint = folder / f"fold_{held[0]}" / BEST
    predictor = open_predictor(checkpoint)
    record = predictor.checkpoint.record
    curated = training_data(record, None, checkpoint)
    measured = partial(
        test_metrics,
        record=record,
        dataset=record.dataset,
        confidence=record.confidence,
        scale=curated.thresholds["scale"],
        checkpoint=checkpoint,
    )
    pooled = measured(scored, sample="the data set")
    beside = comparisons(
        table,
        curated,
        of_patches,
        predictor,
        calibrates=None,
        confidence=record.confidence,
    )
    if beside.fields is not None:
        write_whole(folder / FIELD_SHARES, beside.fields.to_csv(index=False))
    folds = []
    for fold, part in scored.groupby("fold"):
        metrics = measured(part, sample="the fold")
        folds.append(
            {
                "fold": int(str(fold)),
                "counts": metrics["counts"],
                "groups": sorted(part["group"].unique().tolist()),
                **{name: values["value"] for name, values in metrics["metrics"].items()},
            }
        )
    spread = {}
    for name in pooled["metrics"]:
        values = np.array([fold[name] for fold in folds if fold[name] is not None], float)
        spread[name] = {
            "mean": float(values.mean()) if len(values) else None,
            "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
            "min": float(values.min()) if len(values) else None,
            "max": float(values.max()) if len(values) else None,
            "n_folds": len(values),
        }
    notes, what = [*pooled["notes"], *beside.notes], config.crossval.leave
    one_class = [names[fold["fold"]] for fold in folds if fold["auroc"] is None]
    if one_class:
        notes.insert(
            0, f"{what} {', '.join(one_class)}: one class only, so no AUROC of its own; the pooled one counts it"
        )
    missing = [name for fold, name in enumerate(names) if fold not in held]
    if missing:
        notes.insert(
            0,
            f"these are the scores of {what} {', '.join(names[fold] for fold in held)} alone, not of the whole data "
            f"set: the same command with {as_list_typed('crossval.folds', missing)} in the same folder (hydra.run.dir) "
            "adds the others",
        )
    return {
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "task": config.task,
        "method": config.method,
        "trainable": config.backbone.trainable,
        "weights": record.weights,
        "seed": config.seed,
        "leave": what,
        "n_folds": len(names),
        "folds_held": held,
        "confidence": config.evaluation.confidence,
        "counts": pooled["counts"],
        "pooled": pooled["metrics"],
        "correlation": pooled["correlation"],
        "confusion_matrix": pooled["confusion_matrix"],
        **beside.entries,
        "spread": spread,
        "folds": folds,
        "thresholds": curated.thresholds,
        "notes": notes,
    }


def _print(result: dict[str, Any], folder: Path) -> None:
    console = Console()
    counts, n_held, n_folds = result["counts"], len(result["folds_held"]), result["n_folds"]
    told = f"{n_folds} folds" if n_held == n_folds else f"{n_held} of {n_folds} folds"
    title = (
        f"{told} of {result['dataset']}, pooled: {counts['live']} live and {counts['dead']} dead "
        f"patches from {counts['groups']} groups"
    )
    print_whole(metrics_table(result["pooled"], confidence=result["confidence"], title=title), console)
    header, rows = rows_of_folds(result["folds"])
    print_whole(table_of("Each fold", header, rows, n_left=0), console)
    for line in correlation_in_words(result["correlation"]):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for metric in headline_metrics():
        spread = result["spread"][metric.name]
        if spread["sd"] is not None:
            console.print(f"{metric.words} over folds: {spread_text(spread)}", highlight=False)
    for choice in result["choices"]:
        told = ", ".join(f"{name} {number_text(value)}" for name, value in choice["values"].items())
        words = f"fold {choice['fold']} chose {choice['chosen']} by inner {METRICS[choice['by']].words}: {told}"
        console.print(words, highlight=False, markup=False, soft_wrap=True)
    print_comparisons(result, console)
    for note in result["notes"]:
        console.print(f"note: {note}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    console.print(f"scores and metrics are in {folder}", highlight=False, markup=False, soft_wrap=True)
    first = folder / f"fold_{result['folds_held'][0]}"
    if (first / BEST).is_file():
        console.print(next_command(first), highlight=False, markup=False, soft_wrap=True)
