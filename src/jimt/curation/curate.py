"""Curate a data set: find its raw images, do nothing where this curation stands, else write it aside and rename."""

import dataclasses
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

import jimt
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.config.patterns import ABOVE_A_FIELD, CHANNEL, GROUP, group_names, parse_pattern
from jimt.curation.condition_tables import print_conditions
from jimt.curation.conditions import find_wells
from jimt.curation.empty_filter import Embed
from jimt.curation.file_names import name_key
from jimt.curation.finding import find_pairs, find_patches, find_stacks, leave_out
from jimt.curation.found import describe_finding, print_lines
from jimt.curation.hand_label_pool import HandLabelled, hand_labels_of_others
from jimt.curation.label_stage import reference_thresholds
from jimt.curation.listing import list_files
from jimt.curation.manifest import SUMMARY, THRESHOLDS, read_beside
from jimt.curation.parallel.executors import ExecutorError
from jimt.curation.pipeline import run_pipeline
from jimt.curation.raw_images import Finding
from jimt.curation.summary import describe, table_row
from jimt.errors import InputError, as_typed, filling_a_disk
from jimt.system.locks import in_turn
from jimt.system.screen import print_whole
from jimt.vocabulary import CHANNELS, Split


def curate(dataset: DatasetConfig, curation: CurationConfig, *, embed: Embed, console: Console) -> Path:
    """Curate a data set, or do nothing where this very curation stands already.

    Args:
        dataset: Where the raw images lie and how they are read.
        curation: Every number from raw image to split.
        embed: Features of the empty filter's network; called only where the filter runs.
        console: Where progress and the data set's row of Table 1 are printed.

    Returns:
        The folder that holds ``manifest.parquet``, the field store, ``thresholds.json`` and ``summary.json``.

    Raises:
        InputError: If the data set cannot be curated as asked; nothing half-written is left.
    """
    root = Path(dataset.root)
    folder = Path(curation.output_root) / dataset.name
    if folder.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"curation.output_root={curation.output_root} lies in the raw data's folder {root}",
            remedies=("curation.output_root=FOLDER",),
        )
    finding = find_raw_images(dataset, curation, root)
    print_lines(describe_finding(finding), console)
    if not (dataset.layout == "patches" and curation.split.keep_folders):
        refuse_few_groups(dataset, finding, n=len(Split), what="train, val and test")
    reference = reference_thresholds(dataset, curation)
    others, digests = hand_labels_of_others(dataset, curation)
    fingerprint = fingerprint_of(dataset, curation, finding, reference, digests)
    if not _is_up_to_date(folder, fingerprint):
        with in_turn(folder, what=f"curates {dataset.name} below {curation.output_root}"):
            if not _is_up_to_date(folder, fingerprint):  # by the process that had the lock
                _print_config(dataset, curation, console)
                _replace(folder, dataset, curation, finding, reference, others, fingerprint, embed, console)
                console.print(f"wrote {folder}", markup=False)
    else:
        console.print(f"{folder} is up to date", markup=False)
    _print_results(folder, console)
    if not _is_up_to_date(folder, fingerprint):
        raise InputError(
            f"another process has meanwhile curated {dataset.name} with other settings in {folder}",
            advice="let it end",
            remedies=("curation.output_root=FOLDER",),
        )
    return folder


def _is_up_to_date(folder: Path, fingerprint: str) -> bool:
    return (folder / SUMMARY).is_file() and read_beside(folder / SUMMARY)["fingerprint"] == fingerprint


