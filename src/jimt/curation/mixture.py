"""A two-component Gaussian mixture of the values that labels come from, and the patches that would steer it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

MAX_ITERATIONS = 2_000  # components that overlap need some hundreds
VARIANCE_FLOOR = 1e-8  # in units of the spread of all patches: a standard deviation of 1e-4
COLLAPSED_SD = 2e-4  # of that spread: a component at the floor, on one repeated value
_TAILS = 0.1  # share of the patches at either end that the search for outliers begins without
_CHANCE = 0.01  # of leaving a patch out where all are of one mixture
_ROUGH = 1e-3  # tolerance while outliers are looked for: scikit-learn's default
_APART = 2.0  # standard deviations of either of two populations between which there is next to nothing
_FEWEST = 10  # patches that two populations can be told apart in
_STRONG = 10.0  # gain in Bayes' information criterion that tells two components from one (Kass and Raftery, 1995)

Values = NDArray[np.float64]
Pair = tuple[float, float]


@dataclass(frozen=True)
class Mixture:
    """Two components, that of the smaller mean first."""

    mean: Pair
    sd: Pair
    weight: Pair
    gain: float
    """In Bayes' information criterion over a single component."""
    spread: float
    """Standard deviation of all values it was fitted on."""

    def thresholds(self, n_sigma: float) -> Pair:
        """Live below the one, dead above the other: each ``n_sigma`` inside its component."""
        return self.mean[0] + n_sigma * self.sd[0], self.mean[1] - n_sigma * self.sd[1]

    def is_collapsed(self, min_weight: float) -> bool:
        """Whether a component holds hardly any patch, or one repeated value."""
        return min(self.weight) < min_weight or min(self.sd) < COLLAPSED_SD * self.spread

    @property
    def is_of_two(self) -> bool:
        """Whether there are two populations beyond doubt, a standard deviation of each between them."""
        live_below, dead_above = self.thresholds(1.0)
        return live_below < dead_above and self.gain > _STRONG


def fit_mixture(values: Values, *, tolerance: float, n_init: int, seed: int, start: Mixture | None = None) -> Mixture:
    """Fit two components by expectation-maximisation.

    >>> values = np.concatenate([np.linspace(190, 210, 60), np.linspace(480, 520, 40)])
    >>> mixture = fit_mixture(values, tolerance=1e-6, n_init=1, seed=0)
    >>> [round(mean) for mean in mixture.mean], [round(weight, 2) for weight in mixture.weight]
    ([200, 500], [0.6, 0.4])

    Args:
        values: Not all equal, shape ``(n_patches,)``.
        tolerance: Gain in mean log-likelihood below which the fit has converged.
        n_init: Starts; the likeliest result is taken.
        seed: Seed of the starts.
        start: Where to start instead.
    """
    centre, spread = float(values.mean()), float(values.std())
    # in units of the spread, so that the floor under a variance means the same for any camera and scale
    scaled = ((values - centre) / spread)[:, None]
    begin = {}
    if start is not None:
        mean, sd, weight = (np.array(pair) for pair in (start.mean, start.sd, start.weight))
        begin = {
            "means_init": ((mean - centre) / spread)[:, None],
            "precisions_init": ((spread / sd) ** 2)[:, None, None],
            "weights_init": weight / weight.sum(),
        }
    mixture = GaussianMixture(
        n_components=2,
        n_init=n_init,
        tol=tolerance,
        max_iter=MAX_ITERATIONS,
        reg_covar=VARIANCE_FLOOR,
        random_state=seed,
        **begin,
    ).fit(scaled)
    single = GaussianMixture(1, reg_covar=VARIANCE_FLOOR, random_state=seed).fit(scaled)
    order = np.argsort(mixture.means_.ravel())
    mean = centre + spread * mixture.means_.ravel()[order]
    sd = spread * np.sqrt(mixture.covariances_.ravel()[order])
    weight = mixture.weights_[order]
    return Mixture(
        (float(mean[0]), float(mean[1])),
        (float(sd[0]), float(sd[1])),
        (float(weight[0]), float(weight[1])),
        float(single.bic(scaled) - mixture.bic(scaled)),
        spread,
    )


