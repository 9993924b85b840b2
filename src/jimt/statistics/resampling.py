"""Statistics with each group left out in turn, and a bootstrap over groups: patches of one group are not independent.

Intervals rest on the delete-one-group jackknife (``intervals.py``). It takes nothing about the make-up of the groups as
given and draws nothing, so an interval is the same whichever class is called live, whatever the groups are called and
in whatever order patches come. A bootstrap drawn within strata by the classes that groups hold covered 88 to 94 % of
draws of real experiments, as another set of experiments has another make-up; one without strata covered an AUROC too
often at 20 groups, 98 %, since many resamples hold few groups of a class (``benchmarks/coverage.py`` measures what is
used here).

Bands of curves and the noise of a calibration error need a whole distribution, so groups are drawn for them. Of ``n``
groups ``n - 1`` are drawn and weighted ``n / (n - 1)``, which makes the spread over the resamples that of the metric
for few groups too (Rao and Wu, J. Am. Stat. Assoc. 83, 1988).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.metrics import Floats, Weights

MIN_GROUPS = 3
"""Fewer groups, or fewer that hold a class, give no interval."""

_AT_ONCE = 2**22  # weights held at a time: 32 MiB in float64


@dataclass(frozen=True)
class Jackknife:
    """A statistic of all patches, and with each group left out.

    Attributes:
        value: Of all patches.
        left_out: Shape ``(n_groups,)``; NaN where the other groups do not give it.
    """

    value: float
    left_out: Floats


@dataclass(frozen=True)
class GroupDraws:
    """How often each group is drawn.

    Attributes:
        of_patch: Group of each patch, from 0 on, shape ``(n_patches,)``.
        counts: How often each group is drawn, shape ``(n_resamples, n_groups)``.
    """

    of_patch: NDArray[np.intp]
    counts: NDArray[np.uint16]

    def scaled(self, counts: NDArray[np.uint16]) -> Weights:
        """Weights of some draws, which add up to the number of groups."""
        n_groups = self.counts.shape[1]
        weights: Weights = counts.astype(np.float64) * (n_groups / (n_groups - 1))
        return weights


def group_numbers(groups: NDArray[np.object_]) -> NDArray[np.intp]:
    """Number of each patch's group, from 0 on in the order of their names, shape ``(n_patches,)``.

    >>> group_numbers(np.array(["B2", "A1", "B2"], object))
    array([1, 0, 1])
    """
    return np.unique(groups.astype(str), return_inverse=True)[1]


def jackknife(
    statistics: Callable[[Weights], Mapping[str, Floats]], groups: NDArray[np.object_]
) -> dict[str, Jackknife] | None:
    """Statistics of all patches and with each group left out in turn.

    Args:
        statistics: From weights of the groups, ``(n, n_groups)`` in the order of ``group_numbers``, to statistics by
            name, each ``(n,)``.
        groups: Group of each patch, shape ``(n_patches,)``.

    Returns:
        The statistics by name, or None where there are fewer than ``MIN_GROUPS`` groups.
    """
    n = len(np.unique(groups.astype(str)))
    if n < MIN_GROUPS:
        return None
    blocks = [statistics(np.ones((1, n)))]
    step = max(1, _AT_ONCE // n)
    for at in range(0, n, step):
        weights = np.ones((min(step, n - at), n))
        np.fill_diagonal(weights[:, at:], 0)
        blocks.append(statistics(weights))
    values = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return {name: Jackknife(float(of[0]), of[1:]) for name, of in values.items()}


def draw_groups(groups: NDArray[np.object_], *, n_resamples: int, seed: int) -> GroupDraws | None:
    """Draw whole groups with replacement.

    Args:
        groups: Group of each patch, shape ``(n_patches,)``.
        n_resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        The draws, or None where there are fewer than ``MIN_GROUPS`` groups.
    """
    of_patch = group_numbers(groups)
    n = int(of_patch.max(initial=-1)) + 1
    if n < MIN_GROUPS:
        return None
    counts = np.random.default_rng(seed).multinomial(n - 1, np.full(n, 1 / n), size=n_resamples)
    return GroupDraws(of_patch, counts.astype(np.uint16))
