"""The table of a sweep as Markdown and CSV; the paper's row stands under a job's where the paper has one."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from jimt.statistics.metrics import METRICS, headline_metrics
from jimt.sweeps.table import notes
from jimt.sweeps.table_cells import (
    SPLITS,
    correlation_cells,
    correlations,
    count_cell,
    markdown_line,
    metric_cells,
    name_cells,
    one_line,
)


def as_markdown(table: Sequence[dict[str, Any]]) -> str:
    """``table.md``: the headline metrics, and notes."""
    header = _header()
    lines = [markdown_line(header), markdown_line(["---"] * len(header))]
    for row in table:
        status = row["status"] if row["reason"] is None else f"{row['status']}: {row['reason']}"
        lines.append(markdown_line([row["job"], *name_cells(row), " ".join(row["settings"]), status, *_numbers(row)]))
        if (paper := row["paper"]) is not None:
            names = ["(paper)", row["dataset"], paper["backbone"], paper["weights"], "", ""]
            lines.append(markdown_line([*names, *_numbers(paper)]))
    return "\n".join([*lines, "", *(f"- {one_line(note)}" for note in notes(table))]).rstrip() + "\n"


def _header() -> list[str]:
    words = [metric.words for metric in headline_metrics()]
    return [
        "job",
        "data set",
        "backbone",
        "weights",
        "settings",
        "status",
        *(f"{name}, validation" for name in words),
        *(f"{split} live/dead" for split in SPLITS),
        *(f"{name}{interval}" for name in words for interval in ("", " over groups", " over patches")),
        "r of score and PI as labelled",
        "r of score and PI in raw counts",
    ]


def _numbers(row: dict[str, Any]) -> list[str]:
    metrics = [metric_cells(row, metric.name) for metric in headline_metrics()]
    return [
        *(metric.validation for metric in metrics),
        *(count_cell(row, split) for split in SPLITS),
        *(cell for metric in metrics for cell in (metric.value, metric.over_groups, metric.over_patches)),
        *correlation_cells(row),
    ]


def as_csv(table: Sequence[dict[str, Any]]) -> str:
    """``table.csv``: every metric, a number a cell, a column for each setting that is varied and for the paper's."""
    return pd.DataFrame([_flat(row) for row in table], dtype=object).to_csv(index=False, lineterminator="\n")


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    cells = {name: row[name] for name in ("job", "dataset", "backbone", "weights", "seed", "status", "reason")}
    for setting in row["settings"]:
        key, _, value = setting.partition("=")
        if key.lstrip("+") not in cells:  # the seed has its column already
            cells[key.lstrip("+")] = value
    cells |= {f"val_{name}": row["validation"][name] for name in METRICS}
    cells |= _flat_numbers(row, METRICS)
    if row["counted"] is not None:
        cells |= {f"counted_{name}": values["value"] for name, values in row["counted"]["metrics"].items()}
    if row["dead_share"] is not None:
        for name in ("calibrated", "uncalibrated", "constant"):
            cells[f"dead_share_mae_{name}"] = row["dead_share"][name]["mae"]["value"]
    if row["paper"] is not None:
        printed = [name for name in METRICS if row["paper"][name] is not None]
        cells |= {f"paper_{key}": value for key, value in _flat_numbers(row["paper"], printed).items()}
    return cells


def _flat_numbers(row: dict[str, Any], names: Sequence[str] | dict[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for split in SPLITS:
        for label in ("live", "dead"):
            cells[f"{split}_{label}"] = ((row["counts"] or {}).get(split) or {}).get(label)
    for name in names:
        values = row[name] or {}
        cells[name] = values.get("value")
        for unit in ("groups", "patches"):
            cells[f"{name}_{unit}_low"], cells[f"{name}_{unit}_high"] = values.get(f"interval_{unit}") or (None, None)
    cells["pearson_r"], cells["pearson_r_raw"] = correlations(row)
    return cells
