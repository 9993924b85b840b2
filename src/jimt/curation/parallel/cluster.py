# mypy: allow-untyped-calls
"""Reads images on the workers of a Dask cluster: raw images to curate, fields to predict.

Pixels travel by way of a file system that all machines share, everything else by way of the scheduler. joblib's own
Dask backend is not used: where the cluster fails it waits for ever (joblib 1.6), whether an image killed every worker
that read it, or no worker is left.
"""

import asyncio
import logging
import pickle
import sys
import tempfile
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import dask
import distributed
from distributed.client import ClosedClientError
from distributed.comm.core import connect

import jimt
from jimt.config.curating import ExecutorConfig
from jimt.curation.parallel.executors import BATCH, Called, ExecutorError, Item, Result
from jimt.curation.parallel.worker import GOES_ON, Call, name_of, write_probe

_CONNECT_SECONDS = 5.0
_SOON = 1.0  # seconds: a wait that is longer is told
_LOOK_SECONDS = 5.0  # without a result, until somebody looks whether there still are workers
# what connecting fails with: nobody there, no such address, no certificate, something there that is no scheduler
_NO_SCHEDULER = (OSError, ValueError, TypeError, MemoryError)
Some = TypeVar("Some", bound=Item)


@contextmanager
def open_cluster(config: ExecutorConfig, called: Called, folder: Path, sample: Sequence[Item]) -> Iterator["Cluster"]:
    """A cluster whose workers were checked: they have this jimt, read ``sample`` and write below ``folder``.

    Raises:
        ExecutorError: If the cluster cannot do the work; the message says what to change.
    """
    assert config.scheduler is not None  # ExecutorConfig checks it
    with _quiet(), dask.config.set({"distributed.comm.timeouts.connect": _CONNECT_SECONDS}):
        try:
            with ThreadPoolExecutor(1) as thread:  # the caller may have an event loop of its own, as a notebook has
                thread.submit(asyncio.run, _say_hello(config.scheduler)).result()
            client: Any = distributed.Client(config.scheduler, timeout=_CONNECT_SECONDS)
        except _NO_SCHEDULER as error:
            raise ExecutorError(
                f"no Dask scheduler answers at {config.scheduler} ({str(error) or 'it says nothing'})",
                remedies=(called.scheduler, "dask scheduler"),
            ) from error
        client.loop.asyncio_loop.set_exception_handler(lambda loop, context: None)  # Dask drops tasks without a look
        with client:
            cluster = Cluster(client, config, called)
            for item in sample:
                cluster.check(item, folder)
            yield cluster


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log off the console: it tells with tracebacks what is mended, or said in one sentence here."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


async def _say_hello(address: str) -> None:
    """Greet a scheduler in time: a client would wait for ever for one that takes the connection and says nothing."""
    async with asyncio.timeout(_CONNECT_SECONDS):
        (await connect(address, timeout=_CONNECT_SECONDS)).abort()


