"""Writes the store's files so that an interrupted curation goes on where it stopped."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import pyarrow
from numpy.typing import NDArray

from jimt.curation.cell_tables import NUCLEI, join_tables, placed_nuclei
from jimt.curation.copies import DIGESTS
from jimt.curation.reading import BadField, FieldPatches, Spool
from jimt.curation.shift import as_text
from jimt.curation.store import AREAS, FIELDS, FILES, FLUORESCENCE, FURTHER, NAMES, NO_DATA, PIXELS, PLACE
from jimt.vocabulary import FURTHER_COLUMNS

_TABLES: Final = ("rows", "nuclei")


def _table(marker: Path, kind: str) -> Path:
    return marker.with_name(f"{marker.stem}-{kind}.parquet")


def _pixels_of(field: FieldPatches) -> Iterator[bytes | memoryview]:
    """What each file takes of a field."""
    if not isinstance(field.pixels, Spool):
        yield from (np.ascontiguousarray(part).data for part in field.pixels)
        return
    with field.pixels.path.open("rb", buffering=0) as spool:
        yield from (spool.read(n_bytes) for n_bytes in field.pixels.n_bytes)
    field.pixels.path.unlink()


class FieldWriter:
    """Appends fields and the rows of their patches; what was committed survives an interruption.

    A commit is a few files: the patches' rows, the nuclei where they are stained, then a small JSON file whose presence
    makes it count. What lies beyond the last commit is cut off the three files of pixels, and its tables are deleted,
    when the writing is taken up again.
    """

    def __init__(self, folder: Path, *, root: Path) -> None:
        # Arrow's own allocator keeps what was freed: 30 MiB that grow with the number of commits
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
        self.folder = folder
        self.root = root.absolute()
        """The data set's folder; a field is named by the path of its bright-field file below it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.spool = folder / "spool"
        """Where ``read_field`` leaves pixels; what a killed process left there is thrown away."""
        shutil.rmtree(self.spool, ignore_errors=True)
        self.spool.mkdir(exist_ok=True)
        self._commits = sorted(folder.glob("commit-*.json"))
        commits = [json.loads(path.read_text(encoding="utf-8")) for path in self._commits]
        self._ends = commits[-1]["ends"] if commits else dict.fromkeys(FILES, 0)
        self._files = {name: (folder / name).open("ab") for name in FILES}
        if any(self._files[name].tell() < end for name, end in self._ends.items()):
            # a power cut came between the pixels and the disk: start anew
            for path in self._commits:
                path.unlink()
            self._ends, self._commits, commits = dict.fromkeys(FILES, 0), [], []
        for table in set(folder.glob("commit-*.parquet")) - {part for kind in _TABLES for part in self._tables(kind)}:
            table.unlink()
        for name, end in self._ends.items():
            self._files[name].truncate(end)
        self.fields: list[dict[str, Any]] = [field for commit in commits for field in commit["fields"]]
        self.bad: dict[str, str] = {name: reason for commit in commits for name, reason in commit["bad"].items()}
        self.n_images = len(self.fields) + len(self.bad)
        self._n_committed = len(self.fields)
        self._bad_committed = set(self.bad)
        self._results: list[FieldPatches] = []

    def add(self, result: FieldPatches | BadField) -> None:
        """Append one field, or note a bad image."""
        self.n_images += 1
        raw = result.raw
        if isinstance(result, BadField):
            self.bad[str(raw.brightfield)] = result.reason
            return
        begins = dict(self._ends)
        for name, part in zip(FILES, _pixels_of(result), strict=False):
            self._ends[name] += self._files[name].write(part)
        self._results.append(dataclasses.replace(result, pixels=()))
        self.fields.append(
            {
                "raw_image_id": raw.raw_image_id,
                "group": raw.group,
                "file": raw.brightfield.absolute().relative_to(self.root).as_posix(),
                "height": result.height,
                "width": result.width,
                "offset": begins[PIXELS],
                "fluorescence_offset": begins[FLUORESCENCE],
                "fluorescence_type": result.fluorescence_type,
                "no_data_offset": begins[NO_DATA] if self._ends[NO_DATA] > begins[NO_DATA] else -1,
                "pi_area": None if np.isnan(result.pi_area) else result.pi_area,
                "background": None if np.isnan(result.background) else result.background,
                "exchanged": result.exchanged,
                "saturated": result.saturation.share,
                "saturated_at": None if np.isnan(result.saturation.value) else result.saturation.value,
                "evidence": as_text(result.evidence),
                "label": raw.label,
                "split": raw.split,
                **dict(zip(DIGESTS, result.digests, strict=True)),
                "bits": [dataclasses.asdict(bits) for bits in result.bits],
                **result.further.of_field(),
            }
        )

    def commit(self) -> None:
        """Make everything added so far survive an interruption."""
        bad = {key: reason for key, reason in self.bad.items() if key not in self._bad_committed}
        if not self._results and not bad:
            return
        # not synchronised with the disk: a killed process loses nothing of this, and waiting for the disk would cost
        # more than all the rest; after a power cut pixels may be fewer than committed, which the next start notices
        for file in self._files.values():
            file.flush()
        name = f"commit-{len(self._commits):06d}"
        marker = self.folder / f"{name}.json"
        if self._results:
            self._rows().to_parquet(_table(marker, "rows"))
            nuclei = [result.further.nuclei for result in self._results if result.further.nuclei is not None]
            if nuclei:  # where the data set has their stain, every field has them
                placed_nuclei(nuclei, first=self._n_committed).to_parquet(_table(marker, "nuclei"), index=False)
        content = {"fields": self.fields[self._n_committed :], "bad": bad, "ends": self._ends}
        marker.with_suffix(".tmp").write_text(json.dumps(content), encoding="utf-8")
        marker.with_suffix(".tmp").replace(marker)
        self._commits.append(marker)
        self._n_committed = len(self.fields)
        self._bad_committed = set(self.bad)
        self._results = []

    def _rows(self) -> pd.DataFrame:
        """One row for each patch added since the last commit."""
        results = self._results
        counts = [len(result.no_data) for result in results]

        def column(name: str, missing: float) -> NDArray[Any]:
            parts = [getattr(result, name) for result in results]
            filled = [np.full(n, missing) if part is None else part for part, n in zip(parts, counts, strict=True)]
            return np.concatenate(filled)

        further = {
            name: np.concatenate([getattr(result.further, name) for result in results])
            for name in FURTHER_COLUMNS
            if results[0].further.nuclei is not None
        }
        return pd.DataFrame(
            {
                "field": np.repeat(np.arange(self._n_committed, len(self.fields), dtype=np.int32), counts),
                "y": pd.array(column("y", np.nan), dtype="Int32"),
                "x": pd.array(column("x", np.nan), dtype="Int32"),
                "no_data": column("no_data", 0.0).astype(np.float32),
                "mean_fluorescence": column("mean_fluorescence", np.nan),
                "positive": column("positive", np.nan),
                **further,
            }
        )

    def _tables(self, kind: str) -> list[Path]:
        """Tables of a kind that were committed; a commit of nothing but bad images has none."""
        return [table for marker in self._commits if (table := _table(marker, kind)).exists()]

    def finish(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Commit; returns the rows of all patches and of all fields, of which ``write_fields`` keeps what is kept.

        Nuclei, which may be many, go from the commits into their own file.
        """
        self.commit()
        shutil.rmtree(self.spool, ignore_errors=True)  # holds what a killed worker left: its image was read again
        rows = [pd.read_parquet(part) for part in self._tables("rows")]
        if nuclei := self._tables("nuclei"):
            join_tables(nuclei, self.folder / NUCLEI)
        columns = [*PLACE, *NAMES, "saturated", "saturated_at", "exchanged", "evidence", "label", "split", *AREAS]
        fields = pd.DataFrame(self.fields, columns=columns)
        # of many fields some have none: pandas would make text of the column, in which None becomes a number
        fields["evidence"] = pd.Series([field["evidence"] for field in self.fields], dtype=object)
        for column in FURTHER:
            if any(column in field for field in self.fields):
                fields[column] = [field[column] for field in self.fields]
        fields[list(AREAS)] = fields[list(AREAS)].astype(np.float64)
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(), fields

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files.values():
            file.close()


def write_fields(folder: Path, fields: pd.DataFrame) -> None:
    """Keep the table of fields; the channels' shifts stand in it where they were sought."""
    shifts = [column for column in ("shift_y", "shift_x") if column in fields]
    further = [column for column in FURTHER if column in fields]
    fields[[*PLACE, *NAMES, "saturated", *shifts, *AREAS, *further]].to_parquet(folder / FIELDS)
