"""Fields, wells and patches as one workbook of Excel, by XlsxWriter."""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xlsxwriter

from jimt.prediction.answer_tables import (
    ALL_PATCH_COLUMNS,
    FIELD_COLUMNS,
    field_values,
    missing,
    patch_values,
    printable,
)
from jimt.prediction.answers import PATCH_COLUMNS, FieldRow
from jimt.prediction.dose_words import DOSE_COLUMNS
from jimt.prediction.well_shares import WELL_COLUMNS
from jimt.system.files import written_whole

MOST_ROWS: Final = 1_048_575
"""Of a sheet of Excel, below its header."""
_LONGEST: Final = 32_767  # characters of a cell
_SHARES: Final = frozenset(
    {
        "dead_share",
        "dead_share_low",
        "dead_share_high",
        "viability",
        "pi_share",
        "sd",
        "low",
        "high",
        "dead_share_of_all_cells",
        "well_dead_share",
        "well_low",
        "well_high",
        *(name for name in DOSE_COLUMNS if name.startswith(("share_at_", "edge_difference"))),
    }
)
_FORMATS: Final = dict.fromkeys(_SHARES, "0.0 %") | {"score": "0.000", "distance": "0.00", "pixel_size_um": "0.0000"}
_WIDTHS: Final = {
    "file": 42,
    "raw_image_id": 30,
    "reason": 60,
    "notes": 60,
    "flags": 22,
    "pixel_size_um": 14,
    "sentence": 90,
}
_WIDTH: Final = 11
_OPTIONS: Final = {
    "constant_memory": True,  # rows leave memory as they are written
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_CREATED: Final = datetime.datetime(2000, 1, 1)  # so that the same rows are the same file


def write_workbook(
    rows: Sequence[FieldRow],
    wells: pd.DataFrame,
    parts: Iterable[tuple[FieldRow, pd.DataFrame]],
    path: Path,
    *,
    include_flagged: bool,
    sheets: Sequence[tuple[str, Sequence[str], Sequence[Mapping[str, Any]]]] = (),
    doses: Sequence[Mapping[str, Any]] | None = None,
    most_rows: int = MOST_ROWS,
) -> None:
    """Write a workbook with a sheet of fields, of wells and of patches; the same rows are the same bytes.

    Names stay as they are: a text is written as one, never as a formula or a link.

    Args:
        rows: Fields, in the order of ``fields.csv``.
        wells: As ``well_rows`` gives them.
        parts: Each field with its patches; not asked for where there are too many patches for a sheet, which says so.
        path: Of the file.
        include_flagged: Whether flagged fields enter the means.
        sheets: Further ones, each with its name, columns and rows.
        doses: Rows by ``DOSE_COLUMNS``, for a sheet of their own; None for none.
        most_rows: Patches that a sheet takes.
    """
    n_patches = sum(row.n_patches or 0 for row in rows)
    with written_whole(path) as file, xlsxwriter.Workbook(file, _OPTIONS) as book:
        book.set_properties({"created": _CREATED})
        of_fields = ((field_values(row, include_flagged=include_flagged), bool(row.flags)) for row in rows)
        _write_sheet(book, "fields", FIELD_COLUMNS, of_fields)
        _write_sheet(book, "wells", WELL_COLUMNS, ((row, False) for row in wells.to_dict("records")))
        for name, columns, told in sheets:
            _write_sheet(book, name, columns, ((row, bool(row.get("flags"))) for row in told))
        if doses is not None:
            _write_sheet(book, "doses", DOSE_COLUMNS, ((row, False) for row in doses))
        if n_patches <= most_rows:
            _write_sheet(book, "patches", ALL_PATCH_COLUMNS, _patches(parts))
        else:
            words = f"{n_patches:,} patches are more than a sheet of Excel holds: they are in patches.csv"
            book.add_worksheet("patches").write_string(0, 0, words)


def _patches(parts: Iterable[tuple[FieldRow, pd.DataFrame]]) -> Iterator[tuple[dict[str, Any], bool]]:
    for row, patches in parts:
        names = {"file": row.file, "raw_image_id": row.raw_image_id}
        for values in patch_values(patches):
            yield names | dict(zip(PATCH_COLUMNS, values, strict=True)), bool(row.flags)


def _write_sheet(book: Any, name: str, columns: Sequence[str], rows: Iterable[tuple[Mapping[Any, Any], bool]]) -> None:
    """Write a table below a header that stays in view; rows that are flagged are grey."""
    sheet = book.add_worksheet(name)
    header = book.add_format({"bold": True, "bottom": 1, "bg_color": "#EEEEEE"})
    formats = [[book.add_format(_format_of(column, grey=grey)) for column in columns] for grey in (False, True)]
    for number, column in enumerate(columns):
        sheet.set_column(number, number, max(_WIDTHS.get(column, _WIDTH), len(column) + 2))
        sheet.write_string(0, number, column, header)
    sheet.freeze_panes(1, 0)
    last = 0
    for last, (values, grey) in enumerate(rows, 1):
        for number, (column, format_) in enumerate(zip(columns, formats[grey], strict=True)):
            _write_cell(sheet, last, number, values[column], format_)
    sheet.autofilter(0, 0, last, len(columns) - 1)


def _format_of(column: str, *, grey: bool) -> dict[str, Any]:
    kept = {"num_format": _FORMATS[column]} if column in _FORMATS else {}
    return kept | ({"font_color": "#6B6B6B", "italic": True} if grey else {})


def _write_cell(sheet: Any, row: int, column: int, value: Any, format_: Any) -> None:
    if isinstance(value, str):
        sheet.write_string(row, column, printable(value)[:_LONGEST], format_)
    elif missing(value):
        return
    elif isinstance(value, bool | np.bool_):
        sheet.write_boolean(row, column, bool(value), format_)
    else:
        sheet.write_number(row, column, float(value), format_)
