"""What follows from positions over time: curves of wells, when they pass a threshold, and what drifted or moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jimt.prediction.answer_tables import counts
from jimt.prediction.answers import FieldRow
from jimt.prediction.asked import Asked
from jimt.prediction.dose_plan import DosePlan
from jimt.prediction.dose_words import dose_text
from jimt.prediction.position_images import FieldPictures, Shift, shift_of
from jimt.prediction.time_series import Position, Series
from jimt.statistics.intervals import t_interval_of_mean
from jimt.statistics.onset import HELD, OnsetRange, onset_with_range
from jimt.statistics.position_drift import drifted, moved

THRESHOLD: Final = 0.5
"""Dead share whose passing is the onset, where ``--onset`` names none."""
FOCUS: Final = 0.2
"""Share by which the sharpness of a time point may differ from the others. In simulated fields the death of all cells
changes it by 12 to 15 %, and a blur twice as wide by 17 to 19 % (``benchmarks/time_series.py``)."""
LIGHT: Final = 0.1
"""Likewise mean brightness, which the death of all cells changes by 2 to 3 %."""
MOVED: Final = 0.05
"""Of the shorter side of a field: 95 % of it are still the same place."""
FLAGS: Final = {
    "focus_drift": "sharper or more blurred than the position's other times",
    "light_drift": "brighter or darker than its other times",
    "moved": "not where it was",
}

_Treatment = tuple[str | None, int, str, float]
"""Plate, place of the compound in the table or -1 of a control, compound or kind of control, dose."""
_Mean = tuple[
    tuple[float, ...],
    tuple[float, ...],
    tuple[float | None, ...],
    tuple[tuple[float, float] | None, ...],
    tuple[int, ...],
    OnsetRange,
]


@dataclass(frozen=True)
class FollowedField:
    """A field of a position at one time, with what became of it since the time before.

    Attributes:
        row: Its answer.
        tick: As of ``TimedField``.
        time: In the unit of the series.
        counted: Whether it enters the mean of its well.
        shift: How much further down and right it shows what the time before shows, pixels of the file's image; None
            where nothing tells.
        flags: Names of ``FLAGS``.
    """

    row: FieldRow
    tick: float
    time: float
    counted: bool
    shift: Shift | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class FollowedPosition:
    """A position with its fields by time."""

    position: Position
    fields: tuple[FollowedField, ...]


@dataclass(frozen=True)
class Curve:
    """The dead share of a well over time, of a position that is of no well, or of the wells that were given the same.

    Attributes:
        plate: None where no name tells it.
        well: Likewise.
        name: Of the well, of the position, or what was given.
        positions: Those of it.
        ticks: Time points.
        times: When they were imaged, in the unit of the series: the mean over positions.
        shares: Mean over positions that count; None where there is none.
        ends: Interval over positions, by Student's t; None of fewer than two, or of ones that agree.
        n_counted: Positions that count.
        onset: When the threshold is passed.
        wells: Those that the mean and its interval are over, where this is of a treatment and of no well.
    """

    plate: str | None
    well: str | None
    name: str
    positions: tuple[FollowedPosition, ...]
    ticks: tuple[float, ...]
    times: tuple[float, ...]
    shares: tuple[float | None, ...]
    ends: tuple[tuple[float, float] | None, ...]
    n_counted: tuple[int, ...]
    onset: OnsetRange
    wells: tuple["Curve", ...] = ()


@dataclass(frozen=True)
class TimesFound:
    """What positions tell over time.

    Attributes:
        series: The positions.
        threshold: Dead share whose passing is the onset.
        curves: Of every well, and of every position without one.
        treatments: Of wells of a plate that were given the same; none where nothing tells what.
    """

    series: Series
    threshold: float
    curves: tuple[Curve, ...]
    treatments: tuple[Curve, ...] = ()


def times_found(
    series: Series, rows: Sequence[FieldRow], asked: Asked, plan: DosePlan | None, *, confidence: float
) -> TimesFound:
    """Follow every position and every well.

    Args:
        series: The positions.
        rows: Answers of all fields.
        asked: The command, in whose output folder their thumbnails lie.
        plan: What wells were given; None where that is not told.
        confidence: Coverage of the intervals.
    """
    threshold = THRESHOLD if asked.onset is None else asked.onset
    images = FieldPictures(rows, asked.out)
    by_number = {row.number: row for row in rows}
    wells: dict[tuple[str | None, str | None, str], list[FollowedPosition]] = {}
    for position in series.positions:
        followed = _followed(position, by_number, images, include_flagged=asked.include_flagged)
        key = (position.plate, position.well, position.name if position.well is None else "")
        wells.setdefault(key, []).append(followed)
    curves = [_curve(those, threshold=threshold, confidence=confidence) for those in wells.values()]
    treatments = [] if plan is None else _treatments(curves, plan, threshold=threshold, confidence=confidence)
    return TimesFound(series, threshold, tuple(curves), tuple(treatments))


def _followed(
    position: Position,
    rows: Mapping[int, FieldRow],
    images: FieldPictures,
    *,
    include_flagged: bool,
) -> FollowedPosition:
    of_times = [rows[field.number] for field in position.fields]
    blurred = drifted([row.sharpness for row in of_times], limit=FOCUS)
    lit = drifted([row.brightness for row in of_times], limit=LIGHT)
    shifts: list[Shift | None] = []
    before = None
    for row in of_times:
        image = images.get(row.number)
        shifts.append(None if before is None or image is None else shift_of(before, image, width=row.width))
        before = image if image is not None else before  # of a time without an answer, the one before it
    sides = [min(row.height, row.width) for row in of_times if row.height is not None and row.width is not None]
    gone = moved(shifts, limit=MOVED * min(sides, default=0))
    fields = []
    for place, (field, row) in enumerate(zip(position.fields, of_times, strict=True)):
        told = zip(FLAGS, (blurred[place], lit[place], gone[place]), strict=True)
        flags = tuple(name for name, is_flagged in told if is_flagged)
        counted = counts(row, include_flagged=include_flagged)
        fields.append(FollowedField(row, field.tick, field.time, counted, shifts[place], flags))
    return FollowedPosition(position, tuple(fields))


def _curve(positions: Sequence[FollowedPosition], *, threshold: float, confidence: float) -> Curve:
    first = positions[0].position
    of_positions = [
        [(field.tick, field.time, field.row.dead_share if field.counted else None) for field in each.fields]
        for each in positions
    ]
    name = first.name if first.well is None else first.well
    mean = _mean(of_positions, threshold=threshold, confidence=confidence)
    return Curve(first.plate, first.well, name, tuple(positions), *mean)


def _mean(
    members: Sequence[Sequence[tuple[float, float, float | None]]], *, threshold: float, confidence: float
) -> _Mean:
    """Ticks, times, mean shares, their intervals over members, how many count, and the onset.

    Args:
        members: Tick, time and share of each, which is None where it does not count.
        threshold: Dead share whose passing is the onset.
        confidence: Coverage of the intervals.
    """
    at: dict[float, list[tuple[float, float | None]]] = {}
    for member in members:
        for tick, time, share in member:
            at.setdefault(tick, []).append((time, share))
    ticks = sorted(at)
    times = tuple(float(np.mean([time for time, _ in at[tick]])) for tick in ticks)
    counted = [np.array([share for _, share in at[tick] if share is not None], np.float64) for tick in ticks]
    shares = tuple(float(values.mean()) if len(values) else None for values in counted)
    ends = tuple(t_interval_of_mean(values, confidence=confidence) for values in counted)
    told = zip(ends, counted, shares, strict=True)  # where all members agree, their share is both ends
    of_range = [end or ((mean, mean) if len(values) > 1 and mean is not None else None) for end, values, mean in told]
    found = onset_with_range(times, shares, of_range, threshold=threshold, held=HELD)
    return tuple(ticks), times, shares, ends, tuple(map(len, counted)), found


def _treatments(curves: Sequence[Curve], plan: DosePlan, *, threshold: float, confidence: float) -> list[Curve]:
    """What was given, on each plate: controls, then compounds as the table has them by dose."""
    wells: dict[_Treatment, list[Curve]] = {}
    order: dict[str, int] = {}
    for row in plan.wells.values():
        order.setdefault(row.compound or "", len(order))
    names: dict[_Treatment, str] = {}
    for curve in curves:
        given = None if curve.well is None else plan.of(curve.plate, curve.well)
        if given is None:
            continue
        if given.role is not None or given.dose == 0:
            key: _Treatment = (curve.plate, -1, given.role or "negative", 0.0)
            names[key] = f"{key[2]} control"
        else:
            assert given.dose is not None
            key = (curve.plate, order[given.compound or ""], given.compound or "", given.dose)
            names[key] = " ".join(filter(None, (given.compound, dose_text(given.dose, plan.unit))))
        wells.setdefault(key, []).append(curve)
    return [
        Curve(
            key[0],
            None,
            names[key],
            (),
            *_mean(
                [list(zip(each.ticks, each.times, each.shares, strict=True)) for each in wells[key]],
                threshold=threshold,
                confidence=confidence,
            ),
            tuple(wells[key]),
        )
        for key in sorted(wells, key=lambda key: (key[0] or "", *key[1:]))
    ]
