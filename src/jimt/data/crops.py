"""Fields to batches of crops with their targets: what is drawn when, and how a batch is cut (``task=stain``)."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from jimt.curation.manifest import Curated
from jimt.curation.store import FieldStore
from jimt.data.dataset import N_CHANGES, N_ORIENTATIONS, any_changed, process_share
from jimt.data.stain_targets import StainTargets
from jimt.vocabulary import STRIDE


class CropKey(NamedTuple):
    """Which crop is served, and how it is to be changed on the device."""

    number: int
    """Of the field among those that are drawn from; -1 for none, which a process gives that has none left."""
    centred: bool = False
    """Whether it lies about a place with dead cells, where there is one."""
    where: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Numbers from 0 up to, but not, 1: which place, and where in the crop, or in the field, that is along y and x."""
    orientation: int = 0
    changes: tuple[float, ...] = (0.0,) * N_CHANGES


class StainBatch(NamedTuple):
    """What crosses to the device: one grey channel, and what is to be predicted."""

    pixels: Tensor
    """uint8, shape ``(n, 1, side, side)``; of a whole field ``(1, 1, height, width)``."""
    targets: Tensor
    """float32, shape ``(n, n_outputs, side, side)`` in places; NaN where nothing is known."""
    orientation: Tensor
    """int64 in 0 to 7, shape ``(n,)``; see ``transforms.orient``."""
    changes: Tensor
    """float32 in -1 to 1, shape ``(n, N_CHANGES)``."""
    patches: Tensor
    """int64, y, x, label and number of the group of the patches of a field that is validated on, shape ``(m, 4)``."""
    is_changed: bool
    """Whether any is turned or changed; what is not may be no square."""


