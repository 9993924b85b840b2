"""Is one model better than another on the same patches? ``jimt compare RUN_1 RUN_2``, paired over groups."""

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from jimt.config.checks import check_confidence
from jimt.errors import InputError, writing
from jimt.evaluation import scores as score_files
from jimt.statistics.intervals import interval_notes, interval_over_groups
from jimt.statistics.metrics import METRICS, headline_metrics, resampled_metrics
from jimt.statistics.resampling import MIN_GROUPS, group_numbers, jackknife
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.statistics.weighted_patches import Floats, ScoredPatches, Weights
from jimt.system.files import CROSSVAL_SCORES, SCORES_FILE
from jimt.system.run_folders import refuse_several
from jimt.system.screen import print_whole, table_of
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

_FOLD_MEAN = "mean_fold_auroc"


def compare(first: Path, second: Path, *, confidence: float) -> dict[str, Any]:
    """Differences of metrics, second minus first, with intervals over groups, of both at once.

    Args:
        first: Folder of a run or of a cross-validation.
        second: Likewise, of the same patches.
        confidence: Coverage wanted.

    Returns:
        For each headline metric (pooled) and ``mean_fold_auroc``: both values, the difference and its interval, None
        where they cannot be had; the counts; and notes. A mean over folds is that of each one's own folds, and no
        difference is given where these are not the same.

    Raises:
        InputError: If the two are not of the same patches with the same labels and groups, or no interval can have
            that coverage.
    """
    check_confidence("confidence", confidence)
    both = pair_scores(first, second)
    labels = both["label_1"].to_numpy(np.int64)
    scores = [both[f"score_{i}"].to_numpy(np.float64) for i in (1, 2)]
    folds = [both[f"fold_{i}"].to_numpy(np.int64) for i in (1, 2)]
    n_folds = [len(np.unique(each)) for each in folds]
    bounds = {metric.name: metric.bounds for metric in headline_metrics()} | {_FOLD_MEAN: METRICS["auroc"].bounds}
    paired = list(bounds)
    notes = []
    if not same_parts(both["fold_1"], both["fold_2"]):
        paired.remove(_FOLD_MEAN)
        notes.append(
            f"the two have different folds ({n_folds[0]} and {n_folds[1]}), so their means over folds are each of its "
            "own, and no difference of them is given"
        )
    groups = both["group_1"].to_numpy(object)
    notes += interval_notes(labels, groups, sample="the test split" if n_folds == [1, 1] else "the data set")
    enough = min(len(set(groups[labels == label])) for label in (LIVE, DEAD)) >= MIN_GROUPS
    raw_images = both["raw_image_id" if "raw_image_id" in both else "raw_image_id_1"].to_numpy(object)
    numbers, images = group_numbers(groups), group_numbers(raw_images)
    models = [
        [ScoredPatches(labels[part], score[part], numbers[part], images[part]) for part in _parts(fold)]
        for score, fold in zip(scores, folds, strict=True)
    ]

    def differences(weights: Weights) -> dict[str, Floats]:
        one, two = (_metrics(model, weights) for model in models)
        return {name: two[name] - one[name] for name in paired}

    values = [_metrics(model, np.ones((1, int(numbers.max()) + 1))) for model in models]
    over_groups = jackknife(differences, groups)
    result: dict[str, Any] = {
        "patches": len(both),
        "groups": int(both["group_1"].nunique()),
        "folds": n_folds,
        "notes": notes,
    }
    for name, (low, high) in bounds.items():
        first_value, second_value = (float(v) if np.isfinite(v) else None for v in (each[name][0] for each in values))
        difference = interval = None
        if name in paired and first_value is not None and second_value is not None:
            difference = second_value - first_value
            if over_groups is not None and enough:
                limits = (low - high, high - low)
                interval = interval_over_groups(over_groups[name], confidence=confidence, bounds=limits)
        result[name] = {
            "first": first_value,
            "second": second_value,
            "difference": difference,
            "interval_groups": interval,
        }
    for label in (LIVE, DEAD):
        if not (labels == label).any():
            notes.append(f"no patch is {LABEL_NAMES[label]}, and one class alone has none of these metrics")
    return result


