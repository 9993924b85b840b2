"""How often the intervals of dose-response curves hold the truth, and how often there is an EC50 where none is.

    python benchmarks/dose_response.py                 # 200 plates a row, some minutes on one core
    python benchmarks/dose_response.py --plates 1000

A plate is shares of wells: those of the true curve, moved on the scale of the logit by a normal variable (0.3, as cells
and pipettes do), of which 60 to 300 cells are counted. Doses lie half a decade apart (eight) or 0.6 (six), the vehicle
has as many wells as a dose. "predicted" adds the error of a network, 0.05 whatever the share.

In each row: how often the EC50's interval holds it, ends beyond the doses taken for open; the same of slope and
plateaus; how often a number is given, and a bound, and how often that bound is wrong; the median ratio of an interval's
upper to its lower end, where there are both. Then plates without an effect, the Z'-factor, the
edge, and a bootstrap over the wells of each dose in place of the profile.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from jimt.prediction.dose_answers import CONFIDENCE, N_SHUFFLES, SIGNIFICANCE
from jimt.statistics.dose_response import FittedCurve, fit_dose_response
from jimt.statistics.dose_surface import Curve, Shapes, Surface, whole_grid
from jimt.statistics.plate_quality import edge_difference, z_prime

Floats = NDArray[np.float64]
N_RESAMPLES = 100
PARAMETERS = ("ec50", "slope", "at_zero", "at_high")


@dataclass(frozen=True)
class Design:
    """Wells of one compound: its true curve, doses above 0, wells of each, the spread between wells."""

    name: str
    curve: Curve
    doses: Floats
    n_replicates: int
    spread: float = 0.3
    error: float = 0.0


EIGHT, SIX = 100 * 10 ** np.arange(-3.5, 0.1, 0.5), 100 * 10 ** np.arange(-3.0, 0.1, 0.6)
DESIGNS = (
    Design("3 x 8", Curve(2, 1, 0.05, 0.9), EIGHT, 3),
    Design("3 x 8, steep", Curve(2, 4, 0.05, 0.9), EIGHT, 3),
    Design("3 x 8, shallow", Curve(2, 0.6, 0.05, 0.9), EIGHT, 3),
    Design("3 x 8, upper plateau out of reach", Curve(60, 1, 0.05, 0.9), EIGHT, 3),
    Design("3 x 8, lower plateau out of reach", Curve(0.04, 1, 0.05, 0.9), EIGHT, 3),
    Design("3 x 8, weak", Curve(2, 1, 0.05, 0.35), EIGHT, 3),
    Design("3 x 8, protects", Curve(2, 1.5, 0.7, 0.2), EIGHT, 3),
    Design("3 x 8, uneven wells", Curve(2, 1, 0.05, 0.9), EIGHT, 3, spread=0.8),
    Design("3 x 8, predicted", Curve(2, 1, 0.05, 0.9), EIGHT, 3, error=0.05),
    Design("2 x 6", Curve(3, 1, 0.05, 0.9), SIX, 2),
    Design("2 x 6, steep", Curve(3, 4, 0.05, 0.9), SIX, 2),
    Design("2 x 6, upper plateau out of reach", Curve(60, 1.5, 0.05, 0.9), SIX, 2),
    Design("2 x 6, predicted", Curve(3, 1, 0.05, 0.9), SIX, 2, error=0.05),
    Design("1 x 8", Curve(2, 1.5, 0.05, 0.9), EIGHT, 1),
)


def wells_of(design: Design, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Doses and counted shares of one plate."""
    doses = np.repeat(np.concatenate([[0.0], design.doses]), design.n_replicates)
    of_well = expit(logit(design.curve.shares(doses)) + rng.normal(0, design.spread, len(doses)))
    n_cells = rng.integers(60, 301, len(doses))
    counted = rng.binomial(n_cells, of_well) / n_cells
    return doses, np.clip(counted + rng.normal(0, design.error, len(doses)), 0, 1)


def fitted(doses: Floats, shares: Floats, seed: int) -> FittedCurve:
    """As jimt does it."""
    return fit_dose_response(
        doses, shares, confidence=CONFIDENCE, significance=SIGNIFICANCE, n_shuffles=N_SHUFFLES, seed=seed
    )


def holds(ends: tuple[float | None, float | None], truth: float) -> bool:
    """Whether an interval, perhaps open, holds a value."""
    low, high = ends
    return (low is None or low <= truth) and (high is None or truth <= high)


