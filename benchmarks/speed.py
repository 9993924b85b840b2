"""How fast jimt is against plain references: ``python benchmarks/speed.py``, or ``make bench``.

Rows 1 to 11 take a quarter of an hour on two cores, rows 12 to 14 (``--long``) three quarters, ``--quick`` two
minutes; on an idle machine, or they tell of what else runs. Rows: 1 training, 2 patches to the device, 3 curation, 4
the empty filter, 5 scoring patches, 6 prediction, 7 disk, 8 memory, 9 start of commands, 10 two processes, 11
bootstrap, 12 reports, 13 tests, 14 cost against size. Each row is a ratio, measured in turns: jimt's work, the
reference's, again jimt's. References are honest: the same threads, allocator and memory format where these are not
what is compared. Data and models are simulated; they are made once and kept in ``runs/speed``, or in ``--folder``: on
a slow disk give one in memory, or rows 3 and 8 tell of the disk. ``--write`` puts results into
``benchmarks/RESULTS.md`` and ``results.png``.
"""

import argparse
import contextlib
import datetime
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from speed_curation import curation_rows, disk_rows, filter_rows
from speed_growth import growth_rows
from speed_measuring import REPOSITORY, Row, Suite
from speed_prediction import prediction_rows, scoring_rows
from speed_results import draw, write_markdown
from speed_start import memory_rows, start_rows
from speed_tables import bootstrap_rows, report_rows, suite_rows
from speed_training import loading_rows, processes_rows, training_rows

from jimt.system.hardware import bfloat16_instructions
from jimt.system.memory import keep_freed_memory

ROWS: dict[int, tuple[Callable[[Suite], list[Row]], ...]] = {
    1: (training_rows,),
    2: (loading_rows,),
    3: (curation_rows,),  # the memory of curation with it
    4: (filter_rows,),
    5: (scoring_rows,),
    6: (prediction_rows,),
    7: (disk_rows,),
    8: (memory_rows,),
    9: (start_rows,),
    10: (processes_rows,),
    11: (bootstrap_rows,),
    12: (report_rows,),
    13: (suite_rows,),
    14: (growth_rows,),
}
LONG = (12, 13, 14)
QUICK = (2, 3, 4, 5, 7, 11)


def file_system(folder: Path) -> str:
    """Of a folder, as Linux calls it: what is written and read goes to a disk, or stays in memory (``tmpfs``)."""
    mounts = Path("/proc/mounts")
    lines = [line.split() for line in mounts.read_text().splitlines()] if mounts.is_file() else []
    above = [(len(place), kind) for _, place, kind, *_ in lines if folder.resolve().is_relative_to(place)]
    return max(above, default=(0, "unknown"))[1]


def machine() -> dict[str, str]:
    """What the ratios depend on."""
    words = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = {line.partition(":")[2].strip() for line in words if line.startswith("model name")}
    return {
        "processor": ", ".join(sorted(names)) or platform.processor(),
        "cores": str(sum(line.startswith("processor") for line in words)),
        "capability": bfloat16_instructions() or torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        choices=list(ROWS),
        metavar="N",
        help="these alone, by their numbers in RESULTS.md; otherwise 1 to 11",
    )
    parser.add_argument("--long", action="store_true", help="rows 12 to 14 in place of 1 to 11")
    parser.add_argument("--quick", action="store_true", help="rows 2 to 5, 7 and 11, small and once: a look, no result")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each work, after one to warm up (5)")
    parser.add_argument("--folder", type=Path, default=Path("runs/speed"), help="data and models are kept there")
    parser.add_argument("--write", action="store_true", help="put what was measured into benchmarks/RESULTS.md")
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("--quick is no result to be written: leave out one of the two")
    keep_freed_memory()
    suite = Suite(
        options.folder.absolute(),
        1 if options.quick else options.repeats,
        torch.get_num_threads(),
        0.1 if options.quick else 1.0,
    )
    suite.folder.mkdir(parents=True, exist_ok=True)
    asked = QUICK if options.quick else LONG if options.long else tuple(set(ROWS) - set(LONG))
    numbers = options.rows or sorted(asked)
    console, found, start = Console(), [], time.perf_counter()
    for number in numbers:
        for measure in ROWS[number]:
            began = time.perf_counter()
            with contextlib.redirect_stdout(sys.stderr):  # what the commands print is not the result
                rows = measure(suite)
            found += rows
            for row in rows:
                console.print(line_of(row), highlight=False, markup=False, soft_wrap=True)
            print(f"   ({time.perf_counter() - began:.0f} s)", file=sys.stderr, flush=True)
            if options.write:
                keep(suite, found)
    table = Table(title=f"{time.perf_counter() - start:.0f} s, {suite.repeats} repeats, {suite.threads} threads")
    for column in ("row", "what", "ratio", "wanted"):
        table.add_column(column)
    for row in sorted(found, key=lambda row: row.number):
        table.add_row(str(row.number), row.what, f"{row.ratio:.3g}", row.target)
    console.print(table)


def keep(suite: Suite, found: Sequence[Row]) -> None:
    """Put rows in the place of those of before, as they are measured: a later one may fail."""
    kept = REPOSITORY / "benchmarks" / "results.json"
    old = json.loads(kept.read_text())["rows"] if kept.is_file() else []
    measured = {row.number for row in found}
    rows = [row_of(each) for each in old if each["number"] not in measured]
    rows = sorted([*rows, *found], key=lambda row: row.number)
    told = machine() | {"data on": file_system(suite.folder)}
    told["threads"] = str(suite.threads)
    kept.write_text(json.dumps({"machine": told, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    write_markdown(REPOSITORY / "benchmarks" / "RESULTS.md", told, rows)
    draw(REPOSITORY / "benchmarks" / "results.png", rows)


def row_of(kept: dict[str, Any]) -> Row:
    """A row as JSON keeps it."""
    curve = tuple((size, seconds) for size, seconds in kept.get("curve", ()))
    return Row(**{**kept, "ratios": tuple(kept["ratios"]), "curve": curve})


def line_of(row: Row) -> str:
    """A row as it is measured."""
    spread = f" ({min(row.ratios):.3g} to {max(row.ratios):.3g})" if len(row.ratios) > 1 else ""
    return f"{row.number:>2}  {row.what}: {row.ratio:.3g}{spread} of {row.against}; {row.values}"


if __name__ == "__main__":
    main()
