"""Is one model better than another on the same patches? ``python -m jimt.compare RUN RUN``, paired over groups."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.analysis.intervals import interval_over_groups
from jimt.analysis.resampling import draw_groups, resample
from jimt.analysis.weighted_metrics import METRICS, Floats, Weights
from jimt.errors import InputError
from jimt.evaluate import read_scores as read_scores_file

_KEYS = ["raw_image_id", "y", "x"]


def read_scores(folder: Path) -> pd.DataFrame:
    """Scores of a run's test split or of a cross-validation; ``fold`` is 0 throughout for a single run.

    Raises:
        InputError: If the folder holds neither.
    """
    for name in ("scores.csv", "test_scores.csv"):
        path = folder / name
        if path.is_file():
            table = read_scores_file(path)
            return table if "fold" in table else table.assign(fold=0)
    raise InputError(f"{folder} holds neither test_scores.csv nor scores.csv: give a finished run or cross-validation")


def compare(first: Path, second: Path, *, n_resamples: int, confidence: float, seed: int) -> dict[str, Any]:
    """Differences of metrics, second minus first, with intervals that resample whole groups for both at once.

    Args:
        first: Folder of a run or of a cross-validation.
        second: Likewise, of the same patches.
        n_resamples: Draws of the bootstrap.
        confidence: Coverage wanted.
        seed: Seed of the draws.

    Returns:
        For ``auroc`` (pooled), ``mean_fold_auroc`` and ``balanced_accuracy``: both values, the difference and its
        interval; and the counts.

    Raises:
        InputError: If the two are not of the same patches with the same labels.
    """
    one, two = read_scores(first), read_scores(second)
    both = one.merge(two, on=_KEYS, suffixes=("_1", "_2"), validate="one_to_one")
    if len(both) != len(one) or len(both) != len(two) or (both["label_1"] != both["label_2"]).any():
        raise InputError(
            f"{first} and {second} were not tested on the same patches with the same labels ({len(one)} and {len(two)} "
            f"patches, {len(both)} in common): give runs of the same curated data set and split"
        )
    if both["group_1"].isna().any():
        raise InputError("nothing tells which raw image a patch was cut from: there are no groups to resample")
    labels, folds = both["label_1"].to_numpy(np.int64), both["fold_1"].to_numpy()
    scores = [both[f"score_{i}"].to_numpy(np.float64) for i in (1, 2)]
    draws = draw_groups(labels, both["group_1"].to_numpy(object), n_resamples=n_resamples, seed=seed)

    def of_both(weights: Weights) -> dict[str, Floats]:
        one, two = (_metrics(labels, each, folds, weights) for each in scores)
        return {name: two[name] - one[name] for name in one}

    once = np.ones((1, len(labels)))
    values = [_metrics(labels, each, folds, once) for each in scores]
    resampled = {} if draws is None else resample(lambda weights: of_both(weights[:, draws.of_patch]), draws)
    result: dict[str, Any] = {
        "patches": len(both),
        "groups": int(both["group_1"].nunique()),
        "folds": len(np.unique(folds)),
    }
    for name in values[0]:
        first_value, second_value = (float(value[name][0]) for value in values)
        interval = None
        if draws is not None:
            interval = interval_over_groups(resampled[name], draws.stratum, confidence=confidence, bounds=(-1, 1))
        result[name] = {
            "first": first_value,
            "second": second_value,
            "difference": second_value - first_value,
            "interval_groups": interval,
        }
    return result


def _metrics(labels: NDArray[np.int64], scores: Floats, folds: NDArray[Any], weights: Weights) -> dict[str, Floats]:
    auroc = METRICS["auroc"]
    of_folds = np.array(
        [auroc(labels[folds == k], scores[folds == k], weights[:, folds == k]) for k in np.unique(folds)]
    )
    counted = np.isfinite(of_folds)  # a fold may hold one class, and so may its share of a draw
    mean = np.where(counted, of_folds, 0).sum(0) / np.maximum(1, counted.sum(0))
    return {
        "auroc": auroc(labels, scores, weights),
        "mean_fold_auroc": np.where(counted.any(0), mean, np.nan),
        "balanced_accuracy": METRICS["balanced_accuracy"](labels, scores, weights),
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``python -m jimt.compare``."""
    parser = argparse.ArgumentParser(
        prog="python -m jimt.compare", description="Compare two runs or cross-validations on the same patches."
    )
    parser.add_argument("first", type=Path, metavar="RUN")
    parser.add_argument("second", type=Path, metavar="RUN")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the result here as well")
    options = parser.parse_args(arguments)
    from rich.console import Console
    from rich.table import Table

    try:
        result = compare(
            options.first,
            options.second,
            n_resamples=options.resamples,
            confidence=options.confidence,
            seed=options.seed,
        )
    except InputError as error:
        sys.exit(f"error: {error}")
    table = Table(
        title=f"{result['patches']} patches, {result['groups']} groups", title_justify="left", title_style="bold"
    )
    percent = f"{100 * options.confidence:g} % over groups"
    for column in ("metric", "first", "second", "second - first", percent):
        table.add_column(column, justify="left" if column == "metric" else "right")
    for name in ("auroc", "mean_fold_auroc", "balanced_accuracy"):
        row = result[name]
        interval = row["interval_groups"]
        told = "-" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"
        table.add_row(name, f"{row['first']:.3f}", f"{row['second']:.3f}", f"{row['difference']:+.3f}", told)
    Console().print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