class Cluster:
    """Hands items to the workers; an item whose worker died is given to another, by the scheduler."""

    def __init__(self, client: distributed.Client, config: ExecutorConfig, called: Called) -> None:
        self._client = client
        self._called = called
        self._scheduler = config.scheduler
        self._worker_timeout = config.worker_timeout

    def check(self, item: Item, folder: Path) -> None:
        """Have each worker read and write; one that is busy or joins later is checked with its first item."""
        with self._lost_scheduler(), tempfile.TemporaryDirectory(dir=folder, prefix=".shared-") as name:
            shared = Path(name).absolute()
            probes = [
                self._submit(write_probe, item, shared, self._called)
            ]  # makes a cluster that adapts to its work start a worker
            self._await_worker()
            probes += [
                self._submit(write_probe, item, shared, self._called, worker=worker)
                for worker in self._client.nthreads()
            ]
            with suppress(TimeoutError):
                distributed.wait(probes, timeout=self._worker_timeout)
            for probe in probes:
                if not probe.done():
                    continue
                path, node = self._result(item, probe)
                try:
                    path.unlink()
                except OSError as error:
                    raise ExecutorError(
                        f"what a worker on {node} writes in {folder} cannot be used here ({error.strerror})",
                        advice=(
                            f"run the workers as the same user, with {self._called.output} on a file system all "
                            "machines share"
                        ),
                    ) from error

    def __call__(self, function: Callable[..., Result], items: Iterable[Some], *arguments: Any) -> Iterator[Result]:
        """Results in the order of the items; a few items a core are under way, however many there are.

        Raises:
            ExecutorError: If the cluster cannot go on, or an item has killed every worker that it was given to.
        """
        for _, outcome in self.outcomes(function, items, *arguments):
            if isinstance(outcome, ExecutorError):
                raise outcome
            yield outcome

    def outcomes(
        self, function: Callable[..., Result], items: Iterable[Some], *arguments: Any
    ) -> Iterator[tuple[Some, Result | ExecutorError]]:
        """Likewise each item with its result, or with the sentence that it has killed every worker it was given to."""
        waiting: deque[tuple[Some, distributed.Future[Result]]] = deque()
        limit = BATCH
        for number, item in enumerate(items):
            with self._lost_scheduler():
                if number % BATCH == 0:  # workers may have joined
                    limit = max(BATCH, 2 * sum(self._client.nthreads().values()))
                waiting.append((item, self._submit(function, item, *arguments)))
            if len(waiting) >= limit:
                yield self._outcome(*waiting.popleft())
        while waiting:
            yield self._outcome(*waiting.popleft())

    def _outcome(self, item: Some, future: "distributed.Future[Any]") -> tuple[Some, Any]:
        try:
            return item, self._result(item, future)
        except _KilledWorkersError as error:
            return item, error

    def _submit(
        self, function: Callable[..., Result], item: Item, *arguments: Any, worker: str | None = None
    ) -> "distributed.Future[Result]":
        return self._client.submit(
            pickle.loads,
            pickle.dumps(Call((jimt.__version__, self._called, function, item, *arguments))),
            key=f"{function.__name__}-{uuid.uuid4().hex}",  # reading writes a file: the same again is another task
            workers=worker,
            allow_other_workers=worker is not None,  # else the probe of a worker that left would never end
        )

    def _result(self, item: Item, future: "distributed.Future[Result]") -> Result:
        with self._lost_scheduler():
            while True:
                try:
                    distributed.wait(future, timeout=_LOOK_SECONDS)
                    return future.result(timeout=_LOOK_SECONDS)  # may be lost while it is fetched
                except TimeoutError:
                    self._await_worker()
                except distributed.KilledWorker as error:
                    raise _KilledWorkersError(
                        f"{error.allowed_failures + 1} workers died while they read {name_of(item)}",
                        advice=f"see their logs, and give them more memory if they had too little; {GOES_ON}",
                    ) from error
                except ImportError as error:
                    raise ExecutorError(
                        f"a worker lacks what is installed here ({error})",
                        advice=(f"run all workers in an environment like this one, with jimt {jimt.__version__}"),
                    ) from error

    def _await_worker(self) -> None:
        soon = min(_SOON, self._worker_timeout)
        left = self._worker_timeout - soon
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=soon)
            return
        with suppress(TimeoutError):
            if left > 0:
                print(f"waiting up to {left:g} s more for a worker of {self._scheduler}", file=sys.stderr, flush=True)
                self._client.wait_for_workers(1, timeout=left)
                return
        raise ExecutorError(
            f"the scheduler {self._scheduler} has had no worker for {self._worker_timeout:g} s, and "
            f"{GOES_ON} when it has",
            remedies=(f"dask worker {self._scheduler}",),
        )

    @contextmanager
    def _lost_scheduler(self) -> Iterator[None]:
        try:
            yield
        except (CancelledError, ClosedClientError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of a file
            raise ExecutorError(
                f"the scheduler {self._scheduler} was lost", advice=f"start it and its workers again; {GOES_ON}"
            ) from error


class _KilledWorkersError(ExecutorError):
    """An item has killed every worker that it was given to."""
