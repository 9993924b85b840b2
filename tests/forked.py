"""Command lines in processes of their own that need not import torch again.

For tests of what a command does; what it imports and how it is started is tested with ``commands.line``.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

from commands import line
from processes import new_process


class Forked:
    """A command at work, or at its end; much as ``subprocess.Popen``."""

    def __init__(self, *words: str, draws: bool = True, **environment: str) -> None:
        """Start it in the working directory.

        Args:
            words: ``train.py ...`` or ``jimt crossval ...``.
            draws: Whether figures of reports are drawn.
            environment: Variables beside those of this process.
        """
        self._outputs = Path(tempfile.mkdtemp())
        arguments = line(*words)[1:]
        whole = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        self._process = new_process(_run, arguments, Path.cwd(), self._outputs, dict(whole), draws, daemon=False)
        self._process.start()
        self.words = words

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def wait_for(self, words: str) -> None:
        """Wait until it has printed some words, at most two minutes."""
        deadline = time.monotonic() + 120
        while words not in self.printed():
            assert self.returncode is None, self.printed()
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.05)

    def printed(self) -> str:
        """What it has printed so far."""
        out = self._outputs / "1"
        return out.read_text() if out.is_file() else ""

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def communicate(self, *, timeout: float) -> tuple[str, str]:
        """Wait for its end; all that it printed, and all errors."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(list(self.words), timeout)
        return self.printed(), (self._outputs / "2").read_text()


def run_forked(*words: str, draws: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run to its end, at most five minutes."""
    started = Forked(*words, draws=draws, **environment)
    out, errors = started.communicate(timeout=300)
    assert started.returncode is not None
    return subprocess.CompletedProcess(list(words), started.returncode, out, errors)


def _run(arguments: list[str], folder: Path, outputs: Path, environment: Mapping[str, str], draws: bool) -> None:
    import multiprocessing

    from command_lines import run_as_python
    from drawn import no_figures

    os.setpgrp()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(os.open(outputs / str(stream), os.O_CREAT | os.O_WRONLY | os.O_TRUNC), stream)
    multiprocessing.set_start_method("fork", force=True)  # as in a process that a person starts
    warnings.simplefilter("default")  # pytest's own filters are not here
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with contextlib.nullcontext() if draws else no_figures():
        run_as_python(arguments)
