"""A Dask cluster of real processes: a scheduler, and workers that are killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed")


class Processes:
    """A scheduler, and workers with one thread each and nobody who starts them again."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.environment = os.environ | environment
        self.workers: list[subprocess.Popen[bytes]] = []
        file = str(folder / "scheduler.json")
        arguments = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", file, "--idle-timeout", "300"]
        with self.without_jimt():  # which the scheduler does not need
            self.scheduler = self._start("dask_scheduler", *arguments)
        try:
            self.client = distributed.Client(scheduler_file=file, timeout=60, set_as_default=False)
        except BaseException:
            self.scheduler.kill()
            self.scheduler.wait()
            raise
        self.address = self.client.scheduler.address

    def _start(self, command: str, *arguments: str) -> "subprocess.Popen[bytes]":
        log = (self.folder / f"{command}.log").open("ab")
        with log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{command}", "--no-dashboard", *arguments],
                env=self.environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )

    @contextmanager
    def without_jimt(self) -> Iterator[None]:
        """Processes started in this block cannot import jimt."""
        folder = self.folder / "without"
        folder.mkdir(exist_ok=True)
        (folder / "jimt.py").touch()
        before = self.environment.get("PYTHONPATH", "")
        self.environment["PYTHONPATH"] = os.pathsep.join([str(folder), before])
        yield
        self.environment["PYTHONPATH"] = before

    def have(self, n_workers: int, n_threads: int = 1) -> list[str]:
        """Start workers until there are so many, stop others; returns their addresses."""
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        for worker in self.workers[n_workers:]:
            worker.kill()
            worker.wait()
        del self.workers[n_workers:]
        for _ in range(n_workers - len(self.workers)):
            options = ["--no-nanny", "--nthreads", str(n_threads), "--local-directory", str(self.folder / "work")]
            self.workers.append(self._start("dask_worker", self.address, *options))
        wait_for(lambda: len(self.client.nthreads()) == n_workers)
        return list(self.client.nthreads())

    def kill(self, address: str) -> None:
        """Kill a worker as a kernel without memory does."""
        (pid,) = self.client.run(os.getpid, workers=[address]).values()
        (worker,) = [worker for worker in self.workers if worker.pid == pid]
        worker.kill()
        worker.wait()

    def close(self) -> None:
        if self.scheduler.poll() is None:
            self.client.close()
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
