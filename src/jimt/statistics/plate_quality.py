"""Whether a plate can be trusted: how far its controls lie apart, and whether its edge differs from its inside."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Floats = NDArray[np.float64]

FEWEST_CONTROLS: Final = 3
"""Wells of each kind: the spread of two is hardly known."""


@dataclass(frozen=True)
class ZPrime:
    """The Z'-factor of two kinds of controls.

    Attributes:
        value: 1 where neither has any spread; above 0.5 a well is told from the other kind with room between.
        interval: Over wells.
        n_negative: Wells of the negative control.
        n_positive: Of the positive one.
    """

    value: float
    interval: tuple[float, float]
    n_negative: int
    n_positive: int


def z_prime(negative: Floats, positive: Floats, *, confidence: float, n_draws: int, seed: int) -> ZPrime | None:
    """``1 - 3 (sd + sd) / |mean - mean|`` of controls (Zhang, Chung and Oldenburg, J. Biomol. Screen. 4, 1999).

    The interval is of the generalised pivots of two normal samples (Weerahandi, J. Am. Stat. Assoc. 88, 1993): means
    and standard deviations are drawn as the wells leave them open. A bootstrap over so few wells, which holds no spread
    but theirs, is too narrow: ``benchmarks/dose_response.py``.

    Args:
        negative: Dead share of each well, shape ``(n,)``.
        positive: Likewise.
        confidence: Coverage wanted.
        n_draws: Of the interval.
        seed: Of the draws.

    Returns:
        None of fewer than three wells of either, or of means that are the same.

    >>> found = z_prime(np.array([0.0, 0.1, 0.2]), np.array([0.8, 0.9, 1.0]), confidence=0.95, n_draws=2000, seed=0)
    >>> round(found.value, 3), found.interval[1] < 0.75  # 1 - 3 (0.1 + 0.1) / 0.8
    (0.25, True)
    """
    if min(len(negative), len(positive)) < FEWEST_CONTROLS or negative.mean() == positive.mean():
        return None
    value = 1 - 3 * (negative.std(ddof=1) + positive.std(ddof=1)) / abs(positive.mean() - negative.mean())
    rng = np.random.default_rng(seed)
    spread, apart = np.zeros(n_draws), np.zeros(n_draws)
    for wells, sign in ((negative, -1), (positive, 1)):
        n = len(wells)
        drawn = wells.std(ddof=1) * np.sqrt((n - 1) / rng.chisquare(n - 1, n_draws))
        spread += drawn
        apart += sign * (wells.mean() - rng.standard_normal(n_draws) * drawn / np.sqrt(n))
    with np.errstate(divide="ignore"):
        values = 1 - 3 * spread / np.abs(apart)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return ZPrime(float(value), (float(low), float(high)), len(negative), len(positive))


@dataclass(frozen=True)
class EdgeDifference:
    """Wells at the edge of a plate less those inside that were given the same.

    Attributes:
        value: Difference of dead shares, -1 to 1.
        interval: Over wells.
        n_edge: Wells at the edge that are compared.
        n_inside: Wells inside, likewise.
        n_treatments: Treatments that have wells of both.
    """

    value: float
    interval: tuple[float, float]
    n_edge: int
    n_inside: int
    n_treatments: int

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.interval[0] <= 0 <= self.interval[1]


def edge_difference(
    shares: Floats, treatments: Sequence[Hashable], is_edge: NDArray[np.bool_], *, confidence: float
) -> EdgeDifference | None:
    """How much higher the dead share is at the edge than inside, within each treatment.

    By least squares with a level for each treatment and one difference for all; the interval is Student's.

    Args:
        shares: Of each well, shape ``(n_wells,)``.
        treatments: What each was given, such as compound and dose; only wells of the same are compared.
        is_edge: Likewise.
        confidence: Coverage wanted.

    Returns:
        None where too few treatments have wells of both.

    >>> found = edge_difference(
    ...     np.array([0.2, 0.1, 0.6, 0.4, 0.9]), ["a", "a", "b", "b", "c"],
    ...     np.array([True, False, True, False, True]), confidence=0.95,
    ... )
    >>> round(found.value, 3), found.n_treatments, found.differs
    (0.15, 2, False)
    """
    of: dict[Hashable, list[int]] = {}
    for number, treatment in enumerate(treatments):
        of.setdefault(treatment, []).append(number)
    both = [np.array(wells) for wells in of.values() if 0 < int(is_edge[wells].sum()) < len(wells)]
    freedom = sum(map(len, both)) - len(both) - 1
    if freedom < 1:
        return None
    wells = np.concatenate(both)
    centred = np.concatenate([shares[part] - shares[part].mean() for part in both])
    edge = np.concatenate([is_edge[part] - is_edge[part].mean() for part in both])
    value = float(edge @ centred / (edge @ edge))
    left = centred - value * edge
    error = float(np.sqrt(left @ left / freedom / (edge @ edge)))
    half = float(student.ppf((1 + confidence) / 2, freedom)) * error
    n_edge = int(is_edge[wells].sum())
    return EdgeDifference(value, (value - half, value + half), n_edge, len(wells) - n_edge, len(both))
