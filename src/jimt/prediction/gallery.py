"""The page of an answer: plate, wells and a gallery of fields that sorts and filters, by ``gallery.html``.

It loads nothing from elsewhere and executes nothing but its own script, whatever the names of the files are.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pandas as pd
from matplotlib.colors import to_hex

import jimt
from jimt.figures.plate import SHARE_COLOURS, PlateWell, ink_on, plate_shape, row_name, well_place
from jimt.prediction.answer_tables import counts, printable, viability
from jimt.prediction.answers import FieldRow
from jimt.prediction.dose_files import DosesShown
from jimt.prediction.plate_maps import PlateKey, plate_name, plates_of
from jimt.prediction.templates import page_template
from jimt.prediction.time_files import TimesShown
from jimt.statistics.value_text import percent_text
from jimt.system.files import write_whole
from jimt.vocabulary import ShareOf

SHARE_SENTENCES: Final[dict[ShareOf, str]] = {
    "nuclei": "The dead share of a field is of its nuclei: predicted dead ones among all predicted ones. Viability is "
    "1 minus the dead share.",
    "area": "The dead share of a field is of area: what is predicted as stained, over the area of its cells. It is no "
    "share of cells, since dead cells shrink, so none of it is called viability.",
    "patches": "The dead share of a field is of its patches that hold cells. A patch holds many cells, so it is no "
    "share of cells, and none of it is called viability.",
}
FLAG_WORDS: Final = {
    "unlike": "unlike the training data",
    "texture": "texture",
    "focus": "focus",
    "contrast": "contrast",
    "noise": "noise",
    "colour": "colour",
    "pixel_size": "pixel size",
}
_FILES: Final = (
    "fields.csv",
    "wells.csv",
    "doses.csv",
    "times.csv",
    "onset.csv",
    "patches.csv",
    "predictions.xlsx",
    "check.json",
    "METHODS.md",
)


def write_gallery(
    rows: Iterable[FieldRow],
    wells: pd.DataFrame,
    path: Path,
    *,
    title: str,
    warnings: Sequence[str],
    headline: Sequence[str],
    stem: Callable[[FieldRow], str],
    confidence: float,
    include_flagged: bool,
    over_time: TimesShown | None = None,
    doses: DosesShown | None = None,
) -> None:
    """Write ``index.html`` beside the files that it links to.

    Args:
        rows: Fields, in the order of ``fields.csv``; those that failed are listed with the reason.
        wells: As ``well_rows`` gives them.
        path: Of the page. ``maps``, ``outlines`` and ``thumbnails`` lie beside it; tables that are there are linked.
        title: What it is headed with.
        warnings: Sentences that stand first, such as that most fields are flagged.
        headline: Sentences that say what was found.
        stem: The name of a field's files, without the folder and what kind they are.
        confidence: Coverage of the wells' intervals.
        include_flagged: Whether flagged fields enter the means.
        over_time: What positions tell over time, figures and films; None where none was imaged at several times.
        doses: What doses did, and figures of it; None where wells have none.
    """
    rows = list(rows)
    plates = plates_of(wells)
    share_of = next((row.share_of for row in rows if row.share_of is not None), None)
    colours = [to_hex(SHARE_COLOURS(step / 100)) for step in range(101)]
    keys = list(wells[["plate", "well", "time"]].itertuples(index=False, name=None))
    numbers = {key: number for number, key in enumerate(keys)}
    answered = [(row, counts(row, include_flagged=include_flagged)) for row in rows if row.failed is None]
    data = {
        "fields": [_field(row, numbers, stem=stem(row), counted=counted) for row, counted in answered],
        "wells": [_well_name(*key) for key in keys],
        "plates": [_plate(key, plates[key], numbers) for key in plates],
        "nPlates": len({plate for plate, _ in plates}),
        "flagWords": FLAG_WORDS,
        "colours": colours,
        "inks": [ink_on(step / 100) for step in range(101)],
    }
    script = _source("elements.js") + _source("prediction/gallery.js")
    columns, cells = _table_of_wells(wells, confidence=confidence)
    page = page_template().render(
        title=printable(title),
        warnings=[printable(line) for line in warnings],
        headline=[printable(line) for line in headline],
        share=SHARE_SENTENCES[share_of] if share_of is not None else None,
        files=[(name, quote(name)) for name in _FILES if (path.parent / name).is_file()],
        has_plates=any(well_place(well.name) is not None for wells_of in plates.values() for well in wells_of),
        n_plates=len(plates),
        over_time=None if over_time is None else [printable(line) for line in over_time.sentences],
        time_figures=[] if over_time is None else [(words, quote(name)) for words, name in over_time.figures],
        films=[] if over_time is None else [(printable(name), quote(path)) for name, path in over_time.films],
        doses=None if doses is None else [printable(line) for line in doses.sentences],
        dose_figures=[] if doses is None else [(words, quote(name)) for words, name in doses.figures],
        earlier_doses=[] if doses is None else [(words, quote(name)) for words, name in doses.earlier],
        well_columns=columns,
        wells=cells,
        failed=[(printable(row.file), printable(row.failed)) for row in rows if row.failed is not None],
        colours=colours,
        data=_embedded(data),
        script=script,
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        style=_source("prediction/gallery.css"),
        version=jimt.__version__,
    )
    write_whole(path, page)


def _source(name: str) -> str:
    return resources.files("jimt").joinpath(name).read_text(encoding="utf-8")


def _embedded(data: dict[str, Any]) -> str:
    """JSON that ends no script and begins no comment: ``<``, ``>`` and ``&`` are written by their numbers."""
    text = json.dumps(data, separators=(",", ":"))  # ASCII alone, so that no browser can read it in another encoding
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _text(value: str | None) -> str | None:
    return None if value is None else printable(value)


def _field(row: FieldRow, numbers: dict[Any, int], *, stem: str, counted: bool) -> dict[str, Any]:
    names = {name: getattr(row, name) for name in ("file", "plate", "well", "field", "time")}
    shares = {"share": row.dead_share, "low": row.dead_share_low, "high": row.dead_share_high}
    shares |= {"viability": viability(row), "distance": row.distance}
    return {
        "number": row.number,
        "name": printable(row.raw_image_id),
        **{name: _text(value) for name, value in names.items()},
        "inWell": numbers.get((row.plate, row.well, row.time)),
        "height": row.height,
        "width": row.width,
        **{name: _rounded(value) for name, value in shares.items()},
        "cells": row.n_cells,
        "flags": list(row.flags),
        "reasons": [printable(reason) for reason in row.reasons],
        "notes": [printable(note) for note in row.notes],
        "counted": counted,
        "url": quote(stem, safe=""),
    }


def _well_name(plate: str | None, well: str, time: str | None) -> str:
    told = [well, *([f"plate {plate}"] if plate is not None else []), *([f"time {time}"] if time is not None else [])]
    return printable(", ".join(told))


def _plate(key: PlateKey, wells: Sequence[PlateWell], numbers: dict[Any, int]) -> dict[str, Any]:
    shape, (plate, time) = plate_shape(well.name for well in wells), key
    places = [place for well in wells if (place := well_place(well.name)) is not None]
    rows, columns = (_shown([place[axis] for place in places], of=shape[axis]) for axis in (0, 1))
    some = len(rows) * len(columns) < shape[0] * shape[1]
    left_out = f" (rows and columns of a plate of {shape[0] * shape[1]:,} that have fields)" if some else ""
    placed = {
        f"{place[0]},{place[1]}": {
            "name": well.name,
            "number": numbers[plate, well.name, time],
            "share": _rounded(well.share),
            "nCounted": well.n_counted,
            "nLeftOut": well.n_left_out,
            "flagged": well.has_flags,
        }
        for well in wells
        if (place := well_place(well.name)) is not None
    }
    return {
        "words": plate_name(key),
        "leftOut": left_out,
        "rows": [[row, row_name(row)] for row in rows],
        "columns": list(columns),
        "wells": placed,
    }


def _shown(places: Sequence[int], *, of: int) -> range:
    """Rows or columns of a plate that are shown: from the first to the last well, or all, where that is over half."""
    first, last = min(places, default=0), max(places, default=of - 1)
    return range(first, last + 1) if 2 * (last + 1 - first) <= of else range(of)


def _table_of_wells(wells: pd.DataFrame, *, confidence: float) -> tuple[list[str], list[list[str]]]:
    """The table that is shown: a header, and cells as text; columns that hold nothing are left out."""
    lines = [
        {
            "plate": _text(row["plate"]) or "",
            "well": _text(row["well"]) or "",
            "time": _text(row["time"]) or "",
            "fields that count": f"{row['n_counted']} of {row['n_fields']}",
            "flagged": str(row["n_flagged"] or ""),
            "failed": str(row["n_failed"] or ""),
            "mean dead share": _percent(row["dead_share"]),
            "standard deviation": _percent(row["sd"]),
            f"{percent_text(confidence)} interval over fields": " to ".join(
                filter(None, (_percent(row["low"]), _percent(row["high"])))
            ),
            "viability": _percent(row["viability"]),
            "nuclei": "" if row["n_cells"] is None else f"{row['n_cells']:,}",
        }
        for row in wells.to_dict("records")
    ]
    columns = [name for name in (lines[0] if lines else ()) if any(line[name] for line in lines)]
    return columns, [[line[name] for name in columns] for line in lines]


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
