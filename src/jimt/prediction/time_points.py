"""When a field was imaged: as the names of files tell it, or the files themselves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from jimt.prediction.source_names import natural_key

Unit = Literal["min", "h", "d", "time point"]
"""In which times are told; time points are counted where nothing tells how much time lies between them."""

_SECONDS: Final = {"d": 86_400.0, "h": 3600.0, "min": 60.0, "s": 1.0}
_WORDS: Final = {
    "d": ("d", "day", "days"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "min": ("m", "min", "mins", "minute", "minutes"),
    "s": ("s", "sec", "secs", "second", "seconds"),
}
_UNIT_OF: Final = {word: unit for unit, words in _WORDS.items() for word in words}
_COUNTED: Final = ("", "t", "tp", "time", "timepoint", "time point", "frame", "cycle", "scan")
"""Before a number, these tell no unit."""
_PLAIN: Final = re.compile(
    r"(?:(?P<before>[^\W\d_]+(?: [^\W\d_]+)?)[ _-]?|(?P<minus>[-\u2212]))?"
    r"(?P<number>\d+(?:[.,]\d+)?)[ _]?(?P<after>[^\W\d_]+)?"
)
_LONG: Final = re.compile(
    "".join(rf"(?:(?P<{unit}>\d+) ?(?:{'|'.join(_WORDS[unit][::-1])})[ _]?)?" for unit in _SECONDS)
)
_LONGEST: Final = {"min": 2 * 3600.0, "h": 30 * 86_400.0}
"""Seconds, below which all times of a command are told in minutes, or up to which in hours, unless names tell days."""


@dataclass(frozen=True)
class Moment:
    """A time that was read.

    Attributes:
        value: Seconds, or the number of a time point.
        unit: As it was written, ``s`` too; None of a number without one.
    """

    value: float
    unit: str | None


def read_moment(text: str) -> Moment | None:
    """What a name tells of a time; None where that is no number.

    >>> read_moment("T00012"), read_moment("1.5h"), read_moment("00d02h30m")
    (Moment(value=12.0, unit=None), Moment(value=5400.0, unit='h'), Moment(value=9000.0, unit='min'))
    >>> read_moment("day3"), read_moment("early")
    (Moment(value=259200.0, unit='d'), None)
    >>> read_moment("-6h")  # before what is counted from
    Moment(value=-21600.0, unit='h')
    """
    folded = text.strip(" _").casefold()
    if (plain := _PLAIN.fullmatch(folded)) is not None:
        before, after = plain["before"] or "", plain["after"]
        number = float(plain["number"].replace(",", ".")) * (1 if plain["minus"] is None else -1)
        if before in _COUNTED and after is None:
            return Moment(number, None)
        unit = _UNIT_OF.get(after if after is not None else before)
        if unit is not None and (after is None or before in _COUNTED):
            return Moment(number * _SECONDS[unit], unit)
    if folded and (parts := _LONG.fullmatch(folded)) is not None:
        told = {unit: int(number) for unit, number in parts.groupdict().items() if number is not None}
        return Moment(sum(number * _SECONDS[unit] for unit, number in told.items()), list(told)[-1])
    return None


def time_ranks(texts: Iterable[str | None]) -> dict[str | None, int]:
    """The place of each time, by its value where all of them are times that can be compared, else as a person sorts.

    >>> time_ranks(["2h", "30min", None, "1d"])
    {None: -1, '30min': 0, '2h': 1, '1d': 2}
    """
    names = {text for text in texts if text is not None}
    moments = {text: moment for text in names if (moment := read_moment(text)) is not None}
    comparable = len(moments) == len(names) and len({moment.unit is None for moment in moments.values()}) < 2
    by_name = sorted(names, key=natural_key)
    ordered = sorted(by_name, key=lambda text: moments[text].value) if comparable else by_name
    return {None: -1} | {text: place for place, text in enumerate(ordered)}


def unit_of(moments: list[Moment]) -> Unit:
    """The unit in which times are told that all have one, or none.

    >>> unit_of([read_moment(text) for text in ("0h", "30min", "6h")]), unit_of([Moment(3, None)])
    ('h', 'time point')
    """
    if all(moment.unit is None for moment in moments):
        return "time point"
    if all(moment.unit == "d" for moment in moments):
        return "d"
    longest = max(abs(moment.value) for moment in moments)
    return "min" if longest < _LONGEST["min"] else "h" if longest <= _LONGEST["h"] else "d"


def in_unit(moment: Moment, unit: Unit) -> float:
    """A time in that unit."""
    return moment.value if unit == "time point" else moment.value / _SECONDS[unit]


def time_text(value: float, unit: Unit) -> str:
    """A time in words.

    >>> time_text(12.0, "h"), time_text(0.3333333, "h"), time_text(3.0, "time point")
    ('12 h', '0.333 h', 'time point 3')
    """
    number = f"{value:.3f}".rstrip("0").rstrip(".")
    return f"time point {number}" if unit == "time point" else f"{number} {unit}"
