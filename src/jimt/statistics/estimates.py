"""A metric's value with its two intervals: over groups, and the paper's over patches."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.intervals import (
    Interval,
    calibration_interval,
    interval_note,
    interval_notes,
    interval_of_mean,
    interval_over_groups,
    interval_over_patches,
)
from jimt.statistics.metrics import CALIBRATION_NOISE, METRICS, ScoredPatches
from jimt.statistics.resampling import MIN_GROUPS, draw_groups, group_numbers, jackknife
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

__all__ = ["METRICS", "Estimate", "estimates", "interval_note", "interval_notes"]

_OF_ONE_CLASS: Final = {"recall_live": LIVE, "recall_dead": DEAD}
_CALIBRATION: Final = "expected_calibration_error"
_OF_EITHER: Final = (_CALIBRATION, "brier")
"""Metrics that one class suffices for; all others but the recalls compare the two."""
_PAPER_FORMULA: Final = ("balanced_accuracy", "auroc", *_OF_ONE_CLASS)
_DRAWS_OF_NOISE: Final = 2000
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
        names: Which of ``METRICS``.
        confidence: Coverage wanted, such as 0.95.
        seed: Seed of the draws of groups that tell the noise of a calibration error; nothing else is drawn.
    """
    once = np.ones((1, len(labels)))
    values = {name: float(METRICS[name](labels, scores, once)[0]) for name in names}
    reasons = {name: _why_not(name, values[name], labels, groups) for name in names}
    over_groups: dict[str, Interval | None] = {}
    asked = [name for name in names if reasons[name] is None]
    if groups is not None and asked:
        patches = ScoredPatches(labels, scores, group_numbers(groups))
        found = jackknife(lambda weights: patches.metrics(asked, weights), groups)
        assert found is not None  # a reason stands where there are too few groups
        for name in asked:
            if name == _CALIBRATION:
                by_content = numbers_by_content(labels, scores, groups)
                draws = draw_groups(by_content.astype(object), n_resamples=_DRAWS_OF_NOISE, seed=seed)
                assert draws is not None  # likewise
                drawn = ScoredPatches(labels, scores, draws.of_patch)
                noise = drawn.metrics([CALIBRATION_NOISE], draws.scaled(draws.counts))[CALIBRATION_NOISE]
                over_groups[name] = calibration_interval(found[name], noise, confidence=confidence)
            else:
                over_groups[name] = interval_over_groups(found[name], confidence=confidence, bounds=(0, 1))
            if over_groups[name] is None:
                reasons[name] = "it is the same whichever group is left out, so they do not tell how far it is off"
    return {
        name: Estimate(
            values[name],
            over_groups.get(name),
            _over_patches(name, values[name], labels, scores, confidence=confidence),
            reasons[name],
        )
        for name in names
    }


def numbers_by_content(
    labels: NDArray[np.int64], scores: NDArray[np.float64], groups: NDArray[np.object_]
) -> NDArray[np.intp]:
    """Number of each patch's group in an order that comes from what the groups hold, not from what they are called.

    What is drawn by number is then the same for any names. Groups that hold the same share a place in the order.

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


def _why_not(name: str, value: float, labels: NDArray[np.int64], groups: NDArray[np.object_] | None) -> str | None:
    """Why there can be no interval over groups, as far as the groups' number and classes tell."""
    if not np.isfinite(value):
        return "a class it needs is absent"
    if groups is None:
        return "nothing tells which group a patch is of"
    needed: tuple[int, ...] = ()
    if name not in _OF_EITHER:
        needed = (_OF_ONE_CLASS[name],) if name in _OF_ONE_CLASS else (LIVE, DEAD)
    holding = {"": groups} | {f" with {LABEL_NAMES[label]} patches": groups[labels == label] for label in needed}
    for words, of in holding.items():
        n = len(np.unique(of.astype(str)))
        if n < MIN_GROUPS:
            return f"{n} group{'s' * (n != 1)}{words}: too few for an interval"
    return None


def _over_patches(
    name: str, value: float, labels: NDArray[np.int64], scores: NDArray[np.float64], *, confidence: float
) -> Interval | None:
    if not np.isfinite(value):
        return None
    if name in _PAPER_FORMULA:
        n_patches = int((labels == _OF_ONE_CLASS[name]).sum()) if name in _OF_ONE_CLASS else len(labels)
        return interval_over_patches(value, n_patches, confidence=confidence)
    return interval_of_mean((scores - labels) ** 2, confidence=confidence) if name == "brier" else None
