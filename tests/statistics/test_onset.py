"""When a share passes a threshold: what holds is told, what does not is not, and intervals hold the truth."""

import numpy as np
import pytest

from jimt.statistics.intervals import t_interval_of_mean
from jimt.statistics.onset import onset, onset_with_range


def passing(shares: list[float | None], *, held: int = 2) -> tuple[str, float | None, float | None]:
    found = onset(range(len(shares)), shares, threshold=0.5, held=held)
    return found.passing, found.time, found.after


def test_what_is_passed_and_held_is_the_onset_and_began_since_the_time_before():
    assert passing([0.1, 0.2, 0.5, 0.6, 0.9]) == ("passed", 2, 1)
    assert passing([0.1, 0.6, 0.4, 0.6, 0.7, 0.8]) == ("passed", 3, 2)  # the first peak does not hold
    assert passing([0.1, 0.6, 0.4, 0.6, 0.7, 0.8], held=0) == ("passed", 1, 0)


def test_dead_cells_that_come_off_afterwards_take_nothing_back():
    assert passing([0.1, 0.6, 0.7, 0.8, 0.3, 0.2]) == ("passed", 1, 0)


def test_what_began_before_never_did_or_cannot_be_known_is_told_apart():
    assert passing([0.7, 0.8, 0.9]) == ("at first", 0, None)
    assert passing([0.1, 0.2, 0.3]) == ("never", None, 2)
    assert passing([0.1, 0.2, 0.7]) == ("unconfirmed", 2, 1)
    assert passing([0.1, 0.6, 0.7]) == ("passed", 1, 0)  # all that are left
    assert passing([None, 0.7, None]) == ("unknown", None, None)


def test_a_time_without_a_share_takes_no_part():
    assert passing([0.1, None, 0.7, 0.8, 0.9]) == ("passed", 2, 0)
    assert passing([0.1, 0.7, float("nan"), 0.8, 0.9]) == ("passed", 1, 0)


@pytest.mark.parametrize("factor", [2.0, 0.25])
def test_the_unit_of_time_does_not_matter(factor):
    rng = np.random.default_rng(0)
    for _ in range(50):
        times, shares = np.cumsum(rng.uniform(1, 3, 8)), rng.uniform(0, 1, 8).tolist()
        one, other = (onset(list(t), shares, threshold=0.4, held=1) for t in (times, factor * times))
        assert other.passing == one.passing
        assert other.time == (None if one.time is None else pytest.approx(factor * one.time))


def test_intervals_hold_the_time_at_which_the_well_passes_as_often_as_they_say():
    """Wells whose positions die by logistic curves that scatter about the well's own, imaged every 4 hours."""
    rng, times = np.random.default_rng(1), np.arange(0, 49, 4.0)
    held, n = 0, 400
    for _ in range(n):
        middle, spread = rng.uniform(12, 36), rng.uniform(2, 6)
        logits = (times - middle) / spread + rng.normal(0, 0.5, (5, 1)) + rng.normal(0, 0.3, (5, len(times)))
        shares = 1 / (1 + np.exp(-logits))
        ends = [t_interval_of_mean(values, confidence=0.95) for values in shares.T]
        found = onset_with_range(times.tolist(), shares.mean(0).tolist(), ends, threshold=0.5, held=2)
        assert found.known
        first, last = found.earliest, found.latest
        held += (first is None or first < middle) and (last is None or middle <= last)
        if found.found.time is not None:  # the onset lies in its own interval
            assert first is None or first < found.found.time
            assert last is None or found.found.time <= last
    assert 0.93 <= held / n <= 1


def test_single_positions_have_no_interval_and_ones_that_agree_stand_for_themselves():
    assert not onset_with_range([0, 1, 2], [0.1, 0.6, 0.7], [None] * 3, threshold=0.5, held=2).known
    ends = [(0.0, 0.0), (0.4, 0.8), (0.6, 0.8)]  # at first no position has a dead cell
    found = onset_with_range([0, 1, 2], [0.0, 0.6, 0.7], ends, threshold=0.5, held=2)
    assert (found.earliest, found.latest) == (0, 2)


def test_a_time_of_one_position_alone_says_nothing_of_the_range():
    times, shares = [0, 6, 12, 18], [0.1, 0.2, 0.9, 0.9]
    ends = [(0.05, 0.15), (0.1, 0.3), None, None]  # the other position was imaged no longer
    found = onset_with_range(times, shares, ends, threshold=0.5, held=2)
    assert (found.found.time, found.known) == (12, True)
    assert (found.earliest, found.latest) == (6, None)
