"""Where images are read: in threads of this machine, or on the workers of a Dask cluster."""

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import joblib

from jimt.config.curating import ExecutorConfig
from jimt.curation.raw_images import RawImage
from jimt.errors import InputError
from jimt.system.ending import end_pools

if TYPE_CHECKING:
    from jimt.curation.parallel.cluster import Cluster

Result = TypeVar("Result")
BATCH = 32  # items of a cluster whose results may wait in memory
_AHEAD: Final = 3  # images a thread that are under way or read, so that no thread waits while one is written


class ExecutorError(InputError):
    """The cluster cannot do the work or go on with it; what was committed is kept, for the same command to go on."""


class Item(Protocol):
    """What a worker of a cluster is given: a raw image, a field to predict."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Files that the worker must be able to read, by absolute paths; the first one names the item."""
        ...


@dataclass(frozen=True)
class Called:
    """What a command calls the things that a cluster may lack, for the sentences that a user sees.

    Attributes:
        dask: What asks for Dask.
        images: What must lie where all machines read it.
        output: What must lie where they write.
        scheduler: What to type to name a scheduler.
        without: What to type to do without Dask.
    """

    dask: str
    images: str
    output: str
    scheduler: str
    without: tuple[str, ...]


_CURATION: Final = Called(
    dask="curation.executor.backend=dask",
    images="dataset.root",
    output="curation.output_root",
    scheduler="curation.executor.scheduler=tcp://HOST:8786",
    without=("curation.executor.backend=local curation.executor.scheduler=null",),
)


class InParallel(Protocol):
    """Calls ``function(image, *arguments)`` for each raw image; results come in the order of the images."""

    def __call__(  # noqa: D102  the class says it
        self, function: Callable[..., Result], images: Sequence[RawImage], *arguments: Any
    ) -> Iterator[Result]: ...


@contextmanager
def open_executor(
    config: ExecutorConfig, *, n_jobs: int, folder: Path, images: Sequence[RawImage]
) -> Iterator[InParallel]:
    """What reads raw images, until the block ends.

    Args:
        config: Local threads or a Dask cluster.
        n_jobs: Number of local threads, -1 for one a core; a cluster has a number of its own.
        folder: An existing folder below which workers will write.
        images: The raw images; workers are asked whether they see the first of them.

    Raises:
        ExecutorError: If the cluster cannot do the work; the message says what to change.
    """
    if config.backend == "local":
        n_threads = joblib.effective_n_jobs(n_jobs)
        pool = ThreadPoolExecutor(n_threads, thread_name_prefix="read")
        try:
            yield functools.partial(_in_threads, pool, n_threads) if n_threads > 1 else _one_by_one
        finally:
            end_pools([pool])
        return
    with open_dask(config, _CURATION, folder=folder, sample=[located(raw) for raw in images[:1]]) as cluster:
        yield lambda function, those, *arguments: cluster(function, map(located, those), *arguments)


@contextmanager
def open_dask(config: ExecutorConfig, called: Called, *, folder: Path, sample: Sequence[Item]) -> Iterator["Cluster"]:
    """The workers of a Dask cluster, until the block ends.

    Args:
        config: Names the scheduler.
        called: What the command calls what may be missing.
        folder: An existing folder below which workers will write.
        sample: Some of what workers will be given; they are asked whether they see its files.

    Raises:
        ExecutorError: If Dask is not installed, or the cluster cannot do the work; the message says what to change.
    """
    try:
        import distributed  # noqa: F401  late: not everybody has it
    except ImportError as error:
        raise ExecutorError(
            f"{called.dask} needs Dask ({error})", remedies=(*called.without, "pip install distributed")
        ) from error
    from jimt.curation.parallel.cluster import open_cluster

    with open_cluster(config, called, folder, sample) as cluster:
        yield cluster


def _one_by_one(function: Callable[..., Result], images: Sequence[RawImage], *arguments: Any) -> Iterator[Result]:
    return (function(located(raw), *arguments) for raw in images)


def _in_threads(
    pool: ThreadPoolExecutor,
    n_threads: int,
    function: Callable[..., Result],
    images: Sequence[RawImage],
    *arguments: Any,
) -> Iterator[Result]:
    """Results in the order of the images; few of them wait in memory, however slowly they are taken.

    Threads, since nearly all of the work is done by decoders, NumPy and OpenCV, which let other threads compute:
    processes would first import all that this one has imported, and pixels would have to travel.
    """
    waiting: deque[Future[Result]] = deque()
    for raw in images:
        waiting.append(pool.submit(function, located(raw), *arguments))
        if len(waiting) == _AHEAD * n_threads:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def located(raw: RawImage) -> RawImage:
    """The raw image by absolute paths: workers outlive a change of the working directory, or have another one."""
    files: dict[str, Any] = {name: path.absolute() for name, path in raw.files.items()}
    return dataclasses.replace(raw, **files)