def of_bootstrap(doses: Floats, shares: Floats, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """Interval of the EC50 from wells drawn anew among those of each dose; one less of each, weighed up for it."""
    shapes = Shapes(doses, *whole_grid(doses))
    of_dose = [np.flatnonzero(doses == dose) for dose in np.unique(doses)]
    found = []
    for _ in range(N_RESAMPLES):
        weights = np.zeros(len(doses))
        for wells in of_dose:
            np.add.at(weights, rng.choice(wells, len(wells) - 1), len(wells) / (len(wells) - 1))
        found.append(Surface(shapes, shares, weights).best().ec50)
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    first, last = doses[doses > 0].min(), doses.max()
    return (float(low) if low >= first else None), (float(high) if high <= last else None)


def percent(values: list[bool]) -> str:
    """How many, in per cent."""
    return f"{100 * float(np.mean(values)):.1f}" if values else "-"


def row_of(design: Design, n_plates: int) -> Iterator[str]:
    """The cells of a design."""
    held: dict[str, list[bool]] = {name: [] for name in PARAMETERS}
    verdicts, wrong, ratios = [], [], []
    for seed in range(n_plates):
        found = fitted(*wells_of(design, np.random.default_rng(seed)), seed)
        verdicts.append(found.verdict)
        if found.verdict == "no effect":
            continue
        for name in PARAMETERS:
            held[name].append(holds(getattr(found, name), getattr(design.curve, name)))
        low, high = found.ec50
        if low is not None and high is not None:
            ratios.append(high / low)
        if found.bound is not None:
            wrong.append((design.curve.ec50 < found.bound) == (found.verdict == "above"))
    yield design.name
    yield from (percent(held[name]) for name in PARAMETERS)
    yield percent([verdict == "ec50" for verdict in verdicts])
    yield percent([verdict in ("above", "below") for verdict in verdicts])
    yield percent(wrong)
    yield f"{np.median(ratios):.2f}" if ratios else "-"


def by_bootstrap(design: Design, n_plates: int) -> Iterator[str]:
    """How often an interval of the bootstrap holds the EC50, of as many plates, beside that of the profile."""
    held: list[tuple[bool, bool]] = []
    for seed in range(n_plates):
        rng = np.random.default_rng(seed)
        doses, shares = wells_of(design, rng)
        both = fitted(doses, shares, seed).ec50, of_bootstrap(doses, shares, rng)
        held.append((holds(both[0], design.curve.ec50), holds(both[1], design.curve.ec50)))
    yield design.name
    yield from (percent([pair[which] for pair in held]) for which in (0, 1))


def without_effect(name: str, doses: Floats, n_replicates: int, n_plates: int, *, share: float) -> Iterator[str]:
    """How often plates where no dose does anything are said to have an effect, or even an EC50."""
    design = Design(name, Curve(1, 1, share, share), doses, n_replicates)
    verdicts = [
        fitted(*wells_of(design, np.random.default_rng(10_000 + seed)), seed).verdict for seed in range(n_plates)
    ]
    yield f"{name}, {share:g} dead"
    yield percent([verdict != "no effect" for verdict in verdicts])
    yield percent([verdict == "ec50" for verdict in verdicts])


def of_controls(n_wells: int, n_plates: int) -> Iterator[str]:
    """Coverage of the Z'-factor's interval, by pivots and by a bootstrap; normal shares, Z' 0.5."""
    pivots, bootstrap = [], []
    for seed in range(n_plates):
        rng = np.random.default_rng(seed)
        negative, positive = rng.normal(0.1, 0.05, n_wells), rng.normal(0.7, 0.05, n_wells)
        found = z_prime(negative, positive, confidence=CONFIDENCE, n_draws=2000, seed=seed)
        assert found is not None
        pivots.append(found.interval[0] <= 0.5 <= found.interval[1])
        drawn = [rng.choice(wells, (500, n_wells)) for wells in (negative, positive)]
        spread = sum(wells.std(axis=1, ddof=1) for wells in drawn)
        values = 1 - 3 * spread / np.abs(drawn[1].mean(axis=1) - drawn[0].mean(axis=1))
        low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        bootstrap.append(bool(low <= 0.5 <= high))
    yield f"{n_wells} and {n_wells}"
    yield percent(pivots)
    yield percent(bootstrap)


def of_edges(added: float, n_plates: int) -> Iterator[str]:
    """How often the edge is said to differ, where its wells have so much more dead; three wells a dose, one outside."""
    design = DESIGNS[0]
    told, held = [], []
    for seed in range(n_plates):
        doses, shares = wells_of(design, np.random.default_rng(seed))
        is_edge = np.arange(len(doses)) % 3 == 0
        found = edge_difference(np.clip(shares + added * is_edge, 0, 1), doses.tolist(), is_edge, confidence=CONFIDENCE)
        assert found is not None
        told.append(found.differs)
        held.append(holds(found.interval, added))
    yield f"{added:g}"
    yield percent(told)
    yield percent(held)


def table(header: str, rows: Iterator[Iterator[str]]) -> None:
    """Print a table in Markdown."""
    print(f"\n| {header} |\n|{'---|' * (header.count('|') + 1)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=200, help="a row")
    n = parser.parse_args().plates
    header = "design | EC50 | slope | at zero | at high | a number | a bound | wrong | upper/lower"
    table(header, (row_of(design, n) for design in DESIGNS))
    flat = (("3 x 8", EIGHT, 3), ("2 x 6", SIX, 2), ("1 x 8", EIGHT, 1))
    rows = (without_effect(*each, 5 * n, share=share) for each in flat for share in (0.05, 0.5))
    table(f"no effect, {5 * n} plates | an effect | an EC50", rows)
    table("control wells | Z' by pivots | by bootstrap", (of_controls(k, 5 * n) for k in (3, 4, 8, 16)))
    table("added at the edge | differs | its interval holds it", (of_edges(each, n) for each in (0.0, 0.05, 0.1)))
    some = [design for design in DESIGNS if design.name in ("3 x 8", "3 x 8, steep", "2 x 6")]
    table(f"{n // 4} plates | profile | bootstrap", (by_bootstrap(design, n // 4) for design in some))


if __name__ == "__main__":
    main()
