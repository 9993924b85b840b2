"""Manifest rows to batches: patches are cut from the memory-mapped fields when a batch is made, never before."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from jimt.curation.store import FieldStore

Key = tuple[int, int]
"""Row of the data set, and one of the eight orientations of a square."""


class PatchBatch(NamedTuple):
    """What crosses to the device: one grey channel."""

    patches: Tensor
    """uint8, shape ``(n, 1, size, size)``."""
    orientation: Tensor
    """int64 in 0 to 7, shape ``(n,)``; see ``transforms.orient``."""
    label: Tensor
    """int64, live 1, dead 0, shape ``(n,)``."""
    row: Tensor
    """int64, row of the data set, shape ``(n,)``."""


class PatchDataset(Dataset[PatchBatch]):
    """The patches of some rows of a manifest, cut a whole batch at a time.

    Args:
        folder: A curated data set's folder.
        rows: The manifest's rows to serve, in this order.
        size: Side of a patch, pixels.
    """

    def __init__(self, folder: Path, rows: pd.DataFrame, *, size: int) -> None:
        self._folder = folder
        self._field = rows["field"].to_numpy(np.int32)
        # a published patch is a field of its own and has no origin
        self._y = rows["y"].fillna(0).to_numpy(np.int32)
        self._x = rows["x"].fillna(0).to_numpy(np.int32)
        self.labels = rows["label"].to_numpy(np.int64)
        self._size = size
        self._store: FieldStore | None = None  # opened in the process that reads

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_store": None}  # a memory map would travel with all its pixels

    def __len__(self) -> int:
        return len(self._field)

    def __getitem__(self, key: Key) -> PatchBatch:
        """One patch, as a batch of one."""
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[Key]) -> PatchBatch:
        """A whole batch, as the DataLoader asks for it."""
        if self._store is None:
            self._store = FieldStore(self._folder)
        index = np.array([row for row, _ in keys])
        patches = self._store.patches(self._field[index], self._y[index], self._x[index], size=self._size)
        return PatchBatch(
            torch.from_numpy(patches).unsqueeze(1),
            torch.tensor([orientation for _, orientation in keys]),
            torch.from_numpy(self.labels[index]),
            torch.from_numpy(index),
        )


def as_is(batch: Any) -> Any:
    """Collate function: the data set hands over whole batches."""
    return batch


class InOrder(Sequence[Key]):
    """Sampler of evaluation: every row once, in order, upright."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows

    def __len__(self) -> int:
        return self._n_rows

    def __getitem__(self, index: int) -> Key:  # type: ignore[override]  # no slices
        if index >= self._n_rows:
            raise IndexError(index)
        return index, 0


def evaluation_loader(dataset: PatchDataset, *, batch_size: int, num_workers: int) -> DataLoader[PatchBatch]:
    """Every patch exactly once, in the manifest's order."""
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=InOrder(len(dataset)),
        num_workers=num_workers,
        collate_fn=as_is,
    )
