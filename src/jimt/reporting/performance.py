"""How good, with which interval, and where not (paper: Fig. 4, Results)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from jimt.analysis.curves import Curve, accuracy_by_unit, calibration, precision_recall, roc
from jimt.analysis.figures import performance as figures
from jimt.analysis.weighted_metrics import METRICS
from jimt.errors import InputError
from jimt.paper import paper_name, printed
from jimt.reporting.blocks import Block, Drawing, Missing, Table, Text, attempt
from jimt.reporting.results import Model, why_not
from jimt.vocabulary import DEAD, LIVE

_BINS = 10
_RESAMPLES_OF_A_BAND = 500
_NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "recall_live": "recall of live",
    "recall_dead": "recall of dead",
    "average_precision": "average precision",
    "f1": "F1 of live",
    "expected_calibration_error": "expected calibration error",
    "brier": "Brier score",
}
_NO_NUMBER = "-"


def performance_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Metrics and figures of models that were tested on the same data set."""
    yield from _in_short(models)
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
            yield Text(
                f"The test split of {model.name} holds {_only_class(model)} patches alone, so there is no ROC curve, "
                "no precision-recall curve and no balanced accuracy of it.",
                is_warning=True,
            )
    if both:
        yield from curve_blocks(both)
    yield from confusion_blocks(scored)
    yield from reliability_blocks(scored)
    yield from attempt("The figure of score against fluorescence", fluorescence_blocks(scored))
    if len(models) == 1:
        yield from attempt("The training's curves", training_blocks(models[0]))
    yield from forest_blocks(scored)


def _in_short(models: Sequence[Model]) -> Iterator[Block]:
    """One sentence for whoever reads no further, of a single model."""
    if len(models) != 1 or not _has_metrics(models[0]):
        return
    metrics = models[0].metrics
    counts, auroc = metrics["counts"], metrics["metrics"]["auroc"]
    if auroc["value"] is None:
        return
    accuracy = metrics["metrics"]["balanced_accuracy"]
    over = f"{100 * metrics['confidence']:g} % interval over {counts['groups']:,} groups" if counts["groups"] else ""

    def told(values: dict[str, Any]) -> str:
        if values["interval_groups"] is None:
            return f"{values['value']:.3f} (no interval: {values['note']})"
        return f"{values['value']:.3f} ({_interval(values['interval_groups'])}, {over})"

    paper = printed(metrics["dataset"], metrics["backbone"])
    quoted = f" The paper: AUROC {paper.auroc:.3f}, balanced accuracy {paper.balanced_accuracy:.3f}." if paper else ""
    yield Text(
        f"In short: of a live and a dead patch, the live one has the higher score with probability {told(auroc)} "
        f"(AUROC); at a cut-off of 0.5 the balanced accuracy is {told(accuracy)}.{quoted}"
    )


def _classes(model: Model) -> set[int]:
    return set(model.scores["label"])


def _only_class(model: Model) -> str:
    return "live" if _classes(model) == {LIVE} else "dead"


def arrays(model: Model) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.object_] | None]:
    """Labels, scores and groups of the tested patches; None where groups are not known."""
    scores = model.scores
    known = bool(scores["group"].notna().all())
    return (
        scores["label"].to_numpy(np.int64),
        scores["score"].to_numpy(np.float64),
        scores["group"].to_numpy(object) if known else None,
    )