class CropDataset(Dataset[StainBatch]):
    """Crops of fields, or whole fields, a whole batch at a time.

    Args:
        curated: The data set.
        targets: Kept already of these fields.
        fields: Their numbers in its store.
        crop: Side of a crop, pixels; None for whole fields, padded by reflection to a square.
        multiple: Pixels that its side is a multiple of.
    """

    def __init__(
        self, curated: Curated, targets: StainTargets, fields: Sequence[int], *, crop: int | None, multiple: int
    ) -> None:
        self._folder, self._targets = curated.folder, targets
        self._fields, self._crop, self._multiple = list(fields), crop, multiple
        self._store: FieldStore | None = None  # opened in the process that reads

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_store": None}  # a memory map would travel with all its pixels

    def __len__(self) -> int:
        return len(self._fields)

    def __getitems__(self, keys: Sequence[CropKey]) -> StainBatch:
        """A whole batch, as the DataLoader asks for it."""
        if self._store is None:
            self._store = FieldStore(self._folder)
        cut = [self._cut(self._store, key) for key in keys]
        side = max(max(pixels.shape) for pixels, _ in cut)
        side = side + -side % self._multiple
        return StainBatch(
            torch.from_numpy(np.stack([reflected(pixels, side, side) for pixels, _ in cut])).unsqueeze(1),
            torch.from_numpy(np.stack([beyond_unknown(targets, side // STRIDE) for _, targets in cut])),
            torch.tensor([key.orientation for key in keys]),
            torch.tensor([key.changes for key in keys], dtype=torch.float32),
            torch.zeros(0, 4, dtype=torch.int64),
            any_changed(keys),
        )

    def _cut(self, store: FieldStore, key: CropKey) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        pixels, targets = store.field(self._fields[key.number]), self._targets.read(self._fields[key.number])
        if self._crop is None:
            return pixels, targets.astype(np.float32)
        pick, *offsets = key.where
        found = np.zeros((0, 2), np.int64)
        if key.centred:  # of places that lie wholly in the field: of the last ones a crop may hold nothing
            height, width = (length // STRIDE for length in pixels.shape)
            found = np.argwhere(self._targets.with_dead(targets)[:height, :width])
        origin = []
        for axis, (length, offset) in enumerate(zip(pixels.shape, offsets, strict=True)):
            start = offset * ((length - self._crop) // STRIDE + 1) * STRIDE
            if len(found):  # the place lies in the middle half of the crop
                place = int(found[int(pick * len(found)), axis]) * STRIDE
                start = float(np.clip(place - (0.25 + offset / 2) * self._crop, 0, length - self._crop))
            origin.append(int(start) // STRIDE * STRIDE)
        (y, x), side = origin, self._crop
        rows, columns = (slice(start // STRIDE, (start + side) // STRIDE) for start in (y, x))
        return pixels[y : y + side, x : x + side], targets[:, rows, columns].astype(np.float32)


class FieldDataset(Dataset[StainBatch]):
    """Whole fields with their patches, one a batch, to validate on.

    Args:
        curated: The data set.
        targets: Kept already of these fields.
        rows: The patches, rows of its manifest; their fields are served in the order of their numbers.
        multiple: Pixels that the sides are continued to a multiple of.
    """

    def __init__(self, curated: Curated, targets: StainTargets, rows: pd.DataFrame, *, multiple: int) -> None:
        self._folder, self._targets, self._multiple = curated.folder, targets, multiple
        groups = pd.factorize(rows["group"].to_numpy(object), sort=True)[0]
        columns = [rows["y"], rows["x"], rows["label"], groups]
        values = np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
        numbers = rows["field"].to_numpy()
        self.fields: list[int] = np.unique(numbers).tolist()
        self._patches = {field: values[numbers == field] for field in self.fields}
        self._store: FieldStore | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_store": None}

    def __len__(self) -> int:
        return len(self.fields)

    def __getitems__(self, keys: Sequence[CropKey]) -> StainBatch:
        """One field; of a process that has none left an empty batch, since under DDP each takes as many steps."""
        if self._store is None:
            self._store = FieldStore(self._folder)
        (key,) = keys
        nothing = torch.zeros(0, N_CHANGES)
        field = self.fields[key.number]
        pixels, targets = self._store.field(field), self._targets.read(field).astype(np.float32)
        height, width = (side + -side % self._multiple for side in pixels.shape)
        patches = self._patches[field] if key.number >= 0 else np.zeros((0, 4), np.int64)
        if key.number < 0:
            targets = np.full_like(targets, np.nan)
        padded = np.full((len(targets), height // STRIDE, width // STRIDE), np.nan, np.float32)
        padded[:, : targets.shape[1], : targets.shape[2]] = targets
        return StainBatch(
            torch.from_numpy(reflected(pixels, height, width))[None, None],
            torch.from_numpy(padded)[None],
            torch.zeros(1, dtype=torch.int64),
            nothing.new_zeros(1, N_CHANGES),
            torch.from_numpy(patches),
            is_changed=False,
        )


def reflected(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A field continued by reflection below and to the right, shape ``(height, width)``.

    >>> reflected(np.array([[1, 2, 3]], np.uint8), 1, 5)
    array([[1, 2, 3, 2, 1]], dtype=uint8)
    """
    beyond = (0, height - pixels.shape[0]), (0, width - pixels.shape[1])
    return np.pad(pixels, beyond, mode="reflect")


def beyond_unknown(targets: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Targets continued by NaN, shape ``(n_outputs, side, side)``."""
    out = np.full((len(targets), side, side), np.nan, np.float32)
    out[:, : targets.shape[1], : targets.shape[2]] = targets
    return out


class CropSampler(Sampler[CropKey]):
    """Draws crops with replacement: a group, one of its fields, a place in it, and random changes.

    The draw is keyed by seed and epoch and the same in every process; under DDP each process takes its share of it.

    Args:
        groups: Group of each field, shape ``(n_fields,)``.
        n_crops: An epoch, rounded up to a multiple of ``multiple``.
        multiple: Crops of one step over all processes.
        balance_groups: A group is drawn by the square root of its number of fields.
        centred: Share of the crops that lie about a place with dead cells.
        orientations: Whether crops are turned and mirrored.
        seed: Seed of all draws.
        repeats: Whether every epoch is the first one again.
    """

    def __init__(
        self,
        groups: NDArray[np.object_],
        *,
        n_crops: int,
        multiple: int,
        balance_groups: bool,
        centred: float,
        orientations: bool,
        seed: int,
        repeats: bool,
    ) -> None:
        _, numbers, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        weights = 1 / np.sqrt(sizes[numbers]) if balance_groups else np.ones(len(groups))
        self._probability = weights / weights.sum()
        self._n_drawn = -(-n_crops // multiple) * multiple
        self._centred, self._orientations = centred, orientations
        self._seed, self._repeats, self._epoch = seed, repeats, 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of ``epoch``; Lightning calls it before each."""
        self._epoch = 0 if self._repeats else epoch

    def draw(self) -> list[CropKey]:
        """The whole epoch before it is shared out."""
        rng = np.random.default_rng([self._seed, self._epoch])
        n = self._n_drawn
        numbers = rng.choice(len(self._probability), n, p=self._probability)
        centred = rng.random(n) < self._centred
        orientations = rng.integers(N_ORIENTATIONS, size=n) * self._orientations
        drawn = (numbers, centred, rng.random((n, 3)), orientations, rng.uniform(-1, 1, (n, N_CHANGES)))
        return [
            CropKey(number, about, tuple(where), orientation, tuple(changes))
            for number, about, where, orientation, changes in zip(*(values.tolist() for values in drawn), strict=True)
        ]

    def __iter__(self) -> Iterator[CropKey]:
        rank, world = process_share()
        return iter(self.draw()[rank : len(self) * world : world])

    def __len__(self) -> int:
        return self._n_drawn // process_share()[1]


def field_keys(n_fields: int, *, rank: int, world: int) -> list[CropKey]:
    """Every field once over all processes, as many for each of them; -1 where one has none left.

    >>> [key.number for key in field_keys(3, rank=1, world=2)]
    [1, -1]
    """
    numbers = range(rank, -(-n_fields // world) * world, world)
    return [CropKey(number if number < n_fields else -1) for number in numbers]