def find_outliers(values: Values, mixture: Mixture, *, tolerance: float, n_init: int, seed: int) -> NDArray[np.bool_]:
    """Patches far from all others, which would take a component for themselves, shape ``(n_patches,)``.

    A forward search (Atkinson, Riani and Cerioli, 2004): a mixture of the patches but a tenth at either end takes in,
    again and again, those that it does not exclude, until none is added. Of values that are of one mixture nearly every
    time all are taken in. Outliers so near that they were taken in are found by the fit of all then contradicting the
    search's own: they are its smaller component.

    Args:
        values: Shape ``(n_patches,)``.
        mixture: Fitted on them, with the same settings.
        tolerance: As in ``fit_mixture``.
        n_init: Likewise.
        seed: Likewise.
    """
    low, high = np.quantile(values, [_TAILS, 1 - _TAILS])
    taken = (values >= low) & (values <= high)
    if np.ptp(values[taken]) == 0:  # nearly all are one value
        return np.zeros(len(values), np.bool_)
    reach = float(norm.isf(_CHANCE / len(values)))  # standard deviations
    found = None
    while True:
        found = fit_mixture(values[taken], tolerance=_ROUGH, n_init=n_init, seed=seed, start=found)
        mean, sd = np.array(found.mean), np.array(found.sd)
        grown = taken | ((values >= (mean - reach * sd).min()) & (values <= (mean + reach * sd).max()))
        if (grown == taken).all():
            break
        taken = grown
    whole = mixture
    if not taken.all():
        whole = fit_mixture(values[taken], tolerance=tolerance, n_init=n_init, seed=seed)
    of_search, of_fit = found.thresholds(1.0), whole.thresholds(1.0)
    contradict = of_fit[0] > of_search[1] or of_search[0] > of_fit[1]  # a patch is live by the one, dead by the other
    if contradict and found.is_of_two and whole.is_of_two and min(whole.weight) < _TAILS:
        live, dead = (
            weight * norm.pdf(values, mean, sd)
            for mean, sd, weight in zip(whole.mean, whole.sd, whole.weight, strict=True)
        )
        if whole.weight[1] < whole.weight[0]:
            taken &= values < values[(dead > live) & (values > whole.mean[0])].min(initial=np.inf)
        else:
            taken &= values > values[(live > dead) & (values < whole.mean[1])].max(initial=-np.inf)
    return np.asarray(~taken)


Third = tuple[NDArray[np.bool_], Mixture]


def find_third(
    values: Values, mixture: Mixture, *, n_sigma: float, tolerance: float, n_init: int, seed: int
) -> Third | None:
    """A population at one end that has a component for itself, while another class has lost its own to it.

    Debris, or dark patches, more numerous than a rare class: two components are then them and all others. What the
    forward search begins without hides such a class from it.

    Args:
        values: Shape ``(n_patches,)``.
        mixture: Fitted on them.
        n_sigma: Of the thresholds.
        tolerance: As in ``fit_mixture``.
        n_init: Likewise.
        seed: Likewise.

    Returns:
        Which patches are of it, likewise, and the mixture of the others; None where there is none.
    """
    fit = functools.partial(fit_mixture, n_init=n_init, seed=seed)
    is_upper = _is_upper(values, mixture)
    for lump in (is_upper, ~is_upper):
        if lump.sum() < _FEWEST or np.ptp(values[lump]) == 0:
            continue
        parts = fit(values[lump], tolerance=_ROUGH)
        gap_begins, gap_ends = parts.thresholds(_APART)
        if gap_begins >= gap_ends or parts.gain <= _STRONG:
            continue
        of_upper = np.zeros(len(values), np.bool_)
        of_upper[lump] = _is_upper(values[lump], parts)
        three = (lump & ~of_upper, of_upper, ~lump) if lump[values.argmin()] else (~lump, lump & ~of_upper, of_upper)
        end = _furthest(values, three)
        if end.mean() > _TAILS:  # no debris, but cells
            continue
        others = fit(values[~end], tolerance=tolerance)
        if others.is_of_two and _loses_a_class(values[~end], mixture.thresholds(n_sigma), others.thresholds(n_sigma)):
            return end, others
    return None


def _furthest(values: Values, three: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The lowest or the highest of three populations, whichever lies further from the one in the middle."""
    (low, low_sd), (middle, middle_sd), (high, high_sd) = ((values[one].mean(), values[one].std()) for one in three)
    lower, upper = (middle - low) / (low_sd + middle_sd), (high - middle) / (middle_sd + high_sd)
    return three[0] if lower > upper else three[2]


def _is_upper(values: Values, mixture: Mixture) -> NDArray[np.bool_]:
    """Which values are rather of the upper component, up from where it becomes the likelier one."""
    lower, upper = (
        np.log(weight) + norm.logpdf(values, mean, sd)
        for mean, sd, weight in zip(mixture.mean, mixture.sd, mixture.weight, strict=True)
    )
    middle = (values > mixture.mean[0]) & (values < mixture.mean[1])
    return np.asarray(values >= values[middle & (upper > lower)].min(initial=mixture.mean[1]))


def _loses_a_class(values: Values, thresholds: Pair, expected: Pair) -> bool:
    """Whether most of what is live, or dead, by the second thresholds is not so by the first, or these cross."""
    if thresholds[0] > thresholds[1]:
        return True
    kept = (values < thresholds[0])[values < expected[0]], (values > thresholds[1])[values > expected[1]]
    return any(len(same) > 0 and same.mean() < 0.5 for same in kept)
