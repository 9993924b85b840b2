"""Dose-response curves: a four-parameter logistic of dead share by dose, with intervals over wells.

The dead share of a well at dose ``d`` is ``at_zero + (at_high - at_zero) / (1 + (ec50 / d) ** slope)``: ``at_zero``
without the compound, ``at_high`` under any dose, half way between them at ``ec50``. Of a compound that protects
``at_high`` is the lower one; the slope is positive.

The sum of squares is known everywhere (``dose_surface.py``), and with it the profile of every parameter: its least
value at each value of the parameter. An interval holds the values whose profile is not above what Fisher's F allows, by
the spread of the wells about the curve (Bates and Watts, Nonlinear Regression Analysis, 1988, 6.1). Wells are weighted
as if they differed by the same on the scale of the logit: their standard deviation is taken to go with
``p (1 - p) + 0.02`` of the curve. ``benchmarks/dose_response.py`` measures coverage; that of a
bootstrap over the wells of each dose was 80 %.

Whether there is an effect is asked first: the share of the variance of wells that a curve explains, against what it
explains of the same wells shuffled over the doses. A flat line explains none.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import f as fisher

from jimt.statistics.dose_surface import SLOPES, Curve, Shapes, Surface, profile_interval, rise, whole_grid

Floats = NDArray[np.float64]
Ends = tuple[float | None, float | None]
"""Of an interval; None where it is open."""
Verdict = Literal["ec50", "above", "below", "unknown", "no effect"]

FEWEST_LEVELS: Final = 4
"""Different doses, that of 0 among them: fewer tell no four parameters."""
FEWEST_WELLS: Final = 6
_FLOOR: Final = 0.02
"""Of the spread, so that wells near 0 and 1 do not decide alone: what is predicted is never as sure as a count."""
_N_WEIGHTINGS: Final = 2
_FEWEST_STEPS: Final = 10
"""Of the grid within an interval: with fewer it is off by what lies between two values."""
_AT_END: Final = 1 + 1e-6
_ZOOMED: Final = 61
_MOST_ZOOMS: Final = 12


@dataclass(frozen=True)
class FittedCurve:
    """What wells tell of one compound.

    Attributes:
        verdict: ``ec50`` where its whole interval lies within the doses; ``above`` or ``below`` a bound, where the
            interval reaches beyond the highest or lowest dose; ``unknown`` where beyond both; ``no effect``.
        p_value: Of no effect.
        curve: The likeliest; None without an effect.
        ec50: Its interval, ends beyond the doses open.
        bound: Dose that the EC50 is above or below, by one end of its interval, at most the highest and at least the
            lowest dose; None where there is none.
        slope: Interval; open where it reaches the end of what is searched, as where all happens between two doses.
        at_zero: Interval.
        at_high: Likewise.
        band_doses: Doses above 0 that the band is told at, shape ``(n,)``.
        band: Lower and upper end of the curve's interval at 0 and at each of these, shape ``(2, 1 + n)``.
    """

    verdict: Verdict
    p_value: float
    curve: Curve | None = None
    ec50: Ends = (None, None)
    bound: float | None = None
    slope: Ends = (None, None)
    at_zero: Ends = (None, None)
    at_high: Ends = (None, None)
    band_doses: Floats | None = None
    band: Floats | None = None


def why_no_curve(doses: Floats) -> str | None:
    """Why wells with these doses give no curve, as the end of a sentence; None where they do.

    >>> why_no_curve(np.array([0.0, 0, 1, 1, 10, 10]))
    '3 different doses, that of 0 among them, and a curve takes 4'
    """
    n_levels = len(np.unique(doses))
    if n_levels < FEWEST_LEVELS:
        dose = "dose" if n_levels == 1 else "different doses"
        return f"{n_levels} {dose}, that of 0 among them, and a curve takes {FEWEST_LEVELS}"
    if len(doses) < FEWEST_WELLS:
        return f"{len(doses)} wells, and a curve takes {FEWEST_WELLS}"
    return None


def fit_dose_response(
    doses: Floats, shares: Floats, *, confidence: float, significance: float, n_shuffles: int, seed: int
) -> FittedCurve:
    """The curve of one compound, as far as its wells tell it.

    Args:
        doses: Of each well, 0 for the vehicle, shape ``(n_wells,)``; ``why_no_curve`` has nothing against them.
        shares: Dead share of each well, 0 to 1, likewise.
        confidence: Coverage wanted of the intervals.
        significance: Probability of an effect where there is none.
        n_shuffles: Of the test.
        seed: Of the shuffles.

    >>> doses = np.repeat([0.0, 1, 3, 10, 30, 100], 2)
    >>> shares = 0.1 + 0.8 * doses / (doses + 10) + np.tile([-0.02, 0.02], 6)
    >>> found = fit_dose_response(doses, shares, confidence=0.95, significance=0.01, n_shuffles=999, seed=0)
    >>> found.verdict, round(found.curve.ec50), found.ec50[0] < 10 < found.ec50[1]
    ('ec50', 10, True)
    """
    order = np.lexsort((shares, doses))  # so that the order of a table changes nothing
    doses, shares = doses[order], shares[order]
    p_value = p_of_no_effect(doses, shares, n_shuffles=n_shuffles, seed=seed)
    if p_value > significance:
        return FittedCurve("no effect", p_value)
    shapes, weights = Shapes(doses, *whole_grid(doses)), np.ones(len(doses))
    for _ in range(_N_WEIGHTINGS):
        of_curve = Surface(shapes, shares, weights).best().shares(doses)
        spread = of_curve * (1 - of_curve) + _FLOOR
        weights = (spread.mean() / spread) ** 2
    surface = Surface(shapes, shares, weights)
    curve, least = _refined(surface.best(), doses, shares, weights)
    freedom = len(doses) - 4
    allowed = least * (1 + float(fisher.ppf(confidence, 1, freedom)) / freedom) + 1e-9
    surface, ends_of_ec50, (gentle, steep) = _zoomed(surface, curve, doses, shares, weights, allowed)
    low, high = (10**end for end in ends_of_ec50)
    first, last = float(doses[doses > 0][0]), float(doses[-1])
    ends = (low if low >= first else None), (high if high <= last else None)
    verdict, bound = _verdict(low, high, first=first, last=last)
    band_doses, curves = np.geomspace(first, last, 80), surface.allowed(allowed)
    return FittedCurve(
        verdict,
        p_value,
        curve,
        ec50=ends,
        bound=bound,
        slope=(gentle if gentle > SLOPES[0] * _AT_END else None, steep if steep * _AT_END < SLOPES[-1] else None),
        at_zero=curves.interval_of_plateau(0),
        at_high=curves.interval_of_plateau(1),
        band_doses=band_doses,
        band=curves.band(np.concatenate([[0.0], band_doses])),
    )


def _zoomed(
    surface: Surface, curve: Curve, doses: Floats, shares: Floats, weights: Floats, allowed: float
) -> tuple[Surface, tuple[float, float], tuple[float, float]]:
    """A grid as fine as the intervals ask for, and the intervals of the EC50's logarithm and the slope on it.

    Wells that lie close to their curve allow less than lies between two values of the whole grid.
    """
    at = np.array([np.log10(curve.ec50), np.log(curve.slope)])
    outer = np.array([surface.decades[[0, -1]], np.log(surface.slopes[[0, -1]])])
    for _ in range(_MOST_ZOOMS):
        ends = np.array(
            [
                profile_interval(surface.decades, surface.profile_of_ec50(), allowed),
                np.log(profile_interval(surface.slopes, surface.profile_of_slope(), allowed)),
            ]
        )
        ends = np.stack([np.minimum(ends[:, 0], at), np.maximum(ends[:, 1], at)], axis=1)
        edges = np.array([surface.decades[[0, -1]], np.log(surface.slopes[[0, -1]])])
        steps = (edges[:, 1] - edges[:, 0]) / [len(surface.decades) - 1, len(surface.slopes) - 1]
        spans = ends[:, 1] - ends[:, 0]
        cut = np.isclose(ends, edges, atol=1e-9, rtol=0) & ~np.isclose(edges, outer, atol=1e-9, rtol=0)
        if (spans >= _FEWEST_STEPS * steps).all() and not cut.any():
            break
        room = np.maximum(2 * steps, np.where(cut.any(axis=1), spans, 0))
        first, last = np.maximum(ends[:, 0] - room, outer[:, 0]), np.minimum(ends[:, 1] + room, outer[:, 1])
        grid = (np.linspace(low, high, _ZOOMED) for low, high in zip(first, last, strict=True))
        decades, slopes = next(grid), np.exp(next(grid))
        surface = Surface(Shapes(doses, decades, slopes), shares, weights)
    return surface, (float(ends[0, 0]), float(ends[0, 1])), (float(np.exp(ends[1, 0])), float(np.exp(ends[1, 1])))


def _verdict(low: float, high: float, *, first: float, last: float) -> tuple[Verdict, float | None]:
    """What an interval says, held against the lowest and highest dose."""
    if low >= first and high <= last:
        return "ec50", None
    if low >= first:
        return "above", min(low, last)
    if high <= last:
        return "below", max(high, first)
    return "unknown", None


def _refined(curve: Curve, doses: Floats, shares: Floats, weights: Floats) -> tuple[Curve, float]:
    """The likeliest curve near one of the grid, and its sum of squares."""

    def residuals(parameters: Floats) -> Floats:
        of = Curve(10 ** parameters[0], 10 ** parameters[1], parameters[2], parameters[3])
        return np.asarray(np.sqrt(weights) * (of.shares(doses) - shares))

    start = np.array([np.log10(curve.ec50), np.log10(curve.slope), curve.at_zero, curve.at_high])
    bounds = [start[0] - 0.1, np.log10(SLOPES[0]), 0, 0], [start[0] + 0.1, np.log10(SLOPES[-1]), 1, 1]
    inside = np.clip(start, np.add(bounds[0], 1e-6), np.subtract(bounds[1], 1e-6))
    found = least_squares(residuals, inside, bounds=bounds)
    before = float((residuals(start) ** 2).sum())
    if 2 * found.cost >= before:
        return curve, before
    decades, slope, at_zero, at_high = (float(value) for value in found.x)
    return Curve(10**decades, 10**slope, at_zero, at_high), 2 * float(found.cost)


def p_of_no_effect(doses: Floats, shares: Floats, *, n_shuffles: int, seed: int) -> float:
    """How often a curve explains as much of wells that are shuffled over the doses.

    Curves are those of EC50s within the doses, and of six slopes; each explains the square of its correlation with the
    shares, and the best of them counts.

    Args:
        doses: Of each well, shape ``(n_wells,)``.
        shares: Likewise.
        n_shuffles: How often.
        seed: Of the shuffles.

    >>> p_of_no_effect(np.repeat([0.0, 1, 10, 100], 3), np.full(12, 0.1), n_shuffles=99, seed=0)
    1.0
    >>> p_of_no_effect(np.repeat([0.0, 1, 10, 100], 3), np.repeat([0.0, 0.1, 0.8, 0.9], 3), n_shuffles=99, seed=0)
    0.01
    """
    centred = shares - shares.mean()
    total = float(centred @ centred)
    if total <= 1e-12:
        return 1.0
    positive = np.log10(doses[doses > 0])
    decades = np.linspace(positive.min() - 0.25, positive.max() + 0.25, 25)
    shapes = np.concatenate([rise(decades, slope, doses) for slope in (0.5, 1.0, 1.5, 2.5, 4.0, 8.0)])
    shapes -= shapes.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(shapes, axis=1)
    shapes = shapes[norms > 1e-6] / norms[norms > 1e-6, None]
    rng = np.random.default_rng(seed)
    shuffled = np.concatenate([[centred], rng.permuted(np.tile(centred, (n_shuffles, 1)), axis=1)])
    explained = ((shuffled @ shapes.T) ** 2).max(axis=1) / total
    return float((explained >= explained[0] - 1e-9).mean())