def _replace(
    folder: Path,
    dataset: DatasetConfig,
    curation: CurationConfig,
    finding: Finding,
    reference: dict[str, Any] | None,
    others: dict[str, HandLabelled] | None,
    fingerprint: str,
    embed: Embed,
    console: Console,
) -> None:
    """Write the curation aside and rename it."""
    partial = folder.with_name(f".{dataset.name}.{fingerprint[:12]}.partial")
    own = re.compile(rf"\.{re.escape(dataset.name)}\.[0-9a-f]{{12}}\.partial")  # not that of a.b where this is a
    for stale in folder.parent.glob(".*.partial"):
        if stale != partial and own.fullmatch(stale.name):
            shutil.rmtree(stale)
    try:
        with filling_a_disk(folder, remedies=("curation.output_root=FOLDER",)):
            run_pipeline(dataset, curation, finding, reference, others, fingerprint, partial, embed, console)
    except ExecutorError:
        raise  # what was committed stays: the same command goes on, on this machine or a cluster
    except InputError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    old = folder.with_name(f".{dataset.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find_raw_images(dataset: DatasetConfig, curation: CurationConfig, root: Path) -> Finding:
    """The raw images of a data set, by the names of their files."""
    simulated = f"jimt prepare {as_typed('dataset', dataset.name)}"
    listing = list_files(
        root,
        advice=dataset.how_to_get,
        remedies=("dataset.root=FOLDER",) if dataset.simulation is None else (simulated,),
    )
    if dataset.leave_out is not None:
        listing = leave_out(listing, root, pattern=dataset.leave_out)
    finding = _find(dataset, curation, root, listing.images)
    finding.listing = listing
    if dataset.conditions.control is not None:
        assert dataset.pattern is not None  # DatasetConfig checks it
        find_wells(dataset.conditions, finding, root, pattern=dataset.pattern)
    return finding


def refuse_few_groups(
    dataset: DatasetConfig, finding: Finding, *, n: int, what: str, remedies: tuple[str, ...] = ()
) -> None:
    """Refuse a data set whose names tell already that its groups are too few, before a pixel is read.

    Args:
        dataset: How its names are read.
        finding: What its folder holds; where files cannot be used, what is wrong with them is said first.
        n: Groups that are needed.
        what: Parts that they fill, in words.
        remedies: What else mends it.

    Raises:
        InputError: If there are fewer; it names a finer grouping where the pattern reads one.
    """
    groups = {image.group for image in finding.images}
    if None in groups or finding.bad or len(groups) >= n:
        return
    raise InputError(
        f"{len(groups)} group{'s' * (len(groups) != 1)} cannot fill {what}",
        advice="add raw images of other wells or experiments",
        remedies=(*(f"dataset.group=[{','.join(names)}]" for names in _finer(dataset, finding, n)), *remedies),
    )


def _finer(dataset: DatasetConfig, finding: Finding, n: int) -> list[tuple[str, ...]]:
    """Placeholders that make at least ``n`` groups; fields, which look alike within a well, where nothing else does."""
    if dataset.pattern is None:
        return []
    pattern = parse_pattern(dataset.pattern, setting="dataset.pattern")
    if GROUP in pattern.names:  # which leaves dataset.group without effect
        return []
    read = [pattern.read(image.brightfield.relative_to(dataset.root).as_posix()) for image in finding.images]
    values = [reading.values for reading in read if reading is not None]
    now = group_names(pattern, dataset.group)
    names = [name for name in pattern.names if name not in (CHANNEL, *now)]
    found = {}
    for name in names:
        parts = tuple(part for part in pattern.names if part in (*now, name))
        if len({name_key("/".join(each.get(part, "") for part in parts)) for each in values}) >= n:
            found[name] = parts
    return [parts for name, parts in found.items() if name in ABOVE_A_FIELD] or list(found.values())


def _find(dataset: DatasetConfig, curation: CurationConfig, root: Path, files: list[Path]) -> Finding:
    if dataset.layout == "patches":
        return find_patches(
            files,
            root,
            pattern=dataset.pattern,
            live_folder=dataset.live_folder,
            dead_folder=dataset.dead_folder,
            keep_folders=curation.split.keep_folders,
            group=dataset.group,
        )
    assert dataset.pattern is not None  # DatasetConfig checks it
    if dataset.layout == "stack":
        finding = find_stacks(files, root, pattern=dataset.pattern, group=dataset.group)
        finding.used_channels = {place: CHANNELS[name] for name, place in dataset.channels().items()}
        return finding
    return find_pairs(
        files,
        root,
        pattern=dataset.pattern,
        brightfield=dataset.brightfield,
        fluorescence=dataset.fluorescence,
        nuclei=dataset.nuclei,
        live_stain=dataset.live_stain,
        group=dataset.group,
    )


def _print_config(dataset: DatasetConfig, curation: CurationConfig, console: Console) -> None:
    console.print(f"curating {dataset.name} from {dataset.root}, with", markup=False)
    for stage, value in dataclasses.asdict(curation).items():
        text = "  ".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
        console.print(f"  {stage}: {text}", highlight=False, markup=False, soft_wrap=True)


def _print_results(folder: Path, console: Console) -> None:
    summary, thresholds = read_beside(folder / SUMMARY), read_beside(folder / THRESHOLDS)
    print_lines(describe(summary, thresholds), console)
    print_whole(table_row(summary["dataset"], summary), console)
    print_conditions(summary["conditions"], console)


_FORMAT = 9  # of the files that a curation leaves; another one curates anew
# 2: fields.parquet names each field's file and its pixels
# 3: summary.json says how many hand labels of which data sets the empty filter was trained on
# 4: and how many bits no bright-field pixel uses
# 5: the store keeps the fluorescence and what is no data; the manifest has no fold
# 6: counted cells and PI-positive area
# 7: of each field stained areas, nuclei, saturation and the shift of its channels


def fingerprint_of(
    dataset: DatasetConfig,
    curation: CurationConfig,
    finding: Finding,
    reference: dict[str, Any] | None,
    hand_labels: dict[str, str],
) -> str:
    """Identify a curation by its config, its input files (path, size, time of change) and jimt's version."""
    settings = dataclasses.asdict(curation)
    for where in ("output_root", "n_jobs", "executor"):  # change nothing in the result
        del settings[where]
    for where in ("batch_size", "device"):
        del settings["empty_filter"][where]
    description = dataclasses.asdict(dataset)
    del description["how_to_get"], description["simulation"]
    digest = hashlib.sha256(
        json.dumps(
            [jimt.__version__, _FORMAT, description, settings, reference, finding.bad, hand_labels], sort_keys=True
        ).encode()
    )
    beside = (dataset.empty_labels, dataset.cells, dataset.conditions.table, curation.empty_filter.weights)
    extra = [Path(path) for path in beside if path is not None]
    paths = [path for raw in finding.images for path in raw.files.values()]
    for path in paths + [path for path in extra if path.is_file()]:
        if not path.exists():  # a link that leads nowhere: the reading refuses it by name
            continue
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
