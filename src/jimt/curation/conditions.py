"""Which well a raw image is of, what was done to it and on which day it was imaged; and the areas that follow."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.config.patterns import Reading, parse_pattern
from jimt.config.wells import CONDITION, DAY, ConditionsConfig
from jimt.curation.condition_tables import AREA_WORDS
from jimt.curation.file_names import name_key
from jimt.curation.positive import HAZE
from jimt.curation.raw_images import Finding, ImagedWell
from jimt.curation.tables import read_table
from jimt.errors import InputError
from jimt.statistics.condition_areas import compare_conditions, in_order

_LISTED: Final = 8  # wells in a sentence


@dataclass(frozen=True)
class _Row:
    """A row of the table of wells; an empty condition leaves its raw images out."""

    well: str
    condition: str
    day: float | None


def find_wells(settings: ConditionsConfig, finding: Finding, root: Path, *, pattern: str) -> None:
    """Note the well of each raw image with its condition and day, as the names of the files or a table tell them.

    Args:
        settings: What tells them.
        finding: The raw images; ``wells`` and ``unused_wells`` are filled in.
        root: The data set's folder.
        pattern: How the path below it is read.

    Raises:
        InputError: If a well has no condition, a day is no number, or no well is of the control.
    """
    reader = parse_pattern(pattern, setting="dataset.pattern")
    of_condition = None if settings.table is not None else settings.condition or [CONDITION]
    of_day = settings.day or (DAY if DAY in reader.names else None)
    table = None if settings.table is None else _read_wells(Path(settings.table), has_day=of_day is not None)
    found: dict[str, ImagedWell] = {}
    absent: dict[str, None] = {}
    used = set()
    for image in finding.images:
        name = image.brightfield.relative_to(root).as_posix()
        reading = reader.read(name)
        assert reading is not None  # it was found by it
        well = image.group if settings.well is None else _part(reading, settings.well, "well", name)
        assert well is not None  # of published patches alone
        day = None if of_day is None else _day_of_name(_part(reading, [of_day], "day", name), name)
        if table is None:
            assert of_condition is not None
            condition = _part(reading, of_condition, "condition", name)
        elif (row := table.get(name_key(well))) is None:
            absent[well] = None
            continue
        else:
            used.add(name_key(well))
            condition, day = row.condition, row.day if of_day is None else day
        if condition:
            found[image.raw_image_id] = ImagedWell(condition, day, well)
    if absent:
        listed = ", ".join([*list(absent)[:_LISTED], *["..."] * (len(absent) > _LISTED)])
        n_absent = f"{len(absent)} well{'s' * (len(absent) != 1)}"
        raise InputError(
            f"{settings.table} has no row for {n_absent} of the raw images ({listed})",
            advice="add it, with an empty condition where a well is to be left out",
        )
    finding.wells = _one_spelling(found, control=str(settings.control))
    finding.unused_wells = [] if table is None else [row.well for key, row in table.items() if key not in used]
    conditions = sorted({well.condition for well in finding.wells.values()}, key=in_order)
    if settings.control not in conditions:
        raise InputError(
            f"dataset.conditions.control={settings.control} is none of the conditions "
            f"({', '.join(conditions) or 'every well is left out'})",
            remedies=("dataset.conditions.control=WORD",),
        )


def _part(reading: Reading, names: list[str], what: str, path: str) -> str:
    if missing := [name for name in names if name not in reading.values]:
        raise InputError(
            f"dataset.pattern reads no {missing[0]} in {path}, which tells the {what}",
            advice=f"let the named group {missing[0]} take part in every match",
        )
    return "/".join(reading.values[name] for name in names)


def _number(text: str) -> float | None:
    """A day as a number; None where it is none."""
    try:
        day = float(text.replace(",", "."))
    except ValueError:
        return None
    return day if math.isfinite(day) else None


def _day_of_name(text: str, path: str) -> float:
    day = _number(text)
    if day is None:
        raise InputError(
            f"dataset.pattern reads the day {text} in {path}, which is no number",
            advice="let it read the digits alone, as in d{day:d}",
            remedies=("dataset.pattern=PATTERN",),
        )
    return day


def _read_wells(path: Path, *, has_day: bool) -> dict[tuple[str, ...], _Row]:
    """The table of wells, by what two ways of writing a well have in common: A1 and A01 are one.

    Args:
        path: Of the CSV.
        has_day: Whether the names of the files tell the day.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is missing",
            advice="put the table of wells there (well,condition)",
            remedies=("dataset.conditions.table=FILE",),
        )
    rows: dict[tuple[str, ...], _Row] = {}
    for line, texts in read_table(path, ("well", CONDITION), optional=(DAY,), what="well", of="well"):
        if not texts["well"]:
            raise InputError(f"{path} names no well in line {line}", advice="write its name, or remove the line")
        if DAY in texts and has_day:
            raise InputError(
                f"{path} has a column day, and the names of the files tell the day too", advice="remove one of them"
            )
        day = None
        if texts.get(DAY):
            day = _number(texts[DAY])
            if day is None:
                raise InputError(
                    f"{path} has the day {texts[DAY]} in line {line}, which is no number", advice="mend it"
                )
        elif DAY in texts and texts[CONDITION]:
            raise InputError(f"{path} has no day in line {line}", advice="write it, or remove the column")
        if (key := name_key(texts["well"])) in rows:
            raise InputError(
                f"{path} names the well {texts['well']} twice, again in line {line}",
                advice="keep one row for each well",
            )
        rows[key] = _Row(texts["well"], texts[CONDITION], day)
    return rows


