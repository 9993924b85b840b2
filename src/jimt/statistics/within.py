"""Pairs of a live and a dead patch of one group, or of one raw image: do scores tell cells, or only experiments?

A model that gives each experiment a constant ranks most pairs right where experiments are nearly all live or all dead;
of the pairs within one experiment it ranks one half.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jimt.vocabulary import DEAD, LIVE


@dataclass(frozen=True)
class Pairs:
    """Pairs of a live and a dead patch of one stratum, by stratum; arrays of shape ``(n_strata,)``.

    Attributes:
        won: Pairs whose live patch has the higher score; ties count half.
        all: Pairs.
    """

    won: NDArray[np.float64]
    all: NDArray[np.float64]

    @property
    def has_both(self) -> NDArray[np.bool_]:
        """Which strata hold patches of both classes."""
        return self.all > 0

    @property
    def areas(self) -> NDArray[np.float64]:
        """Area under the ROC curve of each stratum; 0 where it holds one class only."""
        return self.won / np.maximum(self.all, 1)


def pairs_within(labels: NDArray[np.int64], scores: NDArray[np.float64], strata: NDArray[np.intp]) -> Pairs:
    """Pairs of a live and a dead patch, stratum by stratum.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        scores: P(live), likewise.
        strata: Number of each patch's stratum, from 0 on, likewise.

    >>> labels, scores = np.array([1, 0, 0, 1, 1]), np.array([0.9, 0.1, 0.9, 0.5, 0.2])
    >>> found = pairs_within(labels, scores, np.array([0, 0, 0, 1, 1]))
    >>> found.won, found.all
    (array([1.5, 0. ]), array([2., 0.]))
    """
    n_strata = int(strata.max(initial=-1)) + 1
    won = np.zeros(n_strata)
    n_live, n_dead = (np.bincount(strata[labels == label], minlength=n_strata) for label in (LIVE, DEAD))
    order = np.lexsort((scores, strata))
    ends = np.searchsorted(strata[order], np.arange(n_strata + 1))
    for stratum in np.flatnonzero(n_live * n_dead):
        here = order[ends[stratum] : ends[stratum + 1]]
        live, dead = (scores[here[labels[here] == label]] for label in (LIVE, DEAD))
        below, up_to = (np.searchsorted(dead, live, side=side) for side in ("left", "right"))
        won[stratum] = (below.sum() + up_to.sum()) / 2
    return Pairs(won, (n_live * n_dead).astype(np.float64))


def pair_counts(
    labels: NDArray[np.int64], groups: NDArray[np.object_], raw_images: NDArray[np.object_]
) -> dict[str, int | float | None]:
    """What the comparisons within groups and within raw images rest on.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        groups: Group of each patch, likewise.
        raw_images: Raw image of each patch, likewise.

    Returns:
        ``groups_of_both`` and ``raw_images_of_both`` hold live and dead patches, ``pairs_within_groups`` and
        ``pairs_within_raw_images`` are their pairs, and ``largest_share_of_pairs`` is that of the group with most of
        them, None where there is no pair.

    >>> groups = np.array(["A", "A", "A", "B", "B"], object)
    >>> pair_counts(np.array([1, 0, 0, 1, 0]), groups, np.array(["a", "b", "b", "c", "c"], object))
    {'groups_of_both': 2, 'pairs_within_groups': 3, 'raw_images_of_both': 1, 'pairs_within_raw_images': 1, \
'largest_share_of_pairs': 0.6666666666666666}
    """
    within_groups, within_images = (
        pairs_within(labels, np.zeros(len(labels)), np.unique(names.astype(str), return_inverse=True)[1]).all
        for names in (groups, raw_images)
    )
    n_pairs = int(within_groups.sum())
    return {
        "groups_of_both": int((within_groups > 0).sum()),
        "pairs_within_groups": n_pairs,
        "raw_images_of_both": int((within_images > 0).sum()),
        "pairs_within_raw_images": int(within_images.sum()),
        "largest_share_of_pairs": float(within_groups.max() / n_pairs) if n_pairs else None,
    }


_MUCH_OF_THE_PAIRS = 0.4


def pair_notes(counts: dict[str, int | float | None], *, sample: str) -> list[str]:
    """What to say of comparisons within groups; empty where they rest on many.

    Args:
        counts: As ``pair_counts`` gives them.
        sample: What the groups are all of, such as ``the test split``.

    >>> pair_notes({"groups_of_both": 0, "largest_share_of_pairs": None}, sample="the test split")
    ['no group of the test split holds live and dead patches: nothing tells whether the model tells cells or groups']
    >>> pair_notes({"groups_of_both": 9, "largest_share_of_pairs": 0.44}, sample="the data set")
    ['one of 9 groups holds 44 % of the pairs behind the AUROC within groups; see their mean as well']
    """
    n_groups, largest = counts["groups_of_both"], counts["largest_share_of_pairs"]
    if largest is None:
        return [
            f"no group of {sample} holds live and dead patches: nothing tells whether the model tells cells or groups"
        ]
    if largest > _MUCH_OF_THE_PAIRS and n_groups != 1:
        return [
            f"one of {n_groups} groups holds {100 * largest:.0f} % of the pairs behind the AUROC within groups; see "
            "their mean as well"
        ]
    return []
