"""What doses did, in sentences and as rows of a table."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from jimt.prediction.answer_tables import printable
from jimt.prediction.dose_answers import CONFIDENCE, N_SHUFFLES, SIGNIFICANCE, CompoundAnswer, Doses, PlateAnswer
from jimt.prediction.plate_maps import plate_name
from jimt.statistics.dose_response import Ends
from jimt.statistics.plate_quality import FEWEST_CONTROLS
from jimt.statistics.value_text import interval_text, percent_text

DOSE_COLUMNS: Final = (
    "plate",
    "time",
    "compound",
    "unit",
    "n_wells",
    "n_vehicle_wells",
    "n_doses",
    "lowest_dose",
    "highest_dose",
    "p_no_effect",
    "verdict",
    "ec50",
    "ec50_low",
    "ec50_high",
    "bound",
    "slope",
    "slope_low",
    "slope_high",
    "share_at_zero",
    "share_at_zero_low",
    "share_at_zero_high",
    "share_at_high",
    "share_at_high_low",
    "share_at_high_high",
    "sentence",
    "z_prime",
    "z_prime_low",
    "z_prime_high",
    "n_negative",
    "n_positive",
    "edge_difference",
    "edge_difference_low",
    "edge_difference_high",
)
_GOOD: Final = 0.5
"""A Z'-factor from which a plate is said to be an excellent assay (Zhang et al. 1999)."""


def dose_text(dose: float, unit: str | None) -> str:
    """A dose with three digits, and its unit.

    >>> dose_text(0.012345, "µM"), dose_text(1234.5, None), dose_text(1e-9, "M")
    ('0.0123 µM', '1230', '1e-09 M')
    """
    number = f"{dose:.3g}"
    if "e" in number and 1e-4 < dose < 1e7:
        number = f"{float(number):.0f}" if dose > 1 else f"{float(number):f}".rstrip("0")
    return number if unit is None else f"{number} {unit}"


def dose_sentences(doses: Doses) -> list[str]:
    """What was found of each compound, and of controls and edges of each plate: of several times, at the last."""
    told = []
    for plate in doses.at_last:
        where = f"{plate_name(plate.key)}: " if len(doses.plates) > 1 else ""
        told += [f"{where}{compound_sentence(compound, doses.unit)}" for compound in plate.compounds]
        told += [f"{where}{line}" for line in (_of_controls(plate), _of_edge(plate))]
    if n_before := len(doses.plates) - len(doses.at_last):
        told.append(f"this is of the last time; doses.csv and the figures have {n_before} earlier ones too")
    return told


def compound_sentence(answer: CompoundAnswer, unit: str | None) -> str:
    """What was found of one compound."""
    name = "the compound" if answer.name is None else printable(answer.name)
    fit, notes = answer.fit, "".join(f"; {note}" for note in answer.notes)
    if fit is None:
        return f"{name}: {'; '.join(answer.notes)}"
    least, most = float(answer.doses[answer.doses > 0].min()), float(answer.doses.max())
    tested = f"{dose_text(least, None)} to {dose_text(most, unit)}"
    if fit.verdict == "no effect":
        return (
            f"{name}: no effect told apart from chance at {tested} (p = {fit.p_value:.2g}, {SIGNIFICANCE:g} is asked "
            f"for), so no EC50{notes}"
        )
    assert fit.curve is not None
    shares = f"dead share from {_share(fit.curve.at_zero, fit.at_zero)} to {_share(fit.curve.at_high, fit.at_high)}"
    if fit.verdict == "ec50":
        low, high = fit.ec50
        assert low is not None
        assert high is not None
        between = f"{dose_text(low, None)} to {dose_text(high, None)}"
        slope = f"slope {fit.curve.slope:.2g} ({_open(fit.slope)})"
        return (
            f"{name}: EC50 {dose_text(fit.curve.ec50, unit)} ({percent_text(CONFIDENCE)} over wells: {between}), "
            f"{slope}, {shares}{notes}"
        )
    if fit.bound is None:
        return f"{name}: an effect, and the doses ({tested}) leave its EC50 open on both sides{notes}"
    end = "highest" if fit.verdict == "above" else "lowest"
    return (
        f"{name}: EC50 {fit.verdict} {dose_text(fit.bound, unit)}: its {percent_text(CONFIDENCE)} interval reaches "
        f"beyond the {end} dose, {dose_text(most if fit.verdict == 'above' else least, unit)}{notes}"
    )


def _share(value: float, ends: Ends) -> str:
    return f"{value:.2f} ({ends[0]:.2f} to {ends[1]:.2f})"


def _open(ends: Ends) -> str:
    low, high = (None if end is None else f"{end:.2g}" for end in ends)
    if low is None or high is None:
        return "not known" if low == high else f"below {high}" if low is None else f"above {low}"
    return f"{low} to {high}"


