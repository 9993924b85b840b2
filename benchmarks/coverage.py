"""How often 95 % intervals hold the truth, where the make-up of the groups is drawn as it is in a laboratory.

    python benchmarks/coverage.py                        # simulated groups, some minutes on one core
    python benchmarks/coverage.py --scores scores.csv    # groups drawn from those of a cross-validation
    python benchmarks/coverage.py --data-sets 500 --jobs 2

Simulated: a group is all live, all dead or mixed with equal chance, a mixed one has any share of live patches with
equal chance, and 5 to 35 patches. A patch's quality is normal, of which a share (the intraclass correlation, ICC) is
its group's; a live patch scores by it and a dead one against it. So over groups without end balanced accuracy and AUROC
are those of the paper's Inception-v3, whatever the ICC. From scores: as many groups as asked for are drawn with
replacement from those of the file, and the truth is the metric of the whole file.

Expected, in per cent, with the Monte-Carlo standard error; over patches: the paper's formula:

                              balanced accuracy                 AUROC            no
                            over groups   patches       over groups   patches    interval
    20 groups, ICC 0         95.3 (0.5)      93.8        95.9 (0.4)      95.9           0
    20 groups, ICC 0.1       95.5 (0.5)      82.3        95.9 (0.4)      80.5           0
    20 groups, ICC 0.3       95.4 (0.5)      63.5        94.8 (0.5)      60.0           0
    40 groups, ICC 0         96.2 (0.4)      95.2        95.8 (0.5)      96.6           0
    40 groups, ICC 0.1       95.3 (0.5)      83.1        95.3 (0.5)      81.0           0
    40 groups, ICC 0.3       95.5 (0.5)      64.6        95.0 (0.5)      59.7           0
    80 groups, ICC 0         95.7 (0.5)      95.2        95.5 (0.5)      96.2           0
    80 groups, ICC 0.1       95.5 (0.5)      84.8        95.6 (0.5)      82.7           0
    80 groups, ICC 0.3       95.7 (0.5)      65.6        94.9 (0.5)      62.0           0

and of the scores of `jimt crossval experiment=frozen_tiles curation.empty_filter.enabled=false` on mcf7:

    20 drawn of 19           97.2 (0.4)      55.7        97.5 (0.3)      60.0           0
    40 drawn of 19           96.0 (0.4)      55.5        96.5 (0.4)      58.8           0
    80 drawn of 19           95.0 (0.5)      55.8        95.8 (0.4)      61.5           0
"""

import argparse
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process has one core

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from jimt.evaluation.scores import read_scores
from jimt.statistics.estimates import estimates
from jimt.statistics.metrics import METRICS

BALANCED_ACCURACY = 0.866  # the paper's, of Inception-v3 without treatment; it gives the paper's AUROC, 0.941, too
MEAN_QUALITY = norm.ppf(BALANCED_ACCURACY)
TRUTH = {"balanced_accuracy": BALANCED_ACCURACY, "auroc": float(norm.cdf(np.sqrt(2) * MEAN_QUALITY))}
Patches = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.intp]]


def simulate(rng: np.random.Generator, *, n_groups: int, icc: float) -> Patches:
    """Labels, scores and groups of a data set whose groups are drawn."""
    share = np.array([1, 0, np.nan])[rng.integers(0, 3, n_groups)]
    share = np.where(np.isnan(share), rng.random(n_groups), share)
    groups = np.repeat(np.arange(n_groups), rng.integers(5, 36, n_groups))
    labels = (rng.random(len(groups)) < share[groups]).astype(np.int64)
    of_group, own = rng.normal(size=n_groups)[groups], rng.normal(size=len(groups))
    quality = MEAN_QUALITY + np.sqrt(icc) * of_group + np.sqrt(1 - icc) * own
    return labels, expit(2 * MEAN_QUALITY * np.where(labels == 1, quality, -quality)), groups


def draw(rng: np.random.Generator, *, population: Patches, n_groups: int) -> Patches:
    """Groups of a population drawn with replacement, each as a group of its own."""
    labels, scores, groups = population
    members = [np.flatnonzero(groups == group) for group in rng.choice(np.unique(groups), n_groups)]
    rows = np.concatenate(members)
    return labels[rows], scores[rows], np.repeat(np.arange(n_groups), [len(rows) for rows in members])


def count(
    seeds: range, make: Callable[[np.random.Generator], Patches], truth: dict[str, float]
) -> dict[str, NDArray[np.int64]]:
    """Of data sets with these seeds: how many intervals over groups hold the truth, over patches do, and are absent."""
    counts = {name: np.zeros(3, np.int64) for name in truth}
    for seed in seeds:
        labels, scores, groups = make(np.random.default_rng(seed))
        found = estimates(labels, scores, groups.astype(object), names=truth, confidence=0.95, seed=seed)
        for name, value in truth.items():
            both = (found[name].interval_groups, found[name].interval_patches)
            held = [interval is not None and interval[0] <= value <= interval[1] for interval in both]
            counts[name] += *held, both[0] is None
    return counts


def cases(scores: Path | None) -> Iterator[tuple[str, Callable[[np.random.Generator], Patches], dict[str, float]]]:
    """Each row of the table: its name, how a data set is made, and the truth."""
    if scores is None:
        for n_groups in (20, 40, 80):
            for icc in (0.0, 0.1, 0.3):
                yield f"{n_groups} groups, ICC {icc:g}", partial(simulate, n_groups=n_groups, icc=icc), TRUTH
        return
    table = read_scores(scores)
    groups = np.unique(table["group"], return_inverse=True)[1]
    population = table["label"].to_numpy(np.int64), table["score"].to_numpy(np.float64), groups
    truth = {name: METRICS[name].value(*population[:2]) for name in TRUTH}
    for n_groups in (20, 40, 80):
        yield f"{n_groups} drawn of {groups.max() + 1}", partial(draw, population=population, n_groups=n_groups), truth


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How often intervals hold the truth.")
    parser.add_argument("--data-sets", type=int, default=2000)
    parser.add_argument("--scores", type=Path, help="scores.csv of a cross-validation")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    n = options.data_sets
    print(f"{n} data sets a row; per cent that hold the truth (standard error); over patches: the paper's formula")
    print(f"{'':21}{'balanced accuracy':^28}{'AUROC':^28}{'no'}")
    columns = f"{'over groups':>14}{'patches':>10}    "
    print(f"{'':21}{columns}{columns}interval")
    with ProcessPoolExecutor(options.jobs) as pool:
        for name, make, truth in cases(options.scores):
            parts = [range(i, n, options.jobs) for i in range(options.jobs)]
            counts = list(pool.map(count, parts, [make] * options.jobs, [truth] * options.jobs))
            line, absent = f"{name:21}", 0
            for metric in truth:
                over_groups, over_patches, without = np.sum([part[metric] for part in counts], axis=0)
                share = over_groups / n
                error = f"{100 * share:.1f} ({100 * np.sqrt(share * (1 - share) / n):.1f})"
                line += f"{error:>14}{100 * over_patches / n:>10.1f}    "
                absent = max(absent, without)
            print(f"{line}{absent:>8}", flush=True)


if __name__ == "__main__":
    main()
