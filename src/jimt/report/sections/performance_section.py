"""How good, in figures (paper: Fig. 4)."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from jimt.errors import InputError
from jimt.figures import discrimination, performance
from jimt.paper import paper_name, printed
from jimt.report.blocks import Block, Drawing, Missing, Text, attempt
from jimt.report.sections.metrics_section import in_short, metric_blocks
from jimt.report.sections.uncertainty_section import uncertainty_blocks
from jimt.report.study import Model, why_not
from jimt.statistics.correlation import UNITS, p_text
from jimt.statistics.curves import Curve, accuracy_by_unit, calibration, curve
from jimt.statistics.metrics import CALIBRATION_ERROR, METRICS
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.statistics.weighted_patches import CALIBRATION_BINS
from jimt.system.files import METRICS_BY_EPOCH
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE, SCALES


def performance_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Metrics and figures of models that were tested on the same data set."""
    yield from in_short(models)
    yield from metric_blocks(models)
    scored = []
    for model in models:
        if reason := why_not(model, "scores"):
            yield Missing(f"What needs the scores of {model.name}", reason)
        else:
            scored.append(model)
    if not scored:
        return
    both = [model for model in scored if _classes(model) == {LIVE, DEAD}]
    for model in scored:
        if model not in both:
            (only,) = _classes(model)
            yield Text(
                f"The test split of {model.name} holds {LABEL_NAMES[only]} patches alone, so there is no ROC curve, "
                "no precision-recall curve and no balanced accuracy of it.",
                is_warning=True,
            )
    if both:
        yield from curve_blocks(both)
    yield from confusion_blocks(scored)
    yield from reliability_blocks(scored)
    yield from uncertainty_blocks(scored)
    yield from attempt("The figure of score against fluorescence", fluorescence_blocks(scored))
    if len(models) == 1:
        yield from attempt("The training's curves", training_blocks(models[0]))
    yield from forest_blocks(scored)


def _classes(model: Model) -> set[int]:
    return set(model.scores["label"])


def fluorescence_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Score against mean fluorescence (Fig. 4b), on the scale of the labels and, as the paper has it, in raw counts.

    Raises:
        InputError: If patches came without fluorescence, or the scores were written without the labels' scale.
    """
    panels = []
    quoted = ""
    for model in models:
        scores = model.scores[model.scores["mean_fluorescence"].notna()]
        if not len(scores):
            raise InputError("the data set holds no fluorescence, its patches were published without")
        shown: dict[str, tuple[str, dict[str, Any] | None]] = {"raw": ("mean_fluorescence", None)}
        if model.has_metrics:
            correlation = model.metrics["correlation"]
            shown = {correlation["scale"]: ("label_value", correlation)}
            shown |= {"raw": ("mean_fluorescence", correlation["raw"])}
        for scale, (column, found) in shown.items():
            panels.append(
                performance.FluorescencePanel(
                    model.name,
                    scores["score"].to_numpy(float),
                    scores[column].to_numpy(float),
                    scores["label"].to_numpy(int),
                    SCALES[scale],
                    scale == "log_background_ratio",
                    "" if found is None else _correlation_title(found),
                )
            )
        paper = printed(model.record.dataset, model.checkpoint.network.name)
        if paper is not None:
            name = paper_name(model.checkpoint.network.name)
            quoted = f" The paper prints r {number_text(paper.correlation)} for {name}, on raw counts."
    both = ""
    if any(model.has_metrics and model.metrics["correlation"]["scale"] != "raw" for model in models):
        both = " On the scale that patches are labelled on, and in raw counts as in the paper."
    yield Drawing(
        "score_against_fluorescence",
        "Score against mean fluorescence",
        f"Pearson's r over patches, and over the means of raw images, each with the number of values behind its p."
        f"{both} Patches overlap, so their p is too small.{quoted} (Fig. 4b)",
        performance.score_against_fluorescence(panels),
    )


def _correlation_title(found: dict[str, Any]) -> str:
    words = []
    for key, unit in UNITS.items():
        values = found[key]
        if values["r"] is not None:
            words.append(f"{values['n']:,} {unit}: r {number_text(values['r'])}, {p_text(values['p'])}")
            if values["interval_groups"] is not None:
                words.append(f"(r {interval_text(values['interval_groups'])} over groups)")
    return "\n".join(words)


def training_blocks(model: Model) -> Iterator[Block]:
    """Loss and validation metrics by epoch; nothing of a cross-validation or a frozen network."""
    if model.is_crossval or model.record.method == "linear_probe":
        return
    path = model.folder / METRICS_BY_EPOCH
    if not path.is_file():
        raise InputError(f"{path} is missing")
    table = pd.read_csv(path)
    shown = ("train/loss", "val/loss", "val/balanced_accuracy", "val/correlation", "val/auroc")
    names = [name for name in shown if name in table]
    if not names:
        raise InputError(f"{path} holds no metric by epoch")
    loss = "cross entropy"
    words = "Cross entropy of training patches, as they were drawn and changed, and of validation patches"
    if model.checkpoint.task == "stain":
        loss = "loss"
        words = (
            "Weighted sum of the losses of all maps, of training crops, as they were drawn and changed, and of "
            "validation fields; the correlation is of predicted and true maps, mean over fields and maps"
        )
    yield Drawing(
        "training",
        "The training",
        f"{words}; the checkpoint with the best validation score was tested.",
        performance.training_curves(table.groupby("epoch", as_index=False)[names].last(), loss=loss),
    )


def forest_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Balanced accuracy of each group and of each raw image."""
    for number, model in enumerate(models, 1):
        labels, scores, groups = model.arrays
        confidence = model.confidence
        accuracy = METRICS["balanced_accuracy"].value(labels, scores)
        overall = None if np.isnan(accuracy) else accuracy  # a class is absent
        suffix = "" if len(models) == 1 else f"_{number}"
        subject = "" if len(models) == 1 else f", {model.name}"
        images = model.scores["raw_image_id"].to_numpy(object)
        units: list[tuple[str, NDArray[np.object_]]] = []
        if groups is not None:
            if len(set(groups)) < len(set(images)):
                units.append(("group", groups))
            units.append(("raw image", images))
        for what, names in units:
            table = accuracy_by_unit(labels, scores, names, confidence=confidence)
            yield Drawing(
                f"by_{what.replace(' ', '_')}{suffix}",
                f"Each {what}{subject}",
                f"Worst first. Intervals ({percent_text(confidence)}) are over the patches of the {what}, as if these "
                "were independent; they overlap, so the intervals are too narrow.",
                performance.forest(table, what=what, overall=overall),
            )


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
                seed=model.record.seed,
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
        if lacking := max(found.n_without_class for found, _ in drawn["auroc"].values()):
            band += f" {lacking} resamples hold one class only; they have no curve and do not count."
    yield Drawing(
        "roc", "ROC curves", f"{band} Dotted: chance (Fig. 4a).", discrimination.roc_curves(drawn["auroc"], folds=folds)
    )
    yield Drawing(
        "precision_recall",
        "Precision and recall of live",
        band,
        discrimination.precision_recall_curves(drawn["average_precision_live"], share_live=share_live),
    )


def confusion_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Confusion matrices (Fig. 4a)."""
    counts = {
        model.name: confusion_matrix(model.scores["label"], model.scores["score"] > 0.5, labels=[DEAD, LIVE])
        for model in models
    }
    yield Drawing(
        "confusion",
        "Confusion matrices",
        "Shares of the true class, and patches; predicted live where P(live) is above 0.5 (Fig. 4a).",
        discrimination.confusion_matrices(counts),
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
        discrimination.reliability(found),
    )
