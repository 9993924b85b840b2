"""The files of one field: its map to look at and to measure, outlines, and thumbnails."""

from pathlib import Path
from typing import Final

from jimt.prediction.answers import FieldAnswer, FieldRow, Source
from jimt.prediction.map_tiff import write_map_tiff
from jimt.prediction.outlines import write_outlines
from jimt.prediction.overlays import write_picture, write_thumbnails
from jimt.prediction.source_names import file_stem

DEAD: Final = 0.5
"""Probability of death from which on a place is taken for dead."""
MAPS, OUTLINES, THUMBNAILS = "maps", "outlines", "thumbnails"
FOLDERS: Final = (MAPS, OUTLINES, THUMBNAILS)
"""Folders of the output folder."""


def stem_of(row: FieldRow) -> str:
    """What the files of a field are called, without suffix."""
    return file_stem(Source(row.number, Path(row.file), row.raw_image_id))


def write_field_files(answer: FieldAnswer, out: Path) -> None:
    """Write them all; folders are made where they are missing.

    Args:
        answer: Of the field.
        out: The output folder.
    """
    stem = stem_of(answer.row)
    for folder in FOLDERS:
        (out / folder).mkdir(exist_ok=True)
    write_picture(answer, out / MAPS / f"{stem}.png", threshold=DEAD)
    write_map_tiff(answer, out / MAPS / f"{stem}.ome.tiff")
    write_outlines(answer, out / OUTLINES / f"{stem}.geojson", threshold=DEAD)
    thumbnails = (out / THUMBNAILS / f"{stem}_{kind}.jpg" for kind in ("field", "map"))
    write_thumbnails(answer, *thumbnails, threshold=DEAD)
