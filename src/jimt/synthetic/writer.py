"""A folder of simulated raw pairs, named as a ScanR names them, with the truth beside them.

Which fields have gaps in the monolayer and which are out of focus is spread evenly rather than drawn, so that a dozen
fields already hold every kind; still, no field depends on how many others there are.
"""

import re
import shutil
from pathlib import Path
from typing import Final

import joblib
import numpy as np
import pandas as pd
import tifffile

from jimt.errors import InputError
from jimt.synthetic.microscope import draw_well, simulate_field
from jimt.synthetic.truth import label_clear_cases, tabulate_cells, tabulate_patches
from jimt.system.files import read_json, write_json

BRIGHTFIELD_SUFFIX: Final = "--Trans.tif"
FLUORESCENCE_SUFFIX: Final = "--PI.tif"
TRUTH_FILE: Final = "truth.csv"
LABELS_FILE: Final = "empty_patch_labels.csv"
CELLS_FILE: Final = "cells.csv"
WELLS_FILE: Final = "wells.csv"
CONTROL: Final = "control"
TREATED: Final = "treated"
PARAMETERS_FILE: Final = "simulation.json"
OWN_FILES: Final = re.compile(
    r"W\d{5}--P\d{5}--Z00000--T00000--(Trans|PI)\.tif|truth\.csv|cells\.csv|wells\.csv|empty_patch_labels\.csv|simulation\.json"
)
MODEL_VERSION: Final = 1
"""Raise when the same parameters give other images."""

EVEN_STEPS: Final = (1 / 1.32471796, 1 / 1.32471796**2)
"""Of the R2 low-discrepancy sequence (M. Roberts, 2018): multiples of both fill 0 to 1 evenly, modulo 1."""

# assumption: enough of each kind for about 30 labelled empty patches in a dozen fields of 672 x 560 px
GAPPED_FIELDS: Final = 0.5  # share of fields with a gap in the monolayer
GAP: Final = (0.35, 0.6)  # share of such a field that is bare
HOLES: Final = (0.0, 0.08)  # share of the other fields
LOST_FIELDS: Final = 0.08  # share of fields wholly out of focus
BLURRED_FIELDS: Final = 0.2  # share of fields out of focus, wholly or in part
BLURRED: Final = (0.2, 0.5)  # share of a field that is out of focus in part


def raw_image_id(well: int, position: int) -> str:
    """Name a field as the ScanR does, without the channel: well and position count from 1."""
    return f"W{well:05d}--P{position:05d}--Z00000--T00000"


