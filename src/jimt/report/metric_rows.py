"""Metrics of a test as rows of a table, the same in the report and in the model card."""

from collections.abc import Iterable, Mapping
from typing import Any

from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import interval_text, number_text


def metric_rows(metrics: Mapping[str, Any]) -> list[list[str]]:
    """Each metric by its name in words, its value and both intervals.

    Args:
        metrics: What ``test_metrics.json`` holds.
    """
    found = metrics["metrics"]
    return [[metric.words, *value_cells(found[metric.name])] for metric in METRICS.values() if metric.name in found]


def without_interval(metrics: Mapping[str, Any], names: Iterable[str]) -> str:
    """Why metrics have no value, or no interval over groups, each reason once: sentences, each after a space.

    Args:
        metrics: What ``test_metrics.json`` holds.
        names: Of the metrics that are told of.
    """
    found = metrics["metrics"]
    told = [name for name in names if name in found]
    of_reason: dict[tuple[str, str], list[str]] = {}
    for name in told:
        if found[name]["interval_groups"] is None and found[name]["note"]:
            lacking = "value" if found[name]["value"] is None else "interval over groups"
            of_reason.setdefault((lacking, found[name]["note"]), []).append(name)
    sentences = []
    for (lacking, reason), of in of_reason.items():
        which = "" if len(of) == len(told) else f" for {', '.join(METRICS[name].words for name in of)}"
        sentences.append(f" No {lacking}{which}: {reason}.")
    return "".join(sentences)


def value_cells(values: Mapping[str, Any]) -> list[str]:
    """A metric's value and both intervals."""
    return [
        number_text(values["value"]),
        interval_text(values["interval_groups"]),
        interval_text(values["interval_patches"]),
    ]
