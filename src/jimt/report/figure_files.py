"""Writes a report's figures in another process while the report goes on: drawing takes as long as computing."""

import contextlib
import pickle
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path

from jimt.report.blocks import Drawing, drawn
from jimt.report.figure_process import FigureProcess
from jimt.report.progress import part


class FigureFiles:
    """``figures/`` of a report.

    Args:
        folder: ``figures/``.
        process: Of ``figure_process``; None to draw here.
    """

    def __init__(self, folder: Path, process: FigureProcess | None) -> None:
        self._folder, self._process = folder, process
        self._asked: dict[str, tuple[Drawing, Future[str] | None]] = {}

    def begin(self, drawing: Drawing) -> None:
        """Ask for the files of a figure, once, and do not wait for them."""
        if drawing.name in self._asked:
            assert self._asked[drawing.name][0] is drawing, f"two figures of one name: {drawing.name}"
            return
        future = None
        if self._process is not None:
            # but not one that holds what cannot be handed over
            with contextlib.suppress(pickle.PicklingError, TypeError, AttributeError):
                future = self._process.submit(drawing.figure, self._folder, drawing.name)
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
                except BrokenExecutor:  # whatever has become of the process costs no report
                    drawing.keep(drawn(drawing.figure, self._folder, drawing.name))
        for old in [*self._folder.glob("*.png"), *self._folder.glob("*.svg")]:
            if old.stem not in self._asked:
                old.unlink()
        return len(asked)
