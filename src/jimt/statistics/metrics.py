"""Metrics of scored patches, for many weightings of them at once, as resampling asks for.

A metric either adds up terms of single patches, or ranks patches by score. Terms are added up once for each unit that
is drawn as a whole (a group), so that all resamples are one product of matrices; ranking sorts once for all of them.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jimt.vocabulary import DEAD, LIVE

Floats = NDArray[np.float64]
Weights = NDArray[np.float64]
"""How often each unit counts, shape ``(n_resamples, n_units)``; a unit is a patch, or a group drawn as a whole."""
Metric = Callable[[NDArray[np.int64], Floats, Weights], Floats]
"""(labels, scores, weights of patches) to one value a resample, NaN where a class it needs is absent."""

CALIBRATION_BINS = 15
"""Equal bins of the confidence from 0 to 1, as torchmetrics' ``MulticlassCalibrationError`` has them."""
CALIBRATION_NOISE = "calibration_noise"
"""Calibration error a resample would show if the patches' own were none: what drawing groups alone brings about."""

_AT_ONCE = 2**20  # resamples x patches ranked at a time: 8 MiB in float64, which a processor's cache holds
_LIVE, _LIVE_RIGHT, _DEAD, _DEAD_RIGHT, _SQUARED_ERROR = range(5)  # columns of the terms; then a gap for each bin
_GAPS = slice(5, None)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _recall_live(sums: Floats) -> Floats:
    return _share(sums[:, _LIVE_RIGHT], sums[:, _LIVE])


def _recall_dead(sums: Floats) -> Floats:
    return _share(sums[:, _DEAD_RIGHT], sums[:, _DEAD])


def _balanced_accuracy(sums: Floats) -> Floats:
    return (_recall_live(sums) + _recall_dead(sums)) / 2


def _f1(sums: Floats, label: int) -> Floats:
    classes = (_LIVE, _LIVE_RIGHT), (_DEAD, _DEAD_RIGHT)
    (own, right), (others, others_right) = classes if label == LIVE else classes[::-1]
    called_so = sums[:, right] + sums[:, others] - sums[:, others_right]
    f1 = _share(2 * sums[:, right], sums[:, own] + called_so)
    return np.where(sums[:, own] > 0, f1, np.nan)


def _brier(sums: Floats) -> Floats:
    return _share(sums[:, _SQUARED_ERROR], sums[:, _LIVE] + sums[:, _DEAD])


def _calibration_error(sums: Floats) -> Floats:
    return _share(np.abs(sums[:, _GAPS]).sum(1), sums[:, _LIVE] + sums[:, _DEAD])


@dataclass(frozen=True)
class _Ranked:
    """Live patches by rising score: their weights, and the weight of what lies below, ``(n_live, n_resamples)``."""

    live: Floats
    live_below: Floats
    dead_below: Floats
    dead_tied: Floats
    all_live: Floats
    all_dead: Floats


def _auroc(ranked: _Ranked) -> Floats:
    won = np.einsum("ij,ij->j", ranked.live, ranked.dead_below + ranked.dead_tied / 2)
    return _share(won, ranked.all_live * ranked.all_dead)


def _average_precision(ranked: _Ranked) -> Floats:
    live_above = ranked.all_live - ranked.live_below  # and at the score itself, as are the dead
    scored_so = live_above + (ranked.all_dead - ranked.dead_below)
    precision = np.divide(live_above, scored_so, out=np.zeros_like(scored_so), where=scored_so > 0)
    return _share(np.einsum("ij,ij->j", ranked.live, precision), ranked.all_live)


_OF_SUMS: dict[str, Callable[[Floats], Floats]] = {
    "balanced_accuracy": _balanced_accuracy,
    "recall_live": _recall_live,
    "recall_dead": _recall_dead,
    "f1_live": partial(_f1, label=LIVE),
    "f1_dead": partial(_f1, label=DEAD),
    "expected_calibration_error": _calibration_error,
    "brier": _brier,
}
_OF_RANKS: dict[str, Callable[[_Ranked], Floats]] = {"auroc": _auroc, "average_precision_live": _average_precision}


def is_right(labels: NDArray[np.int64], scores: Floats) -> NDArray[np.bool_]:
    """Whether each patch is scored on the side of its label; 0.5 itself is dead."""
    right: NDArray[np.bool_] = (scores > 0.5) == (labels == LIVE)
    return right


