"""The first stage: every raw image is read once and cut into patches; those that cannot be used are told."""

import dataclasses
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jimt.config.curating import CurationConfig, LabelConfig
from jimt.config.data import DatasetConfig
from jimt.curation.channels import ReadSettings
from jimt.curation.copies import Copies, find_copies
from jimt.curation.exchanged import describe_exchanged
from jimt.curation.field_writer import FieldWriter, write_fields
from jimt.curation.found import print_lines
from jimt.curation.nuclei import NucleiSettings
from jimt.curation.parallel.executors import open_executor
from jimt.curation.patches import Scaling, dataset_grey_range
from jimt.curation.payload import UsedBits, check_bits, unused_bits
from jimt.curation.positive import PositiveSettings
from jimt.curation.raw_images import Finding
from jimt.curation.reading import brightfield_histogram, evidence_of, read_field
from jimt.curation.saturation import saturation_summary
from jimt.curation.shift import from_text, stacked
from jimt.curation.shift_consensus import shift_summary, shifts_of_fields, with_shift_sought
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
    saturation: dict[str, Any]
    shift: dict[str, Any] | None
    """None of published patches."""


def read_usable(
    dataset: DatasetConfig, curation: CurationConfig, finding: Finding, partial: Path, console: Console
) -> RawPatches:
    """A row for each patch, those with too much no-data and copies marked; bad raw images are refused or skipped."""
    root = Path(dataset.root)
    if curation.align and dataset.layout == "patches":
        raise InputError(
            "curation.align is without effect for published patches, which have no fluorescence",
            remedies=("curation.align=false",),
        )
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
    return RawPatches(
        manifest,
        fields,
        scaling,
        bad,
        copies,
        left_out,
        bits,
        exchanged,
        saturation_summary(fields),
        None if dataset.layout == "patches" else shift_summary(fields, aligned=curation.align),
    )


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

    def progress_of(what: str) -> Progress:
        return Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console)

    with open_executor(
        curation.executor, n_jobs=curation.n_jobs, folder=partial.parent, images=finding.images
    ) as in_parallel:
        images = finding.images if dataset.layout == "patches" else with_shift_sought(finding.images)
        if curation.align:
            sought = progress_of("comparing channels")
            with sought:
                found = sought.track(in_parallel(evidence_of, images, settings), total=len(images))
                shifts = shifts_of_fields(stacked(found), np.array([raw.group for raw in images], object))
            images = [
                dataclasses.replace(raw, shift=shift, seeks_shift=False)
                for raw, shift in zip(images, shifts, strict=True)
            ]
        grey = None
        if curation.scaling.method == "percentile_dataset":
            histograms = in_parallel(brightfield_histogram, finding.images, settings)
            grey = dataset_grey_range(histograms, low_percentile=percentiles[0], high_percentile=percentiles[1])
        scaling = Scaling(curation.scaling.method, dataset.bit_depth, *percentiles, *(grey or (None, None)))
        with FieldWriter(partial, root=Path(dataset.root)) as writer:
            with progress_of("reading raw images") as progress:
                task = progress.add_task("read", total=len(finding.images), completed=writer.n_images)
                committed = time.monotonic()
                remaining = images[writer.n_images :]
                folder = None if curation.executor.backend == "local" else writer.spool.absolute()
                for result in in_parallel(read_field, remaining, settings, scaling, folder):
                    writer.add(result)
                    if time.monotonic() - committed > _COMMIT_SECONDS:
                        writer.commit()
                        committed = time.monotonic()
                    progress.advance(task)
            rows, fields = writer.finish()
            if dataset.layout != "patches":
                by_id = {raw.raw_image_id: raw.shift for raw in images}
                evidence = stacked(from_text(text) for text in fields["evidence"])
                of_fields = (
                    [by_id[name] for name in fields["raw_image_id"]]
                    if curation.align
                    else shifts_of_fields(evidence, fields["group"].to_numpy(object))
                )
                for column in ("y", "x"):
                    values = [None if shift is None else getattr(shift, column) for shift in of_fields]
                    fields[f"shift_{column}"] = pd.array(values, dtype="Int16")
            write_fields(partial, fields)
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
