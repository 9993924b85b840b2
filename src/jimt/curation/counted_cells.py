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
_MANY: Final = 50  # cells, of which one would lie outside a quarter of its field if they were anywhere in it
_WORDS: Final = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}


@dataclass(frozen=True)
class CellCounts:
    """Cells by patch and by field, and those of no use.

    Attributes:
        kept: The cells that count, as ``read_cells`` gives them.
        n_cells: Of each patch whose field was counted, NaN of the others, shape ``(n_patches,)``.
        n_dead: Dead ones among them, likewise.
        n_fields: Fields that were counted.
        n_absent: Cells of raw images that are not in the data set.
        n_outside: Cells that lie outside their field.
        n_moved_out: Cells that leave their field when they are moved.
        n_twice: Cells that stand in the table again at the same place, and count once.
        fills_corner: Whether the cells of every field lie in its upper left quarter, as where they are not in pixels.
    """

    kept: pd.DataFrame
    n_cells: NDArray[np.float64]
    n_dead: NDArray[np.float64]
    n_fields: int
    n_absent: int
    n_outside: int
    n_moved_out: int
    n_twice: int
    fills_corner: bool


def read_cells(path: Path) -> pd.DataFrame:
    """Read a table of cells: columns ``raw_image_id, y, x, dead``, the last of them boolean.

    Columns may stand in any order and beside others; commas, semicolons or tabs part them.

    Raises:
        InputError: If the file is absent, lacks a column, or holds what is no number or neither dead nor alive.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", advice="put the counted cells there", remedies=("dataset.cells=null",))
    try:
        # the names are read as a row, so that a row with more fields than names is refused, and shifts no column
        rows = pd.read_csv(
            path,
            sep=None,
            engine="python",
            header=None,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            skip_blank_lines=False,
        ).fillna("")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table ({error})", advice=_NEEDS) from error
    rows = rows[(rows != "").any(axis=1)]
    table = rows.iloc[1:].set_axis(rows.iloc[0].str.strip().tolist(), axis=1)
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
        raise InputError(f"{path}, line {table.index[first] + 1}, is no cell ({said})", advice=_NEEDS)
    cells = cells.astype({"y": float, "x": float, "dead": bool}).reset_index(drop=True)
    verdicts = cells.groupby(["raw_image_id", "y", "x"])["dead"].nunique()
    if (verdicts > 1).any():
        name, y, x = verdicts.index[int(np.argmax(verdicts.to_numpy() > 1))]
        raise InputError(
            f"{path} calls {int((verdicts > 1).sum())} cells both dead and alive, for example of {name} at y={y:g} "
            f"x={x:g}",
            advice="keep one row for each",
        )
    return cells


def count_cells(
    cells: pd.DataFrame, manifest: pd.DataFrame, fields: pd.DataFrame, *, size: int, move: bool
) -> CellCounts:
    """Count the cells of each patch by their centres. A field without a row in the table was not counted.

    Args:
        cells: As ``read_cells`` gives them.
        manifest: Every patch, with the number of its ``field`` and its origin.
        fields: ``raw_image_id``, ``height`` and ``width`` of every field, and where cells are moved ``shift_y`` and
            ``shift_x``.
        size: Side of a patch, pixels.
        move: Whether they lie on fluorescence, and are moved onto bright-field as it was; in a field whose shift is not
            known nothing moves.
    """
    here = cells[cells["raw_image_id"].isin(set(fields["raw_image_id"]))]
    of_field = ["raw_image_id", "height", "width", *["shift_y", "shift_x"] * move]
    placed = here.merge(fields[of_field].drop_duplicates("raw_image_id"), on="raw_image_id")
    stays = inside = _inside(placed)
    again = placed.duplicated(["raw_image_id", "y", "x"])
    if move:
        for axis in ("y", "x"):
            placed[axis] -= placed[f"shift_{axis}"].astype("Float64").fillna(0).to_numpy(float)
        stays = inside & _inside(placed)
    kept = placed[stays & ~again]
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
        kept=kept[list(COLUMNS)],
        n_cells=n_cells,
        n_dead=n_dead,
        n_fields=len(by_field),
        n_absent=len(cells) - len(here),
        n_outside=int((~inside).sum()),
        n_moved_out=int((inside & ~stays).sum()),
        n_twice=int((stays & again).sum()),
        fills_corner=bool(
            len(kept) >= _MANY and ((kept["y"] < kept["height"] / 2) & (kept["x"] < kept["width"] / 2)).all()
        ),
    )


def _inside(placed: pd.DataFrame) -> "pd.Series[bool]":
    return placed["y"].between(0, placed["height"], "left") & placed["x"].between(0, placed["width"], "left")


def thresholds_of_share(dead_share: float) -> tuple[float, float]:
    """The thresholds under which a patch is dead where at least this share of its cells is, and else live.

    >>> live_below, dead_above = thresholds_of_share(0.28)
    >>> dead_above < 7 / 25 < live_below, 0.28 > dead_above  # a quotient is rounded as the setting is
    (False, True)

    Returns:
        ``live_below`` and ``dead_above``, no number between them: ``labels.label_patches`` takes them.
    """
    return dead_share, float(np.nextafter(dead_share, 0))


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
    n_all = len(counts.kept) + counts.n_absent + counts.n_outside + counts.n_moved_out + counts.n_twice
    told = (
        (counts.n_absent, "their raw images are not in the data set"),
        (counts.n_outside, "they lie outside their field (y and x are pixels from the upper left corner)"),
        (counts.n_moved_out, "they leave their field where they are moved onto bright-field, as fluorescence is"),
        (counts.n_twice, "they stand there twice, and count once"),
    )
    lines = [f"WARNING: {n:,} of {n_all:,} cells of {path} are left out: {words}" for n, words in told if n]
    if counts.fills_corner:
        lines.append(f"WARNING: all cells of {path} lie in the upper left quarter of their fields: are these pixels?")
    if len(counts.kept) and counts.kept["dead"].nunique() == 1:
        kind = "dead" if counts.kept["dead"].all() else "alive"
        lines.append(f"WARNING: every cell of {path} is {kind}; a share needs the others, too")
    return lines
