"""One job a GPU: jobs of a sweep that run at the same time claim a GPU each."""

import getpass
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.5


@contextmanager
def own_gpu(accelerator: str) -> Iterator[int]:
    """Hold a GPU of this job's own and make it the one that is asked for as ``cuda``, by the empty filter for one.

    Yields:
        The GPU's index; 0 where none is used, or none is there, of which the training says what to do.
    """
    import torch

    n_gpus = torch.cuda.device_count() if accelerator == "gpu" else 0
    if n_gpus == 0:
        yield 0
        return
    with claim_gpu(n_gpus) as index:
        torch.cuda.set_device(index)
        yield index


def count_gpus() -> int:
    """How many GPUs torch sees, without starting CUDA in this process; 1 where there is none."""
    import torch

    return max(1, torch.cuda.device_count())


@contextmanager
def claim_gpu(n_gpus: int) -> Iterator[int]:
    """Hold the first GPU that no other job of this user holds; wait while all are held.

    The claim is a lock on a file, which the system lets go when its holder ends, however it ends.

    Args:
        n_gpus: GPUs this process sees.

    Yields:
        The GPU's index.
    """
    from filelock import FileLock, Timeout  # late: train.py --help answers at once

    folder = _lock_folder()
    # what tells GPUs apart between processes: index 0 is another GPU where CUDA_VISIBLE_DEVICES is 1
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = visible if len(visible) == n_gpus else [str(index) for index in range(n_gpus)]
    told = False
    while True:
        for index, name in enumerate(names):
            lock = FileLock(folder / f"gpu-{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            try:
                yield index
            finally:
                lock.release()
            return
        if not told:
            print(f"waiting for one of {n_gpus} GPUs: other jobs hold all of them", flush=True)
            told = True
        time.sleep(_POLL_SECONDS)


def _lock_folder() -> Path:
    """A folder of this machine and user; of a SLURM allocation, which may number its GPUs from 0 again."""
    allocation = os.environ.get("SLURM_JOB_ID")
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    name = f"jimt-gpus-{user}" + ("" if allocation is None else f"-slurm-{allocation}")
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
