"""Writes a report's figures in a process of its own while the report goes on: drawing takes as long as computing."""

import pickle
import signal
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from jimt.networks.side_by_side import threads_of_passes
from jimt.report.blocks import Drawing, drawn
from jimt.report.progress import part

_DRAWN_HERE: Final = (BrokenExecutor, pickle.PicklingError)
"""Whatever has become of the other process, and a figure that cannot be handed to it, costs no report."""


class FigureFiles:
    """``figures/`` of a report; a context that ends the process.

    Where torch computes in one thread, the report is to take one processor, and its figures are drawn here.

    Args:
        folder: ``figures/``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked: dict[str, tuple[Drawing, Future[str] | None]] = {}
        self._pool: Any = _process() if threads_of_passes() > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(kill_workers=error is not None)

    def begin(self, drawing: Drawing) -> None:
        """Ask for the files of a figure, once, and do not wait for them."""
        if drawing.name in self._asked:
            assert self._asked[drawing.name][0] is drawing, f"two figures of one name: {drawing.name}"
            return
        future = None
        if self._pool is not None:
            try:
                future = self._pool.submit(drawn, drawing.figure, self._folder, drawing.name)
            except _DRAWN_HERE:
                self._pool = None
        self._asked[drawing.name] = drawing, future

    def finish(self) -> int:
        """Wait for all files, and delete those of a report before this one; returns the number of figures.

        Raises:
            OSError: If one cannot be written.
        """
        asked, here = list(self._asked.values()), []
        for number, (drawing, future) in enumerate(asked, 1):
            if future is None or future.cancel():  # not begun
                here.append(drawing.name)
                with part(f"figure {number} of {len(asked)}, {drawing.name}"):
                    drawing.keep(drawn(drawing.figure, self._folder, drawing.name))
        for drawing, future in asked:
            if future is None or drawing.name in here:
                continue
            with part(f"figure {drawing.name}"):
                try:
                    drawing.keep(future.result())
                except _DRAWN_HERE:
                    drawing.keep(drawn(drawing.figure, self._folder, drawing.name))
        for old in [*self._folder.glob("*.png"), *self._folder.glob("*.svg")]:
            if old.stem not in self._asked:
                old.unlink()
        return len(asked)


def _process() -> Any:
    """A process that draws; unlike one of ``multiprocessing`` it does not run the script again that asked for it."""
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(1, initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that has started this one
