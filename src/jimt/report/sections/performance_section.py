"""How good, in figures (paper: Fig. 4)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import InputError
from jimt.figures import performance as figures
from jimt.paper import paper_name, printed
from jimt.report.blocks import Block, Drawing, Missing, Text, attempt
from jimt.report.sections.curves_section import confusion_blocks, curve_blocks, reliability_blocks
from jimt.report.sections.metrics_section import in_short, metric_blocks
from jimt.report.study import Model, why_not
from jimt.statistics.correlation import UNITS, p_text
from jimt.statistics.curves import accuracy_by_unit
from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.vocabulary import DEAD, LIVE, SCALES


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


def _classes(model: Model) -> set[int]:
    return set(model.scores["label"])


def _only_class(model: Model) -> str:
    return "live" if _classes(model) == {LIVE} else "dead"


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
                figures.FluorescencePanel(
                    model.name,
                    scores["score"].to_numpy(float),
                    scores[column].to_numpy(float),
                    scores["label"].to_numpy(int),
                    SCALES[scale],
                    scale == "log_background_ratio",
                    "" if found is None else _correlation_title(found),
                )
            )
        record = model.record
        paper = printed(record.dataset, model.checkpoint.network.name)
        if paper is not None:
            name = paper_name(model.checkpoint.network.name)
            quoted = f" The paper prints r {number_text(paper.correlation)} for {name}, on raw counts."
    both = (
        " On the scale that patches are labelled on, and in raw counts as in the paper." if _on_another(models) else ""
    )
    yield Drawing(
        "score_against_fluorescence",
        "Score against mean fluorescence",
        f"Pearson's r over patches, and over the means of raw images, each with the number of values behind its p."
        f"{both} Patches overlap, so their p is too small.{quoted} (Fig. 4b)",
        figures.score_against_fluorescence(panels),
    )


def _on_another(models: Sequence[Model]) -> bool:
    return any(model.has_metrics and model.metrics["correlation"]["scale"] != "raw" for model in models)


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
                figures.forest(table, what=what, overall=overall),
            )
