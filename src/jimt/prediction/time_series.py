"""Positions that are imaged at several times, followed from one time to the next."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jimt.config.checks import check
from jimt.errors import InputError
from jimt.prediction.answers import Source
from jimt.prediction.source_names import natural_key
from jimt.prediction.time_points import Moment, Unit, in_unit, read_moment, time_text, unit_of

_LISTED: Final = 3  # positions in a sentence


@dataclass(frozen=True)
class TimedField:
    """A field of a position at one time.

    Attributes:
        number: Of its source.
        tick: Which time point, the same for all positions that were imaged in one round: what names tell, or the place
            in a file.
        time: When it was imaged, in the unit of the series.
    """

    number: int
    tick: float
    time: float


@dataclass(frozen=True)
class Position:
    """One place of the specimen at its times.

    Attributes:
        name: Tells it from all others.
        plate: None where no name tells it.
        well: Likewise.
        fields: By time, each once.
    """

    name: str
    plate: str | None
    well: str | None
    fields: tuple[TimedField, ...]


@dataclass(frozen=True)
class Series:
    """All positions whose times are told.

    Attributes:
        positions: As a person sorts them; at least one has two times.
        unit: Of all times.
        of_files: Whether the files tell the times, and not their names.
    """

    positions: tuple[Position, ...]
    unit: Unit
    of_files: bool

    def text(self, time: float) -> str:
        """A time in words."""
        return time_text(time, self.unit)


def follow(sources: Sequence[Source], notes: list[str]) -> Series | None:
    """Find the positions that were imaged at several times.

    Args:
        sources: Every field, those that cannot be read too.
        notes: What to know of times that are missing, or cannot be read, is added to it.

    Returns:
        None where no position has several times.

    Raises:
        InputError: If a position has one time twice, or some times have a unit and others have none.
    """
    places: dict[str, list[Source]] = {}
    for source in sources:
        if source.position is not None:
            places.setdefault(source.position, []).append(source)
    if not any(len({source.time for source in those}) > 1 for those in places.values()):
        return None
    timed = [source for those in places.values() for source in those]
    moments = _moments(timed, notes)
    if moments is None:
        return None
    unit = unit_of(list(moments.values()))
    positions = []
    for place, those in places.items():
        fields = [_timed(source, moments[source.number], unit) for source in those]
        fields.sort(key=lambda each: each.tick)
        _refuse_twice(place, fields, {source.number: source for source in those})
        first = those[0]
        named = first.time_index is None
        name = place if named else first.name.removesuffix(f"_t{first.time_index:03d}")
        positions.append(Position(name or first.name, first.plate, first.well, tuple(fields)))
    if all(len(position.fields) == 1 for position in positions):
        return None
    positions.sort(key=lambda position: natural_key(position.name))
    series = Series(tuple(positions), unit, all(source.time_index is not None for source in timed))
    notes += _gaps(series)
    return series


def _moments(timed: Sequence[Source], notes: list[str]) -> dict[int, Moment] | None:
    """When each field was imaged, by its number; None where a name tells a time that is no number."""
    moments: dict[int, Moment] = {}
    for source in timed:
        assert source.time is not None
        moment = read_moment(source.time)
        if moment is None:
            notes.append(
                f"nothing is followed over time: the time {source.time} of {source.path} is neither a number nor one "
                "with a unit, such as 6h, 30min or 2d"
            )
            return None
        moments[source.number] = moment if source.seconds is None else Moment(source.seconds, "s")
    with_unit = {source.number for source in timed if moments[source.number].unit is not None}
    if not 0 < len(with_unit) < len(timed):
        return moments
    if all(source.time_index is not None for source in timed):
        notes.append("some files do not tell how much time lies between their time points, so these are counted in all")
        return {source.number: Moment(float(source.time_index or 0), None) for source in timed}
    one, other = (next(source for source in timed if (source.number in with_unit) is has) for has in (True, False))
    raise InputError(
        f"the time {one.time} of {one.path} has a unit and {other.time} of {other.path} has none",
        advice="write it in all names or in none, or predict the two apart",
    )


def _timed(source: Source, moment: Moment, unit: Unit) -> TimedField:
    tick = moment.value if source.time_index is None else float(source.time_index)
    return TimedField(source.number, tick, in_unit(moment, unit))


def _refuse_twice(place: str, fields: Sequence[TimedField], sources: dict[int, Source]) -> None:
    for before, after in itertools.pairwise(fields):
        if before.tick == after.tick:
            one, other = sources[before.number], sources[after.number]
            of = f" of the position {place}" if place else ""
            raise InputError(
                f"{one.path} and {other.path} are both of the time {one.time}{of}",
                advice="name one of them, or let the pattern tell positions apart",
                remedies=("--pattern PATTERN",),
            )


def _gaps(series: Series) -> list[str]:
    """What to know of positions without some of the times that others of their plate have."""
    of_plate: dict[str | None, set[float]] = {}
    for position in series.positions:
        of_plate.setdefault(position.plate, set()).update(field.tick for field in position.fields)
    single = [position for position in series.positions if len(position.fields) == 1]
    lacking = [
        position
        for position in series.positions
        if not series.of_files and 1 < len(position.fields) < len(of_plate[position.plate])
    ]
    notes = []
    if lacking:
        listed = ", ".join(f"{each.name} ({len(each.fields)})" for each in lacking[:_LISTED])
        more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
        most = max(len(ticks) for ticks in of_plate.values())
        notes.append(
            f"time points are missing of {len(lacking)} position{'s' * (len(lacking) != 1)} with fewer than {most}: "
            f"{listed}{more}"
        )
    if single:
        listed = ", ".join(each.name for each in single[:_LISTED])
        more = f" and {len(single) - _LISTED} more" if len(single) > _LISTED else ""
        have = "position has" if len(single) == 1 else "positions have"
        notes.append(f"{len(single)} {have} one time alone and cannot be followed: {listed}{more}")
    return notes


def check_onset(threshold: float | None, series: Series | None) -> None:
    """Refuse a threshold that no share passes, and one without anything to pass it.

    Args:
        threshold: As it was typed; None where it was not.
        series: What is followed over time.

    Raises:
        InputError: If ``--onset`` is no share, or nothing is followed.
    """
    if threshold is None:
        return
    check("--onset", threshold, 0 < threshold <= 1, "a share above 0, up to 1")
    if series is None:
        raise InputError(
            f"--onset {threshold:g} is of positions that were imaged at several times, and none was",
            advice="leave it out, or let the pattern tell the {time}",
            remedies=("--pattern PATTERN",),
        )
