"""Single cells, counted by hand or by masks: how many of each patch and field are dead."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.positive import count_inside
from jimt.errors import InputError

COLUMNS: Final = ("raw_image_id", "y", "x", "dead")
_NEEDS: Final = "it needs raw_image_id,y,x,dead: a row for each cell, y and x in pixels, dead 1 or 0"
_WORDS: Final = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}


@dataclass(frozen=True)
class CellCounts:
    """Cells by patch and by field, and those of no use.

    Attributes:
        n_cells: Of each patch whose field was counted, NaN of the others, shape ``(n_patches,)``.
        n_dead: Dead ones among them, likewise.
        n_fields: Fields that were counted.
        n_absent: Cells of raw images that are not in the data set.
        n_outside: Cells that lie outside their field.
        n_twice: Cells that stand in the table again at the same place, and count once.
    """

    n_cells: NDArray[np.float64]
    n_dead: NDArray[np.float64]
    n_fields: int
    n_absent: int
    n_outside: int
    n_twice: int


def read_cells(path: Path) -> pd.DataFrame:
    """Read a table of cells: columns ``raw_image_id, y, x, dead``, the last of them boolean.

    Columns may stand in any order and beside others; commas, semicolons or tabs part them.

    Raises:
        InputError: If the file is absent, lacks a column, or holds what is no number or neither dead nor alive.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", advice="put the counted cells there", remedies=("dataset.cells=null",))
    try:
        table = pd.read_csv(path, sep=None, engine="python", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error})", advice=_NEEDS) from error
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise InputError(f"{path} lacks the column {', '.join(missing)}", advice=_NEEDS)
    cells = table[list(COLUMNS)].copy()
    for column in ("y", "x"):
        cells[column] = pd.to_numeric(table[column].str.replace(",", "."), errors="coerce")
    cells["dead"] = table["dead"].str.strip().str.lower().map(_WORDS)
    bad = ~np.isfinite(cells[["y", "x"]].to_numpy(float)).all(1) | cells["dead"].isna().to_numpy()
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        said = ", ".join(f"{column} {table.iloc[first][column]!r}" for column in ("y", "x", "dead"))
        raise InputError(f"{path}, line {first + 2}, is no cell ({said})", advice=_NEEDS)
    return cells.astype({"dead": bool})


def count_cells(cells: pd.DataFrame, manifest: pd.DataFrame, fields: pd.DataFrame, *, size: int) -> CellCounts:
    """Count the cells of each patch by their centres. A field without a row in the table was not counted.

    Args:
        cells: As ``read_cells`` gives them.
        manifest: Every patch, with the number of its ``field`` and its origin.
        fields: ``raw_image_id``, ``height`` and ``width`` of every field.
        size: Side of a patch, pixels.
    """
    here = cells[cells["raw_image_id"].isin(set(fields["raw_image_id"]))]
    placed = here.merge(fields[["raw_image_id", "height", "width"]].drop_duplicates("raw_image_id"), on="raw_image_id")
    inside = placed["y"].between(0, placed["height"], "left") & placed["x"].between(0, placed["width"], "left")
    again = placed.duplicated(["raw_image_id", "y", "x"])
    kept = placed[inside & ~again]
    by_field = dict(tuple(kept.groupby("raw_image_id")))
    n_cells, n_dead = np.full(len(manifest), np.nan), np.full(len(manifest), np.nan)
    field_of_patch = manifest["field"].to_numpy()
    for field in np.unique(field_of_patch).tolist():
        found = by_field.get(fields["raw_image_id"].iloc[field])
        if found is None:
            continue
        rows = np.flatnonzero(field_of_patch == field)
        y, x = (manifest[name].to_numpy(np.int32)[rows] for name in ("y", "x"))
        centres, dead = found[["y", "x"]].to_numpy(float), found["dead"].to_numpy(bool)
        n_cells[rows], n_dead[rows] = (count_inside(part, y, x, size=size) for part in (centres, centres[dead]))
    return CellCounts(
        n_cells, n_dead, len(by_field), len(cells) - len(here), int((~inside).sum()), int((inside & again).sum())
    )


def field_truth(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells and dead cells of each field that was counted: ``raw_image_id``, ``n_cells``, ``n_dead``, ``dead_share``.

    >>> cells = pd.DataFrame({"raw_image_id": ["a", "a", "b"], "y": 0, "x": 0, "dead": [True, False, True]})
    >>> field_truth(cells)["dead_share"].tolist()
    [0.5, 1.0]
    """
    found = cells.groupby("raw_image_id")["dead"].agg(n_cells="size", n_dead="sum").reset_index()
    return found.assign(dead_share=found["n_dead"] / found["n_cells"])


def warnings_of(counts: CellCounts, path: Path) -> list[str]:
    """What to say of cells of no use; empty where all are of use."""
    told = (
        (counts.n_absent, "of raw images that are not in the data set"),
        (counts.n_outside, "outside their field (y and x are pixels from the upper left corner)"),
        (counts.n_twice, "that stand there twice, and count once"),
    )
    return [f"WARNING: cells of {path} {words}: {n:,}" for n, words in told if n]
