"""Scored patches under many weightings at once, as resampling asks for.

Metrics either add up terms of single patches, or rank patches by score. Terms are added up once for each unit that is
resampled as a whole (a group), so that all resamples are one product of matrices; one sort serves all rankings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.statistics.within import pairs_within
from jimt.vocabulary import DEAD, LIVE

Floats = NDArray[np.float64]
Weights = NDArray[np.float64]
"""How often each unit counts, shape ``(n_resamples, n_units)``; a unit is a patch, or a group resampled as a whole."""

CALIBRATION_BINS = 15
"""Equal bins of the confidence from 0 to 1, as torchmetrics' ``MulticlassCalibrationError`` has them."""

_AT_ONCE = 2**20  # resamples x patches ranked at a time: 8 MiB in float64, which a processor's cache holds
_LIVE, _LIVE_RIGHT, _DEAD, _DEAD_RIGHT, _SQUARED_ERROR = range(5)  # columns of the terms; then a gap for each bin
_GAPS = slice(5, None)
_WON, _PAIRS, _AREAS, _WITH_BOTH, _WON_IN_IMAGES, _PAIRS_IN_IMAGES = range(6)  # columns of what is within units


def is_right(labels: NDArray[np.int64], scores: Floats) -> NDArray[np.bool_]:
    """Whether each patch is scored on the side of its label; a score of 0.5 counts as dead.

    >>> is_right(np.array([1, 1, 0, 0]), np.array([0.9, 0.5, 0.5, 0.6]))
    array([ True, False,  True, False])
    """
    right: NDArray[np.bool_] = (scores > 0.5) == (labels == LIVE)
    return right


