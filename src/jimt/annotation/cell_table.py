"""Cells of whole fields, clicked one by one: each click is on disk at once, and a finished field enters the table.

A field with a row in ``dataset.cells`` was counted, all of it, so a field that is half done must not stand there.
Clicks go to a journal that only grows; the table of cells is made of its finished fields, written whole, and replaces
no table that another program has changed.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from jimt.annotation.label_table import append, sync_folder
from jimt.curation.counted_cells import COLUMNS
from jimt.errors import InputError, writing
from jimt.system.files import write_whole

What = Literal["opened", "added", "removed", "counted"]
_JOURNAL: Final = ("raw_image_id", "y", "x", "dead", "what")
_WORDS: Final = ("opened", "added", "removed", "counted")
Spot = tuple[float, float]
"""y and x of a cell's centre, pixels, rounded to tenths."""
Row = tuple[str, Spot | None, bool, What]
"""A row of the journal: raw image, place, whether dead, and what was done."""


@dataclass
class CountedField:
    """What is known of one field.

    Attributes:
        cells: Whether each is dead, by its place.
        is_opened: Whether it was shown, so that nothing is offered again.
        is_counted: Whether it is done, and stands in the table; what is clicked afterwards makes it open again.
    """

    cells: dict[Spot, bool] = field(default_factory=dict)
    is_opened: bool = False
    is_counted: bool = False


class CellTable:
    """The cells of one annotator.

    Args:
        path: Of the table, which is read by ``dataset.cells``; the journal lies beside it.

    Attributes:
        path: Likewise.
        fields: By raw image, those that were opened.

    Raises:
        InputError: If the journal cannot be read, or the table is not what the journal says.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._journal = path, path.with_suffix(".journal.csv")
        self.fields: dict[str, CountedField] = {}
        rows = self._read()
        n_done = max((number for number, (*_, what) in enumerate(rows, 1) if what == "counted"), default=0)
        _apply(self.fields, rows[:n_done])
        self._written = _rendered(self.fields)
        _apply(self.fields, rows[n_done:])
        if path.is_file() and (found := path.read_bytes()) != self._written:
            if found not in _tables(rows):
                raise self._changed()
            self._write(self._written)  # the program had noted a field, and could not write the table any more

    def of(self, name: str) -> CountedField:
        """What is known of a field."""
        return self.fields.get(name, CountedField())

    def open(self, name: str, cells: dict[Spot, bool]) -> None:
        """Note that a field is shown for the first time, with cells that are offered for correction.

        Raises:
            InputError: If that cannot be written.
        """
        offered: list[tuple[Spot | None, bool, What]] = [(spot, dead, "added") for spot, dead in cells.items()]
        self._note(name, [(None, False, "opened"), *offered])

    def add(self, name: str, spot: Spot, *, dead: bool) -> None:
        """Note a cell, or that one is dead or alive other than it was called; errors as of ``open``."""
        self._note(name, [(spot, dead, "added")])

    def remove(self, name: str, spot: Spot) -> None:
        """Note that there is no cell; errors as of ``open``."""
        self._note(name, [(spot, False, "removed")])

    def count(self, name: str) -> None:
        """Note that all cells of a field are there, and write the table.

        Raises:
            InputError: If that cannot be written, or another program has changed the table.
        """
        if self.path.is_file() and self.path.read_bytes() != self._written:
            raise self._changed()
        self._note(name, [(None, False, "counted")])
        self._write(_rendered(self.fields))

    def _write(self, table: bytes) -> None:
        with writing(self.path, advice="mend that, and finish the field again"):
            write_whole(self.path, table)
        self._written = table

    def _changed(self) -> InputError:
        return InputError(
            f"{self.path} was changed by another program, and holds other cells than {self._journal.name}",
            advice="give the changed table another name; what was clicked is in the journal",
        )

    def _note(self, name: str, changes: list[tuple[Spot | None, bool, What]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        is_new = not self._journal.is_file() or not self._journal.stat().st_size
        if is_new:
            writer.writerow(_JOURNAL)
        for spot, dead, what in changes:
            y, x = ("", "") if spot is None else (f"{spot[0]:.1f}", f"{spot[1]:.1f}")
            writer.writerow((name, y, x, int(dead), what))
        with writing(self._journal, advice="it was not saved: mend that, and do it again"):
            append(self._journal, text.getvalue().encode())
            if is_new:
                sync_folder(self._journal.parent)
        _apply(self.fields, [(name, *change) for change in changes])

    def _read(self) -> list[Row]:
        if not self._journal.is_file():
            return []
        text = self._journal.read_bytes()
        if not text.endswith(b"\n"):  # a power cut left half a row
            text = text[: text.rfind(b"\n") + 1]
            with writing(self._journal, advice="mend that"), self._journal.open("r+b") as file:
                file.truncate(len(text))
        if not text:
            return []
        try:
            header, *rows = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
            found = [_row(row) for row in rows]
        except (ValueError, csv.Error) as error:
            raise InputError(f"{self._journal} is damaged ({error})", advice="give it another name") from error
        if tuple(header) != _JOURNAL:
            raise InputError(f"{self._journal} is no journal of cells", advice="give it another name")
        return found


def _apply(fields: dict[str, CountedField], rows: Iterable[Row]) -> None:
    for name, spot, dead, what in rows:
        found = fields.setdefault(name, CountedField())
        found.is_opened = True
        found.is_counted = what == "counted"
        if spot is not None and what == "added":
            found.cells[spot] = dead
        elif spot is not None and what == "removed":
            found.cells.pop(spot, None)


def _rendered(fields: dict[str, CountedField]) -> bytes:
    """The table, of finished fields."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, found in fields.items():
        if found.is_counted:
            writer.writerows((name, f"{y:.1f}", f"{x:.1f}", int(dead)) for (y, x), dead in found.cells.items())
    return text.getvalue().encode()


def _tables(rows: list[Row]) -> Iterator[bytes]:
    """Every table that a journal has led to, one for each field that was finished."""
    fields: dict[str, CountedField] = {}
    yield _rendered(fields)
    for row in rows:
        _apply(fields, [row])
        if row[3] == "counted":
            yield _rendered(fields)


def _row(row: list[str]) -> Row:
    name, y, x, dead, what = row
    for word in _WORDS:
        if word == what:
            return name, (float(y), float(x)) if y else None, dead == "1", word
    raise ValueError(f"{what} is no word of it")
