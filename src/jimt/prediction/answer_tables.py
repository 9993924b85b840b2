"""Tables of fields and of patches as CSV: what stands in them, and how hostile names are written.

UTF-8 with a byte order mark, without which Excel takes it for another encoding; lines and quotes as RFC 4180 has them.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.prediction.answers import PATCH_COLUMNS, FieldRow
from jimt.system.files import written_whole

FIELD_COLUMNS: Final = (
    "file",
    "raw_image_id",
    "plate",
    "well",
    "field",
    "time",
    "height",
    "width",
    "pixel_size_um",
    "dead_share",
    "dead_share_low",
    "dead_share_high",
    "share_of",
    "viability",
    "pi_share",
    "n_cells",
    "n_patches",
    "n_empty",
    "n_uncertain",
    "distance",
    "flags",
    "reason",
    "notes",
    "counted",
)
ALL_PATCH_COLUMNS: Final = ("file", "raw_image_id", *PATCH_COLUMNS)

_FORMULA: Final = re.compile(r"(^|[;\t\r\n])(?=[\t\r\n']| *[=+\-@＝＋－＠])")
"""Where a spreadsheet may begin a cell that it takes for a formula (OWASP: "CSV Injection"), in Japanese by the wide
forms too. Where numbers have a decimal comma, a cell also begins after a semicolon."""
_NUMBER: Final = re.compile(r"[+-]?\d+([.,]\d+)?", re.ASCII)
_DECIMALS: Final = 6


def counts(row: FieldRow, *, include_flagged: bool) -> bool:
    """Whether a field enters the means of its well.

    Args:
        row: The field.
        include_flagged: Whether fields that are flagged enter them too.
    """
    return row.dead_share is not None and row.failed is None and (include_flagged or not row.flags)


def viability(row: FieldRow) -> float | None:
    """The share of living cells, of a field whose nuclei were counted; no other share is one of cells."""
    return 1 - row.dead_share if row.share_of == "nuclei" and row.dead_share is not None else None


def field_values(row: FieldRow, *, include_flagged: bool) -> dict[str, Any]:
    """What stands in the table of fields of one, by ``FIELD_COLUMNS``; None where there is nothing to tell."""
    told = {name: getattr(row, name) for name in FIELD_COLUMNS if hasattr(row, name)}
    return told | {
        "viability": viability(row),
        "flags": ";".join(row.flags) or None,
        "reason": row.failed if row.failed is not None else " ".join(row.reasons) or None,
        "notes": " ".join(row.notes) or None,
        "counted": counts(row, include_flagged=include_flagged),
    }


def write_fields(rows: Iterable[FieldRow], path: Path, *, include_flagged: bool) -> None:
    """Write ``fields.csv``, a row for each field in the order given; those that failed too, with the reason.

    Args:
        rows: The fields.
        path: Of the file.
        include_flagged: Whether flagged fields enter the means.
    """
    write_rows((field_values(row, include_flagged=include_flagged) for row in rows), FIELD_COLUMNS, path)


def patch_values(patches: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Rows of a table of patches as plain values, by ``PATCH_COLUMNS``."""
    return zip(*(patches[name].tolist() for name in PATCH_COLUMNS), strict=True)


def write_patches(parts: Iterable[tuple[FieldRow, pd.DataFrame]], path: Path) -> None:
    """Write ``patches.csv``, one field after another; only one is held in memory.

    Args:
        parts: Each field with its patches, ``PATCH_COLUMNS``.
        path: Of the file.
    """

    def lines() -> Iterator[list[str]]:
        for row, patches in parts:
            names = [cell(row.file), cell(row.raw_image_id)]
            for values in patch_values(patches):
                yield [*names, *map(cell, values)]

    _write_lines(lines(), ALL_PATCH_COLUMNS, path)


def write_rows(rows: Iterable[Mapping[Any, Any]], columns: Sequence[str], path: Path) -> None:
    """Write a CSV row by row; it is there whole or not at all, and the same rows are the same bytes.

    Args:
        rows: Values by column; texts, numbers, truth values, and None or NaN where there is none.
        columns: In their order.
        path: Of the file.
    """
    _write_lines(([cell(row[name]) for name in columns] for row in rows), columns, path)


def _write_lines(lines: Iterable[Sequence[str]], columns: Sequence[str], path: Path) -> None:
    with written_whole(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="backslashreplace", newline="")
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(lines)
        text.detach()  # flushes it, and leaves the file to be closed by who opened it


def cell(value: Any) -> str:
    r"""A value as a CSV has it: six decimals at most, nothing for None and NaN, and no text that could be a formula.

    An apostrophe stands before what a spreadsheet could take for a formula, at the beginning and after a semicolon, a
    tab or a line break within; also before an apostrophe there, so that taking one away from each of these places gives
    every name back. A name that is a number, such as ``-5``, is left as it is.

    >>> cell(0.30000000000000004), cell(2.0), cell(-0.5), cell(None), cell(True)
    ('0.3', '2', '-0.5', '', 'True')
    >>> cell("=cmd|' /C calc'!A0"), cell("a;=1"), cell("'tis"), cell("-5"), cell("-5+2"), cell("B03")
    ("'=cmd|' /C calc'!A0", "a;'=1", "''tis", '-5', "'-5+2", 'B03')
    """
    if isinstance(value, str):
        return value if _NUMBER.fullmatch(value) else _FORMULA.sub(r"\1'", value)
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if missing(value):
        return ""
    text = f"{value:.{_DECIMALS}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def missing(value: Any) -> bool:
    """Whether a plain value stands for none: None, NaN or what pandas has for it."""
    return value is None or value is pd.NA or value != value


def printable(text: str) -> str:
    r"""A text that any file can hold: bytes of a file's name that are no UTF-8 are written as ``\udc..``.

    >>> print(printable("caf\udce9"))
    caf\udce9
    """
    return text.encode("utf-8", "backslashreplace").decode()