def _of_controls(plate: PlateAnswer) -> str:
    n, m = len(plate.negative), len(plate.positive)
    counts = f"{n} negative and {m} positive control well{'s' * (m != 1)}"
    if plate.z_prime is None:
        if min(n, m) >= FEWEST_CONTROLS:
            return f"no Z'-factor: {counts} have the same mean dead share"
        return f"no Z'-factor: {counts} with a dead share, and it takes {FEWEST_CONTROLS} of each"
    low, high = plate.z_prime.interval
    if low >= _GOOD:
        verdict = f"controls lie well apart ({_GOOD:g} or more)"
    elif high < 0:
        verdict = "controls overlap: a single well tells nothing"
    elif high < _GOOD:
        verdict = "controls lie apart, but not by enough to trust a single well"
    else:
        verdict = (
            f"so few controls leave open whether it is {_GOOD:g} or more, that is whether single wells can be told"
        )
    text = interval_text(plate.z_prime.interval)
    return f"Z'-factor {plate.z_prime.value:.3f} ({text}) of {counts}: {verdict}"


def _of_edge(plate: PlateAnswer) -> str:
    edge = plate.edge
    if edge is None:
        return "edge wells were not compared: no two wells at the edge and inside were given the same often enough"
    share = f"{edge.value:+.3f} ({interval_text(edge.interval, signed=True)})"
    of = f"{edge.n_edge} wells at the edge of the {plate.n_wells}, {edge.n_inside} inside that were given the same"
    if edge.differs:
        more = "more" if edge.value > 0 else "fewer"
        return f"edge wells have {more} dead, by {share} ({of}): doses that lie at the edge are shifted by it"
    return f"edge wells do not differ from those inside by more than chance: {share} ({of})"


def dose_rows(doses: Doses) -> Iterator[Mapping[str, Any]]:
    """A row for each compound of each plate and time, by ``DOSE_COLUMNS``; of a plate of controls alone, one row."""
    for plate in doses.plates:
        of_plate: dict[str, Any] = dict.fromkeys(DOSE_COLUMNS) | {
            "plate": plate.key[0],
            "time": plate.key[1],
            "unit": doses.unit,
            "n_negative": len(plate.negative),
            "n_positive": len(plate.positive),
        }
        for name, found in (("z_prime", plate.z_prime), ("edge_difference", plate.edge)):
            if found is not None:
                of_plate |= {name: found.value, f"{name}_low": found.interval[0], f"{name}_high": found.interval[1]}
        if not plate.compounds:
            yield of_plate
        for compound in plate.compounds:
            yield of_plate | _of_compound(compound, doses.unit)


def _of_compound(compound: CompoundAnswer, unit: str | None) -> dict[str, Any]:
    treated = compound.doses[compound.doses > 0]
    told: dict[str, Any] = {
        "compound": compound.name,
        "n_wells": len(treated),
        "n_vehicle_wells": len(compound.doses) - len(treated),
        "n_doses": len(np.unique(treated)),
        "lowest_dose": _rounded(treated.min()) if len(treated) else None,
        "highest_dose": _rounded(treated.max()) if len(treated) else None,
        "verdict": "no curve",
        "sentence": compound_sentence(compound, unit),
    }
    fit = compound.fit
    if fit is None:
        return told
    told |= {"p_no_effect": fit.p_value, "verdict": fit.verdict, "bound": _rounded(fit.bound)}
    if fit.curve is None or fit.verdict in ("unknown", "no effect"):
        return told
    if fit.verdict == "ec50":
        told |= {"ec50": _rounded(fit.curve.ec50), "slope": fit.curve.slope}
        told |= {"share_at_zero": fit.curve.at_zero, "share_at_high": fit.curve.at_high}
    ends = {"slope": fit.slope, "share_at_zero": fit.at_zero, "share_at_high": fit.at_high}
    for name, (low, high) in ends.items():
        told |= {f"{name}_low": low, f"{name}_high": high}
    return told | {"ec50_low": _rounded(fit.ec50[0]), "ec50_high": _rounded(fit.ec50[1])}


def _rounded(dose: float | None) -> float | None:
    """A dose with four digits that count."""
    return None if dose is None else float(f"{dose:.4g}")


def dose_methods(doses: Doses) -> Iterator[str]:
    """How curves were fitted and what was compared, in sentences for a paper; none without a plate."""
    plates = doses.plates
    compounds = [compound for plate in plates for compound in plate.compounds]
    if any(compound.fit is not None for compound in compounds):
        yield (
            "Dose-response curves are four-parameter logistics, fitted to the dead shares of wells, those of the "
            "vehicle at dose 0, by least squares with weights of a standard deviation of p (1 - p) + 0.02 for a share "
            f"p of the curve; intervals of {percent_text(CONFIDENCE)} are of the profile of the sum of squares and "
            "Fisher's F, over wells."
        )
        yield (
            f"A compound has an effect where a curve explains more of the variance of its wells than it does of all "
            f"but {percent_text(SIGNIFICANCE)} of {N_SHUFFLES:,} shuffles of the wells over the doses; without one it "
            "has no EC50, and an EC50 whose interval reaches beyond the doses is given as a bound."
        )
    if any(plate.z_prime is not None for plate in plates):
        yield (
            "The Z'-factor of controls is that of Zhang, Chung and Oldenburg (1999), with an interval by generalised "
            "pivots of normal samples."
        )
    if any(plate.edge is not None for plate in plates):
        yield "Wells at the edge of the plate were compared with those inside that were given the same."
