"""Patches of a curated data set as PNG in ``split/label/``, with a CSV of where each was cut."""

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd

from jimt.curation.manifest import Curated, open_curated
from jimt.curation.store import places_of
from jimt.errors import InputError
from jimt.export.new_folders import new_folder
from jimt.vocabulary import LABEL_NAMES

TABLE: Final = "patches.csv"
SETTINGS: Final = "dataset.yaml"
PATTERN: Final = r"^(train|val|test)/(live|dead)/(?P<group>[^@/]+)@(?P<raw_image_id>[^@/]+)@\d+_y\d*_x\d*\.png$"
"""Reads group and raw image in the path of a patch."""
_COLUMNS: Final = ["path", "raw_image_id", "group", "y", "x", "split", "label", "mean_fluorescence", "label_value"]
_PLAIN: Final = "-_ .,+=()"
"""What stands in a file's name as it is, beside letters and digits."""


def write_image_folder(curated_folder: Path, out: Path) -> int:
    """Write every patch that is trained, validated or tested on, as the network sees it, into a new folder.

    Args:
        curated_folder: Of the curated data set.
        out: The folder.

    Returns:
        How many patches there are.

    Raises:
        InputError: If there is no such data set, it has no such patch, or the folder holds something.
    """
    curated = open_curated(curated_folder)
    rows = curated.manifest[curated.manifest["split"].notna()]
    if rows.empty:
        raise InputError(f"no patch of {curated_folder} is in a split", advice="curate more images, or look why")
    table = _table(rows)
    with new_folder(out) as folder:
        for parent in sorted({(folder / path).parent for path in table["path"]}):
            parent.mkdir(parents=True)
        size = int(curated.summary["patch_size"])
        for path, (field, y, x) in zip(table["path"], places_of(rows).tolist(), strict=True):
            pixels = curated.store.field(field)[y : y + size, x : x + size]
            _, png = cv2.imencode(".png", np.ascontiguousarray(pixels))
            (folder / path).write_bytes(png.tobytes())
        table.to_csv(folder / TABLE, index=False, encoding="utf-8")
        settings = _settings(curated, out, has_groups=bool(rows["group"].notna().all()))
        (folder / SETTINGS).write_text(settings, encoding="utf-8")
    return len(table)


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    table = rows.copy()
    table["label"] = [LABEL_NAMES[int(label)] for label in rows["label"]]
    table["path"] = [
        f"{row.split}/{row.label}/{_in_a_name(row.group)}@{_in_a_name(row.raw_image_id)}@"
        f"{number:06d}_y{_digits(row.y)}_x{_digits(row.x)}.png"
        for number, row in enumerate(table.itertuples())
    ]
    return table[_COLUMNS]


def _digits(place: Any) -> str:
    return "" if pd.isna(place) else str(int(place))


def _in_a_name(text: Any) -> str:
    """A text as part of a file's name: what no name may hold as in an address, percent and two digits a byte.

    >>> _in_a_name("P1/A 01"), _in_a_name(None)
    ('P1%2FA 01', '-')
    """
    if pd.isna(text):
        return "-"
    return "".join(
        char if char.isalnum() or char in _PLAIN else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in str(text)
    )


def _settings(curated: Curated, out: Path, *, has_groups: bool) -> str:
    """A data set of jimt that reads the folder."""
    pattern = PATTERN if has_groups else "null"
    name, size = f"{curated.summary['dataset']}_patches", int(curated.summary["patch_size"])
    patches = curated.summary["config"]["curation"]["patches"]
    return "\n".join(
        [
            "# @package _global_",
            f"# copy it to jimt_conf/dataset/{name}.yaml, and train with dataset={name}",
            "defaults:",
            "  - layout/patches",
            "  - _self_",
            "dataset:",
            f"  name: {name}",
            f"  root: {_quoted(str(out.absolute()))}",
            f"  pattern: {_quoted(pattern) if has_groups else pattern}",
            "curation:",
            "  patches:",
            f"    size: {size}",
            f"    stride: {size}",
            f"    max_no_data: {patches['max_no_data']}",
            "  empty_filter:",
            "    enabled: false  # patches without cells were left out before",
            "",
        ]
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
