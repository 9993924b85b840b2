"""A table of labels that only ever grows: each label is on disk before the next patch is shown, and none is lost.

What was written stays as it is. A label that is taken back is a row more, ``undone``, so that nothing on disk is
touched again, whatever another program, a full disk or a power cut may do meanwhile. Another program may change the
file: its rows are taken over as they are, and what it lacks of the labels given here is written again below them.
"""

import contextlib
import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jimt.curation.hand_labels import CHOSEN_BY, COLUMNS, UNDONE, label_rows, standing_labels
from jimt.curation.tables import TableForm, table_form
from jimt.errors import InputError, writing

Place = tuple[str, int, int]
"""A patch: raw image, and y and x of its top left corner in pixels."""
HEADER: Final = (*COLUMNS, CHOSEN_BY)
_TRIES: Final = 5  # a file that another program replaces each time it is written


@dataclass(frozen=True)
class Label:
    """What a patch was called, and how it came about that it was asked for: ``spread`` or ``uncertain``."""

    word: str
    chosen_by: str


class LabelTable:
    """The labels of one annotator, in memory and on disk.

    Args:
        path: Of the CSV; made with the first label.
        words: That a label may be, beside ``undone``.

    Attributes:
        path: Of the CSV.
        labels: What each patch is called, in the order in which they were labelled.
        cut_row: A last row that a power cut or a full disk had left incomplete, and that was removed; empty if none.

    Raises:
        InputError: If the file is there and cannot be read, or holds another word.
    """

    def __init__(self, path: Path, *, words: Sequence[str]) -> None:
        self.path, self._words = path, tuple(words)
        self.labels: dict[Place, Label] = {}
        self._seen: tuple[int, ...] | None = None
        try:
            self._take_over(self._read())
            self.cut_row = ""
        except InputError:
            if not (cut_row := self._without_cut_row()):
                raise
            self.cut_row = cut_row

    def add(self, place: Place, label: Label) -> str | None:
        """Write a label; once this returns it is on disk.

        Returns:
            What another program had changed meanwhile, as a sentence; None where nothing.

        Raises:
            InputError: If it cannot be written; then nothing is, and the label does not count.
            KeyError: If another program has labelled the patch meanwhile; that label counts.
        """
        told = self.merged()
        if place in self.labels:
            raise KeyError(place)
        told = self._written([(place, label)], told)
        self.labels[place] = label
        return told

    def take_back(self, place: Place) -> str | None:
        """Write that a patch has no label any more; returns and errors as of ``add``."""
        told = self.merged()
        if place in self.labels:
            told = self._written([(place, Label(UNDONE, ""))], told)
            self.labels.pop(place, None)
        return told

    def merged(self) -> str | None:
        """Take over what another program has changed in the file, and write again what it lacks.

        Returns:
            What that was, as a sentence; None where nothing has changed.

        Raises:
            InputError: If the file cannot be read any more; nothing is written then.
        """
        if self._state() == self._seen:
            return None
        before = self.labels
        undone = self._take_over(self._read())
        lost = {place: label for place, label in before.items() if place not in self.labels and place not in undone}
        n_new = len(self.labels.keys() - before.keys())
        n_other = sum(before[place].word != label.word for place, label in self.labels.items() if place in before)
        n_undone = len(before.keys() & undone)
        self.labels |= lost
        if lost:
            self._seen = ()  # until it is written: as long as it is not, the next label asks for it again
            self._append(list(lost.items()))
        told = [
            (n_new, f"{n_new} more label{'s' * (n_new != 1)} taken over"),
            (n_other, f"{n_other} other label{'s' * (n_other != 1)} taken over"),
            (n_undone, f"{n_undone} taken back"),
            (len(lost), f"{len(lost)} that it lacked written again"),
        ]
        parts = ", ".join(words for n, words in told if n)
        return f"{self.path.name} was changed by another program: {parts or 'the labels are the same'}."

    def _written(self, rows: list[tuple[Place, Label]], told: str | None) -> str | None:
        for _ in range(_TRIES):
            self._append(rows)
            if self._state() == self._seen:
                return told
            told = self.merged()  # the file was replaced while it was written, and the rows are in none of any name
            if any(label.word != UNDONE and place in self.labels for place, label in rows):
                raise KeyError(rows[0][0])
        raise InputError(f"another program replaces {self.path} again and again", advice="close it there")

    def _state(self) -> tuple[int, ...] | None:
        """What tells this content of the file from another; None where it is absent or holds nothing."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return _state_of(found) if found.st_size else None

    def _read(self) -> tuple[dict[Place, Label], set[Place]]:
        """Labels that stand in the file, and patches whose last label was taken back."""
        for _ in range(_TRIES):
            before = self._state()
            if before is None:
                self._seen = None
                return {}, set()
            found = self._parsed()
            if self._state() == before:
                self._seen = before
                return found
        raise InputError(f"another program writes {self.path} again and again", advice="close it there")

    def _parsed(self) -> tuple[dict[Place, Label], set[Place]]:
        if table_form(self.path, COLUMNS).is_empty:
            return {}, set()
        rows = label_rows(self.path)
        if unknown := sorted(set(rows["label"]) - {*self._words, UNDONE}):
            raise InputError(
                f"{self.path} holds the label {unknown[0]}, which is none of {', '.join(self._words)}",
                advice="correct it there",
            )
        standing = standing_labels(rows, self.path)
        columns = (standing[name].tolist() for name in HEADER)
        labels = {(name, y, x): Label(word, by) for name, y, x, word, by in zip(*columns, strict=True)}
        every = set(rows[["raw_image_id", "y", "x"]].itertuples(index=False, name=None))
        return labels, every - labels.keys()

    def _without_cut_row(self) -> str:
        """Remove a last row that has no end, if the others can be read without it; the row, or nothing."""
        data = self.path.read_bytes() if self.path.is_file() else b""
        kept = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if not 0 < kept < len(data):
            return ""
        with self.path.open("r+b") as file, writing(self.path, advice="mend that"):
            file.truncate(kept)
            try:
                self._take_over(self._read())
            except InputError:
                file.seek(kept)
                file.write(data[kept:])
                return ""
        return data[kept:].decode(errors="replace")

    def _take_over(self, found: tuple[dict[Place, Label], set[Place]]) -> set[Place]:
        self.labels = found[0]
        return found[1]

    def _append(self, rows: list[tuple[Place, Label]]) -> None:
        """Write rows below the others, in the form that the file has, and wait until they are on disk."""
        is_new = self._state() is None
        form = TableForm(",", HEADER, "\n", True, True) if is_new else table_form(self.path, COLUMNS)
        text = io.StringIO()
        writer = csv.writer(text, delimiter=form.delimiter, lineterminator=form.line_end)
        if is_new:
            writer.writerow(HEADER)
        elif not form.ends_line:
            text.write(form.line_end)
        for (name, y, x), label in rows:
            values = dict(zip(HEADER, (name, y, x, label.word, label.chosen_by), strict=True))
            writer.writerow([values.get(column, "") for column in form.columns])
        with writing(self.path, advice="the label was not saved: mend that, and press its key again"):
            self._seen = append(self.path, text.getvalue().encode())
            if is_new:
                sync_folder(self.path.parent)


def append(path: Path, data: bytes) -> tuple[int, ...]:
    """Write at the end of a file, all of it or nothing, and wait until it is on disk.

    Returns:
        What tells this content of the file from another.

    Raises:
        OSError: If the system refuses it.
    """
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        size = os.fstat(number).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(number, rest) :]
            os.fsync(number)
        except OSError:  # half a row would be read as another patch
            with contextlib.suppress(OSError):
                os.ftruncate(number, size)
            raise
        return _state_of(os.fstat(number))
    finally:
        os.close(number)


def sync_folder(folder: Path) -> None:
    """Wait until the name of a new file is on disk, too, where a system has a way to ask for that."""
    if os.name == "posix":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _state_of(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_size, found.st_mtime_ns
