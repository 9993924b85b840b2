"""In which order patches are asked for: a spread over the groups, and those that a filter is least sure of."""

from collections.abc import Container
from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_OF_A_FIELD: Final = 2
"""Uncertain patches of one raw image at a time: neighbours overlap, and teach the same."""


def spread_order(groups: NDArray[np.object_], *, seed: int) -> NDArray[np.int64]:
    """All patches in random order, one of each group in turn.

    >>> groups = np.array(["a", "a", "a", "b"], object)
    >>> sorted(groups[spread_order(groups, seed=0)[:2]].tolist())
    ['a', 'b']

    Args:
        groups: Group of each patch, shape ``(n,)``.
        seed: Of the order.

    Returns:
        Numbers of the patches, shape ``(n,)``.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(groups))
    names, of_group = np.unique(groups[shuffled].astype(str), return_inverse=True)
    turn = np.zeros(len(groups), np.int64)  # which of its group's patches this is
    for number in range(len(names)):
        here = of_group == number
        turn[here] = np.arange(here.sum())
    return shuffled[np.lexsort((rng.permutation(len(names))[of_group], turn))]


def uncertain_order(
    scores: NDArray[np.float32], raw_image_ids: NDArray[np.object_], *, n: int, left_out: Container[int]
) -> list[int]:
    """Patches from the one that a filter is least sure of, at most ``MOST_OF_A_FIELD`` of each raw image.

    >>> scores = np.array([0.3, -0.1, 0.2, np.nan, -0.9], np.float32)
    >>> uncertain_order(scores, np.array(["a", "a", "a", "a", "b"], object), n=3, left_out={0})
    [1, 2, 4]

    Args:
        scores: Signed distance to the decision surface, NaN where it is not known yet, shape ``(n,)``.
        raw_image_ids: Raw image of each, likewise.
        n: How many, at most.
        left_out: Patches that are labelled or shown already.
    """
    found: list[int] = []
    taken: dict[str, int] = {}
    for number in np.argsort(np.abs(scores), kind="stable").tolist():
        name = raw_image_ids[number]
        if len(found) == n or not np.isfinite(scores[number]):
            break
        if number not in left_out and taken.get(name, 0) < MOST_OF_A_FIELD:
            taken[name] = taken.get(name, 0) + 1
            found.append(number)
    return found
