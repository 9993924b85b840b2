"""Raw images to a manifest: the paper's Methods from "Raw images" to the splits of Table 1, top to bottom.

The files of the stages unpack the config; what they call takes arrays and numbers.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

import jimt
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.audit import label_audit
from jimt.curation.cell_tables import CELLS, placed_cells
from jimt.curation.conditions import areas_by_condition
from jimt.curation.counted_cells import count_cells, field_truth, read_cells, warnings_of
from jimt.curation.empty_filter import Embed
from jimt.curation.filter_stage import drop_empty
from jimt.curation.found import print_lines
from jimt.curation.hand_label_pool import HandLabelled
from jimt.curation.high_background import high_backgrounds
from jimt.curation.label_stage import label_patches_of, split_patches
from jimt.curation.manifest import MANIFEST, SUMMARY, THRESHOLDS, write_manifest
from jimt.curation.nuclei import nuclei_of_fields
from jimt.curation.pixel_size_stage import dataset_pixel_size
from jimt.curation.raw_images import Finding
from jimt.curation.read_stage import read_usable
from jimt.curation.summary import count_stages
from jimt.errors import InputError

_CONFIDENCE = 0.95  # of intervals over groups and over wells
_UNMATCHED_KEPT = 100  # names of files that are passed over; there may be any number


def run_pipeline(
    dataset: DatasetConfig,
    curation: CurationConfig,
    finding: Finding,
    reference: dict[str, Any] | None,
    others: dict[str, HandLabelled] | None,
    fingerprint: str,
    partial: Path,
    embed: Embed,
    console: Console,
) -> None:
    """Every stage in the order of the paper, and the files a curation leaves.

    Args:
        dataset: Where the raw images lie and how they are read.
        curation: Every number from raw image to split.
        finding: The raw images that were found.
        reference: Thresholds to label with; None to fit them on this data set.
        others: Hand-labelled patches of the other data sets the empty filter is trained on, by name; None where there
            is no filter for want of hand labels, or because it is off.
        fingerprint: What identifies this curation.
        partial: Folder to write in; may hold the commits of an interrupted run.
        embed: Features of the empty filter's network.
        console: Where progress is shown.

    Raises:
        InputError: If a stage cannot do its work; the message says what to change.
    """
    raw = read_usable(dataset, curation, finding, partial, console)
    manifest, fields, copies = raw.manifest, raw.fields, raw.copies
    filter_report = drop_empty(dataset, curation, others, manifest, partial, embed, console)
    cells, of_no_use = _count_cells(dataset, curation, manifest, fields, console)
    thresholds = label_patches_of(dataset, curation, manifest, fields, reference)
    split_patches(dataset, curation, manifest, fields)

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
        "saturation": raw.saturation,
        "shift": raw.shift,
        "high_backgrounds": high_backgrounds(fields),
        "nuclei": nuclei_of_fields(fields),
        "cells": of_no_use,
        "label_audit": None if cells is None or curation.label.scale == "cells" else _audit(curation, manifest, cells),
        "conditions": areas_by_condition(
            finding,
            fields,
            control=str(dataset.conditions.control),
            left_out=set(copies.leaking),
            confidence=_CONFIDENCE,
        ),
        "empty_filter": filter_report,
        "scaling": dataclasses.asdict(raw.scaling),
        "patch_size": curation.patches.size,
        "pixel_size": _pixel_size(dataset, finding, raw.bad),
        "counts": count_stages(manifest),
        "config": {"dataset": dataclasses.asdict(dataset), "curation": dataclasses.asdict(curation)},
    }
    write_manifest(manifest, partial / MANIFEST)
    if cells is not None:
        placed_cells(cells, fields).to_parquet(partial / CELLS, index=False)
    (partial / THRESHOLDS).write_text(json.dumps(thresholds, indent=2) + "\n", encoding="utf-8")
    (partial / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    for commit in partial.glob("commit-*"):
        commit.unlink()


def _pixel_size(dataset: DatasetConfig, finding: Finding, bad: dict[str, str]) -> dict[str, Any]:
    if dataset.layout == "patches":  # cut and written anew by another program, whose resolution is of no microscope
        return dataset_pixel_size(dataset.pixel_size, [])
    paths = {image.brightfield.relative_to(dataset.root).as_posix(): image.brightfield for image in finding.images}
    return dataset_pixel_size(dataset.pixel_size, [path for name, path in paths.items() if name not in bad])


def _count_cells(
    dataset: DatasetConfig, curation: CurationConfig, manifest: pd.DataFrame, fields: pd.DataFrame, console: Console
) -> tuple[pd.DataFrame | None, dict[str, Any] | None]:
    """Give each patch its counted cells, in place; the table of them, and what ``summary.json`` says of it."""
    manifest["n_cells"], manifest["n_dead"] = np.nan, np.nan
    if dataset.cells is None:
        if curation.label.scale == "cells":
            raise InputError("curation.label.scale=cells needs a table of cells", remedies=("dataset.cells=FILE",))
        return None, None
    path = Path(dataset.cells)
    counts = count_cells(
        read_cells(path),
        manifest,
        fields,
        size=curation.patches.size,
        move=curation.align and dataset.cells_on == "fluorescence",
    )
    if not counts.n_fields and (counts.n_outside or counts.n_moved_out):
        raise InputError(
            f"every cell of {path} lies outside its field",
            advice="y and x are pixels from the upper left corner of the field",
            remedies=("dataset.cells=null",),
        )
    if not counts.n_fields:
        raise InputError(
            f"{path} holds no cell of a raw image of {dataset.name}",
            advice="its raw_image_id are those of the manifest, what dataset.pattern reads in the names of the files",
            remedies=("dataset.cells=null",),
        )
    warnings = warnings_of(counts, path)
    if curation.label.scale == "cells":  # now, since the labels may fail because of it
        print_lines(warnings, console)
    manifest["n_cells"], manifest["n_dead"] = counts.n_cells, counts.n_dead
    return counts.kept, {
        "fields": counts.n_fields,
        "absent": counts.n_absent,
        "outside": counts.n_outside,
        "moved_out": counts.n_moved_out,
        "twice": counts.n_twice,
        "warnings": warnings,
        "by_field": {row.raw_image_id: (row.n_cells, row.n_dead) for row in field_truth(counts.kept).itertuples()},
    }


def _audit(curation: CurationConfig, manifest: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    return label_audit(manifest, cells, dead_share=curation.label.dead_share, confidence=_CONFIDENCE)
