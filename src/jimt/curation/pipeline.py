"""Raw images to a manifest: the paper's Methods from "Raw images" to the splits of Table 1, top to bottom.

This file alone unpacks the config; the stages take arrays and numbers.
"""

import dataclasses
import json
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import jimt
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation import empty_filter as filtering
from jimt.curation.copies import Copies, find_copies
from jimt.curation.exchanged import describe_exchanged
from jimt.curation.finding import Finding
from jimt.curation.fluorescence import label_values
from jimt.curation.found import print_lines
from jimt.curation.hand_label_pool import HandLabelled, features_made_with, hand_labels_path, pool, save_hand_labelled
from jimt.curation.hand_labels import UnusedLabels, read_hand_labels, unused_labels
from jimt.curation.labels import fit_label_thresholds, label_patches
from jimt.curation.manifest import FILTER, FILTER_LABELS, MANIFEST, SUMMARY, THRESHOLDS, write_manifest
from jimt.curation.parallel.executors import open_executor
from jimt.curation.patches import Scaling
from jimt.curation.payload import UsedBits, check_bits, unused_bits
from jimt.curation.reading import ReadSettings, brightfield_histogram, dataset_grey_range, read_field
from jimt.curation.splits import check_both_classes, group_folds, split_groups
from jimt.curation.store import FieldStore, FieldWriter
from jimt.curation.summary import count_stages
from jimt.errors import InputError
from jimt.vocabulary import AMBIGUOUS, Excluded, Split

_COMMIT_SECONDS = 2.0  # work an interruption may cost
_UNMATCHED_KEPT = 100  # names of files that are passed over; there may be any number
_EMBED_AT_ONCE = 1024  # patches whose features are held at a time


