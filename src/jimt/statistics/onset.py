"""When a dead share that is followed over time passes a threshold, and how well that is known.

A share that wavers about the threshold passes it again and again, so it has to hold. It need not hold to the end: cells
that died come off the ground after a while, and the share of what is left falls again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

HELD: Final = 2
"""Following time points at which a share stays at or above the threshold; those that are left where there are fewer."""
Passing = Literal["passed", "at first", "unconfirmed", "never", "unknown"]


@dataclass(frozen=True)
class Onset:
    """When a share passes a threshold.

    Attributes:
        passing: ``passed``; ``at first`` where it is passed at the first time point, so that it began at some time
            before; ``unconfirmed`` where it is passed at the last time point alone, and nothing tells whether it holds;
            ``never`` within the times; ``unknown`` of fewer than two times with a share.
        time: The first time at which it is passed; None of ``never`` and ``unknown``.
        after: The time point before, at which it was not passed: the threshold was reached between the two; None where
            there is none before, and the last time of what never passes.
    """

    passing: Passing
    time: float | None = None
    after: float | None = None


def onset(times: Sequence[float], shares: Sequence[float | None], *, threshold: float, held: int) -> Onset:
    """When a share first passes a threshold and holds.

    >>> onset([0, 6, 12, 18], [0.1, 0.4, 0.6, 0.7], threshold=0.5, held=2)
    Onset(passing='passed', time=12, after=6)
    >>> onset([0, 6, 12, 18], [0.1, 0.6, 0.2, 0.3], threshold=0.5, held=2)  # a single one that does not hold
    Onset(passing='never', time=None, after=18)

    Args:
        times: Rising, in any unit.
        shares: Of each time; None or NaN where there is none, which takes no part.
        threshold: A share at or above it has passed it.
        held: So many following time points have to be at or above it too, or as many as are left.
    """
    known = [(time, share) for time, share in zip(times, shares, strict=True) if share is not None and share == share]
    if len(known) < 2:
        return Onset("unknown")
    above = [share >= threshold for _, share in known]
    for place in range(len(known)):
        if all(above[place : place + 1 + held]):
            at = known[place][0]
            if place == 0:
                return Onset("at first", at)
            before = known[place - 1][0]
            return Onset("unconfirmed" if place == len(known) - 1 else "passed", at, before)
    return Onset("never", None, known[-1][0])


@dataclass(frozen=True)
class OnsetRange:
    """An onset with what the intervals of the shares leave open.

    Attributes:
        found: Of the shares themselves.
        earliest: Last time at which even the upper ends of the intervals have not passed the threshold, so that it was
            reached after it; None where they have at the first time already.
        latest: First time at which the lower ends have passed it too, so that it was reached by then; None where they
            never do.
        known: Whether there are intervals; without, both are None.
    """

    found: Onset
    earliest: float | None = None
    latest: float | None = None
    known: bool = False


def onset_with_range(
    times: Sequence[float],
    shares: Sequence[float | None],
    ends: Sequence[tuple[float, float] | None],
    *,
    threshold: float,
    held: int,
) -> OnsetRange:
    """An onset, and between which times it lies by both ends of the shares' intervals.

    This is how Brookmeyer and Crowley (Biometrics 38, 1982) take an interval of a median survival time from the band of
    a survival curve: the time is in the interval as long as the threshold is in that of the share.

    >>> ends = [(0, 0.2), (0.3, 0.6), (0.4, 0.7), (0.6, 0.9), (0.7, 0.9)]
    >>> found = onset_with_range([0, 1, 2, 3, 4], [0.1, 0.4, 0.55, 0.7, 0.8], ends, threshold=0.5, held=2)
    >>> found.earliest, found.found.time, found.latest
    (0, 2, 3)

    Args:
        times: Rising, in any unit.
        shares: Of each time; None where there is none.
        ends: Interval of each share; None where there is none, as of a single position, whose share then says nothing
            of the range. Both ends are the share where all positions agree, as at shares of 0.
        threshold: As of ``onset``.
        held: Likewise.
    """
    found = onset(times, shares, threshold=threshold, held=held)
    if found.passing == "unknown" or sum(interval is not None and interval[0] < interval[1] for interval in ends) < 2:
        return OnsetRange(found)
    low, high = ([None if interval is None else interval[end] for interval in ends] for end in (0, 1))
    upper, lower = (onset(times, limits, threshold=threshold, held=held) for limits in (high, low))
    return OnsetRange(found, upper.after, lower.time, True)