def squared_errors(labels: NDArray[np.int64], scores: Floats) -> Floats:
    """Squared difference of each score from its label, shape ``(n_patches,)``; their mean is the Brier score.

    >>> squared_errors(np.array([1, 0]), np.array([0.5, 0.5]))
    array([0.25, 0.25])
    """
    return np.asarray((scores - (labels == LIVE)) ** 2)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Quotient of each pair of values; NaN where ``whole`` is 0.

    >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0]))
    array([0.25,  nan])
    """
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


@dataclass(frozen=True)
class Ranks:
    """Live patches by rising score: their weights, and the weight of what is scored lower, ``(n_live, n_resamples)``.

    Attributes:
        live: Weight of each live patch.
        live_below: Weight of the live patches with a lower score.
        dead_below: Weight of the dead patches with a lower score.
        dead_tied: Weight of the dead patches with the same score.
        all_live: Weight of all live patches, shape ``(n_resamples,)``.
        all_dead: Weight of all dead patches, likewise.
    """

    live: Floats
    live_below: Floats
    dead_below: Floats
    dead_tied: Floats
    all_live: Floats
    all_dead: Floats


class WeightedPatches:
    """What metrics are computed from: weighted sums over patches, each of shape ``(n_resamples,)``, and ranks.

    Args:
        sums: Sums of the terms of patches, shape ``(n_resamples, n_terms)``.
        within: Sums of what is within units, likewise.
        patches: The patches.
        weights: Weights of their units, shape ``(n_resamples, n_units)``.
    """

    def __init__(self, sums: Floats, within: Floats, patches: "ScoredPatches", weights: Weights) -> None:
        self.live: Floats = sums[:, _LIVE]
        """Live patches."""
        self.live_right: Floats = sums[:, _LIVE_RIGHT]
        """Live patches scored above 0.5."""
        self.dead: Floats = sums[:, _DEAD]
        """Dead patches."""
        self.dead_right: Floats = sums[:, _DEAD_RIGHT]
        """Dead patches scored at most 0.5."""
        self.squared_error: Floats = sums[:, _SQUARED_ERROR]
        """Sum of ``squared_errors``."""
        self.calibration_gaps: Floats = sums[:, _GAPS]
        """Patches scored right less the sum of their confidence, in each bin, shape ``(n_resamples, n_bins)``."""
        self.won_within: Floats = within[:, _WON]
        """Pairs of a live and a dead patch of one unit whose live one has the higher score; ties count half."""
        self.pairs_within: Floats = within[:, _PAIRS]
        """All such pairs."""
        self.areas_within: Floats = within[:, _AREAS]
        """Sum of the areas under the ROC curves of the units that hold both classes."""
        self.units_of_both: Floats = within[:, _WITH_BOTH]
        """Units that do."""
        self.won_within_images: Floats = within[:, _WON_IN_IMAGES]
        """As ``won_within``, of one raw image."""
        self.pairs_within_images: Floats = within[:, _PAIRS_IN_IMAGES]
        """All such pairs."""
        self._patches, self._weights = patches, weights

    @cached_property
    def ranks(self) -> Ranks:
        """The ranking of the patches, which takes longer than sums."""
        return self._patches.ranks(self._weights)


class ScoredPatches:
    """Patches with label and score, arranged so that metrics of many weightings of them are quick.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        units: Which unit each patch belongs to, from 0 on, likewise: a patch counts as often as its unit does.
        raw_images: Number of each patch's raw image, from 0 on, likewise, each within one unit; None where nothing
            tells.

    Raises:
        InputError: If a score is NaN.
    """

    def __init__(
        self,
        labels: NDArray[np.int64],
        scores: Floats,
        units: NDArray[np.intp],
        raw_images: NDArray[np.intp] | None = None,
    ) -> None:
        if n_bad := int(np.isnan(scores).sum()):  # a sort would put them above all others
            raise InputError(
                f"the scores of {n_bad:,} of {len(scores):,} patches are no numbers, so nothing can be measured",
                advice="a training that diverged gives such scores: train again with a smaller optim.lr",
            )
        self.n_units = int(units.max(initial=-1)) + 1
        self._sums = np.zeros((self.n_units, _GAPS.start + CALIBRATION_BINS + 1))
        np.add.at(self._sums, units, _patch_terms(labels, scores))
        self._within = np.zeros((self.n_units, 6))
        pairs = pairs_within(labels, scores, units)
        self._within[:, _WON : _WITH_BOTH + 1] = np.stack([pairs.won, pairs.all, pairs.areas, pairs.has_both], axis=1)
        if raw_images is not None:
            in_images = pairs_within(labels, scores, raw_images)
            unit_of_image = np.zeros(len(in_images.all), np.intp)
            unit_of_image[raw_images] = units
            np.add.at(self._within[:, _WON_IN_IMAGES:], unit_of_image, np.stack([in_images.won, in_images.all], axis=1))
        order = np.argsort(scores, kind="stable")
        live, dead = order[labels[order] == LIVE], order[labels[order] == DEAD]
        self._live, self._dead = units[live], units[dead]
        self._first_tied = np.searchsorted(scores[live], scores[live])
        self._dead_below = np.searchsorted(scores[dead], scores[live])
        self._dead_up_to = np.searchsorted(scores[dead], scores[live], side="right")

    def weighted(self, weights: Weights) -> Iterator[WeightedPatches]:
        """The patches under some weightings, so many at a time that memory stays small; all of them in order.

        Args:
            weights: Of the units, shape ``(n_resamples, n_units)``.
        """
        sums, within = weights @ self._sums, weights @ self._within
        step = max(1, _AT_ONCE // max(1, len(self._live) + len(self._dead)))
        for start in range(0, max(1, len(weights)), step):
            part = slice(start, start + step)
            yield WeightedPatches(sums[part], within[part], self, weights[part])

    def ranks(self, weights: Weights) -> Ranks:
        """The ranking of the patches under some weightings of their units."""
        by_unit = np.ascontiguousarray(weights.T)  # resamples last: a patch's row is copied, and summed, as a whole
        live = by_unit[self._live]
        up_to_live, up_to_dead = (np.zeros((n + 1, len(weights))) for n in (len(self._live), len(self._dead)))
        np.cumsum(live, axis=0, out=up_to_live[1:])
        np.cumsum(by_unit[self._dead], axis=0, out=up_to_dead[1:])
        below = up_to_dead[self._dead_below]
        tied = up_to_dead[self._dead_up_to] - below
        return Ranks(live, up_to_live[self._first_tied], below, tied, up_to_live[-1], up_to_dead[-1])

    def calibration_noise(self, weights: Weights) -> Floats:
        """Calibration error of each resample if that of the patches were none: what resampling alone brings about.

        Args:
            weights: Of the units, shape ``(n_resamples, n_units)``.

        Returns:
            Shape ``(n_resamples,)``.
        """
        resampled, pooled = weights @ self._sums, self._sums.sum(0, keepdims=True)
        n_resampled, n_patches = (sums[:, _LIVE] + sums[:, _DEAD] for sums in (resampled, pooled))
        noise = resampled[:, _GAPS] - pooled[:, _GAPS] * (n_resampled / n_patches)[:, None]
        return ratio(np.abs(noise).sum(1), n_resampled)


def _patch_terms(labels: NDArray[np.int64], scores: Floats) -> Floats:
    live, dead, right = labels == LIVE, labels == DEAD, is_right(labels, scores)
    confidence = np.maximum(scores, 1 - scores)
    terms = np.zeros((len(labels), _GAPS.start + CALIBRATION_BINS + 1))  # + 1: certainty is a bin of its own
    terms[:, : _GAPS.start] = np.stack([live, live & right, dead, dead & right, squared_errors(labels, scores)], axis=1)
    bins = np.searchsorted(np.linspace(0, 1, CALIBRATION_BINS + 1), confidence, side="right") - 1
    terms[np.arange(len(labels)), _GAPS.start + bins] = right - confidence
    return terms
