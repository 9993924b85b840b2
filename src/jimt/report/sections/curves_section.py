"""ROC and precision-recall curves, confusion matrices and reliability diagrams (paper: Fig. 4a)."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from sklearn.metrics import confusion_matrix

from jimt.figures import discrimination as figures
from jimt.report.blocks import Block, Drawing
from jimt.report.study import Model
from jimt.statistics.curves import Curve, calibration, curve
from jimt.statistics.metrics import CALIBRATION_ERROR, METRICS
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.statistics.weighted_patches import CALIBRATION_BINS
from jimt.vocabulary import DEAD, LIVE

_BINS = 10
_RESAMPLES_OF_A_BAND = 500
_KINDS: dict[str, Literal["roc", "precision_recall"]] = {
    "auroc": "roc",
    "average_precision_live": "precision_recall",
}
"""Of each curve, by the area below it."""


def curve_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """ROC and precision-recall curves of models whose test patches are of both classes (Fig. 4a)."""
    drawn: dict[str, dict[str, tuple[Curve, str]]] = {"auroc": {}, "average_precision_live": {}}
    folds: list[Curve] = []
    share_live = 0.0
    confidence = 0.95
    for model in models:
        labels, scores, groups = model.arrays
        record = model.record
        confidence = model.confidence
        share_live = float((labels == LIVE).mean())
        for name, kind in _KINDS.items():
            words = ""
            if model.has_metrics:
                values = model.metrics["metrics"][name]
                words = f"{METRICS[name].words} {number_text(values['value'])}"
                if values["interval_groups"] is not None:
                    words += f"\n({interval_text(values['interval_groups'])})"
            found = curve(
                kind,
                labels,
                scores,
                groups,
                n_resamples=_RESAMPLES_OF_A_BAND,
                confidence=confidence,
                seed=record.seed,
            )
            drawn[name][model.name] = (found, words)
        if model.is_crossval and len(models) == 1:
            for _, part in model.scores.groupby("fold"):
                if part["label"].nunique() == 2:
                    labels, scores = part["label"].to_numpy(np.int64), part["score"].to_numpy(np.float64)
                    folds.append(curve("roc", labels, scores, None, n_resamples=0, confidence=confidence, seed=0))
    if all(found.band is None for found, _ in drawn["auroc"].values()):
        band = "No bands: too few groups, or none known."
    else:
        band = (
            f"Bands: pointwise {percent_text(confidence)} of {_RESAMPLES_OF_A_BAND} bootstrap resamples over groups; "
            "in brackets the interval over groups."
        )
        lacking = max(found.n_without_class for found, _ in drawn["auroc"].values())
        if lacking:
            band += f" {lacking} resamples hold one class only; they have no curve and do not count."
    yield Drawing(
        "roc", "ROC curves", f"{band} Dotted: chance (Fig. 4a).", figures.roc_curves(drawn["auroc"], folds=folds)
    )
    yield Drawing(
        "precision_recall",
        "Precision and recall of live",
        band,
        figures.precision_recall_curves(drawn["average_precision_live"], share_live=share_live),
    )


def confusion_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Confusion matrices (Fig. 4a)."""
    counts = {}
    for model in models:
        labels, scores, _ = model.arrays
        counts[model.name] = confusion_matrix(labels, scores > 0.5, labels=[DEAD, LIVE])
    yield Drawing(
        "confusion",
        "Confusion matrices",
        "Shares of the true class, and patches; predicted live where P(live) is above 0.5 (Fig. 4a).",
        figures.confusion_matrices(counts),
    )


def reliability_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Reliability diagrams."""
    found = {}
    confidence = 0.95
    for model in models:
        labels, scores, _ = model.arrays
        confidence = model.confidence
        words = ""
        if model.has_metrics:
            error = model.metrics["metrics"][CALIBRATION_ERROR]["value"]
            words = "" if error is None else f"{METRICS[CALIBRATION_ERROR].words} {number_text(error)}"
        found[model.name] = (calibration(labels, scores, n_bins=_BINS, confidence=confidence), words)
    yield Drawing(
        "reliability",
        "Reliability",
        f"Are scores probabilities? Patches in {_BINS} bins of P(live): their mean score against the share that is "
        f"live, with Wilson's {percent_text(confidence)} interval over patches. On the dotted line scores are "
        f"probabilities. The calibration error in the title is of {CALIBRATION_BINS} bins of the confidence.",
        figures.reliability(found),
    )
