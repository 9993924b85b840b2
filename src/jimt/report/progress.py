"""Tells what a command is making, wherever a part takes longer than a person would wait without a word."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

PATIENCE = 2.0
"""Seconds a part may take before it is told."""
_AGAIN = 10.0
"""Seconds until a part that is still being made is told again."""


@dataclass
class _Part:
    what: str
    since: float = field(default_factory=time.monotonic)
    told: float | None = None
    """When it was told last."""


_parts: ContextVar[list[_Part] | None] = ContextVar("_parts", default=None)


@contextmanager
def part(what: str) -> Iterator[None]:
    """Name what is being done now, within what is being done already; where nobody watches, this does nothing."""
    parts = _parts.get()
    if parts is None:
        yield
        return
    parts.append(_Part(what))
    try:
        yield
    finally:
        parts.pop()


@contextmanager
def watched(
    tell: Callable[[str], None], *, of: str = "report", patience: float = PATIENCE, again: float = _AGAIN
) -> Iterator[None]:
    """Tell each part that takes longer than ``patience`` seconds, and how long it has taken every ``again`` seconds.

    Args:
        tell: Called with a line, from a thread of its own.
        of: What is being made, as the line begins.
        patience: Seconds.
        again: Seconds.
    """
    parts: list[_Part] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(patience / 4):
            now = time.monotonic()
            if not (under_way := list(parts)):
                continue
            innermost = under_way[-1]
            due = patience if innermost.told is None else again
            if now - (innermost.told or innermost.since) >= due:
                innermost.told = now
                tell(f"{of}, {': '.join(each.what for each in under_way)} ({now - innermost.since:.0f} s)")

    thread = threading.Thread(target=watch, daemon=True)
    token = _parts.set(parts)
    thread.start()
    try:
        yield
    finally:
        _parts.reset(token)
        ended.set()
        thread.join()
