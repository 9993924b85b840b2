"""A process that draws figures beside the report; it begins while this one still imports what computes."""

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from jimt.system.ending import end_pools

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SERVE: Final = "from jimt.report.figure_process import serve; serve()"


class FigureProcess:
    """Draws one figure after another; asked by way of its standard input, it ends with the process that asks.

    Not of ``multiprocessing``, which runs the script again that asked for a report, nor of joblib, whose processes stay
    when the one that started them is killed.
    """

    def __init__(self) -> None:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path or str(Path.cwd()) for path in sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the process that has started this one
        )
        self._asking = ThreadPoolExecutor(1)  # waits for its answers

    def submit(self, figure: "Figure", folder: Path, name: str) -> Future[str]:
        """Ask for the files of a figure; the answer is that of ``blocks.drawn``, or ``BrokenExecutor``.

        Raises:
            Exception: Whatever a figure raises that cannot be handed to another process.
        """
        return self._asking.submit(self._answer, pickle.dumps((figure, folder, name)))

    def _answer(self, asked: bytes) -> str:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        try:
            to.write(asked)
            to.flush()
            found, error = pickle.load(back)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as ended:  # also closed meanwhile
            raise BrokenExecutor("the process that draws has ended") from ended
        if error is not None:
            raise error
        return str(found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()  # what was asked for is there, or nobody waits for it any more
        end_pools([self._asking])
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):  # something was on its way
                pipe.close()
        self._process.wait()


@contextmanager
def figure_process() -> Iterator[FigureProcess | None]:
    """A process that draws, until the block ends.

    Yields:
        None where torch computes in one thread: the report is to take one processor, and draws by itself.
    """
    if _n_threads() < 2 or not sys.executable:
        yield None
        return
    with FigureProcess() as process:
        yield process


def _n_threads() -> int:
    """Of torch, which need not have been imported."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if asked.isdecimal() and asked.isascii():
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def serve() -> None:
    """Draw what standard input asks for until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    from jimt.report.blocks import drawn

    try:
        for figure, folder, name in _asked(sys.stdin.buffer):
            found: tuple[str | None, Exception | None]
            try:
                found = drawn(figure, folder, name), None
            except Exception as error:  # for the process that asks
                found = None, error
            pickle.dump(found, answers)
            answers.flush()
    except BrokenPipeError:  # nobody waits
        os._exit(0)


def _asked(questions: IO[bytes]) -> Iterator[Any]:
    while True:
        try:
            yield pickle.load(questions)
        except (EOFError, pickle.UnpicklingError):  # who asks has ended, perhaps in the midst of a question
            return
