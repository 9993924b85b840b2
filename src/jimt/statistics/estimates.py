"""A metric's value with its two intervals: over groups, and the paper's over patches."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.intervals import (
    Interval,
    calibration_interval,
    interval_of_mean,
    interval_over_groups,
    interval_over_patches,
)
from jimt.statistics.metrics import CALIBRATION_ERROR, METRICS, Metric, grouped_patches, resampled_metrics
from jimt.statistics.resampling import MIN_GROUPS, group_numbers, jackknife, resample_groups
from jimt.statistics.weighted_patches import ScoredPatches
from jimt.statistics.within import pairs_within
from jimt.vocabulary import LABEL_NAMES

_RESAMPLES_OF_NOISE: Final = 2000
"""Enough that the 97.5th percentile of a calibration error's noise is known to a few per cent of itself."""


@dataclass(frozen=True)
class Estimate:
    """A metric and its intervals.

    Attributes:
        value: NaN where a class it needs is absent.
        interval_groups: None where it cannot be had; ``note`` says why.
        interval_patches: None where no formula gives one (``intervals.py``).
        note: Why there is no interval over groups.
    """

    value: float
    interval_groups: Interval | None
    interval_patches: Interval | None
    note: str | None


def estimates(
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    groups: NDArray[np.object_] | None,
    raw_images: NDArray[np.object_] | None = None,
    *,
    names: Collection[str],
    confidence: float,
    seed: int,
) -> dict[str, Estimate]:
    """Metrics with both intervals.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        groups: Group of each patch, likewise; None where nothing is known of them.
        raw_images: Raw image of each patch, likewise.
        names: Which of ``METRICS``.
        confidence: Coverage wanted, such as 0.95.
        seed: Of the resamples that tell the noise of a calibration error; nothing else is random.
    """
    values = {name: METRICS[name].value(labels, scores, groups, raw_images) for name in names}
    reasons = {name: _why_not(METRICS[name], values[name], labels, groups, raw_images) for name in names}
    over_groups: dict[str, Interval | None] = {}
    asked = [name for name in names if reasons[name] is None]
    if groups is not None and asked:
        patches = grouped_patches(labels, scores, groups, raw_images)
        found = jackknife(lambda weights: resampled_metrics(patches, asked, weights), groups)
        assert found is not None  # a reason stands where there are too few groups
        for name in asked:
            if name == CALIBRATION_ERROR:
                noise = _calibration_noise(labels, scores, groups, seed=seed)
                over_groups[name] = calibration_interval(found[name], noise, confidence=confidence)
            else:
                bounds = METRICS[name].bounds
                over_groups[name] = interval_over_groups(found[name], confidence=confidence, bounds=bounds)
            if over_groups[name] is None:
                reasons[name] = "it is the same whichever group is left out, so they do not tell how far it is off"
    return {
        name: Estimate(
            values[name],
            over_groups.get(name),
            _over_patches(METRICS[name], values[name], labels, scores, confidence=confidence),
            reasons[name],
        )
        for name in names
    }


def _calibration_noise(
    labels: NDArray[np.int64], scores: NDArray[np.float64], groups: NDArray[np.object_], *, seed: int
) -> NDArray[np.float64]:
    numbers = numbers_by_content(labels, scores, groups)
    resamples = resample_groups(numbers.astype(object), n_resamples=_RESAMPLES_OF_NOISE, seed=seed)
    assert resamples is not None  # a reason stands where there are too few groups
    patches = ScoredPatches(labels, scores, resamples.patch_groups)
    return patches.calibration_noise(resamples.scaled(resamples.counts))


def numbers_by_content(
    labels: NDArray[np.int64], scores: NDArray[np.float64], groups: NDArray[np.object_]
) -> NDArray[np.intp]:
    """Number of each patch's group in an order that comes from what the groups hold, not from what they are called.

    What is resampled by number is then the same for any names. Groups that hold the same share a place in the order.

    >>> numbers_by_content(np.array([1, 0, 0]), np.array([0.9, 0.2, 0.1]), np.array(["b", "a", "b"], object))
    array([0, 1, 0])
    """
    numbers = group_numbers(groups)
    held = []
    for number in range(int(numbers.max(initial=-1)) + 1):
        here = numbers == number
        order = np.lexsort((labels[here], scores[here]))
        held.append((scores[here][order].tolist(), labels[here][order].tolist()))
    rank = np.empty(len(held), np.intp)
    rank[sorted(range(len(held)), key=held.__getitem__)] = np.arange(len(held))
    return np.asarray(rank[numbers])


def _why_not(
    metric: Metric,
    value: float,
    labels: NDArray[np.int64],
    groups: NDArray[np.object_] | None,
    raw_images: NDArray[np.object_] | None,
) -> str | None:
    """Why there can be no value, or no interval over groups, as far as the groups' number and classes tell."""
    if groups is None and (metric.within or np.isfinite(value)):
        return "nothing tells which group a patch is of"
    if not np.isfinite(value):
        return "a class it needs is absent" if metric.within is None else f"no {metric.within} holds both classes"
    assert groups is not None
    parts = {"": groups}
    if metric.within is None:
        parts |= {f" with {LABEL_NAMES[label]} patches": groups[labels == label] for label in metric.classes}
    else:
        strata = groups if metric.within == "group" else raw_images
        assert strata is not None  # else there is no value
        numbers = group_numbers(strata)
        holds_both = pairs_within(labels, np.zeros(len(labels)), numbers).has_both
        words = "" if metric.within == "group" else f" in a {metric.within}"
        parts[f" with live and dead patches{words}"] = groups[holds_both[numbers]]
    for words, part in parts.items():
        n = len(np.unique(part.astype(str)))
        if n < MIN_GROUPS:
            return f"{n} group{'s' * (n != 1)}{words}: too few for an interval"
    return None


def _over_patches(
    metric: Metric, value: float, labels: NDArray[np.int64], scores: NDArray[np.float64], *, confidence: float
) -> Interval | None:
    if not np.isfinite(value):
        return None
    if metric.is_proportion:
        return interval_over_patches(value, int(np.isin(labels, metric.classes).sum()), confidence=confidence)
    if metric.patch_values is not None:
        return interval_of_mean(metric.patch_values(labels, scores), confidence=confidence)
    return None
