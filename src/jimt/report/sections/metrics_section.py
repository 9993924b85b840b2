"""Metrics with their intervals, beside the paper's (paper: Results)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from jimt.evaluation.baseline_models import baseline_rows
from jimt.evaluation.reported_metrics import rows_of_folds
from jimt.figures.bland_altman import agreement_of_shares
from jimt.paper import paper_name, printed
from jimt.report.blocks import Block, Drawing, Missing, Table, Text
from jimt.report.metric_rows import value_cells, without_interval
from jimt.report.predicted import share_in_short
from jimt.report.study import Model, Study, why_not
from jimt.statistics.metrics import METRICS, headline_metrics
from jimt.statistics.share_agreement import MEASURES
from jimt.statistics.value_text import NO_VALUE, interval_text, number_text, percent_text, spread_text, value_text
from jimt.sweeps.sweep import FINISHED
from jimt.sweeps.table import read_jobs
from jimt.sweeps.table_cells import correlation_cells, count_cell, metric_cells
from jimt.system.files import FIELD_SHARES


def in_short(models: Sequence[Model]) -> Iterator[Block]:
    """One sentence for whoever reads no further, of a single model."""
    if len(models) != 1 or not models[0].has_metrics:
        return
    metrics = models[0].metrics
    if metrics["metrics"]["auroc"]["value"] is None:
        return
    names = "auroc", "balanced_accuracy"
    auroc, accuracy = (_in_words(metrics, name) for name in names)
    paper = printed(metrics["dataset"], metrics["backbone"])
    quoted = ""
    if paper:
        numbers = number_text(paper.auroc), number_text(paper.balanced_accuracy)
        quoted = f" The paper: AUROC {numbers[0]}, balanced accuracy {numbers[1]}."
    yield Text(
        f"In short: of a live and a dead patch, the live one has the higher score with probability {auroc} (AUROC); at "
        f"a threshold of 0.5 the balanced accuracy is {accuracy}.{without_interval(metrics, names)}{quoted}"
    )


def _in_words(metrics: Mapping[str, Any], name: str) -> str:
    values, n_groups = metrics["metrics"][name], metrics["counts"]["groups"]
    value = number_text(values["value"])
    if values["interval_groups"] is None:
        return value
    coverage = percent_text(metrics["confidence"])
    return f"{value} ({interval_text(values['interval_groups'])}, {coverage} interval over {n_groups:,} groups)"


def metric_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Every metric with both intervals, beside the paper's; of several models the headline metrics."""
    read = [model for model in models if model.has_metrics]
    if read:
        yield _metrics_table(read)
    yield from _notes(models, read)
    for model in read:
        if advice := model.metrics.get("advice"):  # a cross-validation has none
            subject = f"{model.name}: " if len(models) > 1 else ""
            command = advice["command"]
            yield Text(f"{subject}{advice['text']}{':' if command else '.'}", command=command)
    if any(paper_name(model.metrics["backbone"]) and model.metrics["weights"] == "random" for model in read):
        yield Text("The paper's networks started from ImageNet weights; random ones do not compare.", is_warning=True)
    if len(read) == 1 and read[0].is_crossval:
        yield _folds(read[0].metrics)
    if len(read) == 1:
        yield from _comparisons(read[0])
    for model in models:
        if reason := why_not(model, "metrics"):
            yield Missing(f"The metrics of {model.name}", reason)


def _metrics_table(models: Sequence[Model]) -> Table:
    rows: list[list[str]] = []
    quoted: list[int] = []
    reasons: dict[str, list[str]] = {}
    for model in models:
        metrics = model.metrics
        paper = printed(metrics["dataset"], metrics["backbone"])
        shown: list[str] = []
        for metric in METRICS.values() if len(models) == 1 else headline_metrics():
            if metric.name in metrics["metrics"]:  # not of a run that is older than the metric
                rows.append([model.name, metric.words, *value_cells(metrics["metrics"][metric.name])])
                shown.append(metric.name)
            if paper is not None and (found := paper.metric(metric.name)) is not None:
                value, interval = found
                quoted.append(len(rows))
                name = f"{paper_name(metrics['backbone'])} (paper)"
                rows.append([name, metric.words, number_text(value), NO_VALUE, interval_text(interval)])
        if why := without_interval(metrics, shown):
            reasons.setdefault(why, []).append(model.name)
    told = [why if len(names) == len(models) else f" {', '.join(names)}:{why}" for why, names in reasons.items()]
    percent = percent_text(models[0].metrics["confidence"])
    return Table(
        "Metrics",
        ["model", "metric", "value", f"{percent} over groups", f"{percent} over patches (paper's)"],
        rows,
        f"{tested_on(models[0])} Patches of a raw image overlap and share its focus and staining, so an interval over "
        f"patches, which takes them for independent, is too narrow: read the one over groups.{''.join(told)}",
        quoted=quoted,
        groups_rows=True,
    )


def tested_on(model: Model) -> str:
    """A sentence on the patches behind the metrics of a model."""
    counts = model.metrics["counts"]
    how = "Out-of-fold scores of all folds together" if model.is_crossval else "The test split, scored once"
    groups = f" in {counts['groups']:,} groups" if counts["groups"] is not None else ""
    patches = f"{counts['live']:,} live and {counts['dead']:,} dead patches"
    return f"{how}: {patches} of {counts['raw_images']:,} raw images{groups}."


