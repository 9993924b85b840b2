"""Rows of numbers made of scores: the bootstrap and reports; and the tests."""

import re
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics
from speed_measuring import REPOSITORY, Row, Suite, clocked, in_turn, median_of, process, ratios_of, simulated

from jimt.statistics.metrics import METRICS, grouped_patches, resampled_metrics
from jimt.statistics.resampling import resample_groups

REPORT_OF_FOLDS = """
import sys
from pathlib import Path
from jimt.report.write import write_report
write_report(Path(sys.argv[1]), maps=Path(sys.argv[2]))
"""
"""As a cross-validation writes it, whose maps of whole fields are there still."""
N_PATCHES, N_GROUPS, N_RESAMPLES = 5000, 60, 2000
Scored = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_]]


def scored(n: int, n_groups: int) -> Scored:
    """Labels, scores and groups drawn at random."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, n)
    scores = 1 / (1 + np.exp(-(labels - 0.5 + random.normal(0, 1, n))))
    return labels, scores, np.array([f"W{group}" for group in random.integers(0, n_groups, n)], object)


def bootstrap(of: Scored, n_resamples: int) -> None:
    """All metrics of resampled groups."""
    labels, scores, groups = of
    resamples = resample_groups(groups, n_resamples=n_resamples, seed=0)
    assert resamples is not None
    names = [name for name, metric in METRICS.items() if metric.within != "raw image"]
    resampled_metrics(grouped_patches(labels, scores, groups, None), names, resamples.scaled(resamples.counts))


def by_scikit_learn(of: Scored, n_resamples: int) -> None:
    """The same in a loop over resamples, without the metrics within groups, which scikit-learn has not."""
    labels, scores, groups = of
    random = np.random.default_rng(0)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    for _ in range(n_resamples):
        rows = np.concatenate([members[i] for i in random.integers(0, len(members), len(members) - 1)])
        label, score = labels[rows], scores[rows]
        said = score > 0.5
        metrics.balanced_accuracy_score(label, said)
        metrics.roc_auc_score(label, score)
        metrics.average_precision_score(label, score)
        metrics.brier_score_loss(label, score)
        for positive in (0, 1):
            metrics.recall_score(label, said, pos_label=positive)
            metrics.f1_score(label, said, pos_label=positive)


def bootstrap_rows(suite: Suite) -> list[Row]:
    """Row 11."""
    of = scored(N_PATCHES, N_GROUPS)
    n_loop = suite.sized(100, least=20)
    ours, theirs = in_turn(
        suite.repeats,
        clocked(partial(bootstrap, of, N_RESAMPLES)),
        lambda: clocked(partial(by_scikit_learn, of, n_loop))() * N_RESAMPLES / n_loop,
    )
    return [
        Row(
            11,
            f"bootstrap over groups, {N_RESAMPLES:,} resamples of {N_PATCHES:,} patches, all metrics",
            "scikit-learn in a loop",
            ">= 100",
            ratios_of(theirs, ours),
            f"{median_of(ours, 's')} against {median_of(theirs, 's')}",
            f"the loop is timed on {n_loop} resamples",
        )
    ]


def report_rows(suite: Suite) -> list[Row]:
    """Row 12: seconds of reports, of 5,000 patches beyond forward passes and of a cross-validation of 70 fields."""
    rows = []
    words = [str(REPOSITORY / "benchmarks" / "report.py"), "--folder", str(suite.folder / "report")]
    beyond = []
    for _ in range(suite.repeats):
        found = re.search(r"so ([\d.]+) s beyond", process(words).output)
        assert found is not None
        beyond.append(float(found[1]))
    rows.append(
        Row(
            12,
            "report of 5,000 test patches beyond forward passes, of 20 s",
            "20 s",
            "<= 1",
            tuple(each / 20 for each in beyond),
            median_of(beyond, "s"),
        )
    )
    folder = suite.folder / "crossval"
    data = simulated(suite, "seventy", wells=14, fields=5, height=560, width=672)
    if not (folder / "crossval.json").is_file():
        model = ["experiment=frozen_tiles", "backbone.weights=random", "report=false"]
        process(["-m", "jimt", "crossval", *data, *model, f"hydra.run.dir={folder}"], threads=suite.threads)
    seconds = []
    for _ in range(suite.repeats + 1):
        for path in (folder / "figures").glob("*"):
            path.unlink()
        words = ["-c", REPORT_OF_FOLDS, str(folder), str(suite.folder / "crossval_maps")]
        seconds.append(process(words, threads=suite.threads).seconds)
    seconds = seconds[1:]  # the first has the forward passes, as the cross-validation before it would have
    rows.append(
        Row(
            12,
            "report of a five-fold cross-validation of 70 fields, at its end",
            "30 s",
            "<= 1",
            tuple(each / 30 for each in seconds),
            median_of(seconds, "s"),
        )
    )
    return rows


def suite_rows(suite: Suite) -> list[Row]:
    """Row 13: the default tests, two at a time."""
    words = ["-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    ended = process(words, threads=1)
    told = ended.output.strip().splitlines()[-1]
    return [
        Row(
            13,
            "default tests, two at a time",
            "4 minutes",
            "<= 1",
            (ended.seconds / 240,),
            f"{ended.seconds:.0f} s",
            told,
        )
    ]
