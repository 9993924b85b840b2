"""What a prediction prints: what to be careful of, dead shares, what doses did and when wells die."""

from typing import Final

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jimt.prediction.answer_tables import printable
from jimt.prediction.dose_words import dose_sentences
from jimt.prediction.results import CONFIDENCE, Results
from jimt.prediction.time_words import time_sentences
from jimt.statistics.value_text import interval_text, number_text, percent_text
from jimt.system.screen import print_whole, table_of

_SHOWN: Final = 12
"""Wells that are printed; all stand in the tables."""


def print_results(results: Results, console: Console) -> None:
    """Print what is to be read first, then dead shares, then where everything is."""

    def say(line: str) -> None:
        console.print(printable(line), highlight=False, markup=False, soft_wrap=True)

    for line in results.warnings():
        say(f"WARNING: {line}")
    if len(results.wells):
        print_whole(_table_of_wells(results.wells.head(_SHOWN)), console)
        if len(results.wells) > _SHOWN:
            say(f"and {len(results.wells) - _SHOWN:,} more wells in wells.csv")
    for line in [*results.headline(), *([] if results.doses is None else dose_sentences(results.doses))]:
        say(line)
    for line in [] if results.times is None else time_sentences(results.times, CONFIDENCE):
        say(line)
    say(f"tables, maps and index.html are in {results.asked.out.resolve()}")


def _table_of_wells(wells: pd.DataFrame) -> Table:
    told = wells.to_dict("records")
    names = [name for name in ("plate", "well", "time") if any(row[name] is not None for row in told)]
    rows = [
        [
            *(escape(printable(row[name] or "")) for name in names),
            f"{row['n_counted']} of {row['n_fields']}",
            number_text(row["dead_share"]),
            # of two fields it is hardly ever less than everything
            interval_text((row["low"], row["high"]) if row["low"] is not None and row["n_counted"] > 2 else None),
        ]
        for row in told
    ]
    header = [*names, "fields", "dead share", f"{percent_text(CONFIDENCE)} over fields"]
    return table_of("Dead share of each well, mean over its fields", header, rows, n_left=len(names))