def _is_done(root: Path, parameters: dict[str, int | float], names: list[str]) -> bool:
    """Say whether the folder holds exactly this simulation, or nothing.

    Raises:
        InputError: If it holds anything else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    if not (root / PARAMETERS_FILE).is_file():
        raise InputError(f"{root} holds files that are not a simulation", advice="delete it or choose another folder")
    if read_json(root / PARAMETERS_FILE, advice="delete the folder or choose another one") != parameters:
        raise InputError(f"{root} holds another simulation", advice="delete it or choose another folder")
    if missing := [name for name in names if not (root / name).is_file()]:
        raise InputError(
            f"{root} has lost {missing[0]} ({len(missing)} of {len(names)} files)",
            advice="delete it or choose another folder",
        )
    return True


def _make_aside(root: Path) -> Path:
    """Make an empty folder next to ``root``, in place of what an interrupted simulation left there."""
    aside = root.with_name(root.name + ".partial")
    if aside.exists():
        if not aside.is_dir() or any(not OWN_FILES.fullmatch(path.name) for path in aside.iterdir()):
            raise InputError(f"{aside} holds files that are not a simulation", advice="move or delete it")
        shutil.rmtree(aside)
    aside.mkdir(parents=True)
    return aside


def plan_field(rng: np.random.Generator, *, well: int, position: int, seed: int) -> tuple[float, float]:
    """Decide how much of a field is bare and how much is out of focus.

    Args:
        rng: Source of randomness of this field.
        well: Its well, from 1.
        position: Its position in the well, from 1.
        seed: Of the data set; shifts which fields are of which kind.

    Returns:
        Bare share and unfocused share of the field, each 0 to 1.
    """
    gap_start, blur_start = np.random.default_rng(np.random.SeedSequence(seed)).random(2)
    gap = (gap_start + well * EVEN_STEPS[0] + position * EVEN_STEPS[1]) % 1
    blur = (blur_start + well * EVEN_STEPS[1] + position * EVEN_STEPS[0]) % 1
    bare = float(rng.uniform(*(GAP if gap < GAPPED_FIELDS else HOLES)))
    if blur >= BLURRED_FIELDS:
        return bare, 0.0
    unfocused = float(rng.uniform(*BLURRED))
    return bare, 1.0 if blur < LOST_FIELDS else unfocused


def _write_field(
    folder: Path,
    *,
    well: int,
    position: int,
    height: int,
    width: int,
    dead_fraction: float,
    difficulty: float,
    seed: int,
    patch_size: int,
    stride: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate and write one pair; return its patches and its cells. Depends on no other field."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(well, position)))
    bare_fraction, unfocused_fraction = plan_field(rng, well=well, position=position, seed=seed)
    field = simulate_field(
        rng,
        height=height,
        width=width,
        dead_fraction=dead_fraction,
        bare_fraction=bare_fraction,
        unfocused_fraction=unfocused_fraction,
        difficulty=difficulty,
        well=draw_well(np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(well,))), difficulty=difficulty),
    )
    name = raw_image_id(well, position)
    tifffile.imwrite(folder / (name + BRIGHTFIELD_SUFFIX), field.brightfield, photometric="minisblack")
    tifffile.imwrite(folder / (name + FLUORESCENCE_SUFFIX), field.fluorescence, photometric="minisblack")
    patches = tabulate_patches(field, raw_image_id=name, patch_size=patch_size, stride=stride)
    return patches, tabulate_cells(field, raw_image_id=name)


def simulate_dataset(
    root: Path,
    *,
    n_wells: int,
    fields_per_well: int,
    height: int,
    width: int,
    dead_fraction: float,
    difficulty: float,
    seed: int,
    patch_size: int,
    stride: int,
    n_jobs: int,
    treated_dead_fraction: float | None = None,
) -> bool:
    """Write a folder of simulated raw pairs, or find it already there.

    The folder holds ``W00001--P00001--Z00000--T00000--Trans.tif`` (bright-field) and ``...--PI.tif``, 16 bit, one pair
    per well and position; ``truth.csv`` with one row per patch; ``cells.csv`` with one row per cell;
    ``empty_patch_labels.csv`` in the form of hand labels; where every second well is treated, ``wells.csv`` with the
    condition of each; ``simulation.json`` with the parameters. It appears complete
    or not at all.

    Args:
        root: Folder to make; may exist if it is empty.
        n_wells: Number of wells.
        fields_per_well: Fields, that is pairs, per well.
        height: Rows of an image, px.
        width: Columns of an image, px.
        dead_fraction: Share of the monolayer that the treatment has killed, 0 to 1.
        difficulty: 0 (live and dead look different at a glance) to 1 (they hardly differ in bright-field).
        seed: Decides every image; a field does not depend on how many others are made.
        patch_size: Side of the patches of ``truth.csv``, px.
        stride: Distance between neighbouring patches, px.
        n_jobs: Processes, or -1 for one per core; does not change the result.
        treated_dead_fraction: Of every second well, the others being the control; None where no well is treated.

    Returns:
        True if the images were made, False if the same simulation was already there.

    Raises:
        InputError: If the folder holds anything else.
    """
    settings = {
        "height": height,
        "width": width,
        "dead_fraction": dead_fraction,
        "difficulty": difficulty,
        "seed": seed,
        "patch_size": patch_size,
        "stride": stride,
    }
    parameters = {"n_wells": n_wells, "fields_per_well": fields_per_well, **settings, "model_version": MODEL_VERSION}
    shares = dict.fromkeys(range(1, n_wells + 1), dead_fraction)
    tables = [TRUTH_FILE, CELLS_FILE, LABELS_FILE]
    if treated_dead_fraction is not None:
        parameters["treated_dead_fraction"] = treated_dead_fraction
        tables.append(WELLS_FILE)
        shares |= dict.fromkeys(range(2, n_wells + 1, 2), treated_dead_fraction)
    places = [(well, position) for well in range(1, n_wells + 1) for position in range(1, fields_per_well + 1)]
    suffixes = (BRIGHTFIELD_SUFFIX, FLUORESCENCE_SUFFIX)
    images = [raw_image_id(well, position) + suffix for well, position in places for suffix in suffixes]
    if _is_done(root, parameters, [*images, *tables]):
        return False

    aside = _make_aside(root)
    found = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_write_field)(
            aside, well=well, position=position, **(settings | {"dead_fraction": shares[well]})
        )
        for well, position in places
    )
    truth, cells = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    cells.to_csv(aside / CELLS_FILE, index=False)
    truth.to_csv(aside / TRUTH_FILE, index=False)
    if treated_dead_fraction is not None:
        conditions = {f"W{well:05d}": TREATED if well % 2 == 0 else CONTROL for well in shares}
        pd.Series(conditions, name="condition").to_csv(aside / WELLS_FILE, index_label="well")
    label_clear_cases(truth, seed=seed).to_csv(aside / LABELS_FILE, index=False)
    write_json(aside / PARAMETERS_FILE, parameters)
    if root.exists():
        root.rmdir()  # empty, or _is_done would have refused it; Windows renames onto no folder
    aside.rename(root)
    return True
