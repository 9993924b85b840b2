"""The table of each model on each data set: on a terminal, as CSV and as Markdown."""

from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from jimt.statistics.metrics import headline_metrics, terminal_columns
from jimt.statistics.value_text import NO_VALUE, interval_text, number_text, value_text
from jimt.system.screen import open_table


def as_frame(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a model and data set, to be written as CSV."""
    rows = []
    for entry in entries:
        row = {key: entry[key] for key in ("backbone", "weights", "trained_on", "tested_on", "n_left_out", "run")}
        if entry["metrics"] is not None:
            row |= {
                "live": entry["counts"]["live"],
                "dead": entry["counts"]["dead"],
                "groups": entry["counts"]["groups"],
            }
            for name, values in entry["metrics"].items():
                low, high = values["interval_groups"] or (None, None)
                row |= {name: values["value"], f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def as_table(entries: list[dict[str, Any]]) -> Table:
    """The table, to be printed."""
    table = open_table("Each model on each data set")
    for column in ("model\ntrained on", "tested on"):
        table.add_column(column)
    columns = terminal_columns()
    headings = ["\n".join(f"{metric.terminal_column}\nover groups" for metric in metrics) for metrics in columns]
    for column in ("live/dead\ngroups", *headings):
        table.add_column(column, justify="right")
    for entry in entries:
        model, trained_on, tested_on = _names(entry)
        counts, groups = _counts(entry)
        found = dict(zip(headline_metrics(), _values(entry), strict=True))
        values = (
            "\n".join(f"{number_text(found[metric][0])}\n{interval_text(found[metric][1])}" for metric in metrics)
            for metrics in columns
        )
        cells = (f"{model}\n{trained_on}", tested_on, f"{counts}\n{groups}", *values)
        table.add_row(*(escape(cell) for cell in cells), end_section=True)
    return table


def _names(entry: dict[str, Any]) -> tuple[str, str, str]:
    backbone: str = entry["backbone"]
    return backbone.partition(".")[0], entry["model"], entry["tested_on"]


def _counts(entry: dict[str, Any]) -> tuple[str, str]:
    """Live and dead patches that were tested on, and their groups."""
    if entry["metrics"] is None:
        return "none left", NO_VALUE
    counts = entry["counts"]
    return f"{counts['live']}/{counts['dead']}", NO_VALUE if counts["groups"] is None else str(counts["groups"])


def _values(entry: dict[str, Any]) -> list[tuple[float | None, tuple[float, float] | None]]:
    """Each metric with its interval over groups."""
    rows = [(entry["metrics"] or {}).get(metric.name, {}) for metric in headline_metrics()]
    return [(row.get("value"), row.get("interval_groups")) for row in rows]


def as_markdown(entries: list[dict[str, Any]]) -> str:
    """The matrix as a Markdown table."""
    header = ["model", "trained on", "tested on", "live/dead", "groups", *(each.words for each in headline_metrics())]
    rows = [[*_names(entry), *_counts(entry), *(value_text(*value) for value in _values(entry))] for entry in entries]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)) + "\n"
