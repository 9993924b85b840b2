"""Reads a table as a spreadsheet of any country saves it."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jimt.config.patterns import composed
from jimt.errors import InputError

_DELIMITERS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_BYTE_ORDER_MARKS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_QUOTED: Final = re.compile(r'"([^"]|"")*("|$)')


def read_table(
    path: Path, columns: Sequence[str], *, what: str, of: str, optional: Sequence[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """The number of each line and its texts by column, stripped and in Unicode's composed form.

    Columns may stand in any order and beside others; commas, semicolons, tabs or bars part them. Line ends are those of
    any system, text is UTF-8 or has a byte order mark.

    Args:
        path: Of a file that is there.
        columns: That it must have.
        what: A row is, in words.
        of: What there is a row for.
        optional: Columns that it may have besides.

    Raises:
        InputError: If it is no such table; the message names the line.
    """
    needs = "it needs " + ",".join(columns)
    lines, first, delimiter, seen = _lines(path, needs=needs)
    reader = csv.reader(lines[first:], delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        (_, header), *rows = [(first + reader.line_num, row) for row in reader if any(field.strip() for field in row)]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a table with {seen} ({error})", advice=needs) from error
    names = [composed(name).strip().lower() for name in header]
    wanted = [*columns, *(name for name in optional if name in names)]
    if missing := [column for column in wanted if names.count(column) != 1]:
        which = "lacks" if missing[0] not in names else "holds more than once"
        raise InputError(
            f"{path} {which} the column {', '.join(missing)} (read with {seen}, its first line holds "
            f"{', '.join(names)[:200]})",
            advice=needs,
        )
    if not rows:
        raise InputError(
            f"{path} holds the names of its columns and no {what}",
            advice=f"write a row for each {of} below them",
        )
    for number, row in rows:
        if any(field.strip() for field in row[len(names) :]) or len(row) < len(names):
            raise InputError(
                f"{path} holds {len(row)} fields in line {number} where the first line names "
                f"{len(names)}, read with {seen}",
                advice="correct it, or put fields that hold the delimiter in quotes",
            )
    return [(number, {name: composed(row[names.index(name)]).strip() for name in wanted}) for number, row in rows]


@dataclass(frozen=True)
class TableForm:
    """How a table is written, so that a row can be written below it.

    Attributes:
        delimiter: Between fields.
        columns: Their names, in small letters.
        line_end: Of its first line.
        ends_line: Whether its last line has an end, too.
        is_empty: Whether there is no row below the names.
    """

    delimiter: str
    columns: tuple[str, ...]
    line_end: str
    ends_line: bool
    is_empty: bool


def table_form(path: Path, columns: Sequence[str]) -> TableForm:
    """How a table is written that ``read_table`` reads.

    Raises:
        InputError: If it lacks a column, or is in UTF-16, to which nothing can be added.
    """
    needs = "it needs " + ",".join(columns)
    data = _bytes(path)
    if any(data.startswith(mark) and encoding == "utf-16" for mark, encoding in _BYTE_ORDER_MARKS.items()):
        raise InputError(f"{path} is text in UTF-16", advice="save it as CSV UTF-8")
    lines, first, delimiter, seen = _lines(path, needs=needs)
    names = tuple(composed(name).strip().lower() for name in next(csv.reader([lines[first]], delimiter=delimiter)))
    if missing := [column for column in columns if names.count(column) != 1]:
        raise InputError(f"{path} lacks the column {', '.join(missing)} (read with {seen})", advice=needs)
    end = re.search(rb"\r\n|\r|\n", data)
    is_empty = not any(line.strip() for line in lines[first + 1 :])
    line_end = "\n" if end is None else end[0].decode()
    return TableForm(delimiter, names, line_end, data.endswith((b"\n", b"\r")), is_empty)


def _lines(path: Path, *, needs: str) -> tuple[list[str], int, str, str]:
    """Lines of a table, the number of the one with the names, the delimiter, and that in words."""
    lines = _text(path, needs=needs).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    delimiter = None
    if first < len(lines) and (named := re.fullmatch(r"sep=(.) *", lines[first])):  # Excel's own first line
        delimiter, first = named[1], first + 1
    if not any(line.strip() for line in lines[first:]):
        raise InputError(f"{path} holds nothing", advice=needs)
    header_line = _QUOTED.sub("", lines[first])
    if delimiter is None:
        delimiter = max(_DELIMITERS, key=header_line.count)
    seen = _DELIMITERS.get(delimiter, repr(delimiter)) if delimiter in header_line else "no delimiter"
    return lines, first, delimiter, seen


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror})", advice="check the file and its permissions"
        ) from error


def _text(path: Path, *, needs: str) -> str:
    data = _bytes(path)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8", advice=f"save it as CSV UTF-8; {needs}") from error
    if "\0" in text:
        raise InputError(f"{path} is no text but a file of another kind", advice=f"save it as CSV UTF-8; {needs}")
    return text
