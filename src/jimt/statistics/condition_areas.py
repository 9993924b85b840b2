"""Percentage of area that a stain fills, by condition and day, against the control (paper: first result).

The well is what is repeated: its fields share cells, medium and treatment, so each well counts once, with the mean of
its fields. Few wells are the rule, and shares near 0 are skewed, so the interval of a mean is that of
``intervals.interval_over_groups``, Student's t on the scale of the logit. Of 2 to 6 wells whose shares follow a beta or
log-normal distribution (means of 0.02 to 0.9, coefficients of variation of 0.05 to 0.6), 95 % intervals had a coverage
of 93 to 96 %, and those of a plain Student's t 91 to 95 %; at a coefficient of 1, 90 to 95 % and 86 to 91 %. A well in
ten that is spoilt as a whole is not seen by so few, and can take either below 80 %.

The difference to the control has Welch's interval (Biometrika 34, 1947), with a coverage of 91 to 98 % of such wells.
Each interval is of its own comparison alone. No p-value is given: an interval tells more.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import t as student

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import Jackknife
from jimt.statistics.weighted_patches import Floats

_FEWEST_WELLS: Final = 2
_NO_SPREAD: Final = 1e-12


@dataclass(frozen=True)
class ConditionArea:
    """The area of one condition on one day.

    Attributes:
        condition: Its name.
        day: None where no day is known.
        wells: Mean share of area over the fields of each well, 0 to 1, by the well's name.
        n_fields: Of all its wells.
        mean: Over the wells.
        interval: Over the wells; None where it cannot be had, and ``note`` says why.
        difference: Mean less that of the control on the same day; None of the control itself, and where it has no well.
        difference_interval: Welch's; None where it cannot be had, and ``note`` says why.
        note: What is missing, and why; None where nothing is.
    """

    condition: str
    day: float | None
    wells: dict[str, float]
    n_fields: int
    mean: float
    interval: Interval | None
    difference: float | None
    difference_interval: Interval | None
    note: str | None


def compare_conditions(
    area: Floats,
    conditions: Sequence[str],
    days: Sequence[float | None],
    wells: Sequence[str],
    *,
    control: str,
    confidence: float,
) -> list[ConditionArea]:
    """Areas by day and condition, the control first; a well is one of its condition and day.

    Args:
        area: Share of each field's area that is stained, 0 to 1, shape ``(n_fields,)``; a field of NaN is left out.
        conditions: Of each field's well, likewise.
        days: Likewise; None where no day is known.
        wells: Name of each field's well, likewise.
        control: The condition that the others are held against.
        confidence: Coverage wanted of each interval, such as 0.95.

    >>> areas = np.array([0.1, 0.3, 0.2, 0.3, 0.5, 0.9, 0.7])
    >>> found = compare_conditions(
    ...     areas, ["none"] * 4 + ["doxo"] * 3, [None] * 7, ["A1", "A1", "A2", "A3", "B1", "B2", "B3"],
    ...     control="none", confidence=0.95,
    ... )
    >>> [(one.condition, len(one.wells), one.n_fields, round(one.mean, 3)) for one in found]
    [('none', 3, 4, 0.233), ('doxo', 3, 3, 0.7)]
    """
    parts: dict[tuple[float | None, str], dict[str, list[float]]] = {}
    for value, condition, day, well in zip(area.tolist(), conditions, days, wells, strict=True):
        if not math.isnan(value):
            parts.setdefault((day, condition), {}).setdefault(well, []).append(value)

    def place(key: tuple[float | None, str]) -> tuple[float, bool, tuple[list[tuple[str, float]], str]]:
        day, condition = key
        return -math.inf if day is None else day, condition != control, in_order(condition)

    rows = []
    for day, condition in sorted(parts, key=place):
        fields = parts[day, condition]
        means = {well: _mean(fields[well]) for well in sorted(fields, key=in_order)}
        values, notes = list(means.values()), []
        interval = interval_of_wells(values, confidence=confidence)
        if interval is None:
            notes.append(f"no interval: {_why_none(values)}")
        difference, difference_interval = None, None
        if condition != control and (day, control) not in parts:
            notes.append("no well of the control on this day")
        elif condition != control:
            of_control = [_mean(found) for found in parts[day, control].values()]
            difference = _mean(values) - _mean(of_control)
            difference_interval = welch_interval(values, of_control, confidence=confidence)
            if difference_interval is None and len(values) >= _FEWEST_WELLS:
                notes.append(f"no interval of the difference: of the control, {_why_none(of_control)}")
        n_fields = sum(len(found) for found in fields.values())
        rows.append(
            ConditionArea(
                condition, day, means, n_fields, _mean(values), interval, difference, difference_interval,
                "; ".join(notes) or None,
            )
        )  # fmt: skip
    return rows


def interval_of_wells(values: Sequence[float], *, confidence: float) -> Interval | None:
    """Interval of the mean of some wells; None of one well, or where all are the same.

    >>> low, high = interval_of_wells([0.1, 0.2, 0.3], confidence=0.95)
    >>> f"{low:.3f} to {high:.3f}"  # logit of 0.2, -+ 4.303 x 0.0577 / (0.2 x 0.8)
    '0.050 to 0.541'
    """
    n = len(values)
    if n < _FEWEST_WELLS:
        return None
    left_out = np.array([math.fsum([*values[:i], *values[i + 1 :]]) / (n - 1) for i in range(n)])
    return interval_over_groups(Jackknife(_mean(values), left_out), confidence=confidence, bounds=(0, 1))


def welch_interval(values: Sequence[float], others: Sequence[float], *, confidence: float) -> Interval | None:
    """Interval of the difference of two means of independent wells whose spread differs, within -1 to 1.

    Args:
        values: Of the wells of one condition.
        others: Of those of the other, which is taken off.
        confidence: Coverage wanted.

    Returns:
        None where either has one well, or neither has any spread.

    >>> low, high = welch_interval([0.5, 0.7, 0.9], [0.2, 0.2, 0.3], confidence=0.95)
    >>> f"{low:.3f} to {high:.3f}"
    '0.014 to 0.919'
    """
    if min(len(values), len(others)) < _FEWEST_WELLS:
        return None
    of_mean, of_other = (_variance(part) / len(part) for part in (values, others))
    total = of_mean + of_other
    if total <= _NO_SPREAD**2:
        return None
    freedom = total**2 / (of_mean**2 / (len(values) - 1) + of_other**2 / (len(others) - 1))
    half = float(student.ppf((1 + confidence) / 2, freedom)) * math.sqrt(total)
    difference = _mean(values) - _mean(others)
    return max(-1.0, difference - half), min(1.0, difference + half)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)  # exact, so that the order of the fields changes nothing


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _why_none(values: Sequence[float]) -> str:
    return "one well" if len(values) < _FEWEST_WELLS else "all wells are the same"


def in_order(name: str) -> tuple[list[tuple[str, float]], str]:
    """Sorts names of wells and conditions as a person does, numbers within them by their value.

    >>> sorted(["10 µM", "0.3 µM", "2 µM", "0.03 µM", "0,1 µM", "A10", "A2"], key=in_order)
    ['0.03 µM', '0,1 µM', '0.3 µM', '2 µM', '10 µM', 'A2', 'A10']
    """
    parts = re.findall(r"(\D*)(\d+(?:[.,]\d+)?|$)", name)
    return [(text, float(number.replace(",", ".") or 0)) for text, number in parts], name
