"""Where cells lie: those that were counted, and all nuclei on their stain; a row for each, in the order of the fields.

Columns are ``field`` (its number in the store), ``y`` and ``x`` (of the centre, pixels from the field's upper left
corner) and ``dead``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from jimt.curation.nuclei import Nuclei
from jimt.errors import InputError

CELLS, NUCLEI = "cells.parquet", "nuclei.parquet"
_ROW_GROUP: Final = 100_000  # rows of a file that are packed together: 1.3 MB
TYPES: Final = {"field": np.int32, "y": np.float32, "x": np.float32, "dead": np.bool_}


def placed_cells(cells: pd.DataFrame, fields: pd.DataFrame) -> pd.DataFrame:
    """Counted cells with the number of their field.

    >>> cells = pd.DataFrame({"raw_image_id": ["b", "a"], "y": [3.5, 1.0], "x": [0.0, 2.0], "dead": [True, False]})
    >>> placed_cells(cells, pd.DataFrame({"raw_image_id": ["a", "b"]})).to_dict("list")
    {'field': [0, 1], 'y': [1.0, 3.5], 'x': [2.0, 0.0], 'dead': [False, True]}

    Args:
        cells: ``raw_image_id``, ``y``, ``x`` and ``dead`` of each; those of fields that are not there are left out.
        fields: ``raw_image_id`` of every field of the store.
    """
    numbered = pd.DataFrame({"raw_image_id": fields["raw_image_id"], "field": np.arange(len(fields))})
    placed = cells.merge(numbered, on="raw_image_id").sort_values("field", kind="stable")
    return placed[list(TYPES)].astype(TYPES).reset_index(drop=True)


def placed_nuclei(found: Sequence[Nuclei], *, first: int) -> pd.DataFrame:
    """The nuclei of consecutive fields, dead where they are PI-positive.

    Args:
        found: Of each field.
        first: Number of the first field.
    """
    centres = np.concatenate([nuclei.centres for nuclei in found])
    return pd.DataFrame(
        {
            "field": np.repeat(np.arange(first, first + len(found)), [len(nuclei.centres) for nuclei in found]),
            "y": centres[:, 0],
            "x": centres[:, 1],
            "dead": np.concatenate([nuclei.positive for nuclei in found]),
        }
    ).astype(TYPES)


def join_tables(parts: Sequence[Path], path: Path) -> None:
    """Write tables one after another into one file, the same bytes however the rows lay in tables.

    Only one of them is in memory at a time, and what is left of the one before.

    Args:
        parts: Parquet files of the same columns, at least one.
        path: Where they are put together.
    """
    schema = pyarrow.parquet.read_schema(parts[0])
    rest = schema.empty_table()
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for part in parts:
            rest = pyarrow.concat_tables([rest, pyarrow.parquet.read_table(part)]).combine_chunks()
            n_whole = len(rest) // _ROW_GROUP * _ROW_GROUP
            if n_whole:
                writer.write_table(rest.slice(0, n_whole), row_group_size=_ROW_GROUP)
                rest = rest.slice(n_whole)
        if len(rest):
            writer.write_table(rest.combine_chunks())


def read_table(path: Path) -> pd.DataFrame:
    """Read one of the two tables of a curated folder.

    Raises:
        InputError: If it is absent, as of an older jimt, or damaged.
    """
    advice = f"delete {path.parent} and curate again"
    if not path.is_file():
        raise InputError(f"{path} is missing", advice=advice)
    try:
        return pd.read_parquet(path, columns=list(TYPES))
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise InputError(f"{path} is damaged", advice=advice) from error
