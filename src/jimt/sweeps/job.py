"""One job of a sweep, step by step; whatever becomes of it, the others go on.

Hydra composes the config of each job of ``train.py -m`` and calls ``run_job``, which

1. takes the lock of the job's folder and forgets an earlier failure,
2. resumes what an earlier start of the sweep has left in the folder,
3. claims a free GPU, where jobs run side by side,
4. curates the data set whose thresholds label this job's,
5. trains, evaluates and reports as ``train.py`` does,
6. writes what ended it, if anything did, to ``failed.json``,
7. rewrites the table of the sweep.

After the last job ``commands.SweepCallback`` prints the table and writes the report of all.
"""

import contextlib
import io
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from jimt.config.hydra_schema import to_dataclasses
from jimt.config.training import TrainConfig
from jimt.errors import InputError, Interrupted
from jimt.sweeps.sweep import how_to_go_on, update_table
from jimt.system.files import FAILURE, LAST, write_json
from jimt.system.gpus import own_gpu
from jimt.system.locks import owner
from jimt.system.processes import process_rank, refuse_relaunch, started_together


def run_job(config: DictConfig, *, train: Callable[..., Any]) -> None:
    """Train one job; what ends it is written to its folder, and the sweep goes on unless it was told to stop.

    Args:
        config: Of the job, as Hydra composed it.
        train: Called with the job's config and ``device_index``.
    """
    hydra = HydraConfig.get()
    folder, sweep = Path(hydra.runtime.output_dir), Path(hydra.sweep.dir)
    name = os.path.relpath(folder, sweep)
    first = process_rank(os.environ) == 0
    try:
        with (
            owner(folder, lock_name=".job.lock", who="each job") if first else contextlib.nullcontext(),
            _named_output(hydra, name),
        ):
            if first:
                (folder / FAILURE).unlink(missing_ok=True)
            train_config: TrainConfig = to_dataclasses(config)
            if train_config.logger.group is None:  # one run a job, side by side on the dashboard
                train_config.logger.group = sweep.name
            _train(train_config, hydra, train)
            if first:  # of another job that wanted this folder meanwhile
                (folder / FAILURE).unlink(missing_ok=True)
    except (Interrupted, KeyboardInterrupt) as error:
        cause = error.__cause__
        if isinstance(cause, SystemExit) and cause.code not in (None, 0, 1):
            raise cause from None  # submitit's: it has queued this job again, and the job will go on
        # without the remedy, which is of a single run
        reason = error.cause if isinstance(error, Interrupted) else "told to stop (Ctrl-C)"
        sys.exit(f"error: {name}: {reason}; {how_to_go_on(sweep)}")
    except Exception as error:  # whatever it is, it concerns this job alone
        known = isinstance(error, InputError)
        reason = str(error) if known else f"{type(error).__name__}: {error}"
        print(f"error: {name}: {reason}", file=sys.stderr, flush=True)
        if first:
            write_json(
                folder / FAILURE,
                {
                    "reason": reason.splitlines()[0],  # for the table
                    "error": reason,
                    "traceback": None if known else traceback.format_exc(),
                    "time": time.time(),
                },
            )
        if started_together(os.environ) > 1:
            sys.exit(f"error: {name} failed, so its processes may no longer be at the same job; {how_to_go_on(sweep)}")
    finally:
        if first:
            update_table(sweep)


def _train(config: TrainConfig, hydra: HydraConf, train: Callable[..., Any]) -> None:
    n_processes = config.trainer.devices * config.trainer.num_nodes
    refuse_relaunch(n_processes, os.environ)
    if config.trainer.fast_dev_run:
        raise InputError(
            "trainer.fast_dev_run=true keeps nothing, so a sweep has nothing for its table",
            advice="try one training, in no sweep",
            remedies=("trainer.fast_dev_run=false",),
        )
    if config.resume is None and not config.retrain and (Path(config.run_dir) / LAST).is_file():
        config.resume = config.run_dir
    # SLURM gives each of its jobs a GPU of its own, and Lightning each of several processes
    shares = n_processes == 1 and "Slurm" not in hydra.launcher["_target_"]
    with own_gpu(config.trainer.accelerator) if shares else contextlib.nullcontext(0) as device_index:
        train(config, device_index=device_index)


def datasets_of(sweep: Path) -> list[str]:
    """The data sets of a sweep, by the words of its ``dataset=``; the command line's wins over an experiment's."""
    path = sweep / "multirun.yaml"  # written by Hydra before the first job
    if not path.is_file():
        return []
    hydra = OmegaConf.load(path).hydra
    texts = [f"{key}={value}" for key, value in (hydra.sweeper.get("params") or {}).items()]
    texts = [text for text in [*texts, *hydra.overrides.task] if text.startswith("dataset=")]
    return re.findall(r"[\w.-]+", texts[-1])[1:] if texts else []


@contextlib.contextmanager
def _named_output(hydra: HydraConf, name: str) -> Iterator[None]:
    """Begin each line with the job's name where jobs print at the same time."""
    if "joblib" not in hydra.launcher["_target_"]:
        yield
        return
    lines = _NamedLines(sys.stdout, name)
    with contextlib.redirect_stdout(lines):
        try:
            yield
        finally:
            lines.end()


class _NamedLines(io.TextIOBase):
    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name, self._rest = stream, name, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:  # in one go, so that two jobs do not share a line
            self._stream.write("".join(f"{self._name}: {line}\n" for line in lines))
            self._stream.flush()
        return len(text)

    def end(self) -> None:
        if self._rest:
            self.write("\n")
