"""The 8-bit fields in one memory-mapped file, written so that an interrupted curation goes on where it stopped.

``fields.u8`` holds the fields one after the other, ``fields.parquet`` where each begins; fields may differ in size.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from jimt.curation.copies import DIGESTS
from jimt.curation.reading import BadField, FieldPatches
from jimt.errors import InputError

PIXELS, FIELDS = "fields.u8", "fields.parquet"
_PLACE = ("offset", "height", "width")
_NAMES = ("raw_image_id", "group", "file", *DIGESTS)


class FieldWriter:
    """Appends fields and the rows of their patches; what was committed survives an interruption.

    A commit is a pair of files: the patches' rows, then a small JSON file whose presence makes it count. Pixels beyond
    the last commit are cut off when the writing is taken up again.
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
        self.fields: list[dict[str, Any]] = []
        self.bad: dict[str, str] = {}
        for path in self._commits:
            commit = json.loads(path.read_text())
            self.fields += commit["fields"]
            self.bad |= commit["bad"]
        end = self.fields[-1]["offset"] + self.fields[-1]["height"] * self.fields[-1]["width"] if self.fields else 0
        (folder / PIXELS).touch()
        if (folder / PIXELS).stat().st_size < end:  # a power cut came between the pixels and the disk: start anew
            for path in self._commits:
                path.unlink()
            end, self._commits, self.fields, self.bad = 0, [], [], {}
        os.truncate(folder / PIXELS, end)
        self.n_images = len(self.fields) + len(self.bad)
        self._end = end
        self._pixels = (folder / PIXELS).open("ab")
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
        height, width = result.height, result.width
        with result.spool.open("rb", buffering=0) as spool:
            shutil.copyfileobj(spool, self._pixels, height * width)
        result.spool.unlink()
        self._results.append(result)
        self.fields.append(
            {
                "raw_image_id": raw.raw_image_id,
                "group": raw.group,
                "file": raw.brightfield.absolute().relative_to(self.root).as_posix(),
                "offset": self._end,
                "height": height,
                "width": width,
                "background": None if np.isnan(result.background) else result.background,
                "exchanged": result.exchanged,
                "label": raw.label,
                "split": raw.split,
                **dict(zip(DIGESTS, result.digests, strict=True)),
                "bits": [dataclasses.asdict(bits) for bits in result.bits],
            }
        )
        self._end += height * width

    def commit(self) -> None:
        """Make everything added so far survive an interruption."""
        bad = {key: reason for key, reason in self.bad.items() if key not in self._bad_committed}
        if not self._results and not bad:
            return
        # not synchronised with the disk: a killed process loses nothing of this, and waiting for the disk would cost
        # more than all the rest; after a power cut pixels may be fewer than committed, which the next start notices
        self._pixels.flush()
        name = f"commit-{len(self._commits):06d}"
        if self._results:
            self._rows().to_parquet(self.folder / f"{name}.parquet")
        marker = self.folder / f"{name}.json"
        marker.with_suffix(".tmp").write_text(json.dumps({"fields": self.fields[self._n_committed :], "bad": bad}))
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

        return pd.DataFrame(
            {
                "field": np.repeat(np.arange(self._n_committed, len(self.fields), dtype=np.int32), counts),
                "y": pd.array(column("y", np.nan), dtype="Int32"),
                "x": pd.array(column("x", np.nan), dtype="Int32"),
                "no_data": column("no_data", 0.0).astype(np.float32),
                "mean_fluorescence": column("mean_fluorescence", np.nan),
            }
        )

    def finish(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Commit, write the table of fields; returns the rows of all patches and of all fields."""
        self.commit()
        shutil.rmtree(self.spool, ignore_errors=True)  # holds what a killed worker left: its image was read again
        parts = [path.with_suffix(".parquet") for path in self._commits]
        rows = [pd.read_parquet(part) for part in parts if part.exists()]
        columns = [*_PLACE, *_NAMES, "background", "exchanged", "label", "split"]
        fields = pd.DataFrame(self.fields, columns=columns)
        fields.drop(columns=["exchanged", "label", "split"]).to_parquet(self.folder / FIELDS)
        patches = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
        del rows
        return patches, fields

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pixels.close()


class FieldStore:
    """Reads patches as views of the memory-mapped fields."""

    def __init__(self, folder: Path) -> None:
        fields = pd.read_parquet(folder / FIELDS, columns=list(_PLACE))
        self._offset = fields["offset"].to_numpy(np.int64)
        self._height = fields["height"].to_numpy(np.int64)
        self._width = fields["width"].to_numpy(np.int64)
        self._pixels = np.memmap(folder / PIXELS, np.uint8, "r")
        expected = int(self._offset[-1] + self._height[-1] * self._width[-1])
        if len(self._pixels) != expected:
            raise InputError(
                f"{folder / PIXELS} holds {len(self._pixels)} bytes in place of {expected}",
                advice=f"delete {folder} and curate again",
            )

    def __len__(self) -> int:
        return len(self._offset)

    def field(self, index: int) -> NDArray[np.uint8]:
        """One 8-bit field, shape ``(height, width)``, as a view."""
        start, height, width = self._offset[index], self._height[index], self._width[index]
        return self._pixels[start : start + height * width].reshape(height, width)

    def patches(
        self, field: NDArray[np.int32], y: NDArray[np.int32], x: NDArray[np.int32], *, size: int
    ) -> NDArray[np.uint8]:
        """Copy patches together, shape ``(n, size, size)``."""
        out = np.empty((len(field), size, size), np.uint8)
        for i, (index, top, left) in enumerate(zip(field, y, x, strict=True)):
            out[i] = self.field(int(index))[top : top + size, left : left + size]
        return out


def read_field_names(folder: Path) -> pd.DataFrame:
    """What each field is: ``raw_image_id``, ``group``, ``file`` below the data set's folder, and ``copies.DIGESTS``.

    Raises:
        InputError: If the curation is of a jimt that did not keep them.
    """
    path = folder / FIELDS
    missing = set(_NAMES) - set(pyarrow.parquet.read_schema(path).names)
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(sorted(missing))}", advice=f"delete {folder} and curate again"
        )
    return pd.read_parquet(path, columns=list(_NAMES))
