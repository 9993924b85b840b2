"""What a pattern reads in the names of images: channel, plate, well, field, time."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jimt.config.patterns import CHANNEL, GROUP, RAW_IMAGE_ID, TIMES, Pattern, Reading, composed
from jimt.errors import InputError, did_you_mean
from jimt.prediction.named_files import NamedImage
from jimt.prediction.source_names import natural_key
from jimt.prediction.well_names import canonical_well

_TELLS: Final = {
    "plate": ("plate", "experiment"),
    "well": ("well",),
    "field": ("field", "position", "site"),
    "time": TIMES,
}
"""Placeholders or named groups of a pattern that tell each part of a source, the first that is there."""
_OF_NO_POSITION: Final = frozenset({CHANNEL, RAW_IMAGE_ID, *TIMES})
_LISTED: Final = 8  # channels in a sentence


@dataclass(frozen=True)
class Told:
    """Plate, well, field and time, as far as a name tells them; the well in its one form."""

    plate: str | None
    well: str | None
    field: str | None
    time: str | None


def told_by(reading: Reading | None) -> Told:
    """What was read in a name."""
    values = {} if reading is None else reading.values
    told = {part: next((values[name] for name in names if name in values), None) for part, names in _TELLS.items()}
    well = told["well"]
    return Told(told["plate"], None if well is None else canonical_well(well), told["field"], told["time"])


def position_of(reading: Reading | None) -> str | None:
    """All that was read but time, channel and the whole name, which tell a position at every time; None without a time.

    >>> of_name = {"plate": "P1", "well": "a1", "field": "3", "time": "24h", "channel": "BF"}
    >>> position_of(Reading(of_name, "P1/a1_s3_24h"))
    'P1/A01/3'
    """
    if reading is None or told_by(reading).time is None:
        return None
    values = {name: value for name, value in reading.values.items() if name not in _OF_NO_POSITION}
    if values.get(GROUP) in [value for name, value in values.items() if name != GROUP]:
        del values[GROUP]  # which is mostly the well
    if "well" in values:
        values["well"] = canonical_well(values["well"]) or values["well"]
    return "/".join(values.values())


def _read(pattern: Pattern, image: NamedImage, root: Path | None) -> Reading | None:
    """What a pattern reads in a path below the data set's folder, below that which was named, or at its end."""
    whole = image.path.absolute()
    paths = []
    if root is not None and whole.is_relative_to(root.absolute()):
        paths.append(whole.relative_to(root.absolute()).as_posix())
    paths.append(image.below)
    parts = whole.parts[1:]
    paths += ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
    readings = (pattern.read(path) for path in dict.fromkeys(paths))
    return next((reading for reading in readings if reading is not None), None)


def without(images: list[NamedImage], leave_out: Pattern, root: Path | None, notes: list[str]) -> list[NamedImage]:
    """Images without those that another pattern reads.

    Raises:
        InputError: If none is left.
    """
    kept = [image for image in images if _read(leave_out, image, root) is None]
    if not kept:
        raise InputError(f"{leave_out.setting}={leave_out.text} leaves out every image", advice="name others")
    if len(kept) < len(images):
        notes.append(f"{len(images) - len(kept)} images are left out, as {leave_out.setting} says")
    return kept


def read_names(
    images: list[NamedImage], pattern: Pattern, root: Path | None, channel: str | None, notes: list[str]
) -> list[NamedImage]:
    """Images with what the pattern reads, those of other channels than bright-field left out.

    Args:
        images: As they were named.
        pattern: How names are read.
        root: Of a data set, below which the pattern reads; elsewhere the end of a path is read.
        channel: What the pattern reads as channel on a bright-field image.
        notes: What could not be read is added to it.

    Raises:
        InputError: If it reads nothing, no bright-field image, or the same field twice.
    """
    named = [dataclasses.replace(image, reading=_read(pattern, image, root)) for image in images]
    unread = [image for image in named if image.reading is None]
    given = f"{pattern.setting}={pattern.text}"
    if len(unread) == len(named):
        example = unread[0].below
        raise InputError(
            f"{given} matches none of {len(named)} images, for example {example}{pattern.explain(example)}",
            advice="mend it, or do without",
        )
    if CHANNEL in pattern.names:
        named = _of_channel([image for image in named if image.reading is not None], given, channel)
        told = "passed over, since the names do not tell their channel"
    else:
        told = "predicted without plate, well and field"
    if unread:
        many = f"{len(unread)} of {len(images)} images"
        notes.append(f"{given} does not match {many}, which are {told}, for example {unread[0].below}")
    _refuse_twice(named, pattern)
    odd = {
        image.reading.values["well"]: image
        for image in named
        if image.reading is not None
        and "well" in image.reading.values
        and canonical_well(image.reading.values["well"]) is None
    }
    if odd:
        word, image = next(iter(odd.items()))
        notes.append(
            f"{len(odd)} of the wells that names tell {'are' if len(odd) > 1 else 'is'} none such as A01 or AB07, and "
            f"left blank, for example {word} of {image.below}"
        )
    return named


def _of_channel(named: list[NamedImage], given: str, channel: str | None) -> list[NamedImage]:
    words = [None if image.reading is None else image.reading.values.get(CHANNEL) for image in named]
    seen = sorted({word for word in words if word is not None}, key=natural_key)
    listed = ", ".join(seen[:_LISTED] + ["..."] * (len(seen) > _LISTED)) or "none"
    if channel is None:
        raise InputError(
            f"{given} reads the channels {listed}, and nothing says which is bright-field",
            remedies=("--channel WORD",),
        )
    kept = [image for image, word in zip(named, words, strict=True) if word == composed(channel)]
    if not kept:
        raise InputError(
            f"no image has the channel {channel}, and {given} reads the channels {listed}",
            advice=did_you_mean(channel, seen, otherwise=""),
            remedies=("--channel WORD",),
        )
    return kept


def _refuse_twice(named: list[NamedImage], pattern: Pattern) -> None:
    """Refuse two files that are the same field by all that the pattern reads, where it reads fields."""
    if not set(_TELLS["field"]) & set(pattern.names):
        return
    first: dict[tuple[tuple[str, str], ...], NamedImage] = {}
    for image in named:
        if image.reading is None:
            continue
        values = dict(image.reading.values)
        if "well" in values:
            values["well"] = canonical_well(values["well"]) or values["well"]
        field = tuple(sorted(values.items()))
        if field in first:
            raise InputError(
                f"{first[field].below} and {image.below} are the same field by {pattern.setting}={pattern.text}",
                advice="name one of them, or let the pattern tell them apart, as by {plate} or {channel}",
            )
        first[field] = image