def _notes(models: Sequence[Model], read: Sequence[Model]) -> Iterator[Block]:
    names_by_note: dict[str, list[str]] = {}
    for model in read:
        for note in model.metrics["notes"]:
            names_by_note.setdefault(note, []).append(model.name)
    for note, names in names_by_note.items():
        told = note if len(names) == len(models) else f"{', '.join(names)}: {note}"
        yield Text(f"{told[0].upper()}{told[1:]}.", is_warning=True)


def _folds(metrics: Mapping[str, Any]) -> Table:
    spreads = [(metric.words, metrics["spread"][metric.name]) for metric in headline_metrics()]
    told = "; ".join(f"{words} {spread_text(spread)}" for words, spread in spreads if spread["sd"] is not None)
    caption = f"Over folds: {told}." if told else ""
    header, rows = rows_of_folds(metrics["folds"])
    return Table("Each fold", header, rows, caption)


def _comparisons(model: Model) -> Iterator[Block]:
    """Simpler models, counted cells and dead shares."""
    metrics = model.metrics
    percent = percent_text(metrics["confidence"])
    if metrics.get("baselines"):  # not of a run that is older
        header, rows = baseline_rows(metrics["baselines"])
        yield Table(
            "Simpler models, trained and tested on the same patches",
            header,
            rows,
            f"{percent} intervals of the difference over groups.",
        )
    if counted := metrics.get("counted"):
        rows = [[METRICS[name].words, *value_cells(values)[:2]] for name, values in counted["metrics"].items()]
        yield Table(
            "Against counted cells",
            ["metric", "value", f"{percent} over groups"],
            rows,
            f"{counted['patches']:,} patches that hold a counted cell, those between the thresholds included: "
            f"{counted['dead']:,} of them are dead, with {percent_text(counted['dead_share'])} of their cells or more."
            f"{without_interval(counted, counted['metrics'])}",
        )
    yield from _dead_shares(model)


def _dead_shares(model: Model) -> Iterator[Block]:
    """How well the dead share of a field is told, where cells were counted."""
    metrics = model.metrics.get("dead_share")
    if metrics is None:
        return
    shares = {
        "calibrated": "the model, calibrated on other groups' fields",
        "uncalibrated": f"the model, {share_in_short(model.checkpoint)}",
        "constant": "a constant, the median of other groups' fields",
    }
    rows = [
        [words, *(value_text(of[each]["value"], of[each]["interval_groups"]) for each in MEASURES)]
        for words, of in ((words, metrics[name]) for name, words in shares.items())
    ]
    yield Table(
        "Dead share of fields",
        ["predicted by", *(measure.words for measure in MEASURES.values())],
        rows,
        f"{metrics['fields']:,} fields of {metrics['min_cells']} counted cells or more, {metrics['dead']:,} of "
        f"{metrics['cells']:,} cells dead; {percent_text(model.metrics['confidence'])} intervals over groups. "
        "Over folds a constant's correlations say nothing.",
    )
    fields = pd.read_csv(model.folder / FIELD_SHARES, dtype={"raw_image_id": str, "group": str})
    predicted, words = fields["calibrated"], "calibrated"
    if predicted.isna().any():
        predicted, words = fields["uncalibrated"], "not calibrated"
    yield Drawing(
        "dead_shares",
        "Predicted and true dead share of fields",
        "Left: each field; right: the difference against the mean of both, with bias and limits of agreement "
        "(Bland and Altman): about 95 % of differences lie between.",
        agreement_of_shares(
            predicted.to_numpy(float),
            fields["true"].to_numpy(float),
            fields["group"].to_numpy(object),
            words=f"{len(fields):,} fields, {words}",
        ),
    )


def overview(study: Study) -> Table:
    """A row a finished job, and under it the paper's where it has one."""
    rows: list[list[str]] = []
    quoted: list[int] = []
    for row in read_jobs(study.folder):
        if row["status"] != FINISHED:
            continue
        # where weights came from stands at the end of the report
        settings = [_short(text) for text in row["settings"] if not text.startswith("backbone.weights=")]
        rows.append([str(row["dataset"]), str(row["backbone"]), " ".join(settings), *_numbers(row)])
        if row["paper"] is not None:
            quoted.append(len(rows))
            rows.append([str(row["dataset"]), f"{row['paper']['backbone']} (paper)", "", *_numbers(row["paper"])])
    columns = [name for metric in headline_metrics() for name in (metric.column, "over groups", "validation")]
    header = ["data set", "backbone", "settings", "train live/dead", "test live/dead", *columns, "r", "r, raw"]
    if not any(row[2] for row in rows):
        del header[2]
        rows = [row[:2] + row[3:] for row in rows]
    return Table(
        "All models",
        header,
        rows,
        "Each on the test split of its data set; choose by the columns of validation, since the best of many test "
        "values is too high; intervals over patches are below, beside those over groups; r is "
        "Pearson's over patches, of score and mean fluorescence on the scale of the labels, and in raw counts.",
        quoted=quoted,
        groups_rows=True,
    )


def _short(setting: str) -> str:
    """A setting without the folders of a path."""
    key, equals, value = setting.partition("=")
    return f"{key}{equals}{value.rpartition('/')[2]}"


def _numbers(row: dict[str, Any]) -> list[str]:
    metrics = [metric_cells(row, metric.name) for metric in headline_metrics()]
    return [
        *(count_cell(row, split) for split in ("train", "test")),
        *(cell for metric in metrics for cell in (metric.value, metric.over_groups, metric.validation)),
        *correlation_cells(row),
    ]
