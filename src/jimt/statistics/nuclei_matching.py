"""Predicted nuclei assigned to true ones, each to one at most: precision, recall and F1 of finding them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree


@dataclass(frozen=True)
class Detection:
    """How many nuclei were found.

    Attributes:
        n_predicted: Predicted nuclei.
        n_true: True nuclei.
        n_matched: Predicted nuclei that are assigned to a true one.
    """

    n_predicted: int
    n_true: int
    n_matched: int

    @property
    def precision(self) -> float:
        """Share of predicted nuclei that are true, 0 to 1; NaN where none is predicted."""
        return self.n_matched / self.n_predicted if self.n_predicted else float("nan")

    @property
    def recall(self) -> float:
        """Share of true nuclei that are predicted, 0 to 1; NaN where there is none."""
        return self.n_matched / self.n_true if self.n_true else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where one side alone is empty, NaN where both are."""
        n_both = self.n_predicted + self.n_true
        return 2 * self.n_matched / n_both if n_both else float("nan")


def match_nuclei(
    predicted: NDArray[np.floating], true: NDArray[np.floating], *, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Assign predicted to true nuclei of one field by their centres, one to one.

    Of all assignments whose pairs lie within the radius, it is one with the most pairs and, among these, with the least
    sum of distances. Taking the nearest pair first would miss pairs where nuclei crowd.

    >>> true = np.array([[0.0, 0.0], [0.0, 4.0]])
    >>> match_nuclei(np.array([[0.0, -3.0], [0.0, 1.0]]), true, radius=3.0)  # not the nearest pair, but both
    (array([0, 1]), array([0, 1]))

    Args:
        predicted: y and x of each centre, shape ``(n_predicted, 2)``.
        true: Likewise, ``(n_true, 2)``.
        radius: Largest distance of a pair, in the unit of the centres; one of exactly this distance is a pair.

    Returns:
        Rows of the predicted and of the true nuclei that are pairs, ``(n_matched,)`` each; the predicted ones rise.
    """
    n_predicted, n_true = len(predicted), len(true)
    if not n_predicted or not n_true:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    near = cKDTree(predicted).sparse_distance_matrix(cKDTree(true), radius, output_type="ndarray")
    n_all = n_predicted + n_true
    links = coo_array((np.ones(len(near), bool), (near["i"], n_predicted + near["j"])), shape=(n_all, n_all))
    # nuclei far from each other do not compete: a small assignment for each crowd, in place of one of all with all
    _, crowd = connected_components(links, directed=False)
    order = np.argsort(crowd[near["i"]], kind="stable")
    ends = np.flatnonzero(np.diff(crowd[near["i"]][order])) + 1
    pairs = [_assign(part["i"], part["j"], part["v"], radius=radius) for part in np.split(near[order], ends)]
    rows, columns = (np.concatenate(side).astype(np.intp) for side in zip(*pairs, strict=True))
    rising = np.argsort(rows)
    return rows[rising], columns[rising]


def _assign(
    predicted: NDArray[np.intp], true: NDArray[np.intp], distance: NDArray[np.float64], *, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The best assignment of one crowd, from its pairs within the radius."""
    rows, row = np.unique(predicted, return_inverse=True)
    columns, column = np.unique(true, return_inverse=True)
    # no pair costs more than all distances together can, so that every pair that there can be is made
    no_pair = 2 * (radius + 1) * (min(len(rows), len(columns)) + 1)
    cost = np.full((len(rows), len(columns)), no_pair)
    cost[row, column] = distance
    chosen, to = linear_sum_assignment(cost)
    made = cost[chosen, to] < no_pair
    return rows[chosen[made]], columns[to[made]]


def detection(predicted: NDArray[np.floating], true: NDArray[np.floating], *, radius: float) -> Detection:
    """How many nuclei of one field were found; arguments as ``match_nuclei`` takes them.

    >>> found = detection(np.array([[5.0, 5.0], [90.0, 90.0]]), np.array([[6.0, 5.0]]), radius=3.0)
    >>> found.n_matched, found.precision, found.recall
    (1, 0.5, 1.0)
    """
    rows, _ = match_nuclei(predicted, true, radius=radius)
    return Detection(len(predicted), len(true), len(rows))


def pooled(detections: Iterable[Detection]) -> Detection:
    """Of all nuclei of several fields together: sums, so that a field counts by its nuclei.

    >>> both = pooled([Detection(4, 2, 1), Detection(0, 2, 0)])
    >>> both, both.recall
    (Detection(n_predicted=4, n_true=4, n_matched=1), 0.25)
    """
    fields = list(detections)
    return Detection(
        sum(field.n_predicted for field in fields),
        sum(field.n_true for field in fields),
        sum(field.n_matched for field in fields),
    )
