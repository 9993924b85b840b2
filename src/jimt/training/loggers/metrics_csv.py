"""``metrics.csv``: what a training logs, a row each time, and how a resumed run goes on with it."""

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.loggers import Logger

from jimt.system.files import METRICS_BY_EPOCH, write_whole


class MetricsCsv(Logger):
    """Appends a row to ``metrics.csv`` as soon as it is logged; its columns are in alphabetical order.

    Lightning's own deletes the file of a run that goes on before it writes it anew, so a kill in between loses it.

    Args:
        run_folder: The run's; made when something is first logged.
    """

    def __init__(self, run_folder: Path) -> None:
        super().__init__()
        self._path = run_folder / METRICS_BY_EPOCH
        self._names: list[str] = []  # no row of this training stands in the file while there are none

    @property
    def name(self) -> str:
        """None beside the run's folder."""
        return ""

    @property
    def version(self) -> str:
        """Likewise."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self._path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row; a column that is new is empty in all rows before."""
        row = {**metrics, "step": step}
        if row.keys() <= set(self._names):
            with self._path.open("a", encoding="utf-8", newline="") as file:
                file.write(_as_csv([row], self._names))
            return
        self._write([*(_read(self._path) if self._names else []), row])

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: a run's settings stand in ``.hydra/``."""

    def go_on(self, *, before_epoch: int) -> None:
        """Keep the rows of earlier epochs, and drop those of an epoch that is trained again.

        Args:
            before_epoch: The first epoch to be trained again, from 0.
        """
        if not self._path.is_file():
            return
        kept, epoch = [], None
        for row in reversed(_read(self._path)):
            epoch = row.get("epoch", epoch)  # the learning rate stands before the first row of its epoch
            if epoch is not None and int(epoch) < before_epoch:
                kept.append(row)
        self._names = []
        if kept:
            self._write(kept[::-1])
        else:
            self._path.unlink()

    @rank_zero_only
    def sync(self) -> None:
        """Have the disk keep all rows, before a checkpoint claims their epoch."""
        if self._names:
            with self._path.open("rb+") as file:
                os.fsync(file.fileno())

    def _write(self, rows: list[dict[str, Any]]) -> None:
        self._names = sorted({*self._names, *(name for row in rows for name in row)})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        header = {name: name for name in self._names}
        write_whole(self._path, _as_csv([header, *rows], self._names))


def _read(path: Path) -> list[dict[str, str]]:
    """The rows, without empty cells; what a kill left of a last row is no row."""
    with path.open(encoding="utf-8", newline="") as file:
        whole = [line for line in file if line.endswith("\n")]
    return [{name: value for name, value in row.items() if value} for row in csv.DictReader(whole)]


def _as_csv(rows: Iterable[Mapping[str, Any]], names: list[str]) -> str:
    text = io.StringIO(newline="")
    csv.DictWriter(text, names).writerows(rows)
    return text.getvalue()
