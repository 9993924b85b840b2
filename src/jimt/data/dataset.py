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

N_CHANGES = 4
"""Intensity changes of augmentation: brightness, contrast, gamma, blur."""


class Key(NamedTuple):
    """Which patch is served, and how it is to be changed on the device."""

    row: int
    orientation: int
    """One of the eight orientations of a square; 0 is upright."""
    changes: tuple[float, ...] = (0.0,) * N_CHANGES
    """Numbers in -1 to 1, one for each intensity change; 0 is none."""


class PatchBatch(NamedTuple):
    """What crosses to the device: one grey channel."""

    patches: Tensor
    """uint8, shape ``(n, 1, size, size)``."""
    orientation: Tensor
    """int64 in 0 to 7, shape ``(n,)``; see ``transforms.orient``."""
    changes: Tensor
    """float32 in -1 to 1, shape ``(n, 4)``; see ``transforms.change_intensity``."""
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

    def __getitems__(self, keys: Sequence[Key]) -> PatchBatch:
        """A whole batch, as the DataLoader asks for it."""
        if self._store is None:
            self._store = FieldStore(self._folder)
        index = np.array([key.row for key in keys])
        patches = self._store.patches(self._field[index], self._y[index], self._x[index], size=self._size)
        return PatchBatch(
            torch.from_numpy(patches).unsqueeze(1),
            torch.tensor([key.orientation for key in keys]),
            torch.tensor([key.changes for key in keys], dtype=torch.float32),
            torch.from_numpy(self.labels[index]),
            torch.from_numpy(index),
        )


def as_is(batch: Any) -> Any:
    """Collate function: the data set hands over whole batches."""
    return batch


def evaluation_loader(
    dataset: PatchDataset, *, batch_size: int, num_workers: int, rank: int = 0, world: int = 1
) -> DataLoader[PatchBatch]:
    """Every patch exactly once over all processes, upright, in the manifest's order.

    Of several processes each gives the same number of batches, because under DDP they wait for each other at each;
    those with a patch less give smaller ones.

    Args:
        dataset: The patches.
        batch_size: Patches at once.
        num_workers: Processes that cut patches; 0 for none.
        rank: This process.
        world: Number of processes.
    """
    keys = [Key(row, 0) for row in range(rank, len(dataset), world)]
    if world == 1:
        return DataLoader(dataset, batch_size=batch_size, sampler=keys, num_workers=num_workers, collate_fn=as_is)
    largest, smallest = -(-len(dataset) // world), len(dataset) // world
    n_batches = min(-(-largest // batch_size), smallest)
    parts = np.array_split(np.arange(len(keys)), n_batches)
    batches = [[keys[int(index)] for index in part] for part in parts]
    return DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=as_is)
