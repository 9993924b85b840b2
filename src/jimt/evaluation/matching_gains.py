"""What a change of the images gains in the measures of a test, paired over groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.evaluation.share_errors import TrueShares
from jimt.statistics.intervals import interval_over_groups
from jimt.statistics.metrics import METRICS, resampled_metrics
from jimt.statistics.resampling import MIN_GROUPS, Jackknife, group_numbers, jackknife
from jimt.statistics.weighted_patches import Floats, ScoredPatches, Weights, ratio
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

SHARE_ERROR: Final = "share_error"
MEASURES: Final = {"auroc": "AUROC", "auroc_within_groups": "within groups", SHARE_ERROR: "error of dead share"}
"""By which matching is judged, in words; an error is the better the smaller it is."""


@dataclass(frozen=True)
class Variant:
    """A model's answers to a test data set whose images were changed in some way.

    Attributes:
        scores: P(live) of each patch, those between the thresholds too, shape ``(n,)``.
        shares: Dead share of each field, by its number.
        kept: Which patches are tested, likewise; None for all.
    """

    scores: NDArray[np.float64]
    shares: pd.Series
    kept: NDArray[np.bool_] | None = None


class _Measured:
    """The measures of a variant, under weights of the groups."""

    def __init__(
        self, table: pd.DataFrame, variant: Variant, truth: TrueShares | None, numbers: NDArray[np.intp]
    ) -> None:
        kept = np.ones(len(table), np.bool_) if variant.kept is None else variant.kept
        used = kept & (table["label"] != AMBIGUOUS).to_numpy()
        self.labels = table["label"].to_numpy(np.int64)[used]
        self.groups = numbers[used]
        images = group_numbers(table["raw_image_id"].to_numpy(object))[used]
        self.patches = ScoredPatches(self.labels, variant.scores[used], self.groups, images)
        self.errors: Floats = np.zeros(0)
        self.field_groups = np.zeros(0, np.intp)
        if truth is not None:
            number_of = dict(zip(table["field"].tolist(), numbers.tolist(), strict=True))
            fields = sorted(set(table["field"][kept].tolist()))
            errors = (variant.shares.reindex(fields) - truth.true.reindex(fields)).abs()
            known = errors.notna()
            self.errors = errors[known].to_numpy(np.float64)
            self.field_groups = np.array([number_of[field] for field in errors.index[known]], np.intp)

    def measures(self, weights: Weights) -> dict[str, Floats]:
        found = dict.fromkeys(MEASURES, np.full(len(weights), np.nan))
        names = [name for name in MEASURES if name != SHARE_ERROR]
        if len(self.labels):
            found |= resampled_metrics(self.patches, names, weights[:, : self.patches.n_units])
        if len(self.errors):
            of_fields = weights[:, self.field_groups]
            found[SHARE_ERROR] = ratio(of_fields @ self.errors, of_fields.sum(axis=1))
        return found

    def is_of_enough_groups(self, name: str) -> bool:
        """Whether groups are so many that a measure has an interval over them."""
        if name == SHARE_ERROR:
            return True  # the jackknife counts them
        live, dead = (set(self.groups[self.labels == label].tolist()) for label in (LIVE, DEAD))
        counted = [live & dead] if METRICS[name].within else [live, dead]
        return min(map(len, counted)) >= MIN_GROUPS

    @property
    def counts(self) -> dict[str, int]:
        return {
            "live": int((self.labels == LIVE).sum()),
            "dead": int((self.labels == DEAD).sum()),
            "groups": len(np.unique(self.groups)),
            "fields": len(self.errors),
        }


def gains(
    table: pd.DataFrame,
    as_it_is: Variant,
    variants: Sequence[Variant | None],
    truth: TrueShares | None,
    *,
    confidence: float,
) -> list[dict[str, Any] | None]:
    """Measures of the images as they are, and of each variant, with what it gains on the same patches.

    Args:
        table: As ``score_test_split`` gives it.
        as_it_is: Answers to the images as they are.
        variants: Answers to changed ones; None where they could not be changed.
        truth: Dead shares of the fields; None where there are none.
        confidence: Coverage of the intervals over groups.

    Returns:
        Of the images as they are, then of each variant: counts, and of each of ``MEASURES`` its ``value``,
        ``interval``, ``gain`` (the value less that of the images as they are), ``gain_interval`` and
        ``beyond_chance``, whether the gain differs from 0 by an interval that allows for as many variants as there
        are; None of a variant that is None.
    """
    known = bool(table["group"].notna().all())
    groups = table["group"].astype(str).to_numpy(object) if known else np.array(["all"] * len(table), object)
    numbers = group_numbers(groups)
    n_groups = int(numbers.max(initial=-1)) + 1
    before = _Measured(table, as_it_is, truth, numbers)
    strict = 1 - (1 - confidence) / max(1, sum(variant is not None for variant in variants))
    found: list[dict[str, Any] | None] = []
    for number, variant in enumerate((as_it_is, *variants)):
        if variant is None:
            found.append(None)
            continue
        after = before if variant is as_it_is else _Measured(table, variant, truth, numbers)

        def both(weights: Weights, after: _Measured = after) -> dict[str, Floats]:
            one, two = before.measures(weights), after.measures(weights)
            return two | {f"gain of {name}": two[name] - one[name] for name in MEASURES}

        values = both(np.ones((1, n_groups)))
        over_groups = jackknife(both, groups) if known else None
        told: dict[str, Any] = dict(after.counts)
        for name in MEASURES:
            spread = over_groups if after.is_of_enough_groups(name) else None
            is_known = known or name == SHARE_ERROR or not METRICS[name].within
            value, gain = (float(values[key][0]) if is_known else np.nan for key in (name, f"gain of {name}"))
            told[name] = {
                "value": value if np.isfinite(value) else None,
                "interval": _interval(spread, name, confidence=confidence),
                "gain": gain if np.isfinite(gain) and number > 0 else None,
                "gain_interval": _interval(spread, f"gain of {name}", confidence=confidence),
                "beyond_chance": _excludes_0(_interval(spread, f"gain of {name}", confidence=strict)),
            }
        found.append(told)
    return found


def _interval(spread: dict[str, Jackknife] | None, name: str, *, confidence: float) -> tuple[float, float] | None:
    if spread is None or not np.isfinite(spread[name].value):
        return None
    return interval_over_groups(spread[name], confidence=confidence, bounds=(-1.0 if "gain" in name else 0.0, 1.0))


def _excludes_0(interval: tuple[float, float] | None) -> bool:
    return interval is not None and not interval[0] <= 0 <= interval[1]
