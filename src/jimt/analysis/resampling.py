"""Draws of whole groups: patches of one group share what made them live or dead, so they go together or not at all.

Groups are drawn within two strata: those that hold the class which fewer groups hold, and the rest, which hold the
other alone; so each draw holds both. A stratum of one group cannot vary and would count as known exactly: then there is
one stratum for all. Strata as fine as all-live, all-dead and mixed would take their three numbers as given: where these
are chance, and mixed groups are harder, an interval of 95 % covered 85 % in simulation, and with two strata 93 %.

Of the ``n`` groups of a stratum ``n - 1`` are drawn and weighted ``n / (n - 1)``, which makes the spread over the draws
that of the metric for few groups too (Rao and Wu, J. Am. Stat. Assoc. 83, 1988).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.analysis.weighted_metrics import Floats, Weights
from jimt.vocabulary import DEAD, LIVE

MIN_GROUPS = 3
"""Fewer groups, or fewer that hold a class, give no interval."""

_AT_ONCE = 2**22  # weights held at a time: 32 MiB in float64


@dataclass(frozen=True)
class GroupDraws:
    """How often each group is drawn.

    Attributes:
        of_patch: Group of each patch, from 0 on, shape ``(n_patches,)``.
        stratum: Stratum of each group, from 0 on, shape ``(n_groups,)``.
        counts: How often each group is drawn, shape ``(n_resamples, n_groups)``.
    """

    of_patch: NDArray[np.intp]
    stratum: NDArray[np.intp]
    counts: NDArray[np.uint16]

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.stratum)

    def scaled(self, counts: NDArray[np.uint16]) -> Weights:
        """Weights of some draws: each stratum counts as much as it does among all groups."""
        return counts * self._scale

    @property
    def _scale(self) -> Floats:
        sizes = np.bincount(self.stratum)[self.stratum]
        return np.asarray(sizes / (sizes - 1))

    def weights(self) -> Iterator[Weights]:
        """Rows of weights, some at a time: every group once, then the draws, then each group left out in turn."""
        scale = self._scale
        step = max(1, _AT_ONCE // self.n_groups)
        yield np.ones((1, self.n_groups))
        for at in range(0, len(self.counts), step):
            yield self.scaled(self.counts[at : at + step])
        for at in range(0, self.n_groups, step):
            left_out = np.arange(at, min(at + step, self.n_groups))
            weights = np.where(self.stratum[left_out, None] == self.stratum, scale, 1.0)  # others stand in for it
            weights[np.arange(len(left_out)), left_out] = 0
            yield weights


@dataclass(frozen=True)
class Resampled:
    """A statistic of all patches, of each draw, and with each group left out.

    Attributes:
        value: Of all patches.
        draws: Shape ``(n_resamples,)``; NaN where a draw does not give it.
        left_out: Shape ``(n_groups,)``.
    """

    value: float
    draws: Floats
    left_out: Floats


def draw_groups(
    labels: NDArray[np.int64], groups: NDArray[np.object_], *, n_resamples: int, seed: int
) -> GroupDraws | None:
    """Draw whole groups with replacement, within strata.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``; any one label where there are no classes.
        groups: Group of each patch, likewise.
        n_resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        The draws, or None where there are fewer than ``MIN_GROUPS`` groups.
    """
    names, of_patch = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < MIN_GROUPS:
        return None
    holds = [np.bincount(of_patch[labels == label], minlength=len(names)) > 0 for label in (LIVE, DEAD)]
    stratum = min(holds, key=np.sum).astype(np.intp)
    if np.bincount(stratum, minlength=2).min() < 2:
        stratum = np.zeros_like(stratum)
    counts = np.zeros((n_resamples, len(names)), np.uint16)
    rng = np.random.default_rng(seed)
    for number in np.unique(stratum):
        members = np.flatnonzero(stratum == number)
        n = len(members)
        counts[:, members] = rng.multinomial(n - 1, np.full(n, 1 / n), size=n_resamples)
    return GroupDraws(of_patch, stratum, counts)


def resample(statistics: Callable[[Weights], Mapping[str, Floats]], draws: GroupDraws) -> dict[str, Resampled]:
    """Statistics of all patches, of each draw and with each group left out.

    Args:
        statistics: From weights of the groups, ``(n, n_groups)``, to statistics by name, each ``(n,)``.
        draws: What was drawn.
    """
    blocks = [statistics(weights) for weights in draws.weights()]
    n_draws = len(draws.counts)
    resampled = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])
        resampled[name] = Resampled(float(values[0]), values[1 : 1 + n_draws], values[1 + n_draws :])
    return resampled
