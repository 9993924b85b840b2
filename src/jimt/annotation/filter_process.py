"""Fits the filter in a process of its own: torch and scikit-learn would hold up the page in this one."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jimt.annotation.patch_features import PatchFeatures
from jimt.annotation.patch_pool import PatchPool, to_label
from jimt.annotation.running_filter import EVERY, Labelled, Progress, RunningFilter
from jimt.config.curating import EmptyFilterConfig
from jimt.curation.manifest import open_curated
from jimt.data.preparation import late_embed


class FilterProcess:
    """What the process has told last.

    Args:
        curated: Folder of the curated data set.
        kept_in: Folder that features of its patches are kept in.

    Attributes:
        progress: The latest.
        scores: Signed distance of every patch to the decision surface, above 0 for empty, NaN where not known; None
            before the first fit.
    """

    def __init__(self, curated: Path, kept_in: Path) -> None:
        self.progress = Progress()
        self.scores: NDArray[np.float32] | None = None
        self._n_sent = 0
        self._tell: Callable[[], None] | None = None
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, curated, kept_in), daemon=True)
        self._process.start()
        theirs.close()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def start(self, labelled: list[Labelled], *, tell: Callable[[], None]) -> None:
        """Begin.

        Args:
            labelled: Labels that are there already, in the order in which they were given.
            tell: Called, in another thread, whenever there is news.
        """
        self._tell = tell
        self._send(labelled)
        self._reader.start()

    def set_labelled(self, labelled: list[Labelled]) -> None:
        """Tell all labels, in the order in which they were given."""
        if len(labelled) // EVERY > self._n_sent // EVERY:
            self._send(labelled)

    def stop(self) -> None:
        """End the process; features that it has computed are on disk."""
        self._tell = None
        self._process.terminate()
        self._process.join()
        self._reader.join()
        self._pipe.close()

    def _send(self, labelled: list[Labelled]) -> None:
        self._n_sent = len(labelled)
        try:
            self._pipe.send(labelled)
        except OSError:
            self._ended()

    def _read(self) -> None:
        try:
            while True:
                self.progress, scores = self._pipe.recv()
                if scores is not None:
                    self.scores = scores
                if self._tell is not None:
                    self._tell()
        except (EOFError, OSError):
            self._ended()

    def _ended(self) -> None:
        if self._tell is not None and self.progress.failed is None:
            self.progress = replace(self.progress, failed="the process that fits it has ended; see the terminal")
            self._tell()


def pool_of(curated: Any) -> PatchPool:
    """The patches that may be empty, the same ones in both processes."""
    return PatchPool(curated, to_label(curated.manifest))


def _work(pipe: Connection, folder: Path, kept_in: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that has started this one
    if hasattr(os, "nice"):
        os.nice(5)
    curated = open_curated(folder)
    curation = curated.summary["config"]["curation"]
    if curation["empty_filter"].keys() != {each.name for each in fields(EmptyFilterConfig)}:
        told = f"{folder.name} was curated by another version of jimt; curate it again"
        pipe.send((Progress(failed=told), None))
        return
    settings = EmptyFilterConfig(**curation["empty_filter"])
    pool = pool_of(curated)
    made_with: dict[str, Any] = {
        "dataset": folder.name,
        "curation": curated.summary["fingerprint"],
        "backbone": settings.backbone,
        "weights": settings.weights,
        "features": settings.features,
        "precision": settings.precision,
        "n": len(pool),
    }
    embed = late_embed(settings, size=pool.size)
    features = PatchFeatures(
        kept_in, made_with, n=len(pool), embed=lambda numbers: embed(curated.store.field, pool.fields[numbers])
    )
    running = RunningFilter(pool, features, settings, seed=int(curation["seed"]))
    sent: list[int] = []

    def tell() -> None:
        is_new = running.scores is not None and running.progress.n_fitted not in sent[-1:]
        pipe.send((running.progress, running.scores if is_new else None))
        if is_new:
            sent.append(running.progress.n_fitted)

    try:
        running.start(pipe.recv(), tell=tell)
        while True:
            running.set_labelled(pipe.recv())
    except (EOFError, OSError):  # the other process has ended, however it did
        os._exit(0)
