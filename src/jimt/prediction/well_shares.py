"""Dead shares of wells from those of their fields."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.prediction.answer_tables import counts, write_rows
from jimt.prediction.answers import FieldRow
from jimt.prediction.time_points import time_ranks
from jimt.statistics.intervals import t_interval_of_mean

WELL_COLUMNS: Final = (
    "plate",
    "well",
    "time",
    "n_fields",
    "n_counted",
    "n_flagged",
    "n_failed",
    "dead_share",
    "sd",
    "low",
    "high",
    "share_of",
    "viability",
    "n_cells",
    "dead_share_of_all_cells",
)


def well_rows(rows: Iterable[FieldRow], *, confidence: float, include_flagged: bool) -> pd.DataFrame:
    """A row for each well, of each plate and time, whose name a field tells: ``WELL_COLUMNS``.

    Fields weigh alike, since each shows as much of the well's ground: a crowded field is no better a sample of it than
    a sparse one, and the spread between fields tells how well their mean is known. Where cells were counted, the share
    of all cells of these fields together stands beside it; it differs where death and crowding go together.

    Args:
        rows: Fields; those whose well is not known take no part.
        confidence: Coverage of the intervals, over fields: it says nothing of other wells.
        include_flagged: Whether flagged fields enter the means.

    Returns:
        By plate, well and time: ``n_fields`` in all; those that are ``n_counted``, ``n_flagged`` and ``n_failed``;
        ``dead_share``, the mean of those counted, missing where none is; ``sd`` between them and ``low`` to ``high``,
        missing of fewer than two; ``share_of``; ``viability`` of a share of nuclei; ``n_cells`` of those counted;
        ``dead_share_of_all_cells``.
    """
    wells: dict[tuple[str | None, str, str | None], list[FieldRow]] = {}
    for row in rows:
        if row.well is not None:
            wells.setdefault((row.plate, row.well, row.time), []).append(row)
    ranks = time_ranks(time for _, _, time in wells)
    told = [
        {"plate": plate, "well": well, "time": time}
        | _of_fields(wells[plate, well, time], confidence=confidence, include_flagged=include_flagged)
        for plate, well, time in sorted(wells, key=lambda key: (natural(key[0]), natural(key[1]), ranks[key[2]]))
    ]
    return pd.DataFrame(told, columns=list(WELL_COLUMNS), dtype=object)


def _of_fields(fields: list[FieldRow], *, confidence: float, include_flagged: bool) -> dict[str, Any]:
    counted = [row for row in fields if counts(row, include_flagged=include_flagged)]
    shares = np.array([row.dead_share for row in counted], np.float64)
    cells = np.array([row.n_cells or 0 for row in counted], np.float64)
    kinds = {row.share_of for row in fields if row.share_of is not None}
    assert len(kinds) <= 1, "one model gives shares of one kind"
    share_of = next(iter(kinds), None)
    mean = float(shares.mean()) if len(shares) else None
    interval = t_interval_of_mean(shares, confidence=confidence) or (None, None)
    of_nuclei = share_of == "nuclei" and mean is not None
    return {
        "n_fields": len(fields),
        "n_counted": len(counted),
        "n_flagged": sum(bool(row.flags) for row in fields),
        "n_failed": sum(row.failed is not None for row in fields),
        "dead_share": mean,
        "sd": float(shares.std(ddof=1)) if len(shares) > 1 else None,
        "low": interval[0],
        "high": interval[1],
        "share_of": share_of,
        "viability": 1 - mean if of_nuclei and mean is not None else None,
        "n_cells": int(cells.sum()) if of_nuclei else None,
        "dead_share_of_all_cells": float(shares @ cells / cells.sum()) if of_nuclei and cells.sum() else None,
    }


def write_wells(wells: pd.DataFrame, path: Path) -> None:
    """Write ``wells.csv``, what ``well_rows`` gives."""
    write_rows(wells.to_dict("records"), WELL_COLUMNS, path)


def natural(name: str | None) -> tuple[Any, ...]:
    """Sorts names as a person does: nothing first, numbers by their value, rows of a plate A to Z before AA.

    >>> sorted(["AA01", "B10", "B2", "A1", "t10", "t9"], key=natural)
    ['A1', 'B2', 'B10', 'AA01', 't9', 't10']
    """
    if name is None:
        return (0,)
    if well := re.fullmatch(r"([A-Z]{1,2})(\d+)", name):
        return 1, len(well[1]), well[1], int(well[2]), name
    parts = re.split(r"(\d+)", name)
    return 2, 0, "", 0, tuple((int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts)), name
