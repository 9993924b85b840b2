"""What the dead shares of wells say of the doses they were given, plate by plate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.errors import ways_out
from jimt.figures.plate import plate_shape, well_place
from jimt.prediction.dose_plan import DosedWell, DosePlan
from jimt.prediction.plate_maps import PlateKey, in_order
from jimt.statistics.dose_response import FittedCurve, fit_dose_response, why_no_curve
from jimt.statistics.plate_quality import EdgeDifference, ZPrime, edge_difference, z_prime

Floats = NDArray[np.float64]

CONFIDENCE: Final = 0.95
SIGNIFICANCE: Final = 0.01
"""Compounds without an effect that are said to have one; a plate of twelve would have one every second time at 0.05."""
N_SHUFFLES: Final = 999
_N_DRAWS: Final = 4000
_SEED: Final = 0

_Row = tuple[DosedWell, Mapping[Any, Any]]
"""What a well was given, and its row of ``well_rows``."""


@dataclass(frozen=True)
class CompoundAnswer:
    """One compound on one plate, at one time.

    Attributes:
        name: None where the table names none.
        doses: Of its wells that have a dead share, and of those of the vehicle, 0.
        shares: Their dead shares.
        n_without: Its wells without a dead share.
        fit: None where no curve can be told; then a note says why.
        notes: What to know, each the end of a sentence.
    """

    name: str | None
    doses: Floats
    shares: Floats
    n_without: int
    fit: FittedCurve | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PlateAnswer:
    """One plate, at one time.

    Attributes:
        key: Plate and time.
        compounds: In the order of the table.
        negative: Dead shares of the wells of the negative control, those of dose 0 among them.
        positive: Of the positive one.
        z_prime: Of both; None where there are too few.
        edge: Wells at the edge against those inside; None where no treatments have enough of both.
        n_wells: Of the plate's format, such as 96.
    """

    key: PlateKey
    compounds: tuple[CompoundAnswer, ...]
    negative: Floats
    positive: Floats
    z_prime: ZPrime | None
    edge: EdgeDifference | None
    n_wells: int


@dataclass(frozen=True)
class Doses:
    """What doses did.

    Attributes:
        plates: Each plate, at each time, from the first to the last.
        unit: Of all doses; None where none is told.
    """

    plates: tuple[PlateAnswer, ...]
    unit: str | None

    @property
    def at_last(self) -> tuple[PlateAnswer, ...]:
        """Each plate at its last time."""
        return tuple({plate.key[0]: plate for plate in self.plates}.values())


def dose_answers(wells: pd.DataFrame, plan: DosePlan) -> Doses:
    """Curves of every compound, and what controls and edges say, for each plate and time.

    Args:
        wells: As ``well_rows`` gives them.
        plan: What they were given; wells that it does not have take no part.
    """
    plates: dict[PlateKey, list[_Row]] = {}
    for row in wells.to_dict("records"):
        if (given := plan.of(row["plate"], row["well"])) is not None:
            plates.setdefault((row["plate"], row["time"]), []).append((given, row))
    return Doses(tuple(_of_plate(key, plates[key]) for key in in_order(plates)), plan.unit)


def _of_plate(key: PlateKey, rows: list[_Row]) -> PlateAnswer:
    known = [(given, row) for given, row in rows if row["dead_share"] is not None]
    negative = _shares(row for given, row in known if _is_negative(given))
    positive = _shares(row for given, row in known if given.role == "positive")
    n_rows, n_columns = plate_shape(row["well"] for _, row in rows)
    places = [well_place(row["well"]) for _, row in known]
    is_edge = np.array(
        [place is not None and (place[0] in (0, n_rows - 1) or place[1] in (0, n_columns - 1)) for place in places],
        np.bool_,
    )
    treatments = [
        given.role if given.role is not None else (given.compound if given.dose else "negative", given.dose)
        for given, _ in known
    ]
    return PlateAnswer(
        key,
        tuple(_compounds(rows)),
        negative,
        positive,
        z_prime(negative, positive, confidence=CONFIDENCE, n_draws=_N_DRAWS, seed=_SEED),
        edge_difference(_shares(row for _, row in known), treatments, is_edge, confidence=CONFIDENCE),
        n_rows * n_columns,
    )


def _is_negative(given: DosedWell) -> bool:
    return given.role == "negative" or (given.role is None and given.dose == 0)


def _shares(rows: Iterator[Mapping[Any, Any]]) -> Floats:
    return np.array([row["dead_share"] for row in rows], np.float64)


def _compounds(rows: list[_Row]) -> Iterator[CompoundAnswer]:
    """Each compound with its wells: its own, and the vehicle's that are not another compound's own."""
    names = dict.fromkeys(given.compound for given, _ in rows if given.role is None and given.dose)
    shared = [
        (given, row) for given, row in rows if _is_negative(given) and (given.role or given.compound not in names)
    ]
    for name in names:
        own = [(given, row) for given, row in rows if given.role is None and given.compound == name]
        # a compound without a name has its own 0, which is the shared one where compounds have names
        mine = own + [pair for pair in shared if pair not in own]
        yield _of_compound(name, own, mine)


def _of_compound(name: str | None, own: list[_Row], mine: list[_Row]) -> CompoundAnswer:
    known = [(given.dose, row["dead_share"]) for given, row in mine if row["dead_share"] is not None]
    doses, shares = (np.array([pair[part] for pair in known], np.float64) for part in (0, 1))
    without = [row for _, row in own if row["dead_share"] is None]
    notes = []
    if without:
        flagged = any(row["n_flagged"] for row in without)
        ways = ways_out(remedies=("--include-flagged",)) if flagged else ""
        had = f"{len(without)} of its {len(own)} wells have no dead share that counts"
        notes.append(f"{had}: {ways}" if ways else had)
    why_not = why_no_curve(doses)
    if why_not is not None:
        return CompoundAnswer(name, doses, shares, len(without), None, (f"no curve: {why_not}", *notes))
    if not (doses == 0).any():
        notes.append("no well of the vehicle, so the dead share without the compound is extrapolated")
    if len(doses) == len(np.unique(doses)):
        notes.append("one well of each dose, so the interval trusts the shape of the curve")
    fit = fit_dose_response(
        doses, shares, confidence=CONFIDENCE, significance=SIGNIFICANCE, n_shuffles=N_SHUFFLES, seed=_SEED
    )
    return CompoundAnswer(name, doses, shares, len(without), fit, tuple(notes))
