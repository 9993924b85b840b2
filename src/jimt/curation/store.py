"""The fields of a curation as arrays on disk; a patch is a view of one.

Three files hold the fields one after the other: ``fields.u8`` bright-field in 8 bits, ``fluorescence.counts`` the
fluorescence as it was measured, and ``no_data.bits`` which pixels are no data, of the fields that have any. A table,
``fields.parquet``, says where each field begins in them; fields may differ in size. Published patches have no
fluorescence. Of a 16-bit camera a pixel takes 3 bytes, and an eighth more in fields with no-data.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet
from numpy.typing import NDArray

from jimt.curation.copies import DIGESTS
from jimt.errors import InputError

PIXELS, FLUORESCENCE, NO_DATA, FIELDS = "fields.u8", "fluorescence.counts", "no_data.bits", "fields.parquet"
FILES: Final = (PIXELS, FLUORESCENCE, NO_DATA)
PLACE: Final = (
    "height",
    "width",
    "offset",  # of its first byte in each file
    "fluorescence_offset",
    "fluorescence_type",  # null of a published patch
    "no_data_offset",  # -1 where every pixel is data
    "background",  # percentile of the fluorescence that counts as background; null of a published patch
)
_OFFSETS: Final = {PIXELS: "offset", FLUORESCENCE: "fluorescence_offset", NO_DATA: "no_data_offset"}
AREAS: Final = ("pi_area",)
"""Shares of a field's valid pixels that a stain fills, 0 to 1; null of a published patch."""
FURTHER: Final = ("n_nuclei", "n_positive_nuclei", "nuclei_contrast", "nuclei_focus", "live_stain_area")
"""Where the data set has these stains: all nuclei of a field, and the share of its valid pixels with the live stain."""
NAMES: Final = ("raw_image_id", "group", "file", *DIGESTS)


class FieldStore:
    """Reads fields, and patches as views of them; all are memory-mapped, so that opening a store reads no pixel."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        fields = _read_fields(folder, PLACE)
        self._shapes = [
            (int(height), int(width)) for height, width in zip(fields["height"], fields["width"], strict=True)
        ]
        self._begins = {name: fields[column].to_numpy(np.int64) for name, column in _OFFSETS.items()}
        self._types = [None if kind is None else np.dtype(kind) for kind in fields["fluorescence_type"].astype(object)]
        self._background = fields["background"].to_numpy(np.float64)
        area = np.array([height * width for height, width in self._shapes], np.int64)
        item_sizes = np.array([0 if kind is None else kind.itemsize for kind in self._types])
        self._pixels = self._mapped(PIXELS, int(area.sum()))
        self._counts = self._mapped(FLUORESCENCE, int((area * item_sizes).sum()))
        self._bits = self._mapped(NO_DATA, int((-(-area // 8))[self._begins[NO_DATA] >= 0].sum()))

    def _mapped(self, name: str, n_bytes: int) -> NDArray[np.uint8]:
        path = self._folder / name
        found = path.stat().st_size if path.is_file() else 0
        if found != n_bytes:
            raise InputError(
                f"{path} holds {found} bytes in place of {n_bytes}", advice=f"delete {self._folder} and curate again"
            )
        return np.memmap(path, np.uint8, "r") if n_bytes else np.zeros(0, np.uint8)  # nothing cannot be mapped

    def __len__(self) -> int:
        return len(self._shapes)

    def field(self, index: int) -> NDArray[np.uint8]:
        """Bright-field of one field in 8 bits, shape ``(height, width)``, as a view."""
        height, width = self._shapes[index]
        start = self._begins[PIXELS][index]
        return self._pixels[start : start + height * width].reshape(height, width)

    def fluorescence(self, index: int) -> NDArray[Any]:
        """Fluorescence of one field in raw counts, shape ``(height, width)``, as a view: uint8, uint16 or float32.

        Raises:
            InputError: If the fields are published patches.
        """
        kind = self._types[index]
        if kind is None:
            raise InputError(f"{self._folder.name} holds published patches, which have no fluorescence images")
        height, width = self._shapes[index]
        start = self._begins[FLUORESCENCE][index]
        counts: NDArray[Any] = self._counts[start : start + height * width * kind.itemsize].view(kind)
        return counts.reshape(height, width)

    def no_data(self, index: int) -> NDArray[np.bool_]:
        """Which pixels of one field are no data, shape ``(height, width)``."""
        height, width = self._shapes[index]
        start = self._begins[NO_DATA][index]
        if start < 0:
            return np.zeros((height, width), np.bool_)
        bits = self._bits[start : start - (-height * width // 8)]
        return np.unpackbits(bits, count=height * width).reshape(height, width).view(np.bool_)

    def background(self, index: int) -> float:
        """Percentile of a field's fluorescence that counts as its background; NaN of a published patch."""
        return float(self._background[index])


def places_of(rows: pd.DataFrame) -> NDArray[np.int64]:
    """Field, y and x of some rows of the manifest, shape ``(n, 3)``; a published patch is a field and has no origin."""
    return rows[["field", "y", "x"]].fillna(0).to_numpy(np.int64)


def cut_patches(
    field: Callable[[int], NDArray[np.uint8]], places: NDArray[np.int64], *, size: int
) -> NDArray[np.uint8]:
    """Copy patches together, shape ``(n, size, size)``.

    Args:
        field: Gives a field in 8 bits by its number.
        places: As ``places_of`` gives them.
        size: Side of a patch, pixels.
    """
    out = np.empty((len(places), size, size), np.uint8)
    for i, (number, y, x) in enumerate(places.tolist()):
        out[i] = field(number)[y : y + size, x : x + size]
    return out


def read_field_names(folder: Path) -> pd.DataFrame:
    """What each field is: ``raw_image_id``, ``group``, ``file`` below the data set's folder, and ``copies.DIGESTS``.

    Raises:
        InputError: If the curation is of a jimt that did not keep them.
    """
    return _read_fields(folder, NAMES)


def _read_fields(folder: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    path = folder / FIELDS
    if missing := set(columns) - set(pyarrow.parquet.read_schema(path).names):
        raise InputError(
            f"{path} lacks the column {', '.join(sorted(missing))}", advice=f"delete {folder} and curate again"
        )
    return pd.read_parquet(path, columns=list(columns))
