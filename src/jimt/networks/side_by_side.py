"""Passes through a network side by side: on a processor each on cores of its own, which beats sharing all of them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Final, TypeVar

import torch

from jimt.system.ending import end_pools

T = TypeVar("T")
AT_ONCE: Final = 4
"""Passes side by side at most, since each holds its own activations; with more cores, each pass has several of them."""
_EVEN: Final = 2
"""Parts of equal size that patches are cut into, whatever the number of cores, so that scores do not depend on it."""


def compute_in_threads(n: int) -> None:
    """Let what this thread asks of a network be computed in so many threads.

    Not in as many as the machine has processors: other processes and other passes compute too.
    """
    torch.get_num_threads()  # at its first question a thread takes the number that any other has set last
    torch.set_num_threads(n)


def threads_of_passes() -> int:
    """How many threads compute what this one asks of a network."""
    return torch.get_num_threads()


def side_by_side(works: Iterable[Callable[[], T]], *, device: torch.device) -> Iterator[T]:
    """What each of some passes gives, in their order.

    Two threads of one pass wait for one another after every layer, and for whatever else runs on their cores: two
    passes of one thread each are a third faster. On a graphics card they pass one after another.

    Args:
        works: Each is a pass, which enters ``torch.inference_mode`` itself; few are asked for before they are begun.
        device: Where the network is.
    """
    n_threads, waiting = threads_of_passes(), iter(works)
    first = list(islice(waiting, 1 if device.type != "cpu" else min(n_threads, AT_ONCE)))
    if len(first) < 2:
        yield from (work() for work in chain(first, waiting))
        return
    n = len(first)
    with ThreadPoolExecutor(n, initializer=compute_in_threads, initargs=(n_threads // n,)) as pool:
        pending = deque(map(pool.submit, first))
        try:
            pending.extend(map(pool.submit, islice(waiting, n)))  # so that no thread waits for the next
            while pending:
                found = pending.popleft().result()
                pending.extend(map(pool.submit, islice(waiting, 1)))
                yield found
        finally:
            end_pools([pool])
            compute_in_threads(n_threads)  # threads that are begun later take the number that was set last


def at_once(n: int, *, batch_size: int, device: torch.device) -> int:
    """How many of some patches pass through a network together.

    Args:
        n: Patches in all, at least one.
        batch_size: At most so many together.
        device: Where the network is.
    """
    if device.type != "cpu":
        return batch_size
    return -(-n // (_EVEN * -(-n // (_EVEN * batch_size))))
