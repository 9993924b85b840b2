"""Cells of a sweep's table as text, the same in its files, on the terminal and in the report."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jimt.statistics.value_text import NO_VALUE, interval_text, number_text
from jimt.vocabulary import Split

SPLITS = tuple(split.value for split in Split)


@dataclass(frozen=True)
class MetricCells:
    """A metric of a job: on the test split with both intervals, and on the validation split."""

    value: str
    over_groups: str
    over_patches: str
    validation: str


def metric_cells(row: dict[str, Any], name: str) -> MetricCells:
    """A metric of a row of the table, or of what a row has of the paper, which tells nothing of validation."""
    values = row[name] or {}
    return MetricCells(
        number_text(values.get("value")),
        interval_text(values.get("interval_groups")),
        interval_text(values.get("interval_patches")),
        number_text(row.get("validation", {}).get(name)),
    )


def count_cell(row: dict[str, Any], split: str) -> str:
    """Live and dead patches of a split."""
    part = (row["counts"] or {}).get(split)
    return NO_VALUE if part is None else f"{part['live']:,}/{part['dead']:,}"


def correlation_cells(row: dict[str, Any]) -> list[str]:
    """Pearson's r over patches: of score and fluorescence on the scale of the labels, and in raw counts."""
    return [number_text(r) for r in correlations(row)]


def correlations(row: dict[str, Any]) -> tuple[float | None, float | None]:
    """The same as numbers."""
    correlation = row["correlation"] or {}
    labelled, raw = (part.get("patches", {}).get("r") for part in (correlation, correlation.get("raw") or {}))
    return labelled, raw


def name_cells(row: dict[str, Any]) -> list[str]:
    """Data set, backbone and weights of a row."""
    return [row[key] or NO_VALUE for key in ("dataset", "backbone", "weights")]


def one_line(text: str) -> str:
    r"""A text without its line breaks.

    >>> one_line("many\n  lines")
    'many lines'
    """
    return " ".join(text.split())


def markdown_line(cells: Iterable[str]) -> str:
    r"""A line of a Markdown table.

    >>> print(markdown_line(["a|b", "c"]))
    | a\|b | c |
    """
    return "| " + " | ".join(one_line(cell).replace("|", r"\|") for cell in cells) + " |"
