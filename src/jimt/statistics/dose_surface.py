"""The sum of squares of four-parameter logistic curves, on a grid of EC50 and slope.

For a given EC50 and slope the curve is linear in its two plateaus, so that the best of them within 0 to 1 follow by
arithmetic: no least value is missed, and a profile has no start that it hangs on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SLOPES: Final[Floats] = np.geomspace(0.25, 8.0, 41)
"""Beyond 8 all happens between two doses, whatever their distance is in practice."""
_BEYOND: Final = 1.5  # decades beyond the doses that EC50s reach
_STEP: Final = 0.025  # decades
_TINY: Final = 1e-9


@dataclass(frozen=True)
class Curve:
    """A four-parameter logistic.

    Attributes:
        ec50: Dose half way between the plateaus.
        slope: Hill's, positive.
        at_zero: Dead share without the compound.
        at_high: Under any dose.
    """

    ec50: float
    slope: float
    at_zero: float
    at_high: float

    def shares(self, doses: Floats) -> Floats:
        """Dead shares at doses.

        >>> Curve(10, 1, 0.1, 0.9).shares(np.array([0.0, 10, 90]))
        array([0.1 , 0.5 , 0.82])
        """
        risen = rise(np.array([np.log10(self.ec50)]), self.slope, doses)[0]
        return np.asarray(self.at_zero + (self.at_high - self.at_zero) * risen)


def rise(decades: Floats, slope: float | Floats, doses: Floats) -> Floats:
    """How far from one plateau to the other a curve is, 0 to 1.

    Args:
        decades: Logarithm of EC50s to the base 10.
        slope: Hill's.
        doses: 0 and above.

    Returns:
        By EC50 and dose.
    """
    with np.errstate(divide="ignore"):
        places = np.log10(doses)
    exponents = np.clip(slope * (decades[:, None] - places), -300, 300)
    return np.asarray(1 / (1 + 10.0**exponents))


def whole_grid(doses: Floats) -> tuple[Floats, Floats]:
    """Logarithms of EC50s to the base 10, from below the lowest dose to above the highest, and slopes.

    Args:
        doses: Of each well, some above 0.
    """
    positive = np.log10(doses[doses > 0])
    low, high = positive.min() - _BEYOND, positive.max() + _BEYOND
    return np.linspace(low, high, round((high - low) / _STEP) + 1), SLOPES


class Shapes:
    """Curves from 0 to 1 by EC50 and slope, at the doses of one compound's wells.

    Args:
        doses: Of each well, shape ``(n_wells,)``, some above 0.
        decades: Logarithm of EC50s to the base 10, ascending.
        slopes: Hill's, likewise.
    """

    def __init__(self, doses: Floats, decades: Floats, slopes: Floats) -> None:
        levels, self.level_of = np.unique(doses, return_inverse=True)
        self.decades, self.slopes = decades, slopes
        self.risen = np.stack([rise(decades, slope, levels) for slope in slopes], axis=1)


class Surface:
    """Weighted sums of squares of one compound's wells.

    Args:
        shapes: At their doses.
        shares: Dead share of each, 0 to 1, shape ``(n_wells,)``.
        weights: Of each.
    """

    def __init__(self, shapes: Shapes, shares: Floats, weights: Floats) -> None:
        self.decades, self.slopes, risen, level_of = shapes.decades, shapes.slopes, shapes.risen, shapes.level_of
        weight, total = np.bincount(level_of, weights), np.bincount(level_of, weights * shares)
        self._squares = float((weights * shares**2).sum())
        self._zero_zero, self._high_high = (1 - risen) ** 2 @ weight, risen**2 @ weight
        self._zero_high = (risen * (1 - risen)) @ weight
        self._of_zero, self._of_high = (1 - risen) @ total, risen @ total
        self._least, self._at_zero, self._at_high = self._best_plateaus()

    def _sum(self, at_zero: Floats | float, at_high: Floats | float) -> Floats:
        """Sum of squares with these plateaus, by EC50 and slope."""
        linear = at_zero * self._of_zero + at_high * self._of_high
        squares = at_zero**2 * self._zero_zero + at_high**2 * self._high_high
        return np.asarray(self._squares - 2 * linear + squares + 2 * at_zero * at_high * self._zero_high)

    def _other(self, which: int, value: float) -> Floats:
        """The best of one plateau, where the other is given."""
        of, square = (self._of_high, self._high_high) if which == 0 else (self._of_zero, self._zero_zero)
        return np.asarray(np.clip((of - value * self._zero_high) / np.maximum(square, _TINY), 0, 1))

    def _with(self, which: int, value: float) -> tuple[Floats, Floats, Floats]:
        other, given = self._other(which, value), np.full(self._of_zero.shape, value)
        both = (given, other) if which == 0 else (other, given)
        return self._sum(*both), *both

    def _best_plateaus(self) -> tuple[Floats, Floats, Floats]:
        """Least sum of squares with plateaus within 0 to 1, and these."""
        determinant = self._zero_zero * self._high_high - self._zero_high**2
        solvable = determinant > _TINY
        divisor = np.where(solvable, determinant, 1)
        at_zero = (self._of_zero * self._high_high - self._of_high * self._zero_high) / divisor
        at_high = (self._of_high * self._zero_zero - self._of_zero * self._zero_high) / divisor
        inside = solvable & (at_zero >= 0) & (at_zero <= 1) & (at_high >= 0) & (at_high <= 1)
        best = np.where(inside, self._sum(at_zero, at_high), np.inf), at_zero, at_high
        for which in (0, 1):
            for value in (0.0, 1.0):
                found = self._with(which, value)
                better = found[0] < best[0]
                best = tuple(np.where(better, new, old) for new, old in zip(found, best, strict=True))  # type: ignore[assignment]
        return np.maximum(best[0], 0), best[1], best[2]

    def best(self) -> Curve:
        """The curve of the grid with the least sum of squares."""
        row, column = np.unravel_index(int(self._least.argmin()), self._least.shape)
        plateaus = float(self._at_zero[row, column]), float(self._at_high[row, column])
        return Curve(float(10 ** self.decades[row]), float(self.slopes[column]), *plateaus)

    def profile_of_ec50(self) -> Floats:
        """Least sum of squares with each EC50 of ``decades``."""
        return np.asarray(self._least.min(axis=1))

    def profile_of_slope(self) -> Floats:
        """Least sum of squares with each of ``slopes``."""
        return np.asarray(self._least.min(axis=0))

    def allowed(self, most: float) -> "AllowedCurves":
        """Curves of the grid whose sum of squares is at most so large; always the best one."""
        kept = self._least <= most
        kept[np.unravel_index(int(self._least.argmin()), kept.shape)] = True
        rows, columns = np.nonzero(kept)
        squares = np.stack([self._zero_zero[kept], self._high_high[kept], self._zero_high[kept]])
        room = np.maximum(most - self._least[kept], 0) / np.maximum(squares[0] * squares[1] - squares[2] ** 2, _TINY)
        plateaus = np.stack([self._at_zero[kept], self._at_high[kept]])
        return AllowedCurves(self.decades[rows], self.slopes[columns], plateaus, squares, room)


@dataclass(frozen=True)
class AllowedCurves:
    """Curves with a sum of squares that an interval allows.

    Of each EC50 and slope the allowed plateaus are an ellipse about the best ones. Where the best ones are at 0 or 1
    the ellipse is drawn about these, which makes it a little too wide, and what lies outside is cut off.

    Attributes:
        decades: Logarithm of their EC50 to the base 10, shape ``(n,)``.
        slopes: Likewise.
        plateaus: The best ones without the compound and under any dose, shape ``(2, n)``.
        squares: Of the sum of squares by the plateaus: both squares, and their product, shape ``(3, n)``.
        room: Sum of squares that is left, over the determinant of these.
    """

    decades: Floats
    slopes: Floats
    plateaus: Floats
    squares: Floats
    room: Floats

    def interval_of_plateau(self, which: int) -> tuple[float, float]:
        """Ends of a plateau's interval: 0 of that without the compound, 1 of that under any dose."""
        half = np.sqrt(self.room * self.squares[1 - which])
        middle = self.plateaus[which]
        return float(max(0.0, (middle - half).min())), float(min(1.0, (middle + half).max()))

    def band(self, doses: Floats) -> Floats:
        """Least and largest share of all these curves at each dose.

        Args:
            doses: Where, shape ``(n,)``.

        Returns:
            Shape ``(2, n)``.
        """
        low, high = np.ones(len(doses)), np.zeros(len(doses))
        zero_zero, high_high, zero_high = self.squares[:, :, None]
        for number, dose in enumerate(doses):
            risen = rise(self.decades, self.slopes[:, None], np.array([dose]))
            middle = (1 - risen) * self.plateaus[0][:, None] + risen * self.plateaus[1][:, None]
            spread = (1 - risen) ** 2 * high_high - 2 * risen * (1 - risen) * zero_high + risen**2 * zero_zero
            half = np.sqrt(np.maximum(self.room[:, None] * spread, 0))
            low[number], high[number] = (middle - half).min(), (middle + half).max()
        return np.clip([low, high], 0, 1)


def profile_interval(values: Floats, profile: Floats, allowed: float) -> tuple[float, float]:
    """Outermost values whose profile is allowed, between two of them by a straight line.

    >>> profile_interval(np.array([0.0, 1, 2, 3, 4]), np.array([5.0, 3, 1, 2, 4]), 2.5)
    (1.25, 3.25)

    Args:
        values: Ascending.
        profile: Least sum of squares at each.
        allowed: Largest that belongs to the interval; at least the least of the profile, or that one value is taken.
    """
    inside = np.flatnonzero(profile <= max(allowed, float(profile.min())))
    ends = []
    for last, step in ((int(inside[0]), -1), (int(inside[-1]), 1)):
        beyond = last + step
        if not 0 <= beyond < len(values):
            ends.append(float(values[last]))
            continue
        part = (allowed - profile[last]) / (profile[beyond] - profile[last])
        ends.append(float(values[last] + max(0.0, part) * (values[beyond] - values[last])))
    return ends[0], ends[1]
