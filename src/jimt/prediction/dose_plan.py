"""The table of doses: which well was given how much of what, and which wells are controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from jimt.curation.tables import read_table
from jimt.errors import InputError, did_you_mean
from jimt.prediction.answers import Source
from jimt.prediction.dose_numbers import TypedDose, read_doses
from jimt.prediction.well_names import canonical_well

Role = Literal["negative", "positive"]
_ROLES: Final = {role: role for role in get_args(Role)} | {"neg": "negative", "pos": "positive"}
_OPTIONAL: Final = ("compound", "role", "plate")


@dataclass(frozen=True)
class DosedWell:
    """A row of the table.

    Attributes:
        plate: None where the table holds for every plate.
        well: In its one form.
        dose: In the unit of the plan, 0 for the vehicle; None of a positive control whose dose is not told.
        compound: None where it is not told.
        role: None of a well that is no control; a dose of 0 makes one a negative control.
    """

    plate: str | None
    well: str
    dose: float | None
    compound: str | None
    role: Role | None


@dataclass(frozen=True)
class DosePlan:
    """What the wells of an experiment were given.

    Attributes:
        wells: By plate and well; the plate is None where the table has none.
        unit: Of all doses; None where none is told.
        name: Of the table's file.
    """

    wells: dict[tuple[str | None, str], DosedWell]
    unit: str | None
    name: str

    @property
    def has_plates(self) -> bool:
        """Whether the table tells plates apart."""
        return any(plate is not None for plate, _ in self.wells)

    def of(self, plate: str | None, well: str) -> DosedWell | None:
        """What a well was given; None where the table does not say."""
        return self.wells.get((_folded(plate) if self.has_plates else None, well))


def read_dose_plan(path: Path) -> DosePlan:
    """Read a table with the columns ``well`` and ``dose``, perhaps ``compound``, ``role`` and ``plate``.

    Raises:
        InputError: If it is no such table, or a row of it cannot be meant as it stands; the message names the line.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", advice="put the table of doses there", remedies=("--doses FILE",))
    rows = read_table(path, ("well", "dose"), optional=_OPTIONAL, what="well", of="well")
    lines: dict[tuple[str | None, str], int] = {}
    told: list[tuple[tuple[str | None, str], dict[str, str], Role | None, str]] = []
    for line, texts in rows:
        where = f"{path} in line {line}"
        key = _place(texts, where)
        if key in lines:
            of_plate = f" of plate {texts['plate']}" if key[0] is not None else ""
            raise InputError(
                f"{path} has the well {key[1]}{of_plate} twice, in lines {lines[key]} and {line}",
                advice="keep one row for each well",
            )
        lines[key] = line
        role = _role(texts.get("role", ""), where)
        if not texts["dose"] and role is None:
            raise InputError(f"{where} has no dose", advice="write it, 0 for the vehicle, or remove the line")
        told.append((key, texts, role, where))
    doses = [TypedDose(texts["dose"], where) for _, texts, _, where in told if texts["dose"]]
    numbers, unit = read_doses(doses)
    of_line = {dose.where: number for dose, number in zip(doses, numbers, strict=True)}
    names = _compounds([texts.get("compound", "") for _, texts, _, _ in told])
    wells = {}
    for key, texts, role, where in told:
        dose = of_line.get(where, 0.0 if role == "negative" else None)
        compound = names.get(" ".join(texts.get("compound", "").casefold().split()))
        if role == "negative" and dose:
            raise InputError(
                f"{where} has a negative control with the dose {texts['dose']}",
                advice="write 0, or leave the role empty",
            )
        if compound is None and names and role is None and dose:
            raise InputError(f"{where} has a dose and no compound", advice="write the compound's name")
        wells[key] = DosedWell(texts.get("plate") or None, key[1], dose, compound, role)
    return DosePlan(wells, unit, path.name)


def _place(texts: dict[str, str], where: str) -> tuple[str | None, str]:
    if not texts["well"]:
        raise InputError(f"{where} names no well", advice="write its name, or remove the line")
    well = canonical_well(texts["well"])
    if well is None:
        raise InputError(
            f"{where} has the well {texts['well']}, which is none such as A01 or AB07", advice="write it so"
        )
    if texts.get("plate") == "":
        raise InputError(f"{where} names no plate", advice="write it, or remove the column")
    return _folded(texts.get("plate")), well


def _folded(plate: str | None) -> str | None:
    return None if plate is None else plate.strip().casefold()


def _role(text: str, where: str) -> Role | None:
    if not text:
        return None
    role = _ROLES.get(text.casefold())
    if role is None:
        advice = did_you_mean(text, get_args(Role), otherwise="write negative or positive, or nothing")
        raise InputError(f"{where} has the role {text}", advice=advice)
    return "negative" if role == "negative" else "positive"


def _compounds(texts: Sequence[str]) -> dict[str, str]:
    """The first spelling of each compound, by what spellings in other cases and with other spaces have in common."""
    names: dict[str, str] = {}
    for text in texts:
        if text:
            names.setdefault(" ".join(text.casefold().split()), text)
    return names


def check_dose_plan(plan: DosePlan, sources: Sequence[Source]) -> list[str]:
    """Hold the table against the fields that were found, before any is predicted.

    Returns:
        What to know of wells that stand in one of them alone, each a sentence.

    Raises:
        InputError: If the names of the images tell no well, or none of the table.
    """
    imaged = {(source.plate, source.well) for source in sources if source.well is not None}
    if not imaged:
        raise InputError(
            "--doses is of wells, and the names of the images tell none",
            remedies=("--pattern PATTERN", "--dataset NAME"),
        )
    if plan.has_plates and all(plate is None for plate, _ in imaged):
        raise InputError(
            f"{plan.name} has a column plate, and the names of the images tell no plate",
            advice="remove the column",
            remedies=("--pattern PATTERN",),
        )
    # wells that stand in both, as the table has them
    both = {(_folded(plate) if plan.has_plates else None, well) for plate, well in imaged if plan.of(plate, well)}
    if not both:
        at, seen = next(iter(plan.wells.values())), min(imaged, key=lambda key: (key[0] or "", key[1]))
        raise InputError(
            f"no well of {plan.name} is one of the images, such as {_called(at.plate, at.well)} of the table and "
            f"{_called(*seen)} of the images",
            advice="give the table of these wells",
        )
    notes = []
    if absent := [row for key, row in plan.wells.items() if key not in both]:
        notes.append(
            f"{_wells(len(absent))} of {plan.name} {_have(len(absent))} no field, for example "
            f"{_called(absent[0].plate, absent[0].well)}: it takes part in nothing"
        )
    if without := sorted(((plate, well) for plate, well in imaged if plan.of(plate, well) is None), key=str):
        notes.append(
            f"{_wells(len(without))} with fields {_have(len(without))} no row in {plan.name}, for example "
            f"{_called(*without[0])}: no curve counts them"
        )
    return notes


def _called(plate: str | None, well: str) -> str:
    return well if plate is None else f"{well} of plate {plate}"


def _wells(number: int) -> str:
    return f"{number} well{'s' * (number != 1)}"


def _have(number: int) -> str:
    return "have" if number != 1 else "has"
