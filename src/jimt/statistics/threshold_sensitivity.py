"""How sensitive results are to the thresholds of live and dead: from saved scores, with no training.

Reads the scores of every patch that holds cells, those between the thresholds too, whose label is -1 in
``test_scores_with_ambiguous.csv``: the paper tests on what its thresholds leave, which are the easy patches. The
network stays the one trained on the thresholds of its curation; only what it is tested on changes.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.statistics.correlation import rank_agreement
from jimt.statistics.estimates import estimates
from jimt.statistics.metrics import METRICS, headline_metrics
from jimt.statistics.weighted_patches import Floats
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

N_SIGMAS: Final = tuple(round(0.1 * tenths, 1) for tenths in range(5, 16))
"""Standard deviations between a component's mean and its threshold, half to one and a half times the paper's 1."""
QUANTILES: Final = tuple(round(0.05 * twentieths, 2) for twentieths in range(1, 20))
"""Shares of the patches that are below a single threshold of fluorescence."""

_COUNTS: Final = {"live": LIVE, "dead": DEAD, "discarded": AMBIGUOUS}


@dataclass(frozen=True)
class LabelSensitivity:
    """What a test split gives under other labels.

    Attributes:
        by_n_sigma: A row for each number of standard deviations; patches between its thresholds are discarded.
        with_band: One row: one threshold midway between the curation's two, so that no patch is discarded.
        by_threshold: AUROC of the score for fluorescence below a threshold, for a grid of thresholds.
        spearman_rho: Rank correlation of score and label value; negative where scores are right. None of constants.
        concordance: Share of pairs of patches of unequal label value whose darker one has the higher score, ties half.
        n_patches: Patches whose label value is known; the others are left out of everything.
    """

    by_n_sigma: pd.DataFrame
    with_band: pd.DataFrame
    by_threshold: pd.DataFrame
    spearman_rho: float | None
    concordance: float | None
    n_patches: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None for what is not known."""
        tables = ("by_n_sigma", "with_band", "by_threshold")
        return {name: _plain(getattr(self, name)) for name in tables} | {
            "spearman_rho": self.spearman_rho,
            "concordance": self.concordance,
            "n_patches": self.n_patches,
        }


def label_sensitivity(
    scores: Floats,
    label_value: Floats,
    groups: NDArray[np.object_] | None,
    *,
    live_mean: float | None,
    live_sd: float | None,
    dead_mean: float | None,
    dead_sd: float | None,
    live_below: float,
    dead_above: float,
    n_sigmas: Sequence[float],
    quantiles: Sequence[float],
    confidence: float,
) -> LabelSensitivity:
    """Test saved scores on other labels.

    Args:
        scores: P(live) of every patch of the test split, those between the thresholds too, shape ``(n_patches,)``.
        label_value: Mean fluorescence on the scale of the thresholds, likewise.
        groups: Group of each patch, likewise; None where nothing is known of them.
        live_mean: Mean of the mixture's live component, on that scale. None, as the three that follow, where the
            thresholds were given rather than fitted: then ``by_n_sigma`` is empty.
        live_sd: Its standard deviation.
        dead_mean: Mean of the dead component.
        dead_sd: Its standard deviation.
        live_below: The curation's threshold of live (paper: 258.97).
        dead_above: That of dead (paper: 396.89).
        n_sigmas: Standard deviations to try, such as ``N_SIGMAS``.
        quantiles: Where to cut the continuous fluorescence, as shares of the patches, such as ``QUANTILES``.
        confidence: Coverage wanted, such as 0.95.

    Raises:
        InputError: If no patch has a label value.
    """
    known = np.isfinite(label_value)
    if not known.any():
        raise InputError(
            "no patch has a mean fluorescence to label it by, as patches published without one",
            advice="curate raw image pairs to see what other thresholds give",
        )
    scores, label_value = (np.asarray(values, np.float64)[known] for values in (scores, label_value))
    groups = None if groups is None else groups[known]

    def row(live_below: float, dead_above: float) -> dict[str, Any]:
        return _tested_on(scores, label_value, groups, live_below, dead_above, confidence)

    by_n_sigma = []
    if not (live_mean is None or live_sd is None or dead_mean is None or dead_sd is None):
        by_n_sigma = [
            {"n_sigma": n_sigma, **row(live_mean + n_sigma * live_sd, dead_mean - n_sigma * dead_sd)}
            for n_sigma in n_sigmas
        ]
    midway = (live_below + dead_above) / 2
    rho, concordance = rank_agreement(scores, label_value)
    columns = ["live_below", "dead_above", *_COUNTS, *_results(), "reason"]
    return LabelSensitivity(
        by_n_sigma=_table(by_n_sigma, ["n_sigma", *columns]),
        with_band=_table([row(midway, midway)], columns),
        by_threshold=_by_threshold(scores, label_value, quantiles),
        spearman_rho=rho,
        concordance=concordance,
        n_patches=len(scores),
    )


def labels_by_thresholds(label_value: Floats, *, live_below: float, dead_above: float) -> NDArray[np.int64]:
    """Live (1) below one threshold, dead (0) above the other, -1 from one to the other, as the curation labels.

    Where the two are one, no patch is discarded: a value that equals the threshold is dead.

    >>> labels_by_thresholds(np.array([100.0, 300.0, 500.0]), live_below=258.97, dead_above=396.89)
    array([ 1, -1,  0])
    """
    dead = (label_value > dead_above) | ((label_value == dead_above) & (live_below == dead_above))
    return np.where(label_value < live_below, LIVE, np.where(dead, DEAD, AMBIGUOUS)).astype(np.int64)


def _results() -> list[str]:
    """Columns of the metrics and both ends of their intervals."""
    return [f"{metric.name}{end}" for metric in headline_metrics() for end in ("", "_low", "_high")]


def _tested_on(
    scores: Floats,
    label_value: Floats,
    groups: NDArray[np.object_] | None,
    live_below: float,
    dead_above: float,
    confidence: float,
) -> dict[str, Any]:
    thresholds = {"live_below": live_below, "dead_above": dead_above}
    if live_below > dead_above:
        return thresholds | dict.fromkeys((*_COUNTS, *_results()), np.nan) | {"reason": "the thresholds cross"}
    labels = labels_by_thresholds(label_value, live_below=live_below, dead_above=dead_above)
    counts = {name: int((labels == label).sum()) for name, label in _COUNTS.items()}
    kept = labels != AMBIGUOUS
    results: dict[str, float] = {}
    reason = None
    found = estimates(
        labels[kept],
        scores[kept],
        None if groups is None else groups[kept],
        names=[metric.name for metric in headline_metrics()],
        confidence=confidence,
        seed=0,  # of a calibration error alone
    )
    for name, estimate in found.items():
        low, high = estimate.interval_groups or (np.nan, np.nan)
        results |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
        if METRICS[name].within is None:
            reason = reason or estimate.note
    return thresholds | counts | results | {"reason": reason}


def _by_threshold(scores: Floats, label_value: Floats, quantiles: Sequence[float]) -> pd.DataFrame:
    thresholds = np.quantile(label_value, quantiles)
    below = [label_value < threshold for threshold in thresholds]
    return pd.DataFrame(
        {
            "quantile": quantiles,
            "threshold": thresholds,
            "below": [int(part.sum()) for part in below],
            "not_below": [int((~part).sum()) for part in below],
            "auroc": [METRICS["auroc"].value(part.astype(np.int64), scores) for part in below],
        }
    )


def _table(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(_COUNTS, "Int64"))


def _plain(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")
