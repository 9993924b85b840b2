"""Whole answers made up: tables, pictures and page in one folder, as a command leaves them."""

from pathlib import Path

from answered import answer, failed, patches, row
from jimt.prediction.answer_tables import write_fields, write_patches
from jimt.prediction.answers import FieldRow
from jimt.prediction.gallery import write_gallery
from jimt.prediction.overlays import write_thumbnails
from jimt.prediction.well_shares import well_rows, write_wells


def stem(of: FieldRow) -> str:
    """A name that no file system takes amiss, and that a link has to encode."""
    return f"{of.number:04d} 100%#?{'é'}"


def plate_of_rows(rows: int, columns: int, *, fields: int = 2, share_of: str = "patches", **told) -> list[FieldRow]:
    """Fields of wells from B02 on, deader from left to right; the second of C03 is flagged, both of D04 are."""
    made = []
    for place in range(rows * columns):
        well = f"{'BCDEFG'[place // columns]}{place % columns + 2:02d}"
        for number in range(fields):
            share = min(1.0, round(place % columns / max(1, columns - 1) * 0.9 + 0.02 * number, 6))
            flagged = well == "D04" or (well == "C03" and number == 1)
            flags = {"flags": ("unlike", "focus"), "reasons": ("It is unlike.", "It is blurred.")} if flagged else {}
            given = {"well": well, "field": str(number + 1), "share_of": share_of, "dead_share": share} | flags | told
            given |= {"dead_share_low": max(0.0, share - 0.1), "dead_share_high": min(1.0, share + 0.05)}
            if share_of == "nuclei":
                given["n_cells"] = 20 + place
            made.append(row(len(made), f"{well}_{number + 1}", **given))
    return made


def written(folder: Path, rows: list[FieldRow], *, pictures: bool = True, **told) -> Path:
    """Write what the page needs, and the page."""
    for name in ("maps", "outlines", "thumbnails"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    wells = well_rows(rows, confidence=0.95, include_flagged=False)
    write_fields(rows, folder / "fields.csv", include_flagged=False)
    write_wells(wells, folder / "wells.csv")
    write_patches([(each, patches(2)) for each in rows if each.failed is None], folder / "patches.csv")
    for each in rows if pictures else ():
        if each.failed is None:
            small = (folder / "thumbnails" / f"{stem(each)}_{kind}.jpg" for kind in ("field", "map"))
            write_thumbnails(answer(each), *small, threshold=0.5)
    given = {"title": "Answers of demo", "warnings": [], "headline": [], "confidence": 0.95} | told
    write_gallery(rows, wells, folder / "index.html", stem=stem, include_flagged=False, **given)
    return folder / "index.html"


def with_failures(rows: list[FieldRow]) -> list[FieldRow]:
    return [*rows, failed(len(rows), "<b>broken</b>", "it is damaged <script>alert(3)</script>", well="E05")]
