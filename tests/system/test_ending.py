"""Threads end before the process does, however often it is told to stop."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from jimt.system.ending import end_pools


def test_ctrl_c_while_threads_end_changes_nothing_and_is_heard_afterwards():
    before = signal.getsignal(signal.SIGINT)
    pool, done, begun = ThreadPoolExecutor(1), [], threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.3)
        done.append("first")

    pool.submit(work)
    waiting = pool.submit(done.append, "second")
    assert begun.wait(20)
    teller = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    teller.start()
    end_pools([pool])
    teller.join()
    assert done == ["first"]  # what was begun is done, and what waited is not begun
    assert waiting.cancelled()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


def test_it_may_be_asked_by_any_thread():
    pool = ThreadPoolExecutor(1)
    thread = threading.Thread(target=end_pools, args=([pool],))
    thread.start()
    thread.join(20)
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(int)
