"""Which patch is drawn when, and how it is turned (paper: "weighted random sampling")."""

from collections.abc import Iterator

import numpy as np
import torch.distributed
from numpy.typing import NDArray
from torch.utils.data import Sampler

from jimt.data.dataset import Key

N_ORIENTATIONS = 8  # four quarter turns, each plain and mirrored: all that 90-degree rotations and flips can give


class BalancedSampler(Sampler[Key]):
    """Draws patches with replacement, weight 1 / count of the class, with a random orientation each.

    The draw is keyed by seed and epoch and the same in every process; under DDP each process takes its share of the one
    draw, so that nothing is read twice.

    Args:
        labels: Class of each row, shape ``(n_rows,)``.
        seed: Seed of all draws.
    """

    def __init__(self, labels: NDArray[np.int64], *, seed: int) -> None:
        counts = np.bincount(labels)
        weights = 1.0 / counts[labels]
        self._probability = weights / weights.sum()
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of ``epoch``; Lightning calls it before each."""
        self._epoch = epoch

    def draw(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and orientations of the whole epoch, each of shape ``(n_rows,)``, before it is shared out."""
        rng = np.random.default_rng([self._seed, self._epoch])
        n = len(self._probability)
        return rng.choice(n, n, p=self._probability), rng.integers(N_ORIENTATIONS, size=n)

    def _share(self) -> tuple[int, int]:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            return torch.distributed.get_rank(), torch.distributed.get_world_size()
        return 0, 1

    def __iter__(self) -> Iterator[Key]:
        rank, world = self._share()
        rows, orientations = self.draw()
        n = len(self) * world  # the same number for every process, or the last would wait for ever
        yield from zip(rows[rank:n:world].tolist(), orientations[rank:n:world].tolist(), strict=True)

    def __len__(self) -> int:
        return len(self._probability) // self._share()[1]
