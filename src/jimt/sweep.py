"""What happens once a sweep, and its table, which every job rewrites: ``python -m jimt.sweep DIR`` rebuilds it."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from jimt.errors import InputError
from jimt.launching import process_rank, refuse_relaunch
from jimt.sweep_reading import FAILURE, read_jobs, read_json
from jimt.sweep_table import FAILED, FINISHED, as_csv, as_markdown, notes, print_table, records


class SweepCallback(Callback):
    """Hydra's callback in the process that starts a sweep; Hydra lets only SystemExit out of it."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse what no job can do; remember when the sweep began."""
        self._started = time.time()
        if "joblib" in str(config.hydra.launcher.get("_target_")):
            # worker processes would outlive the one that started them; joblib ends them where this raises
            remedy = how_to_go_on(Path(str(config.hydra.sweep.dir)))
            for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")):
                text = f"error: the sweep was told to stop ({name}): {remedy}"
                signal.signal(number, lambda *_, text=text: sys.exit(text))
        try:
            refuse_relaunch(config.trainer.devices * config.trainer.num_nodes, os.environ)
        except InputError as error:
            sys.exit(f"error: {error}")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table; exit with what failed, if anything did."""
        if process_rank(os.environ) != 0:
            return
        from rich.console import Console

        folder = Path(str(config.hydra.sweep.dir))
        table = update_table(folder)
        console = Console()
        print_table(table, console)
        where = f"the table is in {folder}/table.md, .csv and .json"
        console.print(where, highlight=False, markup=False, soft_wrap=True)
        if config.report and any(row["status"] == FINISHED for row in table):
            from jimt.report import report_on

            report_on(folder)
        failed = [row for row in table if row["status"] == FAILED]
        # a folder may hold jobs of an earlier sweep as well
        failed = [row for row in failed if read_json(folder / row["job"] / FAILURE)["time"] >= self._started]
        if failed:
            reasons = "\n".join(f"  {row['job']}: {row['reason']}" for row in failed)
            sys.exit(f"error: {len(failed)} job{'s' * (len(failed) > 1)} failed; {how_to_go_on(folder)}\n{reasons}")


def how_to_go_on(folder: Path) -> str:
    """The remedy where a sweep has not finished all its jobs."""
    return f"the same command with hydra.sweep.dir={folder} goes on with the jobs that are not finished"


def update_table(folder: Path) -> list[dict[str, Any]]:
    """Read the jobs of a sweep's folder and rewrite ``table.md``, ``table.csv`` and ``table.json`` in it."""
    from filelock import FileLock

    from jimt.evaluate import write_aside

    with FileLock(folder / ".table.lock"):  # jobs that end together take turns
        table = records(read_jobs(folder))
        write_aside(folder / "table.md", as_markdown(table))
        write_aside(folder / "table.csv", as_csv(table))
        write_aside(folder / "table.json", json.dumps({"jobs": table, "notes": notes(table)}, indent=2) + "\n")
    return table


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``python -m jimt.sweep``."""
    parser = argparse.ArgumentParser(prog="python -m jimt.sweep", description="Rebuild the table of a sweep's folder.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a sweep's folder, such as runs/paper_grid")
    folder = parser.parse_args(arguments).folder
    from rich.console import Console

    if not any(folder.rglob(".hydra/overrides.yaml")):
        sys.exit(f"error: {folder} holds no job of a sweep: give the folder that train.py -m wrote")
    print_table(update_table(folder), Console())


if __name__ == "__main__":
    main()