def _parts(folds: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """All patches, then those of each fold."""
    return [np.ones(len(folds), np.bool_), *(folds == fold for fold in np.unique(folds))]


def _metrics(parts: list[ScoredPatches], weights: Weights) -> dict[str, Floats]:
    """Metrics of the first part, all patches, and the mean AUROC of the others, the folds."""
    whole, *folds = parts
    areas = np.array([resampled_metrics(fold, ["auroc"], weights[:, : fold.n_units])["auroc"] for fold in folds])
    counted = np.isfinite(areas)  # a fold may hold one class, and so may its share of a resample
    mean = np.where(counted, areas, 0).sum(0) / np.maximum(1, counted.sum(0))
    pooled = resampled_metrics(whole, [metric.name for metric in headline_metrics()], weights)
    return pooled | {_FOLD_MEAN: np.where(counted.any(0), mean, np.nan)}


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt compare``."""
    parser = argparse.ArgumentParser(
        prog="jimt compare", description="Compare two runs or cross-validations on the same patches."
    )
    parser.add_argument("first", type=Path, metavar="RUN")
    parser.add_argument("second", type=Path, metavar="RUN")
    parser.add_argument("--confidence", type=float, default=0.95, help="coverage of the intervals, 0.5 to below 1")
    parser.add_argument("--json", type=Path, help="write the result here as well")
    options = parser.parse_args(arguments)
    try:
        result = compare(options.first, options.second, confidence=options.confidence)
    except InputError as error:
        sys.exit(f"error: {error}")
    words = {metric.name: metric.words for metric in headline_metrics()}
    if result["folds"] != [1, 1]:  # of runs without folds it is their AUROC again
        words[_FOLD_MEAN] = "mean AUROC of folds"
    rows = [
        [
            metric,
            number_text(result[name]["first"]),
            number_text(result[name]["second"]),
            number_text(result[name]["difference"], signed=True),
            interval_text(result[name]["interval_groups"], signed=True),
        ]
        for name, metric in words.items()
    ]
    header = ["metric", "first", "second", "second - first", f"{percent_text(options.confidence)} over groups"]
    table = table_of(f"{result['patches']} patches, {result['groups']} groups", header, rows)
    console = Console()
    print_whole(table, console)
    for note in result["notes"]:
        console.print(f"note: {note}", style="bold red", highlight=False, markup=False, soft_wrap=True)
    if options.json is not None:
        try:
            with writing(options.json, advice="name another file"):
                options.json.parent.mkdir(parents=True, exist_ok=True)
                options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        except InputError as error:
            sys.exit(f"error: {error}")


def read_scores(folder: Path) -> pd.DataFrame:
    """Scores of a run's test split or of a cross-validation; ``fold`` is 0 throughout for a single run.

    Raises:
        InputError: If the folder holds neither, or what it holds names no patch.
    """
    ways_out: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        (CROSSVAL_SCORES, "run the cross-validation again", ()),
        (SCORES_FILE, "", (_evaluate_again(folder),)),
    )
    for name, advice, remedies in ways_out:
        path = folder / name
        if path.is_file():
            table = score_files.read_scores(path)
            missing = [column for column in score_files.SCORE_COLUMNS if column not in table]
            if missing:
                raise InputError(f"{path} lacks the column {', '.join(missing)}", advice=advice, remedies=remedies)
            return table if "fold" in table else table.assign(fold=0)
    refuse_several(folder)
    raise InputError(
        f"{folder} holds neither test_scores.csv nor scores.csv", advice="give a finished run or cross-validation"
    )


def _evaluate_again(folder: Path) -> str:
    return f"jimt evaluate {shlex.quote(str(folder))}"


def _keys(table: pd.DataFrame) -> list[str]:
    """What tells the patches of a table apart: where they were cut, or the file of one that came cut."""
    return ["file"] if table["y"].isna().any() else ["raw_image_id", "y", "x"]


def pair_scores(first: Path, second: Path) -> pd.DataFrame:
    """The patches of two runs or cross-validations, one row each, columns of the two by the suffixes ``_1`` and ``_2``.

    Raises:
        InputError: If the two are not of the same patches with the same labels and groups.
    """
    if first.resolve() == second.resolve():
        raise InputError(f"{first} is given twice, and differs in nothing from itself", advice="give two folders")
    one, two = read_scores(first), read_scores(second)
    for folder, table in ((first, one), (second, two)):
        twice = int(table.duplicated(_keys(table)).sum())
        if twice:
            raise InputError(f"{folder} holds the score of {twice} patches twice", remedies=(_evaluate_again(folder),))
    keys = _keys(one)
    both = one.merge(two, on=keys, suffixes=("_1", "_2")) if keys == _keys(two) else one.iloc[:0]
    if len(both) != len(one) or len(both) != len(two):
        raise InputError(
            f"{first} and {second} were not tested on the same patches ({len(one)} and {len(two)} "
            f"patches, {len(both)} in common)",
            advice="give runs of the same curated data set and split, or cross-validations of it",
        )
    differing = int((both["label_1"] != both["label_2"]).sum())
    if differing:
        raise InputError(
            f"{first} and {second} were not tested on the same labels ({differing} of {len(both)} patches differ)",
            advice="give runs of data sets curated with the same curation.label",
        )
    if both[["group_1", "group_2"]].isna().any(axis=None):
        raise InputError(
            "nothing tells which raw image a patch was cut from, so there are no groups to give an interval over",
            advice="set dataset.pattern, curate and train both again",
        )
    if not same_parts(both["group_1"], both["group_2"]):
        raise InputError(
            f"{first} and {second} have patches in different groups, so no interval over groups is of both",
            advice="curate both with the same dataset.pattern",
        )
    return both


def same_parts(one: pd.Series, two: pd.Series) -> bool:
    """Whether two columns divide the rows into the same parts, whatever these are called."""
    n_parts = len(pd.DataFrame({"one": one, "two": two}).drop_duplicates())
    return n_parts == one.nunique() == two.nunique()
