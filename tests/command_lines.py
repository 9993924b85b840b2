"""A command line as a shell reads it: what it would start, and that started, composed or read as far as can be here."""

import contextlib
import multiprocessing
import os
import runpy
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

import jimt.config.own_configs  # noqa: F401  # Hydra then looks into jimt_conf/
from jimt.config.curating import PrepareConfig
from jimt.config.hydra_schema import to_dataclasses
from jimt.config.training import TrainConfig
from processes import in_process

_STAND_INS = ("python", "jimt", "python3", "pip", "srun", "dask", "tensorboard", "wandb", "jupyter")
# what it was started with, for the test to read; srun starts what it is given, as SLURM does on each node
_STAND_IN = """#!/bin/sh
number=$(ls "$STARTED" | wc -l)
printf '%s\\n' "${{0##*/}}" "$@" > "$STARTED/$(printf %03d "$number")"
printf '%s' "$JIMT_DATA" > "$STARTED/$(printf %03d "$number").data"
{then}
"""


@dataclass(frozen=True)
class Started:
    """A program that a command line starts, with its arguments as the shell hands them over."""

    program: str
    arguments: list[str]
    data: str
    """JIMT_DATA, as the program would see it."""


def write_stand_ins(folder: Path) -> None:
    """Programs that only note that they were started."""
    folder.mkdir(parents=True)
    for name in _STAND_INS:
        path = folder / name
        path.write_text(_STAND_IN.format(then='exec "$@"' if name == "srun" else ""))
        path.chmod(0o755)


def started_by(command: str, *, folder: Path, stand_ins: Path, noted: Path) -> list[Started]:
    """What a shell in a folder starts for a command line; ``make`` is the real one."""
    noted.mkdir()
    environment = os.environ | {"PATH": f"{stand_ins}:{os.environ['PATH']}", "STARTED": str(noted)}
    for name in (
        "MAKEFLAGS",
        "MAKELEVEL",
        "MARKED",
        "VENV",
        "CONSTRAINTS",
        "PYTHON",
        "ZOO",
    ):  # of the make that may have started pytest
        environment.pop(name, None)
    done = subprocess.run(["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = []
    for path in sorted(noted.glob("[0-9][0-9][0-9]")):
        program, *arguments = path.read_text().splitlines()
        found.append(Started(program, arguments, path.with_suffix(".data").read_text()))
    return found


def as_python(started: Started) -> list[str]:
    """Behind ``python``, what was started: ``jimt ARGUMENTS`` is ``python -m jimt ARGUMENTS``."""
    assert started.program in ("python", "jimt")
    return ["-m", "jimt", *started.arguments] if started.program == "jimt" else started.arguments


def run_python(arguments: list[str], *, folder: Path, log: Path, data: str) -> tuple[int, str]:
    """Exit status and output of ``python ARGUMENTS`` in a folder, in a process that need not import torch again."""
    if arguments[0] == "benchmarks/curation.py":  # it hangs where it is forked
        done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=600)
        return done.returncode, done.stdout + done.stderr
    status = in_process(_python, arguments, str(folder), str(log), data)
    return status, log.read_text()


def _python(arguments: list[str], folder: str, log: str, data: str) -> None:
    os.chdir(folder)
    os.environ.pop("JIMT_DATA", None)
    if data:
        os.environ["JIMT_DATA"] = data
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    multiprocessing.set_start_method("fork", force=True)  # as in a process that a person starts
    warnings.simplefilter("default")  # pytest's own filters are not here
    from drawn import no_figures  # late, with what it imports

    with no_figures() if "report" in arguments else contextlib.nullcontext():
        run_as_python(arguments)


def run_as_python(arguments: list[str]) -> None:
    """Run in this process what ``python ARGUMENTS`` would."""
    sys.argv = arguments[1:] if arguments[0] == "-m" else arguments
    if arguments[0] == "-m":
        sys.modules.pop(f"{arguments[1]}.__main__", None)  # a new process has not imported it
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(arguments[0]).parent.absolute()))
        runpy.run_path(arguments[0], run_name="__main__")


def composed(arguments: list[str], *, conf: Path) -> list[PrepareConfig | TrainConfig]:
    """The config of each job of ``python ARGUMENTS``, checked as the command would check it."""
    is_jimt = arguments[:2] == ["-m", "jimt"]
    name = arguments[2] if is_jimt else Path(arguments[0]).stem
    given = get_args_parser().parse_args(arguments[3 if is_jimt else 1 :])
    overrides = list(given.overrides)
    if given.config_dir is not None:
        overrides.append(f"hydra.searchpath=[file://{Path(given.config_dir).absolute()}]")
    with initialize_config_dir(str(conf), version_base="1.3"):
        if not given.multirun:
            return [_job(name, overrides)]
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        params = hydra.compose_config(name, overrides, run_mode=RunMode.MULTIRUN).hydra.sweeper.get("params") or {}
        varied = [*(f"{key}={value}" for key, value in params.items()), *overrides]
        (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(varied), None)
        return [_job(name, job) for job in jobs]


def _job(name: str, overrides: list[str]) -> PrepareConfig | TrainConfig:
    where = [] if name == "prepare" else ["run_dir=here"]  # Hydra's own folder, known in a command alone
    return to_dataclasses(compose(name, [*overrides, *where]))


def read_by_program(started: Started) -> None:
    """Let another program than Python read its arguments, and stop; raises where it does not understand them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what these programs import
        from distributed.cli import dask_scheduler, dask_worker
        from tensorboard.program import TensorBoard
        from wandb.cli.cli import cli

        if started.program == "tensorboard":
            TensorBoard().configure([started.program, *started.arguments])
            return
        name, *arguments = started.arguments
        known = {"dask": {"scheduler": dask_scheduler.main, "worker": dask_worker.main}, "wandb": cli.commands}
        known[started.program][name].make_context(name, arguments)
