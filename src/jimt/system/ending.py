"""How threads are ended when a command is told to stop."""

import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor


def end_pools(pools: Sequence[ThreadPoolExecutor]) -> None:
    """End the threads of some pools: what waits is not begun, and what is begun is done to its end.

    Ctrl-C again changes nothing meanwhile: a process that ends while a thread of it computes is aborted.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    try:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            pool.shutdown()
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before or signal.SIG_DFL)
