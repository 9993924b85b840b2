"""Reads, asks and writes field by field, the three at the same time; memory does not grow with the number of fields."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jimt.errors import InputError
from jimt.networks.side_by_side import compute_in_threads, threads_of_passes
from jimt.prediction.answers import FieldAnswer, Source
from jimt.prediction.parts import Parts
from jimt.system.ending import end_pools

Read = TypeVar("Read")
_AHEAD: Final = 2
"""Fields that are read, or wait to be written, while the network works on another."""


def predict_fields(
    sources: Sequence[Source],
    parts: Parts,
    *,
    read: Callable[[Source], Read],
    asks: Sequence[Callable[[Source, Read], FieldAnswer]],
    write: Callable[[FieldAnswer], None],
    console: Console,
) -> dict[int, str]:
    """Answer every field that is not done yet, and note it as done when its files are written.

    Args:
        sources: All fields.
        parts: Those that are done.
        read: Reads one; an ``InputError`` of it is that field's alone.
        asks: Likewise ask the model; each is called in one thread at a time, with its share of the processors.
        write: Writes the files of one.
        console: Where progress is shown.

    Returns:
        Why fields have no answer, by their number.
    """
    failed: dict[int, str] = {}
    left = not_done(sources, parts, console)
    if not left:
        return failed
    n_threads, n_asked = threads_of_passes(), min(len(asks), len(sources))  # not of those left: the same answers again
    free: SimpleQueue[Callable[[Source, Read], FieldAnswer]] = SimpleQueue()
    for ask in asks[:n_asked]:
        free.put(ask)

    def answer(source: Source, opened: Future[Read]) -> FieldAnswer:
        ask = free.get()
        try:
            return ask(source, opened.result())
        finally:
            free.put(ask)

    def finish(answer: FieldAnswer, source: Source) -> None:
        write(answer)
        parts.add(source, answer.row, answer.patches)

    progress = progress_on(console)
    share = max(1, n_threads // n_asked)
    with (
        progress,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(n_asked, initializer=compute_in_threads, initargs=(share,)) as asker,
        ThreadPoolExecutor(1) as writer,
    ):
        task = progress.add_task("", total=len(left))
        opened = _ahead(left, read, reader)
        asked = deque((source, asker.submit(answer, source, future)) for source, future in islice(opened, n_asked))
        written: deque[Future[None]] = deque()
        try:
            while asked:
                source, told = asked.popleft()
                try:
                    written.append(writer.submit(finish, told.result(), source))
                except InputError as error:
                    failed[source.number] = str(error)
                del told
                asked.extend((source, asker.submit(answer, source, future)) for source, future in islice(opened, 1))
                while len(written) > _AHEAD:
                    written.popleft().result()
                progress.advance(task)
            for future in written:
                future.result()
        except BaseException:
            end_pools((reader, asker, writer))
            raise
        finally:
            compute_in_threads(n_threads)
    return failed


def not_done(sources: Sequence[Source], parts: Parts, console: Console) -> list[Source]:
    """The fields that are left; how many are done already is printed."""
    left = [source for source in sources if not parts.has(source)]
    if len(left) < len(sources):
        n_done = len(sources) - len(left)
        console.print(f"{n_done:,} of {len(sources):,} fields are done already", highlight=False)
    return left


def progress_on(console: Console) -> Progress:
    """Fields done and the time that is left, as it is expected."""
    return Progress(TextColumn("predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)


def _ahead(
    sources: Sequence[Source], read: Callable[[Source], Read], reader: ThreadPoolExecutor
) -> Iterator[tuple[Source, Future[Read]]]:
    """Each source with its picture, some of which are being read meanwhile."""
    waiting = iter(sources)
    pending = deque((source, reader.submit(read, source)) for source in islice(waiting, _AHEAD))
    while pending:
        current = pending.popleft()
        pending.extend((source, reader.submit(read, source)) for source in islice(waiting, 1))
        yield current
