"""Finds the fields that a command is asked to predict: files, folders and globs, and what their names tell."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jimt.config.data import DatasetConfig
from jimt.config.patterns import Pattern, parse_pattern, without_suffix
from jimt.curation.decoding import BadImageError
from jimt.prediction.answers import Source
from jimt.prediction.field_names import position_of, read_names, told_by, without
from jimt.prediction.image_files import holds_one_image, open_images
from jimt.prediction.named_files import NamedImage, images_named
from jimt.prediction.source_names import unique_names
from jimt.prediction.time_series import Series
from jimt.prediction.well_hint import well_hint


@dataclass(frozen=True)
class Found:
    """What a command is asked to predict.

    Attributes:
        sources: Each field, sorted by path as a person sorts, numbered with those that failed.
        failed: Fields of files that cannot be opened, each with the reason, which does not name the file.
        notes: What was passed over, or could not be read in the names, each a sentence.
        series: Positions that were imaged at several times; None where none was, or nobody has asked for them.
    """

    sources: tuple[Source, ...]
    failed: tuple[tuple[Source, str], ...]
    notes: tuple[str, ...]
    series: Series | None = None


@dataclass(frozen=True)
class DatasetNames:
    """What the settings of a data set say of files like its own.

    Attributes:
        pattern: How their names are read; None of published patches.
        root: The folder that the pattern begins below.
        leave_out: Names of files that are left out on purpose.
        channel: What the pattern reads as channel on a bright-field image.
        channel_index: Place of bright-field among the channels of a file; None where each has its own file.
        pixel_size: Micrometres; None where it is not known.
    """

    pattern: Pattern | None
    root: Path
    leave_out: Pattern | None
    channel: str
    channel_index: int | None
    pixel_size: float | None


def names_of(dataset: DatasetConfig) -> DatasetNames:
    """What a data set's settings say of names, places and sizes."""
    return DatasetNames(
        None if dataset.pattern is None else parse_pattern(dataset.pattern, setting="dataset.pattern"),
        Path(dataset.root),
        None if dataset.leave_out is None else parse_pattern(dataset.leave_out, setting="dataset.leave_out"),
        dataset.brightfield,
        dataset.brightfield_index if dataset.layout == "stack" else None,
        dataset.pixel_size,
    )


def find_sources(
    words: Sequence[str],
    *,
    pattern: Pattern | None,
    root: Path | None,
    leave_out: Pattern | None,
    channel: str | None,
    time: int | None,
    out: Path | None = None,
) -> Found:
    """Every field of the files, folders and globs that were named.

    Args:
        words: As they were typed. A file whose name holds the characters of a glob is taken as that file.
        pattern: How names are read; None to read nothing in them.
        root: Of a data set, below which its pattern reads; None for none. Elsewhere the end of a path is read, with as
            many folders as the pattern asks for.
        leave_out: Files that it reads are left out; None for none.
        channel: What the pattern reads as channel on a bright-field image; files of other channels are left out.
        time: The one time point of each file that is wanted, from 0; None for all.
        out: Folder of answers, whose pictures are passed over where it lies in a folder that was named.

    Raises:
        InputError: If a word names nothing, no image is found, the pattern reads none, or two files are the same field.
    """
    notes: list[str] = []
    images = images_named(words, notes, out=out)
    if leave_out is not None:
        images = without(images, leave_out, root, notes)
    if pattern is not None:
        images = read_names(images, pattern, root, channel, notes)
    elif (hint := well_hint([image.path.name for image in images])) is not None:
        notes.append(hint)
    found: list[tuple[NamedImage, Source, str | None]] = []
    for image in images:
        found += [(image, source, reason) for source, reason in _sources_of(image, time)]
    own = _own_names(images)
    names = unique_names(
        [own[image.path] for image, *_ in found],
        [image.path.absolute() for image, *_ in found],
        [source.name for _, source, _ in found],
    )
    numbered = [
        (dataclasses.replace(source, number=number, name=name), reason)
        for number, (name, (_, source, reason)) in enumerate(zip(names, found, strict=True))
    ]
    return Found(
        tuple(source for source, reason in numbered if reason is None),
        tuple((source, reason) for source, reason in numbered if reason is not None),
        tuple(notes),
    )


def _sources_of(image: NamedImage, time: int | None) -> Iterator[tuple[Source, str | None]]:
    """The fields of a file with the reason why one cannot be used; what tells them apart stands as their name."""
    told, place = told_by(image.reading), position_of(image.reading)
    path = Path(shown(image.path))

    def source(apart: str, series: int = 0, index: int | None = None, seconds: float | None = None) -> Source:
        moment, position = (told.time, place) if index is None else (str(index), str(image.path.absolute()))
        if position is not None and len(n_times) > 1:
            position += f"_s{series}"
        names = told.plate, told.well, told.field
        return Source(0, path, apart, series, index, *names, moment, position, seconds)

    n_times: list[int] = [1]
    clocks: list[tuple[float, ...] | None] = [None]
    if path != image.path:
        yield source(""), "has a name that is no text in UTF-8: rename the file or folder"
        return
    try:
        if not holds_one_image(image.path):
            with open_images(image.path) as stacks:
                n_times, clocks = [stack.n_times for stack in stacks], [stack.seconds for stack in stacks]
    except BadImageError as error:
        yield source(""), str(error)
        return
    for series, n in enumerate(n_times):
        apart = f"_s{series}" if len(n_times) > 1 else ""
        if n == 1 and not time:
            yield source(apart, series), None
        elif time is not None and time >= n:
            points = f"{n} time points" if n > 1 else "one time point"
            yield source(apart, series), f"has {points}, so no {time} (counted from 0)"
        else:
            clock = clocks[series]
            for index in range(n) if time is None else [time]:
                yield source(f"{apart}_t{index:03d}", series, index, None if clock is None else clock[index]), None


def _own_names(images: list[NamedImage]) -> dict[Path, str]:
    """What the fields of each file are called unless others are called so too: as the pattern reads, or by the path."""
    read = {image.path: image.reading.raw_image_id for image in images if image.reading and image.reading.raw_image_id}
    n_of = Counter(name.casefold() for name in read.values())
    return {
        image.path: read[image.path]
        if n_of[read.get(image.path, "").casefold()] == 1
        else without_suffix(shown(Path(image.below)))
        for image in images
    }


def shown(path: Path) -> str:
    """A path as text that every file can hold: bytes that are no UTF-8 are spelt out."""
    return str(path).encode("utf-8", "backslashreplace").decode()
