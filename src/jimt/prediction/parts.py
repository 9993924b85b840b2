"""What is kept of a prediction while it runs, so that the same command goes on where it was killed."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from jimt.errors import InputError
from jimt.prediction.answers import FieldRow, Source
from jimt.system.files import digest_of, read_json, write_json, write_whole
from jimt.system.locks import RUN_LOCK

_FOLDER: Final = ".jimt"
"""Of the output folder: what was asked, and a file for each field that is done."""
_ASKED: Final = "asked.json"
_TUPLES: Final = ("flags", "reasons", "notes")
_OF_SOURCE: Final = ("number", "plate", "well", "field", "time")


def holds_prediction(folder: Path) -> bool:
    """Whether the answers of a command lie in a folder."""
    return (folder / _FOLDER / _ASKED).is_file()


class Parts:
    """The fields of a prediction that are done.

    Args:
        out: The output folder.
        asked: What the answers depend on, plain values.
        of_pi: Where PI of each field is, by its number; none where answers are not checked.

    Raises:
        InputError: If the folder holds anything else than a prediction with the same.
    """

    def __init__(self, out: Path, asked: dict[str, Any], of_pi: Mapping[int, Source]) -> None:
        self._folder = out / _FOLDER
        self._of_pi = of_pi
        self._names: dict[int, str] = {}
        self._rows: dict[int, FieldRow] = {}  # which are small, and every table asks for all of them
        self._asked, self._is_new = asked, False
        known = self._folder / _ASKED
        if known.is_file():
            before = read_json(known, advice="give another folder", remedies=("--out FOLDER",)).get("asked")
            if not isinstance(before, dict):
                raise InputError(f"{known} is damaged", advice="give another folder", remedies=("--out FOLDER",))
            differs = sorted(key for key in asked.keys() | before.keys() if asked.get(key) != before.get(key))
            if differs:
                raise InputError(
                    f"{out} holds another prediction, which differs in: {', '.join(differs)}",
                    advice="give another folder",
                    remedies=("--out FOLDER",),
                )
            return
        if out.exists() and (not out.is_dir() or any(map(self._is_foreign, out.iterdir()))):
            raise InputError(
                f"{out} holds something else than a prediction",
                advice="give another folder",
                remedies=("--out FOLDER",),
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(known, {"asked": asked})
        self._is_new = True

    def withdraw(self) -> None:
        """Leave the output folder as it was found, where this command has begun it and no field is being answered."""
        known = self._folder / _ASKED
        if not self._is_new or any(path != known for path in self._folder.iterdir()):
            return
        known.unlink()
        try:
            self._folder.rmdir()
        except OSError:  # a worker that was left behind has begun a field
            write_json(known, {"asked": self._asked})

    def _is_foreign(self, path: Path) -> bool:
        """Whether something in the output folder is of nobody who was killed before anything was asked."""
        if path == self._folder and path.is_dir():
            return any(not inner.name.startswith(f".{_ASKED}") for inner in path.iterdir())
        return path.name != RUN_LOCK

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def path(self, source: Source) -> Path:
        """Of the field's part, as long as its file and that of its PI stay as they are."""
        if source.number not in self._names:
            of_field = [*_state(source), source.name]
            if (pi := self._of_pi.get(source.number)) is not None and pi.path != source.path:
                of_field += _state(pi)
            self._names[source.number] = digest_of(of_field)[:32]
        return self._folder / f"{self._names[source.number]}.part"

    def has(self, source: Source) -> bool:
        """Whether a field is done; one whose part is damaged is not."""
        try:
            self._rows[source.number] = self._row(source, self._content(source)[0])
        except InputError:
            return False
        return True

    def add(self, source: Source, row: FieldRow, patches: pd.DataFrame) -> None:
        """Note that a field is done: after this, none of its files is written again."""
        write_part(self.path(source), row, patches)
        self.note(source, row)

    def note(self, source: Source, row: FieldRow) -> None:
        """Likewise of one whose part somebody else has written."""
        self._rows[source.number] = row

    def read(self, source: Source) -> tuple[FieldRow, pd.DataFrame]:
        """What a field has given: its row, and its patches."""
        row, patches = self._content(source)
        return self._row(source, row), pd.DataFrame(json.loads(patches))

    def row(self, source: Source) -> FieldRow:
        """Its row alone."""
        if source.number not in self._rows:
            self._rows[source.number] = self._row(source, self._content(source)[0])
        return self._rows[source.number]

    def _content(self, source: Source) -> tuple[bytes, bytes]:
        """Row and patches as they were written."""
        path, advice = self.path(source), "run the same command again"
        try:
            digest, _, content = path.read_bytes().partition(b"\n")
        except OSError as error:
            raise InputError(f"{path} is missing or cannot be read", advice=advice) from error
        if digest != _digest(content):  # a disk or a hand has changed it since
            raise InputError(f"{path} is damaged", advice=advice)
        row, _, patches = content.partition(b"\n")
        return row, patches

    def _row(self, source: Source, content: bytes) -> FieldRow:
        told = json.loads(content)
        told |= {name: tuple(told[name]) for name in _TUPLES}
        told |= {name: getattr(source, name) for name in _OF_SOURCE}  # which may be read otherwise since
        return FieldRow(**told)


def write_part(path: Path, row: FieldRow, patches: pd.DataFrame) -> None:
    """Write what a field has given: a line for its row and one for its patches, below a line that tells damage."""
    lines = json.dumps(dataclasses.asdict(row)), json.dumps(patches.to_dict("list"))
    content = "\n".join(lines).encode()
    write_whole(path, _digest(content) + b"\n" + content)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _state(source: Source) -> list[Any]:
    """What tells whether a field is the same as before."""
    try:
        stat = source.path.stat()
        state = [stat.st_size, stat.st_mtime_ns]
    except OSError:  # whoever reads it says why
        state = []
    return [str(source.path), source.series, source.time_index, state]
