"""Manifest rows to batches: which patch is drawn when (paper: "weighted random sampling"), and how a batch is cut.

Patches are cut from the memory-mapped fields when a batch is made, never before.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
import torch.distributed
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from jimt.curation.store import FieldStore, cut_patches, places_of

N_ORIENTATIONS = 8  # four quarter turns, each plain and mirrored: all that 90-degree rotations and flips can give
CHANGES = ("brightness", "contrast", "gamma", "blur", "noise", "scale")
"""What augmentation changes beside the orientation."""
N_CHANGES = len(CHANGES)
_FIRST = 4
"""So many of them are drawn together, the others after them: what is drawn does not depend on there being others."""


class Key(NamedTuple):
    """Which patch is served, and how it is to be changed on the device."""

    row: int
    orientation: int
    """One of the eight orientations of a square; 0 is upright."""
    changes: tuple[float, ...] = (0.0,) * N_CHANGES
    """Numbers in -1 to 1, one for each of ``CHANGES``; 0 is none."""


class PatchBatch(NamedTuple):
    """What crosses to the device: one grey channel."""

    patches: Tensor
    """uint8, shape ``(n, 1, size, size)``."""
    orientation: Tensor
    """int64 in 0 to 7, shape ``(n,)``; see ``transforms.orient``."""
    changes: Tensor
    """float32 in -1 to 1, shape ``(n, N_CHANGES)``; see ``transforms.change_intensity``."""
    label: Tensor
    """int64, live 1, dead 0, shape ``(n,)``."""
    row: Tensor
    """int64, row of the data set, shape ``(n,)``."""
    group: Tensor
    """int64, number of its group in the data set, shape ``(n,)``; -1 where nothing tells."""
    is_changed: bool
    """Whether any patch is turned or changed; known here, since a graphics card that is asked has to wait."""


class PatchDataset(Dataset[PatchBatch]):
    """The patches of some rows of a manifest, cut a whole batch at a time.

    Args:
        folder: A curated data set's folder.
        rows: The manifest's rows to serve, in this order.
        size: Side of a patch, pixels.
    """

    def __init__(self, folder: Path, rows: pd.DataFrame, *, size: int) -> None:
        self._folder = folder
        self._places = places_of(rows)
        self.labels = rows["label"].to_numpy(np.int64)
        self._groups = pd.factorize(rows["group"].to_numpy(object), sort=True)[0].astype(np.int64)
        self._size = size
        self._store: FieldStore | None = None  # opened in the process that reads

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_store": None}  # a memory map would travel with all its pixels

    def __len__(self) -> int:
        return len(self._places)

    def __getitems__(self, keys: Sequence[Key]) -> PatchBatch:
        """A whole batch, as the DataLoader asks for it."""
        if self._store is None:
            self._store = FieldStore(self._folder)
        index = np.array([key.row for key in keys])
        patches = cut_patches(self._store.field, self._places[index], size=self._size)
        return PatchBatch(
            torch.from_numpy(patches).unsqueeze(1),
            torch.tensor([key.orientation for key in keys]),
            torch.tensor([key.changes for key in keys], dtype=torch.float32),
            torch.from_numpy(self.labels[index]),
            torch.from_numpy(index),
            torch.from_numpy(self._groups[index]),
            any_changed(keys),
        )


def any_changed(keys: Iterable[Any]) -> bool:
    """Whether any of some keys turns or changes what it is of."""
    return any(key.orientation or any(key.changes) for key in keys)


class Drawn(Protocol):
    """A sampler whose draw depends on the epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of ``epoch``."""

    def __iter__(self) -> Iterator[Any]: ...

    def __len__(self) -> int: ...


def as_is(batch: Any) -> Any:
    """Collate function: the data set hands over whole batches."""
    return batch


def evaluation_loader(
    dataset: PatchDataset, *, batch_size: int, num_workers: int, pinned: bool, rank: int = 0, world: int = 1
) -> DataLoader[PatchBatch]:
    """Every patch exactly once over all processes, upright, in the manifest's order.

    Of several processes each gives the same number of batches, because under DDP they wait for each other at each;
    those with a patch less give smaller ones.

    Args:
        dataset: The patches.
        batch_size: Patches at once.
        num_workers: Processes that cut patches; 0 for none.
        pinned: Whether batches lie in memory that a GPU copies from while the CPU goes on.
        rank: This process.
        world: Number of processes.
    """
    keys = [Key(row, 0) for row in range(rank, len(dataset), world)]
    if world == 1:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=keys,
            num_workers=num_workers,
            collate_fn=as_is,
            pin_memory=pinned,
        )
    largest, smallest = -(-len(dataset) // world), len(dataset) // world
    parts = np.array_split(np.arange(len(keys)), min(-(-largest // batch_size), smallest))
    batches = [[keys[int(index)] for index in part] for part in parts]
    return DataLoader(dataset, batch_sampler=batches, num_workers=num_workers, collate_fn=as_is, pin_memory=pinned)


def training_loader(
    dataset: Dataset[Any], sampler: "Drawn", *, batch_size: int, num_workers: int, pinned: bool, first_epoch: int
) -> DataLoader[Any]:
    """What a sampler draws, each process its even share of a batch.

    Args:
        dataset: Hands over whole batches.
        sampler: Whose draw depends on the epoch.
        batch_size: Over all processes.
        num_workers: Processes that read; 0 for none.
        pinned: As of ``evaluation_loader``.
        first_epoch: That is trained: of a resumed run, that after the last finished one.
    """
    # Lightning lets workers fetch the first batches before it tells the sampler the epoch
    sampler.set_epoch(first_epoch)
    return DataLoader(
        dataset,
        batch_size=batch_size // process_share()[1],
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=as_is,
        pin_memory=pinned,
        # torch draws a number for each pass, which would shift what is drawn against that of a resumed run
        generator=torch.Generator(),
    )


def process_share() -> tuple[int, int]:
    """Rank of this process and the number of processes that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


