"""The table of metrics: a metric is added here, and then stands in every file, table, logger, report and test.

What else a metric needs: in ``tests/statistics/test_metrics.py`` an oracle, without which a test fails; and in
``models/split_metrics.py`` a line, if it is to be followed during training.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.resampling import group_numbers
from jimt.statistics.weighted_patches import Floats, ScoredPatches, WeightedPatches, Weights, ratio, squared_errors
from jimt.vocabulary import DEAD, LIVE

CALIBRATION_ERROR = "expected_calibration_error"


@dataclass(frozen=True)
class Metric:
    """A row of the table of metrics.

    Attributes:
        name: In files and loggers, such as ``auroc`` of ``test/auroc``.
        words: What readers see.
        function: From weighted patches to a value for each resample, shape ``(n_resamples,)``; NaN where it is not
            defined, as where a class that it needs is absent.
        classes: Labels it is about. Where few groups hold patches of one of them, it has no interval over groups.
        bounds: Least and largest value.
        higher_is_better: Which way a better model moves it.
        is_proportion: Whether the paper's interval ``p +- z sqrt(p (1 - p) / n)`` is given, with ``n`` the patches of
            ``classes``.
        patch_values: From labels and scores to the values of single patches that it is the mean of, which give it an
            interval over patches; None if it is no such mean.
        within: What both patches of a pair must be of, ``group`` or ``raw image``; None of a metric of all patches.
        under: Metric in whose column it stands on a terminal, which has no room for one more; empty: its own column.
        column: Heading in tables with room for few metrics: sweeps, folds, comparisons. Empty: left out of
            them.
        is_objective: Whether a search may go by it; by the recall of one class it would choose a model that knows no
            other.
    """

    name: str
    words: str
    function: Callable[[WeightedPatches], Floats]
    classes: tuple[int, ...]
    bounds: tuple[float, float] = (0.0, 1.0)
    higher_is_better: bool = True
    is_proportion: bool = False
    patch_values: Callable[[NDArray[np.int64], Floats], Floats] | None = None
    within: str | None = None
    under: str = ""
    column: str = ""
    is_objective: bool = False

    @property
    def terminal_column(self) -> str:
        """Its heading on a terminal, where it may stand under another metric."""
        return self.column.removeprefix(f"{METRICS[self.under].column} ") if self.under else self.column

    def value(
        self,
        labels: NDArray[np.int64],
        scores: Floats,
        groups: NDArray[np.object_] | None = None,
        raw_images: NDArray[np.object_] | None = None,
    ) -> float:
        """The metric of patches that count once each; NaN where it is not defined.

        Args:
            labels: Live 1, dead 0, shape ``(n_patches,)``.
            scores: P(live), likewise.
            groups: Group of each patch, likewise; a metric ``within`` groups or raw images is not defined without.
            raw_images: Raw image of each patch, likewise.

        >>> METRICS["auroc"].value(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.6, 0.1]))
        0.75
        """
        grouped = groups if self.within else None
        patches = grouped_patches(labels, scores, grouped, raw_images)
        return float(resampled_metrics(patches, [self.name], np.ones((1, patches.n_units)))[self.name][0])


def grouped_patches(
    labels: NDArray[np.int64],
    scores: Floats,
    groups: NDArray[np.object_] | None,
    raw_images: NDArray[np.object_] | None,
) -> ScoredPatches:
    """Scored patches whose units are their groups, or single patches where no groups are given.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        groups: Group of each patch, likewise.
        raw_images: Raw image of each patch, likewise; without effect where no groups are given.
    """
    if groups is None:
        return ScoredPatches(labels, scores, np.arange(len(labels)))
    images = None if raw_images is None else group_numbers(raw_images)
    return ScoredPatches(labels, scores, group_numbers(groups), images)


def resampled_metrics(patches: ScoredPatches, names: Collection[str], weights: Weights) -> dict[str, Floats]:
    """Metrics under several weightings.

    Args:
        patches: The patches.
        names: Of ``METRICS``.
        weights: Of the patches' units, shape ``(n_resamples, n_units)``.

    Returns:
        By name, each of shape ``(n_resamples,)``.
    """
    parts = [{name: METRICS[name].function(part) for name in names} for part in patches.weighted(weights)]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def headline_metrics() -> list[Metric]:
    """The metrics of tables with room for few.

    >>> [metric.name for metric in headline_metrics()]
    ['balanced_accuracy', 'auroc', 'auroc_within_groups']
    """
    return [metric for metric in METRICS.values() if metric.column]


def terminal_columns() -> list[list[Metric]]:
    """The headline metrics by the column of a terminal that they share.

    >>> [[metric.name for metric in column] for column in terminal_columns()]
    [['balanced_accuracy'], ['auroc', 'auroc_within_groups']]
    """
    first = [metric for metric in headline_metrics() if not metric.under]
    return [[metric, *(other for other in headline_metrics() if other.under == metric.name)] for metric in first]


def _recall_live(patches: WeightedPatches) -> Floats:
    """Share of live patches scored above 0.5."""
    return ratio(patches.live_right, patches.live)


def _recall_dead(patches: WeightedPatches) -> Floats:
    """Share of dead patches scored at most 0.5."""
    return ratio(patches.dead_right, patches.dead)


def _balanced_accuracy(patches: WeightedPatches) -> Floats:
    """Mean of the two recalls."""
    return (_recall_live(patches) + _recall_dead(patches)) / 2


def _f1_live(patches: WeightedPatches) -> Floats:
    """Harmonic mean of recall and precision, the latter being the share of patches called live that are."""
    called_live = patches.live_right + patches.dead - patches.dead_right
    return np.where(patches.live > 0, ratio(2 * patches.live_right, patches.live + called_live), np.nan)


def _f1_dead(patches: WeightedPatches) -> Floats:
    """The same of dead."""
    called_dead = patches.dead_right + patches.live - patches.live_right
    return np.where(patches.dead > 0, ratio(2 * patches.dead_right, patches.dead + called_dead), np.nan)


def _brier(patches: WeightedPatches) -> Floats:
    """Mean squared difference of P(live) from the label."""
    return ratio(patches.squared_error, patches.live + patches.dead)


def _calibration_error(patches: WeightedPatches) -> Floats:
    """Confidence against the share scored right, in ``CALIBRATION_BINS`` bins weighted by patches."""
    return ratio(np.abs(patches.calibration_gaps).sum(1), patches.live + patches.dead)


def _auroc(patches: WeightedPatches) -> Floats:
    """Area under the ROC curve of P(live); ties count half."""
    ranks = patches.ranks
    won = np.einsum("ij,ij->j", ranks.live, ranks.dead_below + ranks.dead_tied / 2)
    return ratio(won, ranks.all_live * ranks.all_dead)


def _auroc_within_groups(patches: WeightedPatches) -> Floats:
    """Share of pairs of a live and a dead patch of one group whose live one scores higher; all pairs alike."""
    return ratio(patches.won_within, patches.pairs_within)


def _mean_auroc_of_groups(patches: WeightedPatches) -> Floats:
    """Mean over the groups that hold both classes, all groups alike."""
    return ratio(patches.areas_within, patches.units_of_both)


def _auroc_within_raw_images(patches: WeightedPatches) -> Floats:
    """Likewise of pairs of one raw image."""
    return ratio(patches.won_within_images, patches.pairs_within_images)


def _average_precision_live(patches: WeightedPatches) -> Floats:
    """Precision at each score, weighted by the recall gained there; no interpolation."""
    ranks = patches.ranks
    live_above = ranks.all_live - ranks.live_below  # and at the score itself, as are the dead
    called_live = live_above + (ranks.all_dead - ranks.dead_below)
    precision = np.divide(live_above, called_live, out=np.zeros_like(called_live), where=called_live > 0)
    return ratio(np.einsum("ij,ij->j", ranks.live, precision), ranks.all_live)


_BOTH = (LIVE, DEAD)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "balanced_accuracy",
            "balanced accuracy",
            _balanced_accuracy,
            classes=_BOTH,
            is_proportion=True,
            column="bal. accuracy",
            is_objective=True,
        ),
        Metric("auroc", "AUROC", _auroc, classes=_BOTH, is_proportion=True, column="AUROC", is_objective=True),
        Metric(
            "auroc_within_groups",
            "AUROC within groups",
            _auroc_within_groups,
            classes=_BOTH,
            within="group",
            under="auroc",
            column="AUROC within groups",
            is_objective=True,
        ),
        Metric("mean_auroc_of_groups", "mean AUROC of groups", _mean_auroc_of_groups, classes=_BOTH, within="group"),
        Metric(
            "auroc_within_raw_images",
            "AUROC within raw images",
            _auroc_within_raw_images,
            classes=_BOTH,
            within="raw image",
        ),
        Metric("recall_live", "recall of live", _recall_live, classes=(LIVE,), is_proportion=True),
        Metric("recall_dead", "recall of dead", _recall_dead, classes=(DEAD,), is_proportion=True),
        Metric(
            "average_precision_live",
            "average precision of live",
            _average_precision_live,
            classes=_BOTH,
            is_objective=True,
        ),
        Metric("f1_live", "F1 of live", _f1_live, classes=_BOTH, is_objective=True),
        Metric("f1_dead", "F1 of dead", _f1_dead, classes=_BOTH, is_objective=True),
        Metric(CALIBRATION_ERROR, "expected calibration error", _calibration_error, classes=(), higher_is_better=False),
        Metric(
            "brier",
            "Brier score",
            _brier,
            classes=(),
            higher_is_better=False,
            patch_values=squared_errors,
            is_objective=True,
        ),
    )
}
"""Every metric by name."""