def run_pipeline(
    dataset: DatasetConfig,
    curation: CurationConfig,
    finding: Finding,
    reference: dict[str, Any] | None,
    others: dict[str, HandLabelled] | None,
    fingerprint: str,
    partial: Path,
    embed: filtering.Embed,
    console: Console,
) -> None:
    """Every stage in the order of the paper, and the four files a curation leaves.

    Args:
        dataset: Where the raw images lie and how they are read.
        curation: Every number from raw image to split.
        finding: The raw images that were found.
        reference: Cut-offs to label with; None to fit them on this data set.
        others: Hand-labelled patches of the other data sets the empty filter is trained on, by name; None where there
            is no filter for want of hand labels, or because it is off.
        fingerprint: What identifies this curation.
        partial: Folder to write in; may hold the commits of an interrupted run.
        embed: Features of the empty filter's network.
        console: Where progress is shown.

    Raises:
        InputError: If a stage cannot do its work; the message says what to change.
    """
    raw = _read_usable(dataset, curation, finding, partial, console)
    manifest, fields, copies = raw.manifest, raw.fields, raw.copies
    filter_report = _drop_empty(dataset, curation, others, manifest, partial, embed, console)
    thresholds = _label(dataset, curation, manifest, fields, reference)
    _split(dataset, curation, manifest, fields)

    summary = {
        "dataset": dataset.name,
        "root": str(Path(dataset.root).absolute()),  # the config's may be below another working directory
        "fingerprint": fingerprint,
        "jimt_version": jimt.__version__,
        "group_known": bool(manifest["group"].notna().all()),
        "n_raw_images": len(fields) if dataset.layout != "patches" else int(manifest["raw_image_id"].nunique()),
        "n_ignored_files": finding.n_ignored,
        "unmatched_files": finding.unmatched[:_UNMATCHED_KEPT],
        "merged_groups": finding.merged,
        "bad_images": raw.bad,
        "copies": {"left_out": raw.left_out, "within_group": copies.within_group},
        **raw.bits,
        "look_exchanged": raw.exchanged,
        "empty_filter": filter_report,
        "scaling": dataclasses.asdict(raw.scaling),
        "patch_size": curation.patches.size,
        "counts": count_stages(manifest),
        "config": {"dataset": dataclasses.asdict(dataset), "curation": dataclasses.asdict(curation)},
    }
    write_manifest(manifest, partial / MANIFEST)
    (partial / THRESHOLDS).write_text(json.dumps(thresholds, indent=2) + "\n")
    (partial / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    for commit in partial.glob("commit-*"):
        commit.unlink()


def keep_hand_labels(
    dataset: DatasetConfig,
    curation: CurationConfig,
    finding: Finding,
    partial: Path,
    embed: filtering.Embed,
    console: Console,
) -> HandLabelled:
    """Keep the features of hand-labelled patches for other data sets, and do nothing else; see ``run_pipeline``."""
    raw = _read_usable(dataset, curation, finding, partial, console)
    return _own_hand_labels(dataset, curation, raw.manifest, FieldStore(partial), embed)[1]


@dataclass(frozen=True)
class _Raw:
    """What the raw images hold, before anything is judged by its looks."""

    manifest: pd.DataFrame
    fields: pd.DataFrame
    scaling: Scaling
    bad: dict[str, str]
    copies: Copies
    left_out: dict[str, str]
    bits: dict[str, int]
    exchanged: list[str]


def _read_usable(
    dataset: DatasetConfig, curation: CurationConfig, finding: Finding, partial: Path, console: Console
) -> _Raw:
    """A row for each patch, those with too much no-data and copies marked; bad raw images are refused or skipped."""
    root = Path(dataset.root)
    scaling, rows, fields, bad, bits = _read_all(dataset, curation, finding, partial, console)
    bad = finding.bad | {Path(path).relative_to(root.absolute()).as_posix(): reason for path, reason in bad.items()}
    copies = find_copies(fields)
    left_out = {str(fields["file"].iloc[number]): reason for number, reason in copies.leaking.items()}
    n_found = len(finding.images) + len(finding.bad)
    unusable = bad | left_out
    if unusable and (curation.on_bad_image == "raise" or not len(rows)):
        raise InputError(
            f"{len(unusable)} of {n_found} raw images cannot be used",
            advice="mend or remove them",
            remedies=("curation.on_bad_image=skip",) if len(rows) else (),
            listed=tuple(f"{name}: {reason}" for name, reason in sorted(unusable.items())),
        )
    exchanged = fields.loc[fields["exchanged"].to_numpy(bool), "raw_image_id"].tolist()
    if exchanged:  # now, since the labels may fail because of it
        print_lines([describe_exchanged(exchanged, len(fields), dataclasses.asdict(dataset))], console)

    manifest = rows
    of_field = manifest["field"].to_numpy()
    for column in ("raw_image_id", "group"):
        of_fields = pd.Categorical(fields[column])  # a number for each of many rows, and each name once
        manifest[column] = pd.Categorical.from_codes(of_fields.codes[of_field], dtype=of_fields.dtype)
    manifest["excluded"] = _no_words(len(manifest), Excluded)
    # a patch of nothing but padding has no mean, whatever share of padding is allowed
    no_data = (manifest["no_data"] > curation.patches.max_no_data) | (manifest["no_data"] == 1)
    manifest.loc[no_data, "excluded"] = Excluded.NO_DATA.value
    manifest.loc[manifest["field"].isin(copies.leaking), "excluded"] = Excluded.COPY.value
    return _Raw(manifest, fields, scaling, bad, copies, left_out, bits, exchanged)


def _no_words(n_rows: int, words: type[StrEnum]) -> "pd.Categorical[str]":
    """A column of nulls that takes the words of an enumeration, a byte a row."""
    nothing = np.full(n_rows, -1, np.int8)
    return pd.Categorical.from_codes(nothing, categories=pd.Index([word.value for word in words]))


def _read_all(
    dataset: DatasetConfig, curation: CurationConfig, finding: Finding, partial: Path, console: Console
) -> tuple[Scaling, pd.DataFrame, pd.DataFrame, dict[str, str], dict[str, int]]:
    """Read every raw image once, in parallel; what an interrupted run has read is not read again.

    Returns:
        How bright-field became 8 bits, the rows of all patches and of all fields, images that cannot be used with their
        reasons, and what ``summary.json`` says of the bits that all use.
    """
    settings = ReadSettings(
        layout=dataset.layout,
        indices=(dataset.brightfield_index, dataset.fluorescence_index),
        bit_depth=dataset.bit_depth,
        bit_shift=dataset.bit_shift,
        patch_size=curation.patches.size,
        stride=curation.patches.stride,
        background_percentile=None if curation.label.scale == "raw" else curation.label.background_percentile,
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
        low, high = grey if grey is not None else (None, None)
        scaling = Scaling(curation.scaling.method, dataset.bit_depth, *percentiles, low, high)
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


def _features_of(
    rows: pd.DataFrame, store: FieldStore, size: int, embed: filtering.Embed
) -> np.ndarray[Any, np.dtype[np.float32]]:
    field, y, x = (rows[name].to_numpy(np.int32) for name in ("field", "y", "x"))
    return embed(store.patches(field, y, x, size=size))


def _own_hand_labels(
    dataset: DatasetConfig, curation: CurationConfig, manifest: pd.DataFrame, store: FieldStore, embed: filtering.Embed
) -> tuple[pd.DataFrame, HandLabelled, UnusedLabels]:
    """Features of this data set's hand-labelled patches, kept in a file for other data sets.

    Returns:
        Rows of the manifest, what was kept, and which hand labels are of no patch that is used.
    """
    assert dataset.empty_labels is not None  # curate checks it
    hand = read_hand_labels(
        Path(dataset.empty_labels), empty_word=dataset.empty_word, not_empty_word=dataset.not_empty_word
    )
    kept = manifest[manifest["excluded"].isna()]
    rows = kept.drop(columns="empty", errors="ignore").merge(hand, on=["raw_image_id", "y", "x"], how="inner")
    if not len(rows):
        raise InputError(
            f"none of the {len(hand)} hand labels in {dataset.empty_labels} is of a patch of this data set",
            advice="check its raw_image_id, and that y and x are multiples of curation.patches.stride",
        )
    labelled = HandLabelled(
        dataset=dataset.name,
        made_with=features_made_with(curation),
        features=_features_of(rows, store, curation.patches.size, embed),
        empty=rows["empty"].to_numpy(bool),
        raw_image_ids=rows["raw_image_id"].to_numpy(str),
        groups=rows["group"].to_numpy(str) if rows["group"].notna().all() else None,
        y=rows["y"].to_numpy(np.int32),
        x=rows["x"].to_numpy(np.int32),
    )
    save_hand_labelled(hand_labels_path(Path(curation.output_root), dataset.name), labelled)
    return rows, labelled, unused_labels(hand, manifest)


def _drop_empty(
    dataset: DatasetConfig,
    curation: CurationConfig,
    others: dict[str, HandLabelled] | None,
    manifest: pd.DataFrame,
    partial: Path,
    embed: filtering.Embed,
    console: Console,
) -> dict[str, Any]:
    settings = curation.empty_filter
    manifest["empty_score"] = np.full(len(manifest), np.nan, np.float32)
    manifest["empty"] = pd.array([None] * len(manifest), dtype="boolean")
    if not settings.enabled:
        return {"status": "off"}
    if dataset.layout == "patches":
        return {"status": "off for published patches"}
    if others is None:
        return {"status": "no labels"}
    store, size = FieldStore(partial), curation.patches.size
    parts, unused = dict(others), UnusedLabels(0, 0, 0, None)
    field = {name: np.full(len(part.empty), -1, np.int32) for name, part in others.items()}  # of those none is here
    if dataset.name in settings.fit_on:
        rows, parts[dataset.name], unused = _own_hand_labels(dataset, curation, manifest, store, embed)
        field[dataset.name] = rows["field"].to_numpy(np.int32)
    pooled = pool([parts[name] for name in settings.fit_on])
    pipeline, report, held_out = filtering.fit_empty_filter(
        pooled.features,
        pooled.empty,
        pooled.raw_image_ids,
        pooled.groups,
        kernel=settings.kernel,
        regularisation=settings.regularisation,
        n_folds=settings.n_folds,
        seed=curation.seed,
    )
    filtering.save_labelled(
        partial / FILTER_LABELS,
        features=pooled.features,
        empty=pooled.empty,
        held_out_score=held_out,
        field=np.concatenate([field[name] for name in settings.fit_on]),
        y=pooled.y,
        x=pooled.x,
    )
    kept = manifest[manifest["excluded"].isna()]
    progress = Progress(
        TextColumn("looking for empty patches"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with progress:
        task = progress.add_task("embed", total=len(kept))
        for start in range(0, len(kept), _EMBED_AT_ONCE):
            part = kept.iloc[start : start + _EMBED_AT_ONCE]
            scores = filtering.empty_scores(pipeline, _features_of(part, store, size, embed))
            manifest.loc[part.index, "empty_score"] = scores
            manifest.loc[part.index, "empty"] = scores > 0
            progress.advance(task, len(part))
    manifest.loc[manifest["empty"].fillna(False).to_numpy(bool), "excluded"] = Excluded.EMPTY.value
    filtering.save_empty_filter(pipeline, partial / FILTER)
    if manifest["excluded"].notna().all():
        raise InputError(
            "every patch is empty by the empty filter, or has too much no-data",
            advice="check the words of the hand labels (dataset.empty_word, dataset.not_empty_word)",
            remedies=("curation.empty_filter.enabled=false",),
        )
    return {
        "status": "trained",
        "backbone": settings.backbone,
        "precision_of_features": settings.precision,
        "n_labelled_of": {name: len(parts[name].empty) for name in settings.fit_on},
        **dataclasses.asdict(report),
        **dataclasses.asdict(unused),
    }


def _label(
    dataset: DatasetConfig,
    curation: CurationConfig,
    manifest: pd.DataFrame,
    fields: pd.DataFrame,
    reference: dict[str, Any] | None,
) -> dict[str, Any]:
    settings = curation.label
    manifest["label_value"] = np.full(len(manifest), np.nan)
    manifest["label"] = pd.array([None] * len(manifest), dtype="Int8")
    if dataset.layout == "patches":
        manifest["label"] = pd.array(fields["label"].to_numpy(int)[manifest["field"].to_numpy()], dtype="Int8")
        return {"source": "class folders", "scale": None, "live_below": None, "dead_above": None}
    kept = manifest["excluded"].isna().to_numpy()
    if not kept.any():
        limit = curation.patches.max_no_data
        raise InputError(
            f"every patch has more than {limit:.0%} no-data pixels", remedies=("curation.patches.max_no_data=NUMBER",)
        )
    background = fields["background"].to_numpy(float)[manifest["field"].to_numpy()]
    values = label_values(
        manifest.loc[kept, "mean_fluorescence"].to_numpy(float), background[kept], scale=settings.scale
    )
    if reference is None:
        fitted = fit_label_thresholds(
            values,
            n_sigma=settings.n_sigma,
            n_init=settings.n_init,
            tolerance=settings.tolerance,
            min_patches=settings.min_patches,
            min_weight=settings.min_weight,
            fit_range=settings.fit_range,
            seed=curation.seed,
        )
        reference = {
            "source": f"fitted on {dataset.name}",
            "scale": settings.scale,
            "background_percentile": settings.background_percentile,
            "n_sigma": settings.n_sigma,
            **dataclasses.asdict(fitted),
        }
    labels = label_patches(values, live_below=reference["live_below"], dead_above=reference["dead_above"])
    manifest.loc[kept, "label_value"] = values
    manifest.loc[kept, "label"] = labels
    manifest.loc[kept & (manifest["label"] == AMBIGUOUS).fillna(False).to_numpy(bool), "excluded"] = (
        Excluded.AMBIGUOUS.value
    )
    return reference


def _split(dataset: DatasetConfig, curation: CurationConfig, manifest: pd.DataFrame, fields: pd.DataFrame) -> None:
    settings = curation.split
    manifest["split"] = _no_words(len(manifest), Split)
    manifest["fold"] = pd.array([None] * len(manifest), dtype="Int16")
    used = manifest["excluded"].isna().to_numpy()
    known = manifest["group"].notna().to_numpy()
    groups = np.where(known, manifest["group"].to_numpy(object), manifest["raw_image_id"].to_numpy(object))[used]
    published = fields["split"].to_numpy(object)[manifest["field"].to_numpy()]
    if dataset.layout == "patches" and pd.notna(published).all():
        manifest.loc[used, "split"] = published[used]
        check_both_classes(manifest)
    else:
        assignment = split_groups(
            groups,
            manifest.loc[used, "label"].to_numpy(np.int8),
            ratio=(settings.train, settings.val, settings.test),
            seed=curation.seed,
        )
        manifest.loc[used, "split"] = [assignment[str(group)].value for group in groups]
    if settings.n_folds:
        manifest.loc[used, "fold"] = group_folds(groups, n_folds=settings.n_folds)
