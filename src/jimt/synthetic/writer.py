"""A folder of simulated raw pairs, named as a ScanR names them, with the truth beside them.

Which fields have gaps in the monolayer and which are out of focus is spread evenly rather than drawn, so that a dozen
fields already hold every kind; still, no field depends on how many others there are.
"""

import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import joblib
import numpy as np
import pandas as pd
import tifffile

from jimt.errors import InputError
from jimt.synthetic.microscope import USUAL, Microscope, draw_well, simulate_field
from jimt.synthetic.plate_plan import DoseResponse, plan_wells, tabulate_fields, tabulate_wells
from jimt.synthetic.truth import label_clear_cases, tabulate_cells, tabulate_patches
from jimt.system.files import read_json, write_json

BRIGHTFIELD_SUFFIX: Final = "--Trans.tif"
FLUORESCENCE_SUFFIX: Final = "--PI.tif"
TRUTH_FILE: Final = "truth.csv"
LABELS_FILE: Final = "empty_patch_labels.csv"
CELLS_FILE: Final = "cells.csv"
WELLS_FILE: Final = "wells.csv"
FIELD_TRUTH_FILE: Final = "field_truth.csv"
WELL_TRUTH_FILE: Final = "well_truth.csv"
PARAMETERS_FILE: Final = "simulation.json"
OWN_FILES: Final = re.compile(
    r"(W\d{5}|[A-P]\d{2})--P\d{5}--Z00000--T00000--(Trans|PI)\.tif|((well_|field_)?truth|cells|wells|empty_patch_labels)"
    r"\.csv|simulation\.json"
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


def raw_image_id(well: str, position: int) -> str:
    """Name a field as the ScanR does, without the channel: the position counts from 1."""
    return f"{well}--P{position:05d}--Z00000--T00000"


def _is_done(root: Path, parameters: dict[str, Any], names: list[str]) -> bool:
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
    name: str,
    position: int,
    height: int,
    width: int,
    dead_fraction: float,
    difficulty: float,
    seed: int,
    patch_size: int,
    stride: int,
    microscope: Microscope,
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
        microscope=microscope,
    )
    for suffix, image in ((BRIGHTFIELD_SUFFIX, field.brightfield), (FLUORESCENCE_SUFFIX, field.fluorescence)):
        tifffile.imwrite(
            folder / (name + suffix),
            image,
            photometric="minisblack",
            resolution=(10_000 / microscope.pixel_size, 10_000 / microscope.pixel_size),
            resolutionunit="CENTIMETER",
        )
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
    dose_response: DoseResponse | None = None,
    microscope: Microscope | None = None,
) -> bool:
    """Write a folder of simulated raw pairs, or find it already there.

    The folder holds ``W00001--P00001--Z00000--T00000--Trans.tif`` (bright-field) and ``...--PI.tif``, 16 bit, one pair
    per well and position; ``truth.csv`` with one row per patch; ``cells.csv`` with one row per cell;
    ``empty_patch_labels.csv`` in the form of hand labels; where wells are treated, ``wells.csv`` with the condition of
    each; ``simulation.json`` with the parameters. Wells that are given doses are called ``A01`` and so on instead, and
    ``well_truth.csv`` and ``field_truth.csv`` have their dose and dead share. It appears complete or not at all.

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
        treated_dead_fraction: Of every second well, the others being the control, or under the highest doses; None
            where no well is treated.
        dose_response: Doses of the wells, and their effect between the two fractions; None for none.
        microscope: What they are imaged with; None for the usual one.

    Returns:
        True if the images were made, False if the same simulation was already there.

    Raises:
        InputError: If the folder holds anything else.
    """
    settings = {"height": height, "width": width, "dead_fraction": dead_fraction, "difficulty": difficulty}
    settings |= {"seed": seed, "patch_size": patch_size, "stride": stride}
    parameters: dict[str, Any] = {"n_wells": n_wells, "fields_per_well": fields_per_well, **settings}
    parameters["model_version"] = MODEL_VERSION
    tables = [TRUTH_FILE, CELLS_FILE, LABELS_FILE]
    if treated_dead_fraction is not None:
        parameters["treated_dead_fraction"] = treated_dead_fraction
        tables.append(WELLS_FILE)
    if dose_response is not None:
        parameters["dose_response"] = asdict(dose_response) | {"doses": list(dose_response.doses)}
        tables += [FIELD_TRUTH_FILE, WELL_TRUTH_FILE]
    if microscope is not None:
        parameters["microscope"] = asdict(microscope)
    wells = plan_wells(n_wells, shares=(dead_fraction, treated_dead_fraction), dose_response=dose_response)
    places = [(well, position) for well in range(1, n_wells + 1) for position in range(1, fields_per_well + 1)]
    suffixes = (BRIGHTFIELD_SUFFIX, FLUORESCENCE_SUFFIX)
    names = {(well, position): raw_image_id(wells[well - 1].name, position) for well, position in places}
    images = [name + suffix for name in names.values() for suffix in suffixes]
    if _is_done(root, parameters, [*images, *tables]):
        return False

    aside = _make_aside(root)
    found = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_write_field)(
            aside.absolute(),  # workers outlive a change of the working directory
            well=well,
            name=names[well, position],
            position=position,
            microscope=microscope or USUAL,
            **(settings | {"dead_fraction": wells[well - 1].dead_fraction}),
        )
        for well, position in places
    )
    truth, cells = (pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))
    cells.to_csv(aside / CELLS_FILE, index=False)
    truth.to_csv(aside / TRUTH_FILE, index=False)
    if treated_dead_fraction is not None:
        conditions = {well.name: well.condition for well in wells}
        pd.Series(conditions, name="condition").to_csv(aside / WELLS_FILE, index_label="well")
    if dose_response is not None:
        fields = tabulate_fields(cells, {name: wells[well - 1].name for (well, _), name in names.items()})
        fields.to_csv(aside / FIELD_TRUTH_FILE, index=False)
        tabulate_wells(fields, wells).to_csv(aside / WELL_TRUTH_FILE, index=False)
    label_clear_cases(truth, seed=seed).to_csv(aside / LABELS_FILE, index=False)
    write_json(aside / PARAMETERS_FILE, parameters)
    if root.exists():
        root.rmdir()  # empty, or _is_done would have refused it; Windows renames onto no folder
    aside.rename(root)
    return True
