"""What the rows of ``speed.py`` have in common: works that take turns, processes with their peak memory, rows."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from jimt.config.hydra_schema import to_dataclasses
from jimt.config.own_configs import CONF

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Suite:
    """How a suite is run.

    Attributes:
        folder: Where data and models are made once and kept.
        repeats: How often each work takes its turn, after one turn to warm up.
        threads: Of torch.
        scale: Of the sizes: below 1 for a quick look.
        accelerator: ``cpu`` or ``gpu``.
    """

    folder: Path
    repeats: int
    threads: int
    scale: float
    accelerator: str = "cpu"

    @property
    def repeats_of_processes(self) -> int:
        """Of whole commands, which take longer and differ less."""
        return min(2, self.repeats)

    @property
    def device(self) -> torch.device:
        """Where networks compute."""
        return torch.device("cuda", 0) if self.accelerator == "gpu" else torch.device("cpu")

    @property
    def trainer(self) -> list[str]:
        """Overrides of a training there."""
        return [f"trainer={self.accelerator}"]

    def sized(self, n: int, *, least: int) -> int:
        """A number of images or steps at this scale."""
        return max(least, round(self.scale * n))


@dataclass(frozen=True)
class Row:
    """One row of the results.

    Attributes:
        number: Of the question.
        what: What is measured.
        against: What it is compared with.
        target: What is wanted of the ratio, as ``>= 4`` or ``<= 0.5``; empty where nothing is.
        ratios: One for each repeat.
        values: What both sides measured, medians with their unit, as text.
        note: What a reader must know beside it.
        curve: Size and median seconds of a row that is drawn as a line, cost against size.
    """

    number: int
    what: str
    against: str
    target: str
    ratios: tuple[float, ...]
    values: str
    note: str = ""
    curve: tuple[tuple[float, float], ...] = ()

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if not self.target:
            return None
        how, bound = self.target.split()
        return self.ratio >= float(bound) if how == ">=" else self.ratio <= float(bound)


@dataclass(frozen=True)
class Ended:
    """A process that ended well: its seconds by the clock, its peak memory in MiB, and what it printed."""

    seconds: float
    peak: float
    output: str


def process(
    words: Sequence[str], *, threads: int | None = None, folder: Path = REPOSITORY, statuses: Sequence[int] = (0,)
) -> Ended:
    """Run Python with these words as a process of its own; one that fails ends the suite with its last words."""
    environment = dict(os.environ, PYTHONPATH=str(REPOSITORY / "src"))
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryFile("w+") as log, tempfile.NamedTemporaryFile("r") as told:
        start = time.perf_counter()
        command = [sys.executable, "-S", "-c", _LAUNCHER, told.name, sys.executable, *words]
        status = subprocess.run(command, stdout=log, stderr=log, cwd=folder, env=environment, check=False).returncode
        seconds = time.perf_counter() - start
        log.seek(0)
        output, peak = log.read(), told.read()
    if status not in statuses:
        sys.exit(f"error: python {' '.join(words)} failed:\n{output[-2000:]}")
    return Ended(seconds, float(peak) / 1024, output)


# A new process begins with the peak of the one that started it, so that one must be small.
_LAUNCHER = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1], "w") as told:
    told.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def now() -> float:
    """Seconds of a clock, when a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def clocked(work: Callable[[], object]) -> Callable[[], float]:
    """A work that tells how many seconds it took."""

    def timed() -> float:
        start = now()
        work()
        return now() - start

    return timed


def in_turn(repeats: int, *works: Callable[[], float], warms_up: bool = True) -> list[list[float]]:
    """What works tell that take turns, so that what disturbs the machine disturbs all.

    Args:
        repeats: Turns that count.
        works: Each tells a number.
        warms_up: A turn before these, which does not count; not where each work warms up by itself.
    """
    turns = [[work() for work in works] for _ in range(repeats + warms_up)]
    return [list(told) for told in zip(*turns[warms_up:], strict=True)]


def ratios_of(over: Sequence[float], under: Sequence[float]) -> tuple[float, ...]:
    """Ratio of each repeat."""
    return tuple(a / b for a, b in zip(over, under, strict=True))


def median_of(values: Sequence[float], unit: str) -> str:
    """A median as text, with three digits.

    >>> median_of([1234.5], "images/s"), median_of([0.12345], "s")
    ('1,230 images/s', '0.123 s')
    """
    median = statistics.median(values)
    return f"{float(f'{median:.3g}'):,.0f} {unit}" if median >= 1000 else f"{median:.3g} {unit}"


def config_of(name: str, *overrides: str) -> Any:
    """The config of a command with these overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_dataclasses(compose(name, overrides=list(overrides)))


def simulated(suite: Suite, name: str, *, wells: int, fields: int, height: int, width: int) -> list[str]:
    """Overrides of a simulated data set, made where it is first asked for; without the empty filter."""
    return [
        "dataset=synthetic",
        f"dataset.name={name}",
        f"dataset.root={suite.folder / name}",
        f"dataset.simulation.n_wells={wells}",
        f"dataset.simulation.fields_per_well={fields}",
        f"dataset.simulation.height={height}",
        f"dataset.simulation.width={width}",
        f"curation.output_root={suite.folder / 'curated'}",
        "curation.empty_filter.enabled=false",
        "curation.split.train=2",
        "curation.split.val=1",
        "curation.split.test=1",
    ]


def trained(suite: Suite, name: str, *overrides: str) -> Path:
    """The folder of a model, trained for two batches where it is not there: how good it is changes no time."""
    folder = suite.folder / name
    if not (folder / "finished.json").is_file():
        data = simulated(suite, "few", wells=8, fields=1, height=448, width=448)
        few = (
            [] if "experiment=frozen_tiles" in overrides else ["trainer.max_epochs=1", "trainer.limit_train_batches=2"]
        )
        words = [
            *data,
            *few,
            *suite.trainer,
            "report=false",
            "backbone.weights=random",
            f"hydra.run.dir={folder}",
            *overrides,
        ]
        process(["train.py", *words], threads=suite.threads)
    return folder
