"""What a search found: a table of its trials, the best as an experiment, and the command that trains it anew."""

import csv
import io
import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from jimt.config import SEARCH_METRICS, TuneConfig

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


from jimt.tuning.space import Setting, as_override, nested

RESULT_FILE, TABLE_FILE, BEST_FILE = "tune.json", "trials.csv", "best.yaml"
STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
_SHOWN = 10


def write_results(
    study: "Study", config: TuneConfig, space: list[Setting], folder: Path, overrides: Sequence[str]
) -> dict[str, Any]:
    """Write ``tune.json``, ``trials.csv`` and ``best.yaml``; drop the checkpoints of trials that are not the best."""
    from filelock import FileLock

    from jimt.checkpoints import BEST
    from jimt.evaluate import write_aside

    metric, direction = config.tune.metric, SEARCH_METRICS[config.tune.metric]
    with FileLock(folder / ".tune.lock"):
        rows = [_row(trial, space) for trial in study.get_trials(deepcopy=False) if trial.state.name in STATES]
        finished = [row for row in rows if row["state"] == "finished"]
        finished.sort(key=lambda row: row["value"], reverse=direction == "maximize")  # stable: the first of equals
        result = {
            "dataset": config.dataset.name,
            "backbone": config.backbone.name,
            "metric": metric,
            "direction": direction,
            "seed": config.seed,
            "space": list(map(str, space)),
            "best": finished[0] | {"command": _command(overrides, finished[0]["settings"])} if finished else None,
            "trials": rows,
        }
        write_aside(folder / RESULT_FILE, json.dumps(result, indent=2) + "\n")
        table = io.StringIO()
        flat = [{key: value for key, value in row.items() if key != "settings"} | row["settings"] for row in rows]
        writer = csv.DictWriter(table, list(flat[0]) if flat else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        write_aside(folder / TABLE_FILE, table.getvalue())
        if finished:
            best = finished[0]
            head = f"# @package _global_\n# Trial {best['trial']} of {len(rows)}, {metric} {best['value']:.4f}\n"
            write_aside(folder / BEST_FILE, head + yaml.safe_dump(nested(best["settings"]), sort_keys=False))
        if not config.tune.keep_all_checkpoints:
            for row in finished[1:]:
                shutil.rmtree(run_folder_of(folder, row["trial"]) / BEST.parent, ignore_errors=True)
    return result


def _row(trial: "FrozenTrial", space: list[Setting]) -> dict[str, Any]:
    state = STATES[trial.state.name]
    settings = {}
    for setting in space:
        value = trial.params.get(setting.key)
        settings[setting.key] = value if setting.choices is None else setting.choices.get(value)
    return {
        "trial": trial.number,
        "state": state,
        "value": trial.value if state == "finished" else None,
        "epoch": trial.user_attrs.get("epoch"),
        "epochs": len(trial.intermediate_values),
        "seconds": trial.user_attrs.get("seconds"),
        "reason": trial.user_attrs.get("reason"),
        "settings": settings,
    }


def _command(overrides: Sequence[str], settings: dict[str, Any]) -> str:
    """The command that trains as a trial did."""
    kept = []
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if key not in {"search", "resume", "run_dir", *settings} and not key.startswith("tune."):
            kept.append(override)
    kept += [f"{key}={as_override(value)}" for key, value in settings.items()]
    return shlex.join(["python", "train.py", *kept])


def run_folder_of(folder: Path, number: int) -> Path:
    """Where a trial trains."""
    return folder / f"trial_{number:03d}"


def print_results(result: dict[str, Any], folder: Path) -> None:
    """The closing table."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    best, rows = result["best"], result["trials"]
    sign = -1 if result["direction"] == "maximize" else 1
    finished = sorted((row for row in rows if row["state"] == "finished"), key=lambda row: sign * row["value"])
    counts = [f"{sum(row['state'] == state for row in rows)} {state}" for state in STATES.values()]
    table = Table("trial", result["metric"], "epoch", "settings", title=", ".join(counts), title_justify="left")
    for row in finished[:_SHOWN]:
        settings = " ".join(f"{key}={short(value)}" for key, value in row["settings"].items())
        table.add_row(str(row["trial"]), f"{row['value']:.4f}", str(row["epoch"]), settings)
    console.print(table)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"all trials are in {folder / TABLE_FILE} and {folder / RESULT_FILE}")
    if best is not None:
        run_folder = run_folder_of(folder, best["trial"])
        say(f"best: {run_folder}; as an experiment, to be copied to conf/experiment/NAME.yaml: {folder / BEST_FILE}")
        say(f"train it anew: {best['command']}")
        say(f"score the test split with it, once the choice is made: python -m jimt.evaluate {run_folder}")


def short(value: Any) -> str:
    """A value of a setting, to be read."""
    return f"{value:.3g}" if isinstance(value, float) else as_override(value)
