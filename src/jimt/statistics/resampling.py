"""Jackknife and bootstrap over groups: patches of one group are not independent, so whole groups are resampled.

Intervals rest on the delete-one-group jackknife (``intervals.py``). It assumes nothing about which classes the groups
hold and has no random part, so an interval is the same whichever class is called live, whatever the groups are called
and in whatever order patches come. For sets of real experiments, 95 % intervals of a bootstrap stratified by the
classes of the groups had a coverage of 88 to 94 %, because another set of experiments has other strata; one without
strata had 98 % for an AUROC of 20 groups, because many resamples hold few groups of a class
(``benchmarks/coverage.py`` measures the coverage of what is used here).

Bands of curves and the noise of a calibration error need a whole distribution, hence a bootstrap. Of ``n`` groups
``n - 1`` are resampled and weighted ``n / (n - 1)``, so that the spread over the resamples is that of the metric for
few groups too (Rao and Wu, J. Am. Stat. Assoc. 83, 1988).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.statistics.weighted_patches import Floats, Weights

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
class GroupResamples:
    """How often each resample holds each group.

    Attributes:
        patch_groups: Number of each patch's group, from 0 on, shape ``(n_patches,)``.
        counts: How often each group is held, shape ``(n_resamples, n_groups)``.
    """

    patch_groups: NDArray[np.intp]
    counts: NDArray[np.uint16]

    def scaled(self, counts: NDArray[np.uint16]) -> Weights:
        """Weights of the groups in some of the resamples; those of a resample add up to the number of groups.

        Args:
            counts: Rows of ``counts``, shape ``(n, n_groups)``.

        Returns:
            Of the same shape.
        """
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

    >>> groups = np.array(["A1", "A2", "B1"], object)
    >>> found = jackknife(lambda weights: {"mean": weights @ [1.0, 2, 6] / weights.sum(1)}, groups)
    >>> found["mean"].value, found["mean"].left_out.tolist()
    (3.0, [4.0, 3.5, 1.5])
    """
    n = len(np.unique(groups.astype(str)))
    if n < MIN_GROUPS:
        return None
    blocks = [statistics(np.ones((1, n)))]
    step = max(1, _AT_ONCE // n)
    for start in range(0, n, step):
        weights = np.ones((min(step, n - start), n))
        np.fill_diagonal(weights[:, start:], 0)
        blocks.append(statistics(weights))
    values = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    return {name: Jackknife(float(found[0]), found[1:]) for name, found in values.items()}


def resample_groups(groups: NDArray[np.object_], *, n_resamples: int, seed: int) -> GroupResamples | None:
    """Bootstrap over groups: whole groups are resampled with replacement.

    Args:
        groups: Group of each patch, shape ``(n_patches,)``.
        n_resamples: Number of resamples.
        seed: Of the resampling.

    Returns:
        The resamples, or None where there are fewer than ``MIN_GROUPS`` groups.

    >>> resamples = resample_groups(np.array(["a", "b", "c", "c"], object), n_resamples=100, seed=0)
    >>> resamples.counts.shape, set(resamples.counts.sum(1).tolist()), resamples.patch_groups
    ((100, 3), {2}, array([0, 1, 2, 2]))
    """
    patch_groups = group_numbers(groups)
    n = int(patch_groups.max(initial=-1)) + 1
    if n < MIN_GROUPS:
        return None
    counts = np.random.default_rng(seed).multinomial(n - 1, np.full(n, 1 / n), size=n_resamples)
    return GroupResamples(patch_groups, counts.astype(np.uint16))