def metric_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Every metric with both intervals, beside the paper's; of several models the two the paper gives."""
    rows: list[list[str]] = []
    quoted: list[int] = []
    notes: dict[str, list[str]] = {}
    read = [model for model in models if _has_metrics(model)]
    for model in read:
        metrics = model.metrics
        paper = printed(metrics["dataset"], metrics["backbone"])
        for name, words in _NAMES.items() if len(read) == 1 else list(_NAMES.items())[:2]:
            rows.append([model.name, words, *_numbers(metrics["metrics"][name])])
            if paper is not None and name in ("balanced_accuracy", "auroc"):
                value = paper.balanced_accuracy if name == "balanced_accuracy" else paper.auroc
                interval = _interval(paper.interval) if name == "balanced_accuracy" else _NO_NUMBER
                quoted.append(len(rows))
                rows.append([f"{paper_name(metrics['backbone'])} (paper)", words, f"{value:.3f}", _NO_NUMBER, interval])
        for note in metrics["notes"]:
            notes.setdefault(note, []).append(model.name)
    if read:
        percent = f"{100 * read[0].metrics['confidence']:g} %"
        counts = read[0].metrics["counts"]
        of = f"{counts['live']:,} live and {counts['dead']:,} dead patches of {counts['raw_images']:,} raw images"
        groups = f" in {counts['groups']:,} groups" if counts["groups"] is not None else ""
        how = "out-of-fold scores of all folds together" if read[0].is_crossval else "the test split, seen once"
        yield Table(
            "Metrics",
            ["model", "metric", "value", f"{percent} over groups", f"{percent} over patches (paper's)"],
            rows,
            f"{how[0].upper()}{how[1:]}: {of}{groups}. Intervals over groups are the honest ones; patches of a raw "
            "image overlap, so an interval over patches is too narrow.",
            quoted=quoted,
            groups_rows=True,
        )
    for note, names in notes.items():
        which = "" if len(names) == len(models) else f"{', '.join(names)}: "
        told = f"{which}{note}."
        yield Text(told[0].upper() + told[1:], is_warning=True)
    if any(paper_name(model.metrics["backbone"]) and model.metrics["weights"] == "random" for model in read):
        yield Text("The paper's networks started from ImageNet weights; random ones do not compare.", is_warning=True)
    if len(read) == 1 and read[0].is_crossval:
        yield _folds(read[0].metrics)
    for model in models:
        if reason := why_not(model, "metrics"):
            yield Missing(f"The metrics of {model.name}", reason)


def _has_metrics(model: Model) -> bool:
    return why_not(model, "metrics") is None


def metric_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """Each metric by its name in words, its value and both intervals."""
    return [[words, *_numbers(metrics["metrics"][name])] for name, words in _NAMES.items()]


def _numbers(values: dict[str, Any]) -> list[str]:
    value = _NO_NUMBER if values["value"] is None else f"{values['value']:.3f}"
    over_groups = _interval(values["interval_groups"])
    if values["interval_groups"] is None and values["note"]:
        over_groups = f"- ({values['note']})"
    return [value, over_groups, _interval(values["interval_patches"])]


def _confidence(model: Model) -> float:
    """Coverage of the intervals: that of the metrics, which may have been evaluated again with another."""
    return float(model.metrics["confidence"] if _has_metrics(model) else model.provenance["confidence"])


def _interval(interval: Sequence[float] | None) -> str:
    return _NO_NUMBER if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def _folds(metrics: dict[str, Any]) -> Table:
    rows = []
    for fold in metrics["folds"]:
        counts = fold["counts"]
        numbers = [_NO_NUMBER if fold[name] is None else f"{fold[name]:.3f}" for name in ("auroc", "balanced_accuracy")]
        rows.append([str(fold["fold"]), *(f"{counts[key]:,}" for key in ("groups", "live", "dead")), *numbers])
    spread = metrics["spread"]["auroc"]
    caption = ""
    if spread["sd"] is not None:
        caption = f"AUROC over folds: mean {spread['mean']:.3f}, standard deviation {spread['sd']:.3f}."
    return Table("Each fold", ["fold", "groups", "live", "dead", "AUROC", "balanced accuracy"], rows, caption)


def curve_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """ROC and precision-recall curves of models whose test patches are of both classes (Fig. 4a)."""
    drawn: dict[str, dict[str, tuple[Curve, str]]] = {"auroc": {}, "average_precision": {}}
    folds: list[Curve] = []
    share_live = 0.0
    confidence = 0.95
    for model in models:
        labels, scores, groups = arrays(model)
        provenance = model.provenance
        confidence = _confidence(model)
        share_live = float((labels == LIVE).mean())
        for name, curve in (("auroc", roc), ("average_precision", precision_recall)):
            words = ""
            if _has_metrics(model):
                values = model.metrics["metrics"][name]
                words = f"{_NAMES[name]} {values['value']:.3f}"
                if values["interval_groups"] is not None:
                    words += f"\n({_interval(values['interval_groups'])})"
            found = curve(
                labels,
                scores,
                groups,
                n_resamples=_RESAMPLES_OF_A_BAND,
                confidence=confidence,
                seed=provenance["seed"],
            )
            drawn[name][model.name] = (found, words)
        if model.is_crossval and len(models) == 1:
            for _, part in model.scores.groupby("fold"):
                if part["label"].nunique() == 2:
                    of_fold = (part["label"].to_numpy(np.int64), part["score"].to_numpy(np.float64))
                    folds.append(roc(*of_fold, None, n_resamples=0, confidence=confidence, seed=0))
    if all(curve.band_x is None for curve, _ in drawn["auroc"].values()):
        band = "No bands: too few groups, or none known."
    else:
        band = (
            f"Bands: {100 * confidence:g} % of {_RESAMPLES_OF_A_BAND} draws of whole groups, point by point; in "
            "brackets the interval over groups."
        )
    yield Drawing(
        "roc", "ROC curves", f"{band} Dotted: guessing (Fig. 4a).", figures.roc_curves(drawn["auroc"], folds=folds)
    )
    yield Drawing(
        "precision_recall",
        "Precision and recall of live",
        band,
        figures.precision_recall_curves(drawn["average_precision"], share_live=share_live),
    )


