"""What happens once a sweep, and its table, which every job rewrites: ``jimt sweep DIR`` rebuilds it."""

import argparse
import sys
from pathlib import Path
from typing import Any

from jimt.system.files import FAILURE, read_json, write_json, write_whole

FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"
"""What a job of a sweep may be."""

# The rows of the table need NumPy, and are imported late: --help of a command answers without it.


def how_to_go_on(folder: Path) -> str:
    """The remedy where a sweep has not finished all its jobs."""
    return f"the same command with hydra.sweep.dir={folder} goes on with the jobs that are not finished"


def update_table(folder: Path) -> list[dict[str, Any]]:
    """Read the jobs of a sweep's folder and rewrite ``table.md``, ``table.csv`` and ``table.json`` in it."""
    from filelock import FileLock

    from jimt.sweeps.table import notes, read_jobs
    from jimt.sweeps.table_files import as_csv, as_markdown

    with FileLock(folder / ".table.lock"):  # jobs that end together take turns
        table = read_jobs(folder)
        write_whole(folder / "table.md", as_markdown(table))
        write_whole(folder / "table.csv", as_csv(table))
        write_json(folder / "table.json", {"jobs": table, "notes": notes(table)})
    return table


def failed_since(folder: Path, table: list[dict[str, Any]], started: float) -> list[dict[str, Any]]:
    """The jobs of a sweep's table that failed after a time, seconds; a folder may hold jobs of an earlier sweep too."""
    failed = [row for row in table if row["status"] == FAILED]
    return [row for row in failed if read_json(folder / row["job"] / FAILURE)["time"] >= started]


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt sweep``."""
    parser = argparse.ArgumentParser(prog="jimt sweep", description="Rebuild the table of a sweep's folder.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a sweep's folder, such as runs/paper_grid")
    folder = parser.parse_args(arguments).folder
    from rich.console import Console

    from jimt.sweeps.terminal import print_table

    if not any(folder.rglob(".hydra/overrides.yaml")):
        sys.exit(f"error: {folder} holds no job of a sweep: give the folder that jimt train -m wrote")
    print_table(update_table(folder), Console())
