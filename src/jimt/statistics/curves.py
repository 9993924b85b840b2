"""ROC and precision-recall curves with a band over groups, calibration in bins, and metrics group by group."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, roc_curve

from jimt.statistics.intervals import Interval
from jimt.statistics.resampling import resample_groups
from jimt.statistics.weighted_patches import Floats, is_right
from jimt.vocabulary import DEAD, LIVE

GRID = np.linspace(0, 1, 101)
"""Where bands are given."""
_ROUNDING = 1e-9
_AT_ONCE = 2**22


@dataclass(frozen=True)
class Curve:
    """A curve through all thresholds.

    Attributes:
        x: Dead patches called live as a share of all dead ones (ROC), or recall of live; shape ``(n_points,)``.
        y: Recall of live (ROC), or precision of live; likewise.
        band: Lower and upper edge where x is ``GRID``, shape ``(2, 101)``; None where there are too few groups.
        n_without_class: Resamples that hold one class only, which have no curve and do not count in the band.
    """

    x: Floats
    y: Floats
    band: Floats | None
    n_without_class: int


def curve(
    kind: Literal["roc", "precision_recall"],
    labels: NDArray[np.int64],
    scores: Floats,
    groups: NDArray[np.object_] | None,
    *,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> Curve:
    """A curve of P(live), and a pointwise band of a bootstrap over groups.

    Args:
        kind: ROC, or precision of live against its recall.
        labels: Live 1, dead 0, both present, shape ``(n_patches,)``.
        scores: P(live), likewise.
        groups: Group of each, likewise; None for no band.
        n_resamples: Resamples of the groups.
        confidence: Share of the resamples within the band at each point.
        seed: Of the resampling.
    """
    if kind == "roc":
        x, y, _ = roc_curve(labels, scores, pos_label=LIVE)
    else:
        precision, recall, _ = precision_recall_curve(labels, scores, pos_label=LIVE)
        x, y = recall[::-1], precision[::-1]
    resamples = None if groups is None else resample_groups(groups, n_resamples=n_resamples, seed=seed)
    if resamples is None:
        return Curve(x, y, None, 0)
    order = np.argsort(-scores, kind="stable")
    last_of_score = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    patch_groups, live = resamples.patch_groups[order], labels[order] == LIVE
    curves = []
    step = max(1, _AT_ONCE // len(order))
    for start in range(0, n_resamples, step):
        weights = resamples.scaled(resamples.counts[start : start + step])[:, patch_groups]
        true_live, false_live = (np.cumsum(weights * chosen, axis=1)[:, last_of_score] for chosen in (live, ~live))
        for true, false in zip(true_live, false_live, strict=True):
            if true[-1] == 0 or false[-1] == 0:
                continue  # a resample that lacks a class has no curve
            if kind == "precision_recall":
                share = np.divide(true, true + false, out=np.ones_like(true), where=true + false > 0)
                reached = np.searchsorted(true / true[-1], GRID - _ROUNDING)  # first score with at least this recall
                curves.append(share[reached])
            else:
                curves.append(np.interp(GRID, np.append(0, false / false[-1]), np.append(0, true / true[-1])))
    lacking = n_resamples - len(curves)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    return Curve(x, y, np.quantile(curves, ends, axis=0) if len(curves) > 1 else None, lacking)


@dataclass(frozen=True)
class Calibration:
    """P(live) in bins against the share that is live; arrays of shape ``(n_bins,)``, empty bins left out."""

    mean_score: Floats
    share_live: Floats
    low: Floats
    high: Floats
    counts: NDArray[np.int64]


def calibration(labels: NDArray[np.int64], scores: Floats, *, n_bins: int, confidence: float) -> Calibration:
    """Share of live patches in equal bins of P(live), with Wilson's interval over patches.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        n_bins: Bins from 0 to 1.
        confidence: Coverage, if patches were independent.

    >>> found = calibration(np.array([1, 0, 1, 1]), np.array([0.1, 0.2, 0.9, 1.0]), n_bins=2, confidence=0.95)
    >>> found.mean_score.round(2).tolist(), found.share_live.tolist(), found.counts.tolist()
    ([0.15, 0.95], [0.5, 1.0], [2, 2])
    """
    bins = np.minimum((scores * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    live = np.bincount(bins, labels == LIVE, minlength=n_bins)
    total = np.bincount(bins, scores, minlength=n_bins)
    kept = counts > 0
    limits = np.array([wilson(int(k), int(n), confidence=confidence) for k, n in zip(live, counts, strict=True) if n])
    return Calibration(
        total[kept] / counts[kept], live[kept] / counts[kept], limits[:, 0], limits[:, 1], counts[kept].astype(np.int64)
    )


def wilson(k: int, n: int, *, confidence: float) -> Interval:
    """Wilson's interval of ``k`` of ``n`` independent patches, which does not shrink to nothing at 0 and 1.

    >>> low, high = wilson(10, 10, confidence=0.95)
    >>> f"{low:.3f} to {high:.3f}"
    '0.722 to 1.000'
    """
    interval = binomtest(k, n).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def accuracy_by_unit(
    labels: NDArray[np.int64], scores: Floats, units: NDArray[np.object_], *, confidence: float
) -> pd.DataFrame:
    """Balanced accuracy of each raw image or group; where it holds one class, the recall of that class.

    The interval is over its patches (of two recalls by Newcombe's method from Wilson's limits), so it is too narrow:
    the patches of a raw image overlap.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        units: Raw image or group of each, likewise.
        confidence: Coverage, if patches were independent.

    Returns:
        A row for each unit: ``unit``, ``accuracy``, ``low``, ``high``, ``live``, ``dead`` (patches), worst first.

    >>> units = np.array(["A1", "A1", "B2", "B2"], object)
    >>> table = accuracy_by_unit(np.array([1, 1, 1, 0]), np.array([0.9, 0.8, 0.9, 0.6]), units, confidence=0.95)
    >>> table[["unit", "accuracy", "live", "dead"]].values.tolist()
    [['B2', 0.5, 1, 1], ['A1', 1.0, 2, 0]]
    """
    names, numbers = np.unique(units.astype(str), return_inverse=True)
    right = is_right(labels, scores)
    rows = []
    for number, name in enumerate(names):
        here = numbers == number
        counts = {label: int((here & (labels == label)).sum()) for label in (LIVE, DEAD)}
        recalls = [int((here & right & (labels == label)).sum()) / n for label, n in counts.items() if n]
        limits = [
            wilson(int((here & right & (labels == label)).sum()), n, confidence=confidence)
            for label, n in counts.items()
            if n
        ]
        value = float(np.mean(recalls))
        below, above = (
            float(np.sqrt(sum((recall - limit[side]) ** 2 for recall, limit in zip(recalls, limits, strict=True))))
            / len(recalls)
            for side in (0, 1)
        )
        rows.append((name, value, value - below, value + above, counts[LIVE], counts[DEAD]))
    table = pd.DataFrame(rows, columns=["unit", "accuracy", "low", "high", "live", "dead"])
    return table.sort_values(["accuracy", "unit"], kind="stable", ignore_index=True)
