"""Threads end before the process does, however often it is told to stop."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jimt.system.ending import end_pools


@pytest.fixture
def heard():
    """Ctrl-C is heard, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_threads_end_changes_nothing_and_is_heard_afterwards(heard):
    before = signal.getsignal(signal.SIGINT)
    pool, done, begun, told = ThreadPoolExecutor(1), [], threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert told.wait(20)
        done.append("first")

    def tell() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        told.set()

    pool.submit(work)
    waiting = pool.submit(done.append, "second")
    assert begun.wait(20)
    teller = threading.Timer(0.1, tell)
    teller.start()
    end_pools([pool])
    teller.join()
    assert done == ["first"]  # what was begun is done, and what waited is not begun
    assert waiting.cancelled()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_it_may_be_asked_by_any_thread():
    pool = ThreadPoolExecutor(1)
    thread = threading.Thread(target=end_pools, args=([pool],))
    thread.start()
    thread.join(20)
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(int)
