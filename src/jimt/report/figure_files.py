"""Writes a report's figures in another process while the report goes on: drawing takes as long as computing."""

import pickle
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from typing import Any, Final

from jimt.report.blocks import Drawing, drawn
from jimt.report.progress import part

_DRAWN_HERE: Final = (BrokenExecutor, pickle.PicklingError)
"""Whatever has become of the other process, and a figure that cannot be handed to it, costs no report."""


class FigureFiles:
    """``figures/`` of a report.

    Args:
        folder: ``figures/``.
        process: Of ``figure_process``; None to draw here.
    """

    def __init__(self, folder: Path, process: Any) -> None:
        self._folder, self._process = folder, process
        self._asked: dict[str, tuple[Drawing, Future[str] | None]] = {}

    def begin(self, drawing: Drawing) -> None:
        """Ask for the files of a figure, once, and do not wait for them."""
        if drawing.name in self._asked:
            assert self._asked[drawing.name][0] is drawing, f"two figures of one name: {drawing.name}"
            return
        future = None
        if self._process is not None:
            try:
                future = self._process.submit(drawn, drawing.figure, self._folder, drawing.name)
            except _DRAWN_HERE:
                self._process = None
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