class BalancedSampler(Sampler[Key]):
    """Draws patches with replacement, weight 1 / count of the class, each with random changes.

    The draw is keyed by seed and epoch and the same in every process; under DDP each process takes its share of the one
    draw, so that nothing is read twice and a step sees the patches it would see in one process.

    Args:
        labels: Class of each row, shape ``(n_rows,)``.
        multiple: An epoch draws as many patches as there are rows, rounded up to a multiple of this: the patches of one
            step, so that no step sees fewer (a last batch of one patch has no batch statistics).
        orientations: Whether patches are turned and mirrored.
        seed: Seed of all draws.
        repeats: Whether every epoch is the first one again.
    """

    def __init__(
        self, labels: NDArray[np.int64], *, multiple: int, orientations: bool, seed: int, repeats: bool
    ) -> None:
        weights = 1.0 / np.bincount(labels)[labels]
        self._probability = weights / weights.sum()
        self._n_drawn = -(-len(labels) // multiple) * multiple
        self._orientations = orientations
        self._seed = seed
        self._repeats = repeats
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of ``epoch``; Lightning calls it before each."""
        self._epoch = 0 if self._repeats else epoch

    def draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The whole epoch before it is shared out: rows and orientations ``(n,)``, changes in -1 to 1 for each."""
        rng = np.random.default_rng([self._seed, self._epoch])
        n = self._n_drawn
        rows = rng.choice(len(self._probability), n, p=self._probability)
        orientations = rng.integers(N_ORIENTATIONS, size=n) * self._orientations
        changes = [rng.uniform(-1, 1, (n, width)) for width in (_FIRST, N_CHANGES - _FIRST)]
        return rows, orientations, np.concatenate(changes, axis=1)

    def __iter__(self) -> Iterator[Key]:
        rank, world = process_share()
        rows, orientations, changes = self.draw()
        n = len(self) * world  # the same number for every process, or the last would wait for ever
        for row, orientation, change in zip(
            *(values[rank:n:world].tolist() for values in (rows, orientations, changes)), strict=True
        ):
            yield Key(row, orientation, tuple(change))

    def __len__(self) -> int:
        return self._n_drawn // process_share()[1]
