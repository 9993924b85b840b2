"""Metrics of scored patches with two 95 % intervals: the paper's over patches, and one over groups.

Patches of one raw image overlap and share what made them live or dead, so the paper's normal approximation over patches
is too narrow; resampling whole groups is not.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Weights = NDArray[np.float64]
"""How often each patch counts, shape ``(n_resamples, n_patches)``."""
Metric = Callable[[NDArray[np.int64], NDArray[np.float64], Weights], NDArray[np.float64]]
"""(labels, scores, weights) to one value a resample, NaN where a class is absent."""

_AT_ONCE = 2**23  # resamples x patches held at a time: 64 MiB in float64


@dataclass(frozen=True)
class Estimate:
    """A metric and its intervals; an interval that cannot be had is None."""

    value: float
    interval_groups: tuple[float, float] | None
    interval_patches: tuple[float, float] | None


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def recall_live(labels: NDArray[np.int64], scores: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Share of live patches scored above 0.5."""
    live = labels == 1
    return _share(weights[:, live & (scores > 0.5)].sum(1), weights[:, live].sum(1))


def recall_dead(labels: NDArray[np.int64], scores: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Share of dead patches scored at most 0.5."""
    dead = labels == 0
    return _share(weights[:, dead & (scores <= 0.5)].sum(1), weights[:, dead].sum(1))


def balanced_accuracy(labels: NDArray[np.int64], scores: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Mean of the two recalls."""
    return (recall_live(labels, scores, weights) + recall_dead(labels, scores, weights)) / 2


def auroc(labels: NDArray[np.int64], scores: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    """Area under the ROC curve of P(live); ties count half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    live = np.add.reduceat(weights[:, order] * (labels[order] == 1), starts, axis=1)
    dead = np.add.reduceat(weights[:, order] * (labels[order] == 0), starts, axis=1)
    dead_below = np.cumsum(dead, axis=1) - dead / 2
    return _share((live * dead_below).sum(1), live.sum(1) * dead.sum(1))


OF_ONE_CLASS = {"recall_live": 1, "recall_dead": 0}
"""Metrics that are a share of the patches of one class."""

METRICS: dict[str, Metric] = {
    "balanced_accuracy": balanced_accuracy,
    "auroc": auroc,
    "recall_live": recall_live,
    "recall_dead": recall_dead,
}


def interval_over_patches(value: float, n_patches: int, *, confidence: float) -> tuple[float, float]:
    """The paper's interval: ``p +- z sqrt(p (1 - p) / n)``, with n the number of patches behind it; within 0 to 1."""
    half = float(norm.ppf((1 + confidence) / 2)) * float(np.sqrt(value * (1 - value) / n_patches))
    return max(0.0, value - half), min(1.0, value + half)


def interval_over_groups(
    metric: Metric,
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    groups: NDArray[np.object_],
    *,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float] | None:
    """Percentile bootstrap over whole groups.

    Args:
        metric: One of ``METRICS``.
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        groups: Group of each patch, likewise.
        n_resamples: Draws of as many groups as there are, with replacement.
        confidence: Coverage wanted, such as 0.95.
        seed: Seed of the draws.

    Returns:
        The interval, or None where there are fewer than three groups, or one class only.
    """
    names, of_patch = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < 3:
        return None
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_resamples)
    step = max(1, _AT_ONCE // len(labels))
    values = np.concatenate(
        [
            metric(labels, scores, draws[start : start + step, of_patch].astype(np.float64))
            for start in range(0, n_resamples, step)
        ]
    )
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def estimate(
    name: str,
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    groups: NDArray[np.object_] | None,
    *,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> Estimate:
    """A metric of ``METRICS`` by name, with both intervals; ``groups`` is None where nothing is known of them."""
    metric = METRICS[name]
    value = float(metric(labels, scores, np.ones((1, len(labels))))[0])
    if not np.isfinite(value):
        return Estimate(value, None, None)
    over_groups = None
    if groups is not None:
        over_groups = interval_over_groups(
            metric, labels, scores, groups, n_resamples=n_resamples, confidence=confidence, seed=seed
        )
    n_patches = int((labels == OF_ONE_CLASS[name]).sum()) if name in OF_ONE_CLASS else len(labels)
    return Estimate(value, over_groups, interval_over_patches(value, n_patches, confidence=confidence))
