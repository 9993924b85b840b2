"""Assigns whole groups to splits so that each split has its share of both classes."""

import numpy as np
from numpy.typing import NDArray

# Random orders tried: on 19 groups of very unequal size the best of 32 no longer improves; many groups need no luck.
_N_STARTS_FEW, _N_STARTS_MANY, _MANY_GROUPS = 32, 4, 200


def balanced_assignment(counts: NDArray[np.float64], ratio: tuple[float, ...], *, seed: int) -> NDArray[np.int_]:
    """Split of each group, such that the patches of each class are near a ratio.

    Groups are placed one by one, largest first among random orders, where they bring both classes nearest to the
    ratio; then single groups move while that improves it. The best of several starts is taken.

    >>> balanced_assignment(np.array([[8.0, 8.0], [1.0, 1.0], [1.0, 1.0]]), (8, 1, 1), seed=0)[0]
    np.int64(0)

    Args:
        counts: Patches of each group and class, shape ``(n_groups, 2)``.
        ratio: Patches wanted in each split, in any unit, shape ``(n_splits,)``.
        seed: Seed of the orders; the same seed gives the same assignment.

    Returns:
        Number of a split for each group, shape ``(n_groups,)``.
    """
    target = counts.sum(0) * (np.asarray(ratio) / sum(ratio))[:, None]  # (n_splits, 2 classes)
    scale = 1.0 / target
    rng = np.random.default_rng(seed)
    best_cost, best = np.inf, np.zeros(len(counts), int)
    for _ in range(_N_STARTS_FEW if len(counts) <= _MANY_GROUPS else _N_STARTS_MANY):
        assignment = _place(counts, target, scale, rng)
        totals = np.zeros_like(target)
        np.add.at(totals, assignment, counts)
        cost = _cost(totals, target, scale)
        if cost < best_cost:
            best_cost, best = cost, assignment
    return best


def _cost(totals: NDArray[np.float64], target: NDArray[np.float64], scale: NDArray[np.float64]) -> float:
    # a split without one of the classes is worse than any imbalance of the others
    relative = (totals - target) * scale
    return float((relative**2).sum() + 1e6 * (totals == 0).sum())


def _place(
    counts: NDArray[np.float64], target: NDArray[np.float64], scale: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int_]:
    sizes = counts.sum(1)
    order = np.argsort(-sizes * rng.uniform(0.5, 1.5, len(sizes)))
    assignment = np.zeros(len(sizes), int)
    totals = np.zeros_like(target)
    for group in order:
        costs = []
        for split in range(len(target)):
            placed = totals.copy()
            placed[split] += counts[group]
            costs.append((((placed - target) * scale) ** 2).sum())
        assignment[group] = int(np.argmin(costs))
        totals[assignment[group]] += counts[group]
    cost = _cost(totals, target, scale)
    improved = True
    while improved:
        improved = False
        for group in order:
            for split in range(len(target)):
                moved = totals.copy()
                moved[assignment[group]] -= counts[group]
                moved[split] += counts[group]
                moved_cost = _cost(moved, target, scale)
                if moved_cost < cost - 1e-9:
                    totals, cost, improved = moved, moved_cost, True
                    assignment[group] = split
    return assignment
