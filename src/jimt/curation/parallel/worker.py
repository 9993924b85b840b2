"""What a worker of a Dask cluster does with one raw image, and how it says that it cannot."""

import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jimt
from jimt.curation.parallel.executors import ExecutorError, Result
from jimt.curation.raw_images import RawImage
from jimt.errors import DISK_FULL


class Call:
    """Unpickled, the result of ``_on_worker``: Dask is given bytes, for it ends a worker that cannot import a task."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _on_worker, self._arguments


def _on_worker(version: str, function: Callable[..., Result], raw: RawImage, *arguments: Any) -> Result:
    """Do the work, or say why this worker cannot: else a good image would count as bad."""
    node = platform.node()
    if jimt.__version__ != version:
        raise ExecutorError(
            f"a worker on {node} has jimt {jimt.__version__}", advice=f"install {version} there, as it is here"
        )
    for path in (raw.brightfield, raw.fluorescence):
        if path is not None and not os.access(path, os.R_OK):
            raise ExecutorError(
                f"a worker on {node} cannot read {path}",
                advice="dataset.root must lie on a file system all machines share, at the same path",
            )
    try:
        return function(raw, *arguments)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise ExecutorError(
            f"a worker on {node} failed at {raw.brightfield} ({error})", advice="the same command goes on from here"
        ) from error


def write_probe(raw: RawImage, folder: Path) -> tuple[Path, str]:
    """Write a file as ``read_field`` does; returns its path and this machine's name."""
    try:
        descriptor, name = tempfile.mkstemp(dir=folder)
    except OSError as error:
        raise ExecutorError(
            f"a worker on {platform.node()} cannot write in {folder.parent} ({error.strerror})",
            advice="curation.output_root must lie on a file system all machines share, at the same path",
        ) from error
    os.close(descriptor)
    return Path(name), platform.node()
