"""Percentages of area by condition and day as a table, in the terminal and in the report."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console

from jimt.statistics.value_text import NO_VALUE, percent_text
from jimt.system.screen import print_whole, table_of

AREA_WORDS: Final = {"pi_area": "PI-positive area", "live_stain_area": "Area of the live stain"}
"""Columns of ``fields.parquet`` that are told by condition and day, in words."""


def table_title(column: str) -> str:
    """Of the table and the figure of an area.

    >>> table_title("pi_area")
    'PI-positive area, % of the field'
    """
    return f"{AREA_WORDS[column]}, % of the field"


def table_header(conditions: dict[str, Any], *, column: str) -> list[str]:
    """Names of the columns; a line may end where it does here.

    Args:
        conditions: As ``summary.json`` has them.
        column: Of ``AREA_WORDS``.
    """
    interval = f"{percent_text(conditions['confidence'])}\ninterval"
    days = ["day"] if _has_days(conditions, column) else []
    return [*days, "condition", "wells", "fields", "mean", interval, f"minus\n{conditions['control']}", interval]


def table_rows(conditions: dict[str, Any], *, column: str) -> list[list[str]]:
    """A row for each day and condition, in per cent; arguments as of ``table_header``."""
    rows = []
    for row in conditions["areas"][column]:
        days = [f"{row['day']:g}" if row["day"] is not None else ""] if _has_days(conditions, column) else []
        mean, difference = _percent([row["mean"]]), _percent([row["difference"]], signed=True)
        intervals = _percent(row["interval"]), _percent(row["difference_interval"], signed=True)
        counts = [f"{len(row['wells'])}", f"{row['n_fields']:,}"]
        rows.append([*days, row["condition"], *counts, mean, intervals[0], difference, intervals[1]])
    return rows


def table_notes(conditions: dict[str, Any], *, column: str) -> list[str]:
    """What is missing in the table, and why; arguments as of ``table_header``."""
    notes = []
    for row in conditions["areas"][column]:
        on_day = "" if row["day"] is None else f" on day {row['day']:g}"
        if row["note"] is not None:
            notes.append(f"{row['condition']}{on_day}: {row['note']}")
    return notes


def print_conditions(conditions: dict[str, Any] | None, console: Console) -> None:
    """Print a table for each area that was measured; nothing where no condition is the control.

    Args:
        conditions: As ``summary.json`` has them.
        console: Where they are printed.
    """
    if conditions is None:
        return
    for column in conditions["areas"]:
        header, rows = table_header(conditions, column=column), table_rows(conditions, column=column)
        n_left = header.index("wells")
        print_whole(table_of(table_title(column), header, rows, n_left=n_left), console)
        for note in table_notes(conditions, column=column):
            console.print(note, highlight=False, markup=False, soft_wrap=True)
    for warning in conditions["warnings"]:
        console.print(f"WARNING: {warning}", style="bold red", highlight=False, markup=False, soft_wrap=True)


def _has_days(conditions: dict[str, Any], column: str) -> bool:
    return any(row["day"] is not None for row in conditions["areas"][column])


def _percent(shares: Sequence[float | None] | None, *, signed: bool = False) -> str:
    """Shares as per cent with one decimal.

    >>> _percent([0.1234, 0.5]), _percent([0.03], signed=True), _percent([None])
    ('12.3 to 50.0', '+3.0', '-')
    """
    if shares is None or any(share is None for share in shares):
        return NO_VALUE
    return " to ".join(f"{100 * share:{'+' if signed else ''}.1f}" for share in shares if share is not None)