def _one_spelling(wells: dict[str, ImagedWell], *, control: str) -> dict[str, ImagedWell]:
    """One name of a condition or well that is written in several ways: as the control was given, else most often."""
    kept = {}
    for part in (CONDITION, "well"):
        counts = Counter(getattr(well, part) for well in wells.values())
        kept[part] = {name_key(name): name for name in sorted(counts, key=lambda name: (counts[name], name))}
    if name_key(control) in kept[CONDITION]:
        kept[CONDITION][name_key(control)] = control
    return {
        raw: ImagedWell(kept[CONDITION][name_key(well.condition)], well.day, kept["well"][name_key(well.well)])
        for raw, well in wells.items()
    }


def describe_wells(finding: Finding) -> Iterator[str]:
    """What is known of the wells, for a dry run; nothing where no condition is the control."""
    counts: dict[tuple[float, str], set[str]] = {}
    for well in finding.wells.values():
        counts.setdefault((-math.inf if well.day is None else well.day, well.condition), set()).add(well.well)
    for day, condition in sorted(counts, key=lambda key: (key[0], in_order(key[1]))):
        wells = counts[day, condition]
        on_day = "" if day == -math.inf else f" on day {day:g}"
        listed = ", ".join(sorted(wells, key=in_order))
        yield f"condition {condition}{on_day}: {len(wells)} well{'s' * (len(wells) != 1)} ({listed})"


def areas_by_condition(
    finding: Finding, fields: pd.DataFrame, *, control: str, left_out: set[int], confidence: float
) -> dict[str, Any] | None:
    """What ``summary.json`` says of areas by condition and day; None where no condition is the control.

    Args:
        finding: With the well of each raw image.
        fields: Every field, with ``raw_image_id``, ``background`` and columns of ``AREA_WORDS``.
        control: The condition that the others are held against.
        left_out: Numbers of fields that are copies of others.
        confidence: Coverage wanted of the intervals.
    """
    if not finding.wells:
        return None
    numbers = [n for n, raw in enumerate(fields["raw_image_id"]) if raw in finding.wells and n not in left_out]
    wells = [finding.wells[fields["raw_image_id"].iloc[n]] for n in numbers]
    areas = {}
    for column in AREA_WORDS:
        if column in fields and fields[column].notna().any():
            rows = compare_conditions(
                fields[column].to_numpy(float)[numbers],
                [well.condition for well in wells],
                [well.day for well in wells],
                [well.well for well in wells],
                control=control,
                confidence=confidence,
            )
            areas[column] = [dataclasses.asdict(row) for row in rows]
    warnings = [] if not areas else _warnings(fields.iloc[numbers], wells, control=control)
    return {"control": control, "confidence": confidence, "areas": areas, "warnings": warnings}


def _warnings(fields: pd.DataFrame, wells: list[ImagedWell], *, control: str) -> list[str]:
    """What to know of fields whose background may be none: where PI is nearly everywhere, or nothing is left of it."""
    names, background = fields["raw_image_id"].tolist(), fields["background"].to_numpy(float)
    of_control: dict[float | None, list[float]] = {}
    for value, well in zip(background.tolist(), wells, strict=True):
        if well.condition == control:
            of_control.setdefault(well.day, []).append(value)
    usual = {day: float(np.median(values)) for day, values in of_control.items()}
    bright = [
        name
        for name, value, well in zip(names, background, wells, strict=True)
        if value > HAZE * usual.get(well.day, np.inf) > 0
    ]

    def have(found: list[str]) -> str:
        return f"{len(found)} field{'s have' if len(found) != 1 else ' has'}"

    lines = []
    if bright:
        on_day = " on the same day" if usual.keys() != {None} else ""
        lines.append(
            f"{have(bright)} a PI background above {HAZE:g} times that of {control}{on_day}, for example "
            f"{bright[0]}: where PI fills a field no background is left, and its area is told too small; look at them"
        )
    if none := [name for name, value in zip(names, background, strict=True) if value <= 0]:
        lines.append(
            f"{have(none)} a PI background of 0, for example {none[0]}: every pixel above 0 counts as positive"
        )
    return lines
