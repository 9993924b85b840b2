"""The files of positions over time: two tables, curves and films, and what of them stands on the page."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jimt.figures.style import png
from jimt.figures.time_curves import TimePanel, draw_time_curves
from jimt.prediction.answer_tables import printable, write_rows
from jimt.prediction.plate_maps import SHARE_WORDS
from jimt.prediction.time_answers import Curve, TimesFound
from jimt.prediction.time_films import FILMS, film_name, write_film
from jimt.prediction.time_words import (
    ONSET_COLUMNS,
    TIME_COLUMNS,
    curve_name,
    onset_rows,
    onset_text,
    time_methods,
    time_rows,
    time_sentences,
)
from jimt.system.files import write_whole

TIMES_TABLE: Final = "times.csv"
ONSET_TABLE: Final = "onset.csv"
_FIGURE: Final = "time_course"
_PANELS: Final = 48
"""Wells in one figure."""


@dataclass(frozen=True)
class TimesShown:
    """What other files have of positions over time.

    Attributes:
        sentences: What was found.
        methods: How, for a paper.
        figures: Each with what it is of, and its file.
        films: Each with the position, and its file below the output folder.
        sheets: Name, columns and rows of each table.
    """

    sentences: tuple[str, ...]
    methods: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    films: tuple[tuple[str, str], ...]
    sheets: tuple[tuple[str, Sequence[str], Sequence[Mapping[str, Any]]], ...]


def write_times(found: TimesFound | None, folder: Path, *, confidence: float) -> TimesShown | None:
    """Write tables, figures and films; those that an earlier command has left there are removed.

    Args:
        found: What positions tell over time; None where none was imaged at several times.
        folder: The output folder, which holds the maps of the fields.
        confidence: Coverage of the intervals.
    """
    _remove(folder)
    if found is None:
        return None
    kinds = (field.row.share_of for curve in found.curves for each in curve.positions for field in each.fields)
    share_of = next((kind for kind in kinds if kind is not None), None)
    sheets = (
        ("times", TIME_COLUMNS, list(time_rows(found))),
        ("onset", ONSET_COLUMNS, list(onset_rows(found, confidence))),
    )
    for (_, columns, rows), name in zip(sheets, (TIMES_TABLE, ONSET_TABLE), strict=True):
        write_rows(rows, columns, folder / name)
    figures = []
    drawn: dict[Literal["treatments", "wells"], Sequence[Curve]] = {
        "treatments": found.treatments,
        "wells": found.curves,
    }
    for kind, curves in drawn.items():
        chunks = [curves[first : first + _PANELS] for first in range(0, len(curves), _PANELS)]
        for number, those in enumerate(chunks, 1):
            name = f"{_FIGURE}_{kind}{f'_{number}' if len(chunks) > 1 else ''}.png"
            figure = draw_time_curves(
                [_panel(curve, found) for curve in those],
                kind=kind,
                unit=found.series.unit,
                label="dead share" if share_of is None else SHARE_WORDS[share_of],
                threshold=found.threshold,
                confidence=confidence,
            )
            write_whole(folder / name, png(figure))
            ends = dict.fromkeys((curve_name(those[0]), curve_name(those[-1])))
            figures.append((" to ".join(ends), name))
    films = [
        (followed.position.name, f"{FILMS}/{film_name(followed)}")
        for curve in found.curves
        for followed in curve.positions
        if write_film(followed, found.series, folder)
    ]
    sentences = tuple(time_sentences(found, confidence))
    return TimesShown(sentences, tuple(time_methods(found, confidence)), tuple(figures), tuple(films), sheets)


def _remove(folder: Path) -> None:
    for path in (folder / TIMES_TABLE, folder / ONSET_TABLE, *folder.glob(f"{_FIGURE}*.png")):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / FILMS, ignore_errors=True)


def _panel(curve: Curve, found: TimesFound) -> TimePanel:
    lines: list[tuple[Sequence[float], Sequence[float | None]]] = [(each.times, each.shares) for each in curve.wells]
    for each in curve.positions:
        shares = [field.row.dead_share if field.counted else None for field in each.fields]
        lines.append(([field.time for field in each.fields], shares))
    flagged = [field for each in curve.positions for field in each.fields if field.flags and field.counted]
    words = onset_text(curve, found)
    return TimePanel(
        title=curve_name(curve) if len({each.plate for each in found.curves}) > 1 else printable(curve.name),
        words=words if curve.onset.found.passing == "unknown" else f"onset {words}",
        members=lines if len(lines) > 1 else (),
        mean=(curve.times, curve.shares),
        ends=curve.ends,
        onset=curve.onset.found.time,
        onset_range=(curve.onset.earliest, curve.onset.latest) if curve.onset.known else None,
        flagged=([field.time for field in flagged], [field.row.dead_share for field in flagged]),
    )
