"""Which patch is drawn when, and how it is changed (paper: "weighted random sampling")."""

from collections.abc import Iterator

import numpy as np
import torch.distributed
from numpy.typing import NDArray
from torch.utils.data import Sampler

from jimt.data.dataset import N_CHANGES, Key

N_ORIENTATIONS = 8  # four quarter turns, each plain and mirrored: all that 90-degree rotations and flips can give


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
        counts = np.bincount(labels)
        weights = 1.0 / counts[labels]
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
        """The whole epoch before it is shared out: rows and orientations ``(n,)``, changes in -1 to 1 ``(n, 4)``."""
        rng = np.random.default_rng([self._seed, self._epoch])
        n = self._n_drawn
        rows = rng.choice(len(self._probability), n, p=self._probability)
        orientations = rng.integers(N_ORIENTATIONS, size=n) * self._orientations
        return rows, orientations, rng.uniform(-1, 1, (n, N_CHANGES))

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