def _patch_terms(labels: NDArray[np.int64], scores: Floats) -> Floats:
    live, dead, right = labels == LIVE, labels == DEAD, is_right(labels, scores)
    confidence = np.maximum(scores, 1 - scores)
    terms = np.zeros((len(labels), _GAPS.start + CALIBRATION_BINS + 1))  # + 1: certainty is a bin of its own
    terms[:, : _GAPS.start] = np.stack([live, live & right, dead, dead & right, (scores - live) ** 2], axis=1)
    bins = np.searchsorted(np.linspace(0, 1, CALIBRATION_BINS + 1), confidence, side="right") - 1
    terms[np.arange(len(labels)), _GAPS.start + bins] = right - confidence
    return terms


class ScoredPatches:
    """Patches with label and score, arranged so that metrics of many weightings of them are quick.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        units: Which unit each patch belongs to, from 0 on, likewise: a patch counts as often as its unit does.
    """

    def __init__(self, labels: NDArray[np.int64], scores: Floats, units: NDArray[np.intp]) -> None:
        self._sums = np.zeros((int(units.max(initial=-1)) + 1, _GAPS.start + CALIBRATION_BINS + 1))
        np.add.at(self._sums, units, _patch_terms(labels, scores))
        order = np.argsort(scores, kind="stable")
        live, dead = order[labels[order] == LIVE], order[labels[order] == DEAD]
        self._live, self._dead = units[live], units[dead]
        self._first_tied = np.searchsorted(scores[live], scores[live])
        self._dead_below = np.searchsorted(scores[dead], scores[live])
        self._dead_up_to = np.searchsorted(scores[dead], scores[live], side="right")

    def metrics(self, names: Collection[str], weights: Weights) -> dict[str, Floats]:
        """Metrics by name (of ``METRICS``, or ``CALIBRATION_NOISE``), each of shape ``(n_resamples,)``."""
        values: dict[str, Floats] = {}
        sums = weights @ self._sums
        for name in names:
            if name in _OF_SUMS:
                values[name] = _OF_SUMS[name](sums)
            elif name == CALIBRATION_NOISE:
                values[name] = self._calibration_noise(sums)
        ranking = [name for name in names if name in _OF_RANKS]
        if ranking:
            step = max(1, _AT_ONCE // max(1, len(self._live) + len(self._dead)))
            values |= {name: np.empty(len(weights)) for name in ranking}
            for at in range(0, len(weights), step):
                ranked = self._ranked(weights[at : at + step])
                for name in ranking:
                    values[name][at : at + step] = _OF_RANKS[name](ranked)
        return {name: values[name] for name in names}

    def _ranked(self, weights: Weights) -> _Ranked:
        of_unit = np.ascontiguousarray(weights.T)  # resamples last: a patch's row is copied, and summed, as a whole
        live = of_unit[self._live]
        up_to_live, up_to_dead = (np.zeros((n + 1, len(weights))) for n in (len(self._live), len(self._dead)))
        np.cumsum(live, axis=0, out=up_to_live[1:])
        np.cumsum(of_unit[self._dead], axis=0, out=up_to_dead[1:])
        below = up_to_dead[self._dead_below]
        tied = up_to_dead[self._dead_up_to] - below
        return _Ranked(live, up_to_live[self._first_tied], below, tied, up_to_live[-1], up_to_dead[-1])

    def _calibration_noise(self, sums: Floats) -> Floats:
        pooled = self._sums.sum(0, keepdims=True)
        n_drawn, n_patches = (of[:, _LIVE] + of[:, _DEAD] for of in (sums, pooled))
        noise = sums[:, _GAPS] - pooled[:, _GAPS] * (n_drawn / n_patches)[:, None]
        return _share(np.abs(noise).sum(1), n_drawn)


def _metric(name: str, labels: NDArray[np.int64], scores: Floats, weights: Weights) -> Floats:
    return ScoredPatches(labels, scores, np.arange(len(labels))).metrics([name], weights)[name]


METRICS: dict[str, Metric] = {
    name: partial(_metric, name)
    for name in (
        "balanced_accuracy",  # mean of the two recalls
        "auroc",  # area under the ROC curve of P(live); ties count half
        "recall_live",  # share of live patches scored above 0.5
        "recall_dead",  # share of dead patches scored at most 0.5
        "average_precision_live",  # precision at each score, weighted by the recall gained there; no interpolation
        "f1_live",  # harmonic mean of recall_live and the share of patches called live that are
        "f1_dead",  # the same of dead
        "expected_calibration_error",  # confidence against share right, in CALIBRATION_BINS bins, weighted by patches
        "brier",  # mean squared difference of P(live) from the label
    )
}
"""Every metric by name, of patches weighted one by one."""
