"""A two-component Gaussian mixture of the values that labels come from, and the patches that would steer it."""

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

    def cut_offs(self, n_sigma: float) -> Pair:
        """Live below the one, dead above the other: each ``n_sigma`` inside its component."""
        return self.mean[0] + n_sigma * self.sd[0], self.mean[1] - n_sigma * self.sd[1]

    def is_collapsed(self, min_weight: float) -> bool:
        """Whether a component holds hardly any patch, or one repeated value."""
        return min(self.weight) < min_weight or min(self.sd) < COLLAPSED_SD * self.spread

    @property
    def is_of_two(self) -> bool:
        """Whether there are two populations beyond doubt, a standard deviation of each between them."""
        below, above = self.cut_offs(1.0)
        return below < above and self.gain > _STRONG


def fit_mixture(values: Values, *, tolerance: float, n_init: int, seed: int, start: Mixture | None = None) -> Mixture:
    """Fit two components by expectation-maximisation.

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


def find_outliers(values: Values, *, tolerance: float, n_init: int, seed: int) -> NDArray[np.bool_]:
    """Patches far from all others, which would take a component for themselves, shape ``(n_patches,)``.

    A forward search (Atkinson, Riani and Cerioli, 2004): a mixture of the patches but a tenth at either end takes in,
    again and again, those that it does not exclude, until none is added. Of values that are of one mixture nearly every
    time all are taken in. Outliers so near that they were taken in are found by the fit of all then contradicting the
    search's own: they are its smaller component.

    Args:
        values: Shape ``(n_patches,)``.
        tolerance: As in ``fit_mixture``.
        n_init: Likewise.
        seed: Likewise.
    """
    low, high = np.quantile(values, [_TAILS, 1 - _TAILS])
    inside = (values >= low) & (values <= high)
    if np.ptp(values[inside]) == 0:  # nearly all are one value
        return np.zeros(len(values), np.bool_)
    reach = float(norm.isf(_CHANCE / len(values)))  # standard deviations
    found = None
    while True:
        found = fit_mixture(values[inside], tolerance=_ROUGH, n_init=n_init, seed=seed, start=found)
        mean, sd = np.array(found.mean), np.array(found.sd)
        grown = inside | ((values >= (mean - reach * sd).min()) & (values <= (mean + reach * sd).max()))
        if (grown == inside).all():
            break
        inside = grown
    whole = fit_mixture(values[inside], tolerance=tolerance, n_init=n_init, seed=seed)
    of_search, of_fit = found.cut_offs(1.0), whole.cut_offs(1.0)
    contradict = of_fit[0] > of_search[1] or of_search[0] > of_fit[1]  # a patch is live by the one, dead by the other
    if contradict and found.is_of_two and whole.is_of_two and min(whole.weight) < _TAILS:
        live, dead = (
            weight * norm.pdf(values, mean, sd)
            for mean, sd, weight in zip(whole.mean, whole.sd, whole.weight, strict=True)
        )
        if whole.weight[1] < whole.weight[0]:
            inside &= values < values[(dead > live) & (values > whole.mean[0])].min(initial=np.inf)
        else:
            inside &= values > values[(live > dead) & (values < whole.mean[1])].max(initial=-np.inf)
    return np.asarray(~inside)
