"""The first stage: every raw image is read once and cut into patches; those that cannot be used are told."""

import dataclasses
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jimt.config.curating import CurationConfig, LabelConfig
from jimt.config.data import DatasetConfig
from jimt.curation.copies import Copies, find_copies
from jimt.curation.exchanged import describe_exchanged
from jimt.curation.field_writer import FieldWriter
from jimt.curation.found import print_lines
from jimt.curation.nuclei import NucleiSettings
from jimt.curation.parallel.executors import open_executor
from jimt.curation.patches import Scaling
from jimt.curation.payload import UsedBits, check_bits, unused_bits
from jimt.curation.positive import PositiveSettings
from jimt.curation.raw_images import Finding
from jimt.curation.reading import ReadSettings, brightfield_histogram, dataset_grey_range, read_field
from jimt.errors import InputError
from jimt.vocabulary import COUNTING_SCALES, Excluded

_COMMIT_SECONDS = 2.0  # work an interruption may cost


@dataclass(frozen=True)
class RawPatches:
    """What the raw images hold, before anything is judged by its looks."""

    manifest: pd.DataFrame
    fields: pd.DataFrame
    scaling: Scaling
    bad: dict[str, str]
    copies: Copies
    left_out: dict[str, str]
    bits: dict[str, int]
    exchanged: list[str]


def read_usable(
    dataset: DatasetConfig, curation: CurationConfig, finding: Finding, partial: Path, console: Console
) -> RawPatches:
    """A row for each patch, those with too much no-data and copies marked; bad raw images are refused or skipped."""
    root = Path(dataset.root)
    scaling, manifest, fields, bad, bits = read_all(dataset, curation, finding, partial, console)
    bad = finding.bad | {Path(path).relative_to(root.absolute()).as_posix(): reason for path, reason in bad.items()}
    copies = find_copies(fields)
    left_out = {str(fields["file"].iloc[number]): reason for number, reason in copies.leaking.items()}
    n_found = len(finding.images) + len(finding.bad)
    unusable = bad | left_out
    if unusable and (curation.on_bad_image == "raise" or not len(manifest)):
        raise InputError(
            f"{len(unusable)} of {n_found} raw images cannot be used",
            advice="mend or remove them",
            remedies=("curation.on_bad_image=skip",) if len(manifest) else (),
            listed=tuple(f"{name}: {reason}" for name, reason in sorted(unusable.items())),
        )
    exchanged = fields.loc[fields["exchanged"].to_numpy(bool), "raw_image_id"].tolist()
    if exchanged:  # now, since the labels may fail because of it
        print_lines([describe_exchanged(exchanged, len(fields), dataclasses.asdict(dataset))], console)

    of_field = manifest["field"].to_numpy()
    for column in ("raw_image_id", "group"):
        of_fields = pd.Categorical(fields[column])  # a number for each of many rows, and each name once
        manifest[column] = pd.Categorical.from_codes(of_fields.codes[of_field], dtype=of_fields.dtype)
    manifest["excluded"] = no_words(len(manifest), Excluded)
    # a patch of nothing but padding has no mean, whatever share of padding is allowed
    no_data = (manifest["no_data"] > curation.patches.max_no_data) | (manifest["no_data"] == 1)
    manifest.loc[no_data, "excluded"] = Excluded.NO_DATA.value
    manifest.loc[manifest["field"].isin(copies.leaking), "excluded"] = Excluded.COPY.value
    return RawPatches(manifest, fields, scaling, bad, copies, left_out, bits, exchanged)


def no_words(n_rows: int, words: type[StrEnum]) -> "pd.Categorical[str]":
    """A column of nulls that takes the words of an enumeration, a byte a row."""
    words_of = pd.Index([word.value for word in words])
    return pd.Categorical.from_codes(np.full(n_rows, -1, np.int8), categories=words_of)


def positive_settings(settings: LabelConfig) -> PositiveSettings:
    """What counts as PI-positive, of a field's area and, where ``measures_patches``, of its patches."""
    return PositiveSettings(
        **dataclasses.asdict(settings.positive),
        percentile=settings.background_percentile,
        count_nuclei=settings.scale == "positive_nuclei",
    )


def measures_patches(settings: LabelConfig) -> bool:
    """Whether what is PI-positive is measured of each patch; not where labels are of a mean."""
    return settings.scale in COUNTING_SCALES


def read_all(
    dataset: DatasetConfig, curation: CurationConfig, finding: Finding, partial: Path, console: Console
) -> tuple[Scaling, pd.DataFrame, pd.DataFrame, dict[str, str], dict[str, int]]:
    """Read every raw image once, in parallel; what an interrupted run has read is not read again.

    Returns:
        How bright-field became 8 bits, the rows of all patches and of all fields, images that cannot be used with their
        reasons, and what ``summary.json`` says of the bits that all use.
    """
    settings = ReadSettings(
        layout=dataset.layout,
        indices={name: int(place) for name, place in dataset.channels().items()} if dataset.layout == "stack" else {},
        bit_depth=dataset.bit_depth,
        bit_shift=dataset.bit_shift,
        patch_size=curation.patches.size,
        stride=curation.patches.stride,
        background_percentile=curation.label.background_percentile,
        positive=positive_settings(curation.label),
        patches_positive=measures_patches(curation.label),
        nuclei=NucleiSettings(**dataclasses.asdict(curation.nuclei)),
    )
    percentiles = (curation.scaling.low_percentile, curation.scaling.high_percentile)
    progress = Progress(
        TextColumn("reading raw images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    with open_executor(
        curation.executor, n_jobs=curation.n_jobs, folder=partial.parent, images=finding.images
    ) as in_parallel:
        grey = None
        if curation.scaling.method == "percentile_dataset":
            histograms = in_parallel(brightfield_histogram, finding.images, settings)
            grey = dataset_grey_range(histograms, low_percentile=percentiles[0], high_percentile=percentiles[1])
        scaling = Scaling(curation.scaling.method, dataset.bit_depth, *percentiles, *(grey or (None, None)))
        with FieldWriter(partial, root=Path(dataset.root)) as writer:
            with progress:
                task = progress.add_task("read", total=len(finding.images), completed=writer.n_images)
                committed = time.monotonic()
                remaining = finding.images[writer.n_images :]
                for result in in_parallel(read_field, remaining, settings, scaling, writer.spool.absolute()):
                    writer.add(result)
                    if time.monotonic() - committed > _COMMIT_SECONDS:
                        writer.commit()
                        committed = time.monotonic()
                    progress.advance(task)
            rows, fields = writer.finish()
    root = Path(dataset.root).absolute()
    used = [
        UsedBits(**bits | {"file": Path(bits["file"]).relative_to(root).as_posix()})
        for field in writer.fields
        for bits in field["bits"]
    ]
    bits = {
        "masked_offset": check_bits(used, bit_depth=dataset.bit_depth, bit_shift=dataset.bit_shift),
        "unused_bits": unused_bits(used, range_bits=scaling.range_bits, bit_shift=dataset.bit_shift),
    }
    return scaling, rows, fields, writer.bad, bits
