"""Correlation of scores with fluorescence: Pearson's by patch and by raw image (paper: Fig. 4b), and of ranks.

Fluorescence is taken on the scale of the labels, and, as the paper has it, in raw counts: where the background differs
between experiments, raw counts tell these apart and no cells.

The paper prints r = -0.705 with p = 0.024 for a test split of 1,872 patches. Of so many p would be below 1e-200.
That r has a p of 0.0228 among 10 values and of 0.0339 among 9, so no number of values gives 0.024; the nearest is 10.
So n stands with every p here; and p of patches, which takes them for independent, stands with an interval over groups,
which does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau, pearsonr, spearmanr

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import group_numbers, jackknife
from jimt.statistics.value_text import interval_text, number_text
from jimt.statistics.weighted_patches import Floats, Weights
from jimt.vocabulary import SCALES

UNITS: Final = {"patches": "patches", "raw_images": "raw images"}
"""What a correlation is over, as keys of ``test_metrics.json`` and in words."""
_CONSTANT = 1e-12  # spread in units of the mean, below which rounding decides on r


@dataclass(frozen=True)
class Correlation:
    """A correlation and the number of values behind it.

    Attributes:
        r: Pearson's r; None where there is none, and ``reason`` says why.
        p: Two-sided probability of an r as large without correlation, if values were independent; 0 if below 1e-308.
        n: Number of pairs of values.
        interval_groups: Interval of r over groups; None where it cannot be had.
        reason: Why there is no r.
    """

    r: float | None
    p: float | None
    n: int
    interval_groups: Interval | None
    reason: str | None


@dataclass(frozen=True)
class ScoreFluorescence:
    """Correlation of scores with mean fluorescence over patches, and over the means of raw images."""

    patches: Correlation
    raw_images: Correlation


def score_fluorescence_correlation(
    scores: Floats,
    mean_fluorescence: Floats,
    raw_image_ids: NDArray[np.object_] | None,
    groups: NDArray[np.object_] | None,
    *,
    confidence: float,
) -> ScoreFluorescence:
    """Correlate P(live) with mean fluorescence; of a network that works, r is negative.

    Args:
        scores: P(live), shape ``(n_patches,)``.
        mean_fluorescence: Mean PI intensity on any one scale, likewise; patches where it is NaN are left out.
        raw_image_ids: Raw image of each patch, likewise; None where nothing is known of them.
        groups: Group of each patch, likewise; None where nothing is known of them.
        confidence: Coverage wanted, such as 0.95.

    >>> scores, pi = np.array([0.9, 0.8, 0.3, 0.1]), np.array([100.0, 200.0, 700.0, 900.0])
    >>> found = score_fluorescence_correlation(scores, pi, np.array(list("aabb"), object), None, confidence=0.95)
    >>> round(found.patches.r, 3), found.raw_images.r, found.raw_images.reason
    (-1.0, None, '2 values are too few for a correlation')
    """
    known = np.isfinite(mean_fluorescence)
    scores, mean_fluorescence = (np.asarray(values, np.float64)[known] for values in (scores, mean_fluorescence))
    patches = _correlation(scores, mean_fluorescence)
    if patches.r is not None and groups is not None:
        sums = _sums_by_group(scores, mean_fluorescence, group_numbers(groups[known]))
        found = jackknife(lambda weights: {"r": _weighted_r(weights, sums)}, groups[known])
        if found is not None:
            interval = interval_over_groups(found["r"], confidence=confidence, bounds=(-1, 1))
            patches = Correlation(patches.r, patches.p, patches.n, interval, None)
    if raw_image_ids is None or pd.isna(raw_image_ids[known]).any():
        return ScoreFluorescence(
            patches, Correlation(None, None, 0, None, "nothing tells which raw image a patch was cut from")
        )
    table = pd.DataFrame({"score": scores, "fluorescence": mean_fluorescence})
    means = table.groupby(raw_image_ids[known].astype(str)).mean()
    return ScoreFluorescence(patches, _correlation(means["score"].to_numpy(), means["fluorescence"].to_numpy()))


def correlation_in_words(correlation: Mapping[str, Any]) -> list[str]:
    """A line for each scale, of the labels first and then raw counts, over patches and over raw images.

    Args:
        correlation: As ``test_metrics.json`` has it: ``patches`` and ``raw_images`` on the scale ``scale``, and both
            once more in raw counts under ``raw``.
    """
    lines = []
    scales = {correlation["scale"]: correlation} | {"raw": correlation["raw"]}
    for scale, found in scales.items():
        parts = [_words(found[key], unit) for key, unit in UNITS.items() if found[key]["r"] is not None]
        if parts:
            lines.append(f"score against {SCALES[scale]}: {'; '.join(parts)}")
    return lines


def _words(values: Mapping[str, Any], unit: str) -> str:
    interval = values["interval_groups"]
    over_groups = "" if interval is None else f" ({interval_text(interval)} over groups)"
    return f"r {number_text(values['r'])}{over_groups}, {p_text(values['p'])}, of {values['n']:,} {unit}"


def p_text(p: float) -> str:
    """A p value in words; one that is too small for a float is given as a bound.

    >>> p_text(0.0228), p_text(0.0)
    ('p 0.023', 'p < 1e-300')
    """
    return f"p {p:.2g}" if p > 0 else "p < 1e-300"


def rank_agreement(scores: Floats, label_value: Floats) -> tuple[float | None, float | None]:
    """Spearman's rho, and Harrell's concordance: how well scores order patches by fluorescence, without any threshold.

    Args:
        scores: P(live), shape ``(n_patches,)``.
        label_value: Mean fluorescence on the scale of the thresholds, likewise.

    Returns:
        The rank correlation, negative where scores are right, and the share of pairs of unequal fluorescence whose
        darker patch has the higher score, equal scores counting half. None where constants leave them undefined.

    >>> rho, concordance = rank_agreement(np.array([0.9, 0.6, 0.1]), np.array([1.0, 3.0, 2.0]))
    >>> round(rho, 3), round(concordance, 3)  # two of the three pairs are in order
    (-0.5, 0.667)
    """
    if np.ptp(label_value) == 0:
        return None, None
    if np.ptp(scores) == 0:
        return None, 0.5
    pairs = len(scores) * (len(scores) - 1) / 2
    untied_scores, untied_values = (pairs - _tied_pairs(values) for values in (scores, label_value))
    tau = float(kendalltau(scores, label_value).statistic)  # tau-b: what follows undoes its handling of ties
    concordance = (1 - tau * np.sqrt(untied_scores * untied_values) / untied_values) / 2
    return float(spearmanr(scores, label_value).statistic), float(concordance)


def _tied_pairs(values: Floats) -> float:
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def _correlation(x: Floats, y: Floats) -> Correlation:
    if len(x) < 3:
        return Correlation(None, None, len(x), None, f"{len(x)} values are too few for a correlation")
    for name, values in (("score", x), ("mean fluorescence", y)):
        if np.linalg.norm(values - values.mean()) <= _CONSTANT * abs(values.mean()):
            return Correlation(None, None, len(x), None, f"every {name} is the same")
    result = pearsonr(x, y)
    return Correlation(float(result.statistic), float(result.pvalue), len(x), None, None)


def _sums_by_group(x: Floats, y: Floats, numbers: NDArray[np.intp]) -> Floats:
    x, y = ((values - values.mean()) / values.std() for values in (x, y))  # so that differences of sums keep digits
    sums = np.zeros((numbers.max() + 1, 6))
    np.add.at(sums, numbers, np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1))
    return sums


def _weighted_r(weights: Weights, sums: Floats) -> Floats:
    n, x, y, xx, yy, xy = (weights @ sums).T
    product = (xx - x * x / n) * (yy - y * y / n)
    r = np.full(len(n), np.nan)
    np.divide(xy - x * y / n, np.sqrt(product, where=product > 0, out=r.copy()), out=r, where=product > 0)
    return r
