"""The files of doses: ``doses.csv`` and a figure of each plate, and what of them stands on the page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jimt.figures.dose_curves import DosePanel, draw_dose_curves
from jimt.figures.style import png
from jimt.prediction.answer_tables import printable, write_rows
from jimt.prediction.dose_answers import CONFIDENCE, CompoundAnswer, Doses, PlateAnswer
from jimt.prediction.dose_words import DOSE_COLUMNS, dose_rows, dose_sentences, dose_text
from jimt.prediction.plate_maps import plate_files, plate_name
from jimt.system.files import write_whole

DOSE_TABLE: Final = "doses.csv"
_FIGURE: Final = "dose_response"
_OF_DOSE: Final = ("lowest_dose", "highest_dose", "ec50", "ec50_low", "ec50_high", "bound")


@dataclass(frozen=True)
class DosesShown:
    """What the page has of doses.

    Attributes:
        sentences: What was found.
        figures: Each with what it is of, and its file.
        earlier: Likewise of times before the last.
    """

    sentences: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    earlier: tuple[tuple[str, str], ...] = ()


def write_doses(doses: Doses, folder: Path, *, label: str) -> DosesShown:
    """Write the table and the figures, and remove the figures of before.

    Args:
        doses: What was found.
        folder: Where they go.
        label: What dead shares are of, for the axis.
    """
    remove_doses(folder)
    rows = (
        {**row, **{name: None if row[name] is None else f"{row[name]:.6g}" for name in _OF_DOSE}}
        for row in dose_rows(doses)
    )
    write_rows(rows, DOSE_COLUMNS, folder / DOSE_TABLE)
    drawn = [plate for plate in doses.plates if plate.compounds]
    names = plate_files([plate.key for plate in drawn], kind=_FIGURE)
    for plate in drawn:
        figure = draw_dose_curves(
            list(panels_of(plate, doses.unit)),
            title=plate_name(plate.key) if len(doses.plates) > 1 else None,
            unit=doses.unit,
            label=label,
            confidence=CONFIDENCE,
        )
        write_whole(folder / names[plate.key], png(figure))
    at_last = {plate.key for plate in doses.at_last}
    last, earlier = (
        tuple((plate_name(plate.key), names[plate.key]) for plate in drawn if (plate.key in at_last) is is_last)
        for is_last in (True, False)
    )
    return DosesShown(tuple(dose_sentences(doses)), last, earlier)


def remove_doses(folder: Path) -> bool:
    """Remove what an earlier command has written of doses, which would not be of these answers; whether there was."""
    there = [path for path in (folder / DOSE_TABLE, *folder.glob(f"{_FIGURE}*.png")) if path.is_file()]
    for path in there:
        path.unlink()
    return bool(there)


def panels_of(plate: PlateAnswer, unit: str | None) -> Iterator[DosePanel]:
    """What is drawn of each compound."""
    for compound in plate.compounds:
        name = "" if compound.name is None else printable(compound.name)
        yield DosePanel(name, _few_words(compound, unit), compound.doses, compound.shares, compound.fit)


def _few_words(compound: CompoundAnswer, unit: str | None) -> str:
    fit = compound.fit
    if fit is None:
        return "no curve: too few doses or wells"
    if fit.verdict == "no effect":
        return f"no effect (p = {fit.p_value:.2g})"
    if fit.verdict == "ec50" and fit.curve is not None:
        low, high = (dose_text(end, None) for end in fit.ec50 if end is not None)
        return f"EC50 {dose_text(fit.curve.ec50, unit)} ({low} to {high})"
    return "EC50 not known" if fit.bound is None else f"EC50 {fit.verdict} {dose_text(fit.bound, unit)}"
