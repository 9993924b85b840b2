"""The manifest: one row per patch, written once, checked each time it is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jimt.curation.cell_tables import CELLS, NUCLEI, read_table
from jimt.curation.splits import check_no_leak
from jimt.curation.store import FieldStore
from jimt.errors import InputError, as_typed
from jimt.system.files import read_json
from jimt.vocabulary import FURTHER_COLUMNS, MANIFEST_COLUMNS

MANIFEST, THRESHOLDS, SUMMARY, FILTER = "manifest.parquet", "thresholds.json", "summary.json", "empty_filter.skops"
FILTER_LABELS = "empty_filter_labels.npz"
"""What the empty filter was trained on, a row for each hand-labelled patch: ``features``, ``empty``, ``held_out_score``
(decision value by a filter not trained on its group), ``field`` (-1 of another data set), ``y`` and ``x``."""


def write_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Write the manifest, leak-checked; text columns as dictionaries, so that it stays small.

    Raises:
        InputError: If a group is in two splits, as the folders of published patches may have it.
    """
    check_no_leak(manifest, advice="", remedies=("curation.split.keep_folders=false",))
    table = manifest[[*MANIFEST_COLUMNS, *(column for column in FURTHER_COLUMNS if column in manifest)]]
    for column in ("raw_image_id", "group", "excluded", "split"):
        table[column] = table[column].astype("category")
    table.to_parquet(path, index=False)


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a manifest, whoever wrote it.

    Raises:
        InputError: If it is absent or damaged, lacks a column, or a group is in two splits.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", remedies=(f"jimt prepare {as_typed('dataset', path.parent.name)}",))
    try:
        manifest = pd.read_parquet(path)
    except (OSError, ValueError) as error:  # pyarrow's errors derive from these
        raise InputError(f"{path} is damaged", advice=f"delete {path.parent} and curate again") from error
    if missing := [column for column in MANIFEST_COLUMNS if column not in manifest.columns]:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}", advice=f"delete {path.parent} and curate again"
        )
    check_no_leak(manifest, advice=f"delete {path.parent} and curate again", remedies=())
    return manifest


@dataclass(frozen=True)
class Curated:
    """A curated data set, opened for reading."""

    folder: Path
    manifest: pd.DataFrame
    store: FieldStore
    summary: dict[str, Any]
    thresholds: dict[str, Any]

    def cells(self) -> pd.DataFrame | None:
        """Read the counted cells that lie in a field; None where ``dataset.cells`` names none.

        A field without a row was not counted. Places are as the table of cells has them: on the image that they were
        counted on. Where that is fluorescence (``dataset.cells_on``), ``curation.align`` has moved them onto
        bright-field as it moved PI: exact to how far PI and the stain that they were counted on lie apart.

        Returns:
            ``field``, ``y``, ``x`` and ``dead``, as ``cell_tables`` says.
        """
        return None if self.summary.get("cells") is None else read_table(self.folder / CELLS)

    def nuclei(self) -> pd.DataFrame | None:
        """Read all nuclei on their stain, dead where PI-positive; None where the data set has no such stain.

        Places are on the nuclear stain, which ``curation.align`` moves onto bright-field as it moves PI: exact to how
        far the two stains lie apart. Without it they are as far from bright-field as the stain is (for PI, ``shift_y``
        and ``shift_x`` of ``fields.parquet``). A field without a row has no nucleus, or none that can be told
        (``summary.json``, ``nuclei``).
        """
        return None if self.summary.get("nuclei") is None else read_table(self.folder / NUCLEI)


def read_beside(path: Path) -> dict[str, Any]:
    """Read one of the small JSON files beside the manifest.

    Raises:
        InputError: If it is absent or damaged.
    """
    if not path.is_file():
        return read_json(path, remedies=(f"jimt prepare {as_typed('dataset', path.parent.name)}",))
    return read_json(path, advice=f"delete {path.parent} and curate again")


def open_curated(folder: Path) -> Curated:
    """Open a curated data set.

    Raises:
        InputError: If it is absent, damaged, or a group is in two splits.
    """
    manifest = read_manifest(folder / MANIFEST)
    return Curated(
        folder, manifest, FieldStore(folder), read_beside(folder / SUMMARY), read_beside(folder / THRESHOLDS)
    )
