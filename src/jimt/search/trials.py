"""What a search found: a table of its trials, the best as an experiment, and the command that trains it anew."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from filelock import FileLock
from optuna import Study
from optuna.trial import FrozenTrial
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jimt.config.own_configs import config_flags
from jimt.config.search import TuneConfig
from jimt.search.space import Setting, as_override, nested, search_direction
from jimt.system.files import BEST, write_json, write_whole

RESULT_FILE, TABLE_FILE, BEST_FILE = "tune.json", "trials.csv", "best.yaml"
STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
_SHOWN = 10


def write_results(
    study: Study, config: TuneConfig, space: list[Setting], folder: Path, overrides: Sequence[str]
) -> dict[str, Any]:
    """Write ``tune.json``, ``trials.csv`` and ``best.yaml``; drop the checkpoints of trials that are not the best."""
    metric, direction = config.tune.metric, search_direction(config.tune.metric)
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
            "best": finished[0] | {"command": _command(folder, overrides, finished[0])} if finished else None,
            "trials": rows,
        }
        write_json(folder / RESULT_FILE, result)
        flat = [{key: value for key, value in row.items() if key != "settings"} | row["settings"] for row in rows]
        write_whole(folder / TABLE_FILE, pd.DataFrame(flat, dtype=object).to_csv(index=False, lineterminator="\n"))
        if finished:
            best = finished[0]
            told = f"of {len(rows)}, {metric} {best['value']:.4f}"
            write_whole(folder / BEST_FILE, _as_experiment(folder, overrides, best, told))
        if not config.tune.keep_all_checkpoints:
            given_up = [row for row in rows if row["state"] in ("pruned", "failed")]  # a kill may have left theirs
            for row in [*finished[1:], *given_up]:
                shutil.rmtree(run_folder_of(folder, row["trial"]) / BEST.parent, ignore_errors=True)
    return result


def _row(trial: FrozenTrial, space: list[Setting]) -> dict[str, Any]:
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


def _command(folder: Path, overrides: Sequence[str], best: dict[str, Any]) -> str:
    """The command that trains as a trial of the search in a folder did."""
    settings = [f"{key}={as_override(value)}" for key, value in best["settings"].items()]
    return shlex.join(["jimt", "train", *config_flags(folder / ".hydra"), *_not_varied(overrides, best), *settings])


def _not_varied(overrides: Sequence[str], best: dict[str, Any]) -> list[str]:
    """What the search was started with, apart from what it varied and what is the search's own."""
    keys = {override: override.partition("=")[0].lstrip("+~") for override in overrides}
    left_out = {"search", "resume", "run_dir", *best["settings"]}
    return [override for override, key in keys.items() if key not in left_out and not key.startswith("tune.")]


def _as_experiment(folder: Path, overrides: Sequence[str], best: dict[str, Any], told: str) -> str:
    """What was varied, as YAML; above it the command that takes it, with what was not."""
    others = _not_varied(overrides, best)
    experiment = next((one.partition("=")[2] for one in others if one.startswith("experiment=")), None)
    others = [one for one in others if not one.startswith("experiment=")]
    command = shlex.join(["jimt", "train", *config_flags(folder / ".hydra"), *others, "experiment=NAME"])
    defaults = {} if experiment is None else {"defaults": [experiment, "_self_"]}
    values: str = yaml.safe_dump(defaults | nested(best["settings"]), sort_keys=False)
    head = f"# @package _global_\n# Trial {best['trial']} {told}. As jimt_conf/experiment/NAME.yaml:\n# {command}\n"
    return head + values


def run_folder_of(folder: Path, number: int) -> Path:
    """Where a trial trains."""
    return folder / f"trial_{number:03d}"


def print_results(result: dict[str, Any], folder: Path) -> None:
    """The closing table."""
    console = Console()
    best, rows = result["best"], result["trials"]
    sign = -1 if result["direction"] == "maximize" else 1
    finished = sorted((row for row in rows if row["state"] == "finished"), key=lambda row: sign * row["value"])
    counts = [f"{sum(row['state'] == state for row in rows)} {state}" for state in STATES.values()]
    table = Table("trial", result["metric"], "epoch", "settings", title=", ".join(counts), title_justify="left")
    for row in finished[:_SHOWN]:
        settings = " ".join(f"{key}={short(value)}" for key, value in row["settings"].items())
        table.add_row(str(row["trial"]), f"{row['value']:.4f}", str(row["epoch"]), escape(settings))
    console.print(table)

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    say(f"all trials are in {folder / TABLE_FILE} and {folder / RESULT_FILE}")
    if best is not None:
        run_folder = run_folder_of(folder, best["trial"])
        say(
            f"best: {run_folder}; what was varied, as an experiment to be copied to jimt_conf/experiment/NAME.yaml and "
            f"given beside the search's other settings: {folder / BEST_FILE}"
        )
        say(f"train it anew: {best['command']}")
        say(
            "score the test split with it, once the choice is made: "
            + shlex.join(["jimt", "evaluate", str(run_folder)])
        )


def short(value: Any) -> str:
    """A value of a setting, to be read."""
    return f"{value:.3g}" if isinstance(value, float) else as_override(value)
