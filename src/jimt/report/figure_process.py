"""A process that draws figures beside the report; it begins while this one still imports what computes."""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib


@contextmanager
def figure_process() -> Iterator[Any]:
    """An executor of one process that has imported what draws, until the block ends; at an error it is ended at once.

    Yields:
        None where torch computes in one thread: the report is to take one processor, and draws by itself.
    """
    if _n_threads() < 2:
        yield None
        return
    # unlike a process of multiprocessing it does not run the script again that asked for it
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(1, initializer=_begin)
    is_done = False
    try:
        pool.submit(importlib.import_module, "jimt.report.blocks")
        yield pool
        is_done = True
    finally:
        pool.shutdown(kill_workers=not is_done)


def _n_threads() -> int:
    """Of torch, which need not have been imported."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(asked) if asked.isdecimal() else joblib.cpu_count()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that has started this one
