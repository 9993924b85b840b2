"""Reads raw image, group and channel in the names of files, and makes one group of those written in several ways."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from jimt.config.patterns import (
    ABOVE_A_FIELD,
    CHANNEL,
    GROUP,
    RAW_IMAGE_ID,
    TIMES,
    composed,
    group_names,
    parse_pattern,
)
from jimt.curation.raw_images import Finding
from jimt.errors import InputError, as_list_typed


@dataclass(frozen=True)
class NamedFile:
    """A file and what its path tells."""

    path: Path
    raw_image_id: str
    group: str | None
    channel: str | None


def read_names(
    files: list[Path], root: Path, finding: Finding, *, pattern: str, group: list[str] | None, needs: tuple[str, ...]
) -> list[NamedFile]:
    """Read the names of all files, and note what was read and which were not."""
    reader = parse_pattern(pattern, setting="dataset.pattern")
    of_group = group_names(reader, group)
    named: list[NamedFile] = []
    readings: list[dict[str, str]] = []
    for path in files:
        name = path.relative_to(root).as_posix()
        reading = reader.read(name)
        if reading is None:
            finding.unmatched.append(name)
            continue
        for part in (*needs, *of_group):
            if part not in reading.values:  # an optional group that took no part
                raise InputError(
                    f"dataset.pattern reads no {part} in {name}",
                    advice=f"let the named group {part} take part in every match",
                )
        if reading.raw_image_id is None:
            raise InputError(
                f"dataset.pattern reads no raw_image_id in {name}",
                advice="let the named group raw_image_id take part in every match",
            )
        for part, value in reading.values.items():
            finding.read.setdefault(part, Counter())[value] += 1
        of_file = "/".join(reading.values[part] for part in of_group) if of_group else reading.raw_image_id
        named.append(NamedFile(path, reading.raw_image_id, of_file, reading.values.get(CHANNEL)))
        readings.append(reading.values)
    if not named:
        example = files[0].relative_to(root).as_posix()
        raise InputError(
            f"dataset.pattern matches none of the {len(files)} images in {root}, for example "
            f"{example}{reader.explain(example)}",
            advice="mend the pattern",
            remedies=("dataset.pattern=PATTERN",),
        )
    merged = _merge_groups(named, finding)
    if set(TIMES) & set(reader.names):
        _check_times(merged, readings, reader.names, group, finding)
    return merged


def _check_times(
    named: list[NamedFile],
    readings: list[dict[str, str]],
    names: tuple[str, ...],
    group: list[str] | None,
    finding: Finding,
) -> None:
    """A position is one group for ever: its cells at one time are those at another.

    Raises:
        InputError: If ``dataset.group`` names the time of positions that have several.
    """
    times: dict[tuple[tuple[str, ...], ...], dict[str, set[str]]] = {}
    called: dict[tuple[tuple[str, ...], ...], str] = {}
    for one, values in zip(named, readings, strict=True):
        time = next((values[name] for name in TIMES if name in values), None)
        parts = [value for name, value in values.items() if name not in (*TIMES, CHANNEL, GROUP, RAW_IMAGE_ID)]
        if time is not None and one.group is not None and parts:
            place = tuple(map(name_key, parts))
            times.setdefault(place, {}).setdefault(time, set()).add(one.group)
            called.setdefault(place, "/".join(parts))
    several = {place: of_place for place, of_place in times.items() if len(of_place) > 1}
    if not several:
        return
    place, of_place = next(iter(several.items()))
    if group is not None and set(group) & set(TIMES):
        kept = [name for name in group if name not in TIMES] or [name for name in names if name in ABOVE_A_FIELD]
        raise InputError(
            f"dataset.group parts the {len(of_place)} times of the position {called[place]}, so a split could test on "
            "cells that were trained on",
            advice="" if kept else "group by what tells the place",
            remedies=(as_list_typed("dataset.group", kept),) if kept else (),
        )
    if all(len(set().union(*each.values())) == sum(map(len, each.values())) for each in several.values()):
        groups = dict.fromkeys(name for those in of_place.values() for name in sorted(those))
        finding.groups_by_time = (called[place], tuple(groups))


def name_key(name: str) -> tuple[str, ...]:
    """What two ways of writing one well, position or experiment have in common.

    The case, zeros before a number and what stands between a letter and its number make no difference: at worst two
    groups become one, which can leak nothing.

    >>> name_key("B 02") == name_key("b2") == name_key("B_002")
    True
    >>> name_key("B2") == name_key("B20") or name_key("1.5 uM") == name_key("15 uM")
    False
    """
    text = re.sub(r"(?<=[^\W\d_])[\s_-]+(?=\d)", "", composed(name).casefold())
    text = re.sub(r"[\s_-]+", " ", text)
    return tuple(
        part.lstrip("0") or "0" if part.isdigit() else part  # .05 is another number than .5
        for part in re.findall(r"[.,]\d+|\d+|[^\W\d_]+|.", text)
    )


def _merge_groups(named: list[NamedFile], finding: Finding) -> list[NamedFile]:
    """Make one group of those whose names differ only in how they are written: A1 and A01 are one well."""
    spellings: dict[tuple[str, ...], Counter[str]] = {}
    for group, n_files in Counter(one.group for one in named if one.group is not None).items():
        spellings.setdefault(name_key(group), Counter())[group] = n_files
    kept: dict[str, str] = {}
    for counts in spellings.values():
        first, *others = sorted(counts, key=lambda group: (-counts[group], group))
        kept |= dict.fromkeys(others, first)
        if others:
            finding.merged[first] = sorted(others)
    return [one if one.group is None else replace(one, group=kept.get(one.group, one.group)) for one in named]
