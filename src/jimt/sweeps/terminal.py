"""The table of a sweep on a terminal of 80 columns."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jimt.statistics.metrics import Metric, terminal_columns
from jimt.sweeps.sweep import FAILED, FINISHED, UNFINISHED
from jimt.sweeps.table import notes
from jimt.sweeps.table_cells import SPLITS, correlation_cells, count_cell, metric_cells, name_cells
from jimt.system.screen import print_whole


def print_table(table: Sequence[dict[str, Any]], console: Console) -> None:
    """The table for a terminal of 80 columns: several lines a job, and what all jobs share in a line above it."""
    shared = _shared(table)
    suffix = " of all jobs" if len(table) > 1 else ""
    for name, text in shared.items():
        console.print(f"{name}{suffix}: {text}", highlight=False, markup=False, soft_wrap=True)
    out = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    out.add_column("\n".join(["job", *(name for name in _TOLD if name not in shared)]))
    if _PATCHES not in shared:
        out.add_column("\n".join(("live/dead", *SPLITS)), justify="right")
    for metrics in terminal_columns():
        lines = [line for metric in metrics for line in (metric.terminal_column, *_lines(metric))]
        out.add_column("\n".join(lines), justify="right")
    out.add_column("r of PI\nlabelled\nraw", justify="right")
    for row in table:
        own = [text for name, text in _told(row).items() if name not in shared]
        # a folder that is named by its data set and backbone says nothing more
        named = [] if own and row["job"].startswith(f"{row['dataset']}/") else [row["job"]]
        lines = [*named, *own, *row["settings"]]
        lines += [] if row["status"] == FINISHED else [row["status"]]
        style = {FAILED: "bold red", UNFINISHED: "yellow"}.get(row["status"])
        cells = _cells(row, with_patches=_PATCHES not in shared)
        out.add_row(escape("\n".join(lines)), *cells, style=style, end_section=row["paper"] is None)
        if (paper := row["paper"]) is not None:
            name = f"paper\n{paper['backbone']}\n{paper['weights']} weights"
            out.add_row(name, *_cells(paper, with_patches=_PATCHES not in shared), style="dim", end_section=True)
    print_whole(out, console)
    for note in notes(table):
        console.print(note, highlight=False, markup=False, soft_wrap=True)


_PATCHES = "patches"
_TOLD = ("data set", "backbone", "weights")


def _lines(metric: Metric) -> tuple[str, ...]:
    """What stands under a metric's value; one within groups has no interval over patches."""
    return ("over groups", "validation") if metric.within else ("over groups", "over patches", "validation")


def _told(row: dict[str, Any]) -> dict[str, str]:
    """What a job was made of; of its weights their source alone, since the backbone's name tells the rest."""
    dataset, backbone, _ = name_cells(row)
    return {"data set": dataset, "backbone": backbone, "weights": f"weights {row['weights_from']}"}


def _shared(table: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What is the same of all jobs, and need not stand in each row."""
    shared = {}
    for name in _TOLD:
        texts = {_told(row)[name] for row in table}
        if len(texts) == 1:
            whole = {row[name.replace(" ", "")] for row in table}
            shared[name] = str(whole.pop()) if len(whole) == 1 else texts.pop().removeprefix("weights ")
    counts = {", ".join(f"{split} {count_cell(row, split)}" for split in SPLITS) for row in table if row["counts"]}
    if len(counts) == 1 and all(row["paper"] is None for row in table):
        shared[_PATCHES] = f"{counts.pop()} (live/dead)"
    return shared


def _cells(row: dict[str, Any], *, with_patches: bool) -> list[str]:
    """The numbers of a row, several lines a cell."""
    columns = [["", *(count_cell(row, split) for split in SPLITS)]] if with_patches else []
    for metrics in terminal_columns():
        lines: list[str] = []
        for metric in metrics:
            found = metric_cells(row, metric.name)
            lines += [found.value, found.over_groups]
            if metric.within is None:
                lines.append(found.over_patches)
            lines.append(found.validation)
        columns.append(lines)
    return ["\n".join(lines) for lines in (*columns, correlation_cells(row))]
