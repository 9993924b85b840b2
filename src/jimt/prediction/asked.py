"""What a command asks to be predicted, and the fields that it finds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jimt
from jimt.config.patterns import CHANNEL, Pattern, parse_pattern
from jimt.errors import InputError
from jimt.prediction.answers import Source
from jimt.prediction.inputs import DatasetNames, Found, find_sources
from jimt.prediction.planes import PlaneChoice
from jimt.prediction.time_series import follow
from jimt.system.files import digest_of_file


@dataclass(frozen=True)
class Asked:
    """What a command asks for.

    Attributes:
        run: Folder of a run, or a checkpoint.
        images: Files, folders and globs, as they were typed.
        out: Where answers go.
        pattern: How names are read; None for the data set's, or not at all.
        dataset: Name of the data set whose settings read the names; None for none.
        channel: Of bright-field, a number from 0 or a name; None where there is one alone, or for the data set's.
        z: Which plane of several.
        time: The one time point that is wanted; None for all.
        pixel_size: Micrometres; None to go by the data set, or else by the files.
        check: Channel of PI, a number from 0 or a name; None where there is none.
        include_flagged: Whether fields that are unlike the training data enter the means.
        excel: Whether a workbook is written, too.
        onset: Dead share whose passing is the onset of a time series; None for the usual one.
        doses: Table of what wells were given; None for no curves.
        accelerator: ``cpu`` or ``gpu``; None for the training's.
        dask: Address of the scheduler of a Dask cluster; None to predict on this machine.
    """

    run: Path
    images: tuple[str, ...]
    out: Path
    pattern: str | None
    dataset: str | None
    channel: int | str | None
    z: PlaneChoice
    time: int | None
    pixel_size: float | None
    check: int | str | None
    include_flagged: bool
    excel: bool
    onset: float | None
    doses: Path | None
    accelerator: str | None
    dask: str | None


def depends_on(asked: Asked, checkpoint: Path, names: DatasetNames | None) -> dict[str, Any]:
    """What answers depend on, beside the files: a prediction that goes on must have the same."""
    told = ("pattern", "dataset", "channel", "z", "time", "check")
    return {
        "model": digest_of_file(checkpoint),
        "images": list(asked.images),
        **{name: getattr(asked, name) for name in told},
        "pixel_size": pixel_size_of(asked, names),
        "version of jimt": jimt.__version__,
    }


def _reads(asked: Asked, names: DatasetNames | None) -> tuple[Pattern | None, Path | None]:
    """How names are read, and below which folder."""
    if asked.pattern is not None:
        return parse_pattern(asked.pattern, setting="--pattern"), None
    return (None, None) if names is None else (names.pattern, names.root)


def channel_of_file(asked: Asked, names: DatasetNames | None) -> int | str | None:
    """Which channel of each file is bright-field; None where each channel has files of its own, or nothing says it."""
    pattern, _ = _reads(asked, names)
    if pattern is not None and CHANNEL in pattern.names:
        return None
    if asked.channel is not None:
        return asked.channel
    return None if names is None else names.channel_index


def pixel_size_of(asked: Asked, names: DatasetNames | None) -> float | None:
    """Micrometres a pixel, as the command says or else the data set; None to go by the files."""
    if asked.pixel_size is not None:
        return asked.pixel_size
    return None if names is None else names.pixel_size


def find_fields(asked: Asked, names: DatasetNames | None) -> Found:
    """The fields that are asked for, and which are of one position; errors as of ``find_sources`` and ``follow``."""
    pattern, root = _reads(asked, names)
    word = None if asked.channel is None else str(asked.channel)
    found = find_sources(
        asked.images,
        pattern=pattern,
        root=root,
        leave_out=None if names is None else names.leave_out,
        channel=word or (None if names is None else names.channel),
        time=asked.time,
        out=asked.out,
    )
    notes = [*found.notes]
    series = follow([*found.sources, *(source for source, _ in found.failed)], notes)
    return replace(found, notes=tuple(notes), series=series)


def find_pi(asked: Asked, names: DatasetNames | None, found: Found) -> dict[int, Source]:
    """Where PI of each field is, by the field's number; none of fields without.

    Raises:
        InputError: If PI is asked for, and is beside none or is bright-field itself.
    """
    if asked.check is None:
        return {}
    if str(asked.check) == str(asked.channel):
        raise InputError(f"--check {asked.check} names the channel of bright-field", advice="name that of PI")
    pattern, root = _reads(asked, names)
    if pattern is None or CHANNEL not in pattern.names:  # a channel of the same files
        return {source.number: source for source in found.sources}
    leave_out = None if names is None else names.leave_out
    try:
        of_pi = find_sources(
            asked.images,
            pattern=pattern,
            root=root,
            leave_out=leave_out,
            channel=str(asked.check),
            time=asked.time,
            out=asked.out,
        )
    except InputError as error:  # of PI the channel is another option
        given = tuple(remedy.replace("--channel", "--check") for remedy in error.remedies)
        raise InputError(error.cause, advice=error.advice, remedies=given) from error
    every = (*of_pi.sources, *(source for source, _ in of_pi.failed))  # reading these tells why
    by_name = {(source.name, source.series, source.time_index): source for source in every}
    beside = {
        source.number: by_name[key]
        for source in found.sources
        if (key := (source.name, source.series, source.time_index)) in by_name
    }
    if not beside:
        raise InputError(
            f"none of {len(found.sources)} fields has an image of the channel {asked.check} beside it",
            advice="name the folders of both channels",
        )
    return beside
