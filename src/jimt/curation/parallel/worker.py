# mypy: allow-untyped-calls
"""What runs on a worker of a Dask cluster: the work, or the sentence why this worker cannot do it."""

import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import distributed

import jimt
from jimt.curation.parallel.executors import Called, ExecutorError, Item, Result
from jimt.errors import DISK_FULL

GOES_ON: Final = "the same command goes on from here"


class Call:
    """Unpickled, the result of ``_on_worker``: Dask is given bytes, for it ends a worker that cannot import a task."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _on_worker, self._arguments


def _on_worker(version: str, called: Called, function: Callable[..., Result], item: Item, *arguments: Any) -> Result:
    """Do the work, or say why this worker cannot: else a good image would count as bad."""
    node = platform.node()
    if jimt.__version__ != version:
        raise ExecutorError(
            f"a worker on {node} has jimt {jimt.__version__}", advice=f"install {version} there, as it is here"
        )
    for path in item.files.values():
        if not os.access(path, os.R_OK):
            raise ExecutorError(
                f"a worker on {node} cannot read {path}",
                advice=f"{called.images} must lie on a file system all machines share, at the same path",
            )
    try:
        return function(item, *arguments)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise ExecutorError(f"a worker on {node} failed at {name_of(item)} ({error})", advice=GOES_ON) from error


def name_of(item: Item) -> Path:
    """The file that an item is told by."""
    return next(iter(item.files.values()))


def threads_of_worker() -> int:
    """How many threads the worker has that this is called on."""
    return int(distributed.get_worker().state.nthreads)


def write_probe(item: Item, folder: Path, called: Called) -> tuple[Path, str]:
    """Write a file as the work does; returns its path and this machine's name."""
    try:
        descriptor, name = tempfile.mkstemp(dir=folder)
    except OSError as error:
        raise ExecutorError(
            f"a worker on {platform.node()} cannot write in {folder.parent} ({error.strerror})",
            advice=f"{called.output} must lie on a file system all machines share, at the same path",
        ) from error
    os.close(descriptor)
    return Path(name), platform.node()
