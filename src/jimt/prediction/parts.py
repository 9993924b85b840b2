"""What is kept of a prediction while it runs, so that the same command goes on where it was killed."""

import dataclasses
import json
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


class Parts:
    """The fields of a prediction that are done.

    Args:
        out: The output folder.
        asked: What the answers depend on, plain values.

    Raises:
        InputError: If the folder holds anything else than a prediction with the same.
    """

    def __init__(self, out: Path, asked: dict[str, Any]) -> None:
        self._folder = out / _FOLDER
        self._paths: dict[int, Path] = {}
        known = self._folder / _ASKED
        if known.is_file():
            before = read_json(known, advice="give another folder").get("asked", {})
            differs = sorted(key for key in asked.keys() | before.keys() if asked.get(key) != before.get(key))
            if differs:
                raise InputError(
                    f"{out} holds another prediction, which differs in: {', '.join(differs)}",
                    advice="give another folder",
                    remedies=("--out FOLDER",),
                )
            return
        if out.exists() and (not out.is_dir() or any(path.name != RUN_LOCK for path in out.iterdir())):
            raise InputError(
                f"{out} holds something else than a prediction",
                advice="give another folder",
                remedies=("--out FOLDER",),
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        write_json(known, {"asked": asked})

    def _path(self, source: Source) -> Path:
        """Of the field, as long as its file stays as it is."""
        if source.number not in self._paths:
            try:
                stat = source.path.stat()
                state = [stat.st_size, stat.st_mtime_ns]
            except OSError:  # whoever reads it says why
                state = []
            of_field = [str(source.path), source.series, source.time_index, source.name, state]
            self._paths[source.number] = self._folder / f"{digest_of(of_field)[:32]}.json"
        return self._paths[source.number]

    def has(self, source: Source) -> bool:
        """Whether a field is done."""
        return self._path(source).is_file()

    def add(self, source: Source, row: FieldRow, patches: pd.DataFrame) -> None:
        """Note that a field is done: after this, none of its files is written again."""
        part = {"row": dataclasses.asdict(row), "patches": patches.to_dict("list")}
        write_whole(self._path(source), json.dumps(part))

    def read(self, source: Source) -> tuple[FieldRow, pd.DataFrame]:
        """What a field has given: its row, and its patches."""
        part = read_json(self._path(source), advice="remove the folder, and predict anew")
        told = part["row"] | {"number": source.number}  # another may have come before it since
        told |= {name: tuple(told[name]) for name in _TUPLES}
        return FieldRow(**told), pd.DataFrame(part["patches"])

    def row(self, source: Source) -> FieldRow:
        """Its row alone."""
        return self.read(source)[0]
