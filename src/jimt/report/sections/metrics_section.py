"""Metrics with their intervals, beside the paper's (paper: Results)."""

from collections.abc import Iterator, Sequence
from typing import Any

from jimt.paper import paper_name, printed
from jimt.report.blocks import Block, Missing, Table, Text
from jimt.report.study import Model, why_not

NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "recall_live": "recall of live",
    "recall_dead": "recall of dead",
    "average_precision_live": "average precision of live",
    "f1_live": "F1 of live",
    "f1_dead": "F1 of dead",
    "expected_calibration_error": "expected calibration error",
    "brier": "Brier score",
}
_NO_NUMBER = "-"


def in_short(models: Sequence[Model]) -> Iterator[Block]:
    """One sentence for whoever reads no further, of a single model."""
    if len(models) != 1 or not has_metrics(models[0]):
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
        return f"{values['value']:.3f} ({interval_text(values['interval_groups'])}, {over})"

    paper = printed(metrics["dataset"], metrics["backbone"])
    quoted = f" The paper: AUROC {paper.auroc:.3f}, balanced accuracy {paper.balanced_accuracy:.3f}." if paper else ""
    yield Text(
        f"In short: of a live and a dead patch, the live one has the higher score with probability {told(auroc)} "
        f"(AUROC); at a cut-off of 0.5 the balanced accuracy is {told(accuracy)}.{quoted}"
    )


def metric_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Every metric with both intervals, beside the paper's; of several models the two the paper gives."""
    rows: list[list[str]] = []
    quoted: list[int] = []
    notes: dict[str, list[str]] = {}
    read = [model for model in models if has_metrics(model)]
    for model in read:
        metrics = model.metrics
        paper = printed(metrics["dataset"], metrics["backbone"])
        for name, words in NAMES.items() if len(read) == 1 else list(NAMES.items())[:2]:
            rows.append([model.name, words, *_numbers(metrics["metrics"][name])])
            if paper is not None and name in ("balanced_accuracy", "auroc"):
                value = paper.balanced_accuracy if name == "balanced_accuracy" else paper.auroc
                interval = interval_text(paper.interval) if name == "balanced_accuracy" else _NO_NUMBER
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
    for model in read:
        if advice := model.metrics.get("advice"):  # a cross-validation has none
            of = f"{model.name}: " if len(models) > 1 else ""
            command = f": {advice['command']}" if advice["command"] else ""
            yield Text(f"{of}{advice['text']}{command}.")
    if any(paper_name(model.metrics["backbone"]) and model.metrics["weights"] == "random" for model in read):
        yield Text("The paper's networks started from ImageNet weights; random ones do not compare.", is_warning=True)
    if len(read) == 1 and read[0].is_crossval:
        yield _folds(read[0].metrics)
    for model in models:
        if reason := why_not(model, "metrics"):
            yield Missing(f"The metrics of {model.name}", reason)


def has_metrics(model: Model) -> bool:
    """Whether they can be read."""
    return why_not(model, "metrics") is None


def metric_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """Each metric by its name in words, its value and both intervals."""
    return [[words, *_numbers(metrics["metrics"][name])] for name, words in NAMES.items()]


def _numbers(values: dict[str, Any]) -> list[str]:
    value = _NO_NUMBER if values["value"] is None else f"{values['value']:.3f}"
    over_groups = interval_text(values["interval_groups"])
    if values["interval_groups"] is None and values["note"]:
        over_groups = f"- ({values['note']})"
    return [value, over_groups, interval_text(values["interval_patches"])]


def confidence_of(model: Model) -> float:
    """Coverage of the intervals: that of the metrics, which may have been evaluated again with another."""
    return float(model.metrics["confidence"] if has_metrics(model) else model.record.confidence)


def interval_text(interval: Sequence[float] | None) -> str:
    """Three digits of both ends."""
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