def confusion_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Confusion matrices (Fig. 4a)."""
    counts = {}
    for model in models:
        labels, scores, _ = arrays(model)
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
        labels, scores, _ = arrays(model)
        confidence = _confidence(model)
        words = ""
        if _has_metrics(model) and model.metrics["metrics"]["expected_calibration_error"]["value"] is not None:
            words = f"calibration error {model.metrics['metrics']['expected_calibration_error']['value']:.3f}"
        found[model.name] = (calibration(labels, scores, n_bins=_BINS, confidence=confidence), words)
    yield Drawing(
        "reliability",
        "Do scores mean what they say",
        f"Patches in {_BINS} bins of P(live): their mean score against the share that is live, with Wilson's "
        f"{100 * confidence:g} % interval over patches. On the dotted line scores are probabilities. The calibration "
        "error in the title is of 15 bins of the confidence.",
        figures.reliability(found),
    )


def fluorescence_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Score against mean fluorescence (Fig. 4b); an InputError where patches came without."""
    found = {}
    quoted = ""
    for model in models:
        scores = model.scores[model.scores["mean_fluorescence"].notna()]
        if not len(scores):
            raise InputError("the data set holds no fluorescence, its patches were published without")
        words = []
        if _has_metrics(model):
            for of, unit in (("patches", "patches"), ("raw_images", "raw images")):
                values = model.metrics["correlation"][of]
                if values["r"] is not None:
                    p = f"p {values['p']:.1e}" if values["p"] > 0 else "p < 1e-300"
                    interval = values["interval_groups"]
                    words.append(f"{values['n']:,} {unit}: r {values['r']:.3f}, {p}")
                    if interval is not None:
                        words.append(f"(r {_interval(interval)} over groups)")
            paper = printed(model.metrics["dataset"], model.metrics["backbone"])
            if paper is not None:
                quoted = f" The paper prints r {paper.correlation:.3f} for {paper_name(model.metrics['backbone'])}."
        found[model.name] = (
            scores["score"].to_numpy(float),
            scores["mean_fluorescence"].to_numpy(float),
            scores["label"].to_numpy(int),
            "\n".join(words),
        )
    yield Drawing(
        "score_against_fluorescence",
        "Score against mean fluorescence",
        "Pearson's r over patches, and over the means of raw images, each with the number of values behind its p. "
        f"Patches overlap, so their p is too small.{quoted} (Fig. 4b)",
        figures.score_against_fluorescence(found, unit="raw counts"),
    )


def training_blocks(model: Model) -> Iterator[Block]:
    """Loss and validation metrics by epoch; nothing of a cross-validation or a frozen network."""
    if model.is_crossval or model.hyperparameters["trainable"] == "none":
        return
    path = model.folder / "metrics.csv"
    if not path.is_file():
        raise InputError(f"{path} is missing")
    table = pd.read_csv(path)
    names = [name for name in ("train/loss", "val/loss", "val/balanced_accuracy", "val/auroc") if name in table]
    if not names:
        raise InputError(f"{path} holds no metric by epoch")
    by_epoch = table.groupby("epoch", as_index=False)[names].last()
    yield Drawing(
        "training",
        "The training",
        "Cross entropy of training patches, as they were drawn and changed, and of validation patches; the checkpoint "
        "with the best validation score was tested.",
        figures.training_curves(by_epoch),
    )


def forest_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Balanced accuracy of each group and of each raw image."""
    for number, model in enumerate(models, 1):
        labels, scores, groups = arrays(model)
        confidence = _confidence(model)
        accuracy = float(METRICS["balanced_accuracy"](labels, scores, np.ones((1, len(labels))))[0])
        overall = None if np.isnan(accuracy) else accuracy  # a class is absent
        suffix = "" if len(models) == 1 else f"_{number}"
        of = "" if len(models) == 1 else f", {model.name}"
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
                f"Each {what}{of}",
                f"Worst first. Intervals ({100 * confidence:g} %) are over the patches of the {what}, as if these were "
                "independent; they overlap, so the intervals are too narrow.",
                figures.forest(table, what=what, overall=overall),
            )
