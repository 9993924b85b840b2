"""One job a graphics card: jobs of a sweep that run at the same time claim a card each."""

import getpass
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.5


def count_cards() -> int:
    """How many graphics cards torch sees, without starting CUDA in this process; 1 where there is none."""
    import torch

    return max(1, torch.cuda.device_count())


@contextmanager
def claim_card(n_cards: int) -> Iterator[int]:
    """Hold the first card that no other job of this user holds; wait while all are held.

    The claim is a lock on a file, which the system lets go when its holder ends, however it ends.

    Args:
        n_cards: Cards this process sees.

    Yields:
        The card's index.
    """
    from filelock import FileLock, Timeout  # late: train.py --help answers at once

    folder = _lock_folder()
    names = _card_names(n_cards)
    told = False
    while True:
        for index, name in enumerate(names):
            lock = FileLock(folder / f"card-{name}.lock")
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
            print(f"waiting for one of {n_cards} graphics cards: other jobs hold all of them", flush=True)
            told = True
        time.sleep(_POLL_SECONDS)


def _lock_folder() -> Path:
    """A folder of this machine and user; of a SLURM allocation, which may number its cards from 0 again."""
    allocation = os.environ.get("SLURM_JOB_ID")
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    name = f"jimt-cards-{user}" + ("" if allocation is None else f"-slurm-{allocation}")
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _card_names(n_cards: int) -> list[str]:
    """What tells cards apart between processes: index 0 is another card where CUDA_VISIBLE_DEVICES is 1."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible if len(visible) == n_cards else [str(index) for index in range(n_cards)]
