"""The wells of a simulated plate: what each was given, how much of it is dead, and what is true of it afterwards."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from jimt.errors import InputError

CONTROL: Final = "control"
TREATED: Final = "treated"
_PLATES: Final = {96: 12, 384: 24}
"""Wells of a plate, and its columns."""


@dataclass(frozen=True)
class DoseResponse:
    """A drug and the doses of it that wells are given, one after another and then again.

    Attributes:
        doses: In any unit, 0 for none.
        ec50: Dose of half the effect, in the same unit.
        hill_slope: Steepness of the effect.
    """

    doses: tuple[float, ...]
    ec50: float
    hill_slope: float

    def dose_of(self, well: int) -> float:
        """Of a well, from 1."""
        return self.doses[(well - 1) % len(self.doses)]

    def dead_fraction(self, dose: float, *, lowest: float, highest: float) -> float:
        """Share that a dose kills, by Hill's equation.

        >>> DoseResponse((0, 1), ec50=1, hill_slope=2).dead_fraction(1, lowest=0.1, highest=0.9)
        0.5

        Args:
            dose: In the unit of ``ec50``.
            lowest: Share that is dead without the drug.
            highest: Share that is dead under any dose.
        """
        effect = 0.0 if dose == 0 else 1 / (1 + (self.ec50 / dose) ** self.hill_slope)
        return lowest + (highest - lowest) * effect


@dataclass(frozen=True)
class PlannedWell:
    """A well before it is simulated.

    Attributes:
        name: As files and tables call it.
        dead_fraction: Share of the monolayer that is struck by death.
        condition: What was done to it.
        dose: Of the drug; None where no doses are given.
    """

    name: str
    dead_fraction: float
    condition: str
    dose: float | None = None


def plan_wells(
    n_wells: int, *, shares: tuple[float, float | None], dose_response: DoseResponse | None
) -> list[PlannedWell]:
    """Every well of a plate: all alike, every second one treated, or each with its dose.

    Args:
        n_wells: How many.
        shares: That are dead in the control, and in treated wells or under the highest doses; None where no well is
            treated.
        dose_response: Doses of the wells; None for none.

    Raises:
        InputError: If no plate has so many wells with doses.
    """
    control, treated = shares[0], shares[0] if shares[1] is None else shares[1]
    if dose_response is None:
        ends = ((control, CONTROL), (treated, TREATED))
        return [PlannedWell(f"W{well:05d}", *ends[well % 2 == 0]) for well in range(1, n_wells + 1)]
    wells = []
    for well in range(1, n_wells + 1):
        dose = dose_response.dose_of(well)
        share = dose_response.dead_fraction(dose, lowest=control, highest=treated)
        condition = CONTROL if dose == 0 else f"{dose:g}"
        wells.append(PlannedWell(well_name(well, n_wells=n_wells), share, condition, dose))
    return wells


def well_name(well: int, *, n_wells: int) -> str:
    """A well of a plate, row by row, so that doses rise along a row.

    >>> well_name(13, n_wells=24), well_name(384, n_wells=384)
    ('B01', 'P24')

    Args:
        well: From 1.
        n_wells: In all: up to 96 lie on a plate of 96, more on one of 384.

    Raises:
        InputError: If no plate has so many.
    """
    columns = next((columns for most, columns in _PLATES.items() if n_wells <= most), None)
    if columns is None:
        raise InputError(f"no plate has {n_wells} wells", advice=f"simulate at most {max(_PLATES)}")
    row, column = divmod(well - 1, columns)
    return f"{chr(ord('A') + row)}{column + 1:02d}"


def tabulate_fields(cells: pd.DataFrame, wells: dict[str, str]) -> pd.DataFrame:
    """What is true of each field: ``raw_image_id``, ``well``, ``n_cells``, ``n_dead``, ``dead_share``.

    Args:
        cells: Every cell, as ``truth.tabulate_cells`` gives them.
        wells: Of each raw image, those without a cell too.
    """
    of_field = cells.groupby("raw_image_id")["dead"]
    n_cells, n_dead = (series.reindex(list(wells), fill_value=0) for series in (of_field.size(), of_field.sum()))
    table = pd.DataFrame({"well": wells, "n_cells": n_cells, "n_dead": n_dead})
    table["dead_share"] = (n_dead / n_cells).round(4)  # missing without a cell
    return table.rename_axis("raw_image_id").reset_index()


def tabulate_wells(fields: pd.DataFrame, wells: list[PlannedWell]) -> pd.DataFrame:
    """What is true of each well: ``well``, ``dose``, ``n_cells``, ``n_dead``, ``dead_share`` of all its cells.

    Args:
        fields: Of ``tabulate_fields``.
        wells: With their doses.
    """
    table = fields.groupby("well", sort=False)[["n_cells", "n_dead"]].sum()
    table.insert(0, "dose", pd.Series({well.name: well.dose for well in wells}))
    table["dead_share"] = (table["n_dead"] / table["n_cells"]).round(4)
    return table.reset_index()
