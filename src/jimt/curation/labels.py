"""Live and dead by mean fluorescence: a Gaussian mixture and two cut-offs (paper: "Labelling", Fig. 3a)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from jimt.errors import InputError
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

_MAX_ITERATIONS = 2_000  # components that overlap need some hundreds
_VARIANCE_FLOOR = 1e-8  # in units of the spread of all patches: a standard deviation of 1e-4
_COLLAPSED_SD = 2e-4  # of that spread: a component at the floor, on one repeated value


@dataclass(frozen=True)
class LabelThresholds:
    """Two cut-offs on the label scale, and the mixture they came from (None where they were given)."""

    live_below: float
    dead_above: float
    live_mean: float | None
    live_sd: float | None
    live_weight: float | None
    dead_mean: float | None
    dead_sd: float | None
    dead_weight: float | None
    n_patches: int | None


def fit_label_thresholds(
    label_value: NDArray[np.float64],
    *,
    n_sigma: float,
    n_init: int,
    tolerance: float,
    min_patches: int,
    min_weight: float,
    seed: int,
) -> LabelThresholds:
    """Fit a two-component mixture and place one cut-off ``n_sigma`` inside each component.

    A patch is live below ``live_mean + n_sigma * live_sd`` and dead above ``dead_mean - n_sigma * dead_sd``.

    Args:
        label_value: Mean fluorescence of each patch on the label scale, shape ``(n_patches,)``.
        n_sigma: Standard deviations between a component's mean and its cut-off (paper: 1).
        n_init: Starts of the expectation-maximisation; the likeliest result is taken.
        tolerance: Gain in mean log-likelihood below which the fit has converged.
        min_patches: Fewer patches are refused.
        min_weight: A component with a smaller share of the patches has collapsed.
        seed: Seed of the starts.

    Raises:
        InputError: If there are too few patches, a component collapsed, or the components overlap so far that the
            cut-offs cross; the message says what to change.
    """
    n_patches = len(label_value)
    if n_patches < min_patches:
        raise InputError(
            f"only {n_patches} patches hold cells, and a mixture needs {min_patches} (curation.label.min_patches): add "
            "raw images, or give curation.label.live_below and curation.label.dead_above"
        )
    if np.ptp(label_value) == 0:
        raise InputError(
            "every patch has the same mean fluorescence, so there is nothing to tell live from dead by: check that "
            "dataset.fluorescence names the PI channel"
        )
    centre, spread = float(label_value.mean()), float(label_value.std())
    # in units of the spread, so that the floor under a variance means the same for any camera and scale
    mixture = GaussianMixture(
        n_components=2,
        n_init=n_init,
        tol=tolerance,
        max_iter=_MAX_ITERATIONS,
        reg_covar=_VARIANCE_FLOOR,
        random_state=seed,
    ).fit((label_value[:, None] - centre) / spread)
    order = np.argsort(mixture.means_.ravel())
    (live_mean, dead_mean) = (float(value) for value in centre + spread * mixture.means_.ravel()[order])
    (live_sd, dead_sd) = (float(value) for value in spread * np.sqrt(mixture.covariances_.ravel()[order]))
    (live_weight, dead_weight) = (float(value) for value in mixture.weights_[order])
    if min(live_weight, dead_weight) < min_weight or min(live_sd, dead_sd) < _COLLAPSED_SD * spread:
        raise InputError(
            f"the mixture collapsed (live {live_mean:.4g} +- {live_sd:.4g} on {live_weight:.1%} of the patches, dead "
            f"{dead_mean:.4g} +- {dead_sd:.4g} on {dead_weight:.1%}): fit it on a data set that holds both live and "
            "dead (curation.label.fit_on), or give curation.label.live_below and curation.label.dead_above"
        )
    live_below, dead_above = live_mean + n_sigma * live_sd, dead_mean - n_sigma * dead_sd
    if live_below > dead_above:
        raise InputError(
            f"the cut-offs cross: live below {live_below:.4g}, dead above {dead_above:.4g} (live {live_mean:.4g} +- "
            f"{live_sd:.4g}, dead {dead_mean:.4g} +- {dead_sd:.4g}); lower curation.label.n_sigma, or, where "
            "background differs between raw images, set curation.label.scale=log_background_ratio"
        )
    return LabelThresholds(
        live_below, dead_above, live_mean, live_sd, live_weight, dead_mean, dead_sd, dead_weight, n_patches
    )


def label_patches(label_value: NDArray[np.float64], *, live_below: float, dead_above: float) -> NDArray[np.int8]:
    """Live (1) strictly below one cut-off, dead (0) strictly above the other, ambiguous (-1) from one to the other."""
    labels = np.full(len(label_value), AMBIGUOUS, np.int8)
    labels[label_value < live_below] = LIVE
    labels[label_value > dead_above] = DEAD
    return labels
