"""Risk against coverage: how often what is called is wrong, as the most uncertain patches are left out."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.intervals import Interval
from jimt.statistics.resampling import resample_groups
from jimt.statistics.uncertainty import uncertain
from jimt.statistics.weighted_patches import Floats, is_right

COVERAGES: Final = np.linspace(0.02, 1, 50)
"""Shares of all patches that are called; of fewer than 2 % the error is that of a patch or two."""


@dataclass(frozen=True)
class RiskCoverage:
    """Error rates of the patches that a model is most certain of.

    Attributes:
        errors: Where so many are called as ``COVERAGES`` says, shape ``(50,)``.
        band: Lower and upper edge, shape ``(2, 50)``; None where there are too few groups.
        area: Below the curve (AURC), which is the error rate of all where certainty says nothing.
        area_interval: Of it, over groups; None likewise.
        certain: Coverage, and error rate, of patches that are not uncertain by ``uncertainty.UNCERTAIN``; None where
            all are.
    """

    errors: Floats
    band: Floats | None
    area: float
    area_interval: Interval | None
    certain: tuple[float, float] | None


def risk_coverage(
    labels: NDArray[np.int64],
    scores: Floats,
    groups: NDArray[np.object_] | None,
    *,
    n_resamples: int,
    confidence: float,
    seed: int,
) -> RiskCoverage:
    """Error rate against coverage, with a pointwise band over groups (Geifman and El-Yaniv, NeurIPS 2017).

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        groups: Group of each, likewise; None for no band.
        n_resamples: Resamples of the groups.
        confidence: Share of the resamples within the band at each point.
        seed: Of the resampling.

    >>> found = risk_coverage(
    ...     np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.2, 0.1]), None, n_resamples=0, confidence=0.95, seed=0
    ... )
    >>> round(float(found.errors[-1]), 3), found.certain  # the one between 0.25 and 0.75 is wrong
    (0.25, (0.75, 0.0))
    """
    wrong = 1.0 - is_right(labels, scores)
    certainty = np.abs(scores - 0.5)
    order = np.argsort(-certainty, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(certainty[order])), len(order) - 1)
    called = ~uncertain(scores)

    def errors_of(weights: Floats) -> Floats:
        """Of equally certain patches so many are called as the coverage asks for, whichever."""
        of_wrong, of_all = (np.cumsum(each[order])[last_of_tie] for each in (weights * wrong, weights))
        asked = COVERAGES * of_all[-1]
        return np.asarray(np.interp(asked, np.append(0, of_all), np.append(0, of_wrong)) / asked)

    errors = errors_of(np.ones(len(labels)))
    certain = (float(called.mean()), float(wrong[called].mean())) if called.any() else None
    resamples = None if groups is None else resample_groups(groups, n_resamples=n_resamples, seed=seed)
    if resamples is None:
        return RiskCoverage(errors, None, float(errors.mean()), None, certain)
    found = np.stack([errors_of(weights[resamples.patch_groups]) for weights in resamples.scaled(resamples.counts)])
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(found.mean(axis=1), ends).tolist()
    return RiskCoverage(errors, np.quantile(found, ends, axis=0), float(errors.mean()), (low, high), certain)
