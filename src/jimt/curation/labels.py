"""Live and dead by mean fluorescence: a Gaussian mixture and two thresholds (paper: "Labelling", Fig. 3a)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from jimt.curation.mixture import Mixture, Pair, find_outliers, find_third, fit_mixture
from jimt.errors import InputError
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

_GIVEN_THRESHOLDS = "curation.label.live_below=NUMBER curation.label.dead_above=NUMBER"
_TWICE = 2.0  # as much PI in dead patches as in live ones, at least; the scale is a square root
_NO_RANGE = "curation.label.fit_range=null"


@dataclass(frozen=True)
class LabelThresholds:
    """Two thresholds on the label scale, and the mixture they came from (None where they were given)."""

    live_below: float
    dead_above: float
    live_mean: float | None
    live_sd: float | None
    live_weight: float | None
    dead_mean: float | None
    dead_sd: float | None
    dead_weight: float | None
    n_patches: int | None
    """Patches the mixture was fitted on."""
    n_left_out: int | None
    """Patches that took no part in the fit: outside ``fit_range``, or far from all others."""
    fitted_from: float | None
    """Least and greatest value that took part."""
    fitted_to: float | None


def fit_label_thresholds(
    label_value: NDArray[np.float64],
    *,
    n_sigma: float,
    n_init: int,
    tolerance: float,
    min_patches: int,
    min_weight: float,
    fit_range: Pair | None,
    seed: int,
) -> LabelThresholds:
    """Fit a two-component mixture and place one threshold ``n_sigma`` inside each component.

    A patch is live below ``live_mean + n_sigma * live_sd`` and dead above ``dead_mean - n_sigma * dead_sd``.

    Patches far from all others, such as saturated debris, would take a component for themselves. So few of them that
    they could not be one (``min_weight``) are left out of the fit; more are refused, since nothing tells whether they
    are debris or the dead.

    Args:
        label_value: Mean fluorescence of each patch on the label scale, shape ``(n_patches,)``.
        n_sigma: Standard deviations between a component's mean and its threshold (paper: 1).
        n_init: Starts of the expectation-maximisation; the likeliest result is taken.
        tolerance: Gain in mean log-likelihood below which the fit has converged.
        min_patches: Fewer patches are refused.
        min_weight: A component with a smaller share of the patches has collapsed.
        fit_range: Least and greatest value that takes part, none of them an outlier; None to look for outliers.
        seed: Seed of the starts.

    Raises:
        InputError: If there are too few patches, a component collapsed, the components overlap so far that the
            thresholds cross, or they hang on patches far from all others; the message says what to change.
    """
    if fit_range is None:
        taken = np.ones(len(label_value), np.bool_)
    else:
        taken = (label_value >= fit_range[0]) & (label_value <= fit_range[1])
    values = label_value[taken]
    if len(values) < min_patches:
        where = "" if fit_range is None else f" with values in curation.label.fit_range={list(fit_range)}"
        remedies = (_GIVEN_THRESHOLDS,) if fit_range is None else (_NO_RANGE, f"{_NO_RANGE} {_GIVEN_THRESHOLDS}")
        raise _too_few(len(values), min_patches, where, remedies)
    if np.ptp(values) == 0:
        raise InputError(
            "every patch has the same mean fluorescence, so there is nothing to tell live from dead by",
            advice="see whether that is the PI channel",
            remedies=("dataset.fluorescence=WORD",),
        )
    mixture = fit_mixture(values, tolerance=tolerance, n_init=n_init, seed=seed)
    if fit_range is None:
        outliers = find_outliers(values, mixture, tolerance=tolerance, n_init=n_init, seed=seed)
        if outliers.any() and np.ptp(values[~outliers]) > 0:
            others = fit_mixture(values[~outliers], tolerance=tolerance, n_init=n_init, seed=seed)
            # else the patches far off are one of the two populations
            if others.is_of_two and not others.is_collapsed(min_weight):
                if outliers.mean() >= min_weight:
                    raise _hang_on(values, outliers, mixture, others, n_sigma, min_weight)
                mixture, values = others, values[~outliers]
        if len(values) == len(label_value):
            third = find_third(values, mixture, n_sigma=n_sigma, tolerance=tolerance, n_init=n_init, seed=seed)
            if third is not None and not third[1].is_collapsed(min_weight):
                outliers, others = third
                if outliers.mean() >= min_weight:
                    raise _hang_on(values, outliers, mixture, others, n_sigma, min_weight)
                mixture, values = others, values[~outliers]
    _check(mixture, n_sigma=n_sigma, min_weight=min_weight, fit_range=fit_range)
    live_below, dead_above = mixture.thresholds(n_sigma)
    (live_mean, dead_mean), (live_sd, dead_sd), (live_weight, dead_weight) = mixture.mean, mixture.sd, mixture.weight
    return LabelThresholds(
        live_below,
        dead_above,
        live_mean,
        live_sd,
        live_weight,
        dead_mean,
        dead_sd,
        dead_weight,
        len(values),
        len(label_value) - len(values),
        float(values.min()),
        float(values.max()),
    )


def split_zero_inflated(
    label_value: NDArray[np.float64],
    *,
    n_sigma: float,
    least: float,
    power: int,
    min_patches: int,
    min_weight: float,
) -> LabelThresholds:
    """Place the thresholds on a scale on which many patches are 0: no Gaussian fits those.

    Otsu's threshold parts the patches into two classes, and each threshold lies ``n_sigma`` inside its class, as the
    paper's rule has it. Where they would cross, both are Otsu's.

    Args:
        label_value: Of each patch, shape ``(n_patches,)``.
        n_sigma: Standard deviations between a class's mean and its threshold.
        least: Neither threshold lies below: less PI than of one nucleus is no dead cell.
        power: Of a value that is an amount of PI: 2 where values are square roots, else 1.
        min_patches: Fewer patches are refused.
        min_weight: So is a class with a smaller share of them.

    Raises:
        InputError: If there are too few patches, or they are not of two kinds.

    >>> values = np.array([0.0] * 6 + [0.1, 0.1, 0.6, 0.7, 0.7, 0.8])
    >>> found = split_zero_inflated(values, n_sigma=1, least=0.06, power=2, min_patches=10, min_weight=0.02)
    >>> f"live below {found.live_below:.3f}, dead above {found.dead_above:.3f}"
    'live below 0.068, dead above 0.629'
    """
    if len(label_value) < min_patches:
        raise _too_few(len(label_value), min_patches, "", (_GIVEN_THRESHOLDS,))
    if np.ptp(label_value) == 0:
        raise _of_one_kind(f"every patch has the value {label_value[0]:.3g}")
    otsu = float(threshold_otsu(label_value))
    dead = label_value > otsu
    if not min_weight <= dead.mean() <= 1 - min_weight:
        raise _of_one_kind(f"{'dead' if dead.mean() < 0.5 else 'live'} patches are too rare")
    (live_mean, live_sd), (dead_mean, dead_sd) = (
        (float(part.mean()), float(part.std())) for part in (label_value[~dead], label_value[dead])
    )
    if live_mean**power > dead_mean**power / _TWICE:  # Otsu parts one kind in halves as well
        raise _of_one_kind(f"two halves differ by less than twice as much PI ({live_mean:.3g} and {dead_mean:.3g})")
    ends = live_mean + n_sigma * live_sd, dead_mean - n_sigma * dead_sd
    if ends[0] > ends[1]:
        ends = otsu, otsu
    ends = ends[0] if live_sd > 0 else otsu, ends[1] if dead_sd > 0 else otsu
    return LabelThresholds(
        max(least, ends[0]),
        max(least, ends[1]),
        live_mean,
        live_sd,
        float((~dead).mean()),
        dead_mean,
        dead_sd,
        float(dead.mean()),
        len(label_value),
        0,
        float(label_value.min()),
        float(label_value.max()),
    )


def _of_one_kind(what: str) -> InputError:
    return InputError(
        f"the patches are not of two kinds on the scale of PI-positive area or nuclei: {what}",
        advice="see whether PI is the PI channel, and whether anything is alive or dead",
        remedies=("curation.label.fit_on=NAME", _GIVEN_THRESHOLDS),
    )


def _too_few(n: int, wanted: int, where: str, remedies: tuple[str, ...]) -> InputError:
    return InputError(
        f"only {n} patches hold cells{where}, and a mixture needs {wanted} (curation.label.min_patches)",
        advice="add raw images",
        remedies=remedies,
    )


def _check(mixture: Mixture, *, n_sigma: float, min_weight: float, fit_range: tuple[float, float] | None) -> None:
    live, dead = (f"{mean:.4g} +- {sd:.4g}" for mean, sd in zip(mixture.mean, mixture.sd, strict=True))
    if mixture.is_collapsed(min_weight):
        raise InputError(
            f"the mixture collapsed (live {live} on {100 * mixture.weight[0]:.1f} % of the patches, dead {dead} "
            f"on {100 * mixture.weight[1]:.1f} %), as it does where one of the two is rare, or where debris takes "
            "part in the fit",
            remedies=(
                "curation.label.fit_on=NAME",
                "curation.label.fit_range=[LOW,HIGH]",
                _GIVEN_THRESHOLDS if fit_range is None else f"{_NO_RANGE} {_GIVEN_THRESHOLDS}",
            ),
        )
    live_below, dead_above = mixture.thresholds(n_sigma)
    if live_below > dead_above:
        raise InputError(
            f"the thresholds cross (live below {live_below:.4g}, dead above {dead_above:.4g}, for live "
            f"{live}, dead {dead}), as where background differs between raw images",
            remedies=_to_uncross(mixture),
        )


def _hang_on(
    values: NDArray[np.float64],
    outliers: NDArray[np.bool_],
    mixture: Mixture,
    others: Mixture,
    n_sigma: float,
    min_weight: float,
) -> InputError:
    """What to say where a few patches decide the thresholds; the first remedies are ranges to fit on."""
    kept, far = values[~outliers], values[outliers]
    range_without, range_of_all = _range_around(kept, far), _range_around(values, far[:0])
    keep, remedies = "", [f"curation.label.fit_range={range_without}"]
    lower, upper = mixture.thresholds(n_sigma)
    if not mixture.is_collapsed(min_weight) and lower <= upper:
        keep = (
            f", the second keeps them, as cells, where the others are of one kind (live below {lower:.4g}, dead above "
            f"{upper:.4g})"
        )
        remedies.append(f"curation.label.fit_range={range_of_all}")
    live_below, dead_above = others.thresholds(n_sigma)
    return InputError(
        f"the thresholds cannot be trusted, since they hang on {len(far)} of {len(values)} patches "
        f"({100 * len(far) / len(values):.1f} %) with values of {far.min():.4g} to {far.max():.4g}, far from the "
        f"others ({kept.min():.4g} to {kept.max():.4g}), which are of two kinds without them; the first remedy leaves "
        f"them out of the fit, as debris or saturated (live below {live_below:.4g}, dead above {dead_above:.4g})"
        f"{keep}, and the last is for a background that differs between raw images",
        remedies=(*remedies, "curation.label.scale=log_background_ratio"),
    )


def _to_uncross(mixture: Mixture) -> tuple[str, ...]:
    """Remedies for thresholds that cross: on another scale the populations may be further apart."""
    (live, dead), (live_sd, dead_sd) = mixture.mean, mixture.sd
    n_sigma = math.floor(100 * (dead - live) / (live_sd + dead_sd)) / 100  # where they meet, in two digits
    nearer = (f"curation.label.n_sigma={n_sigma}",) if n_sigma > 0 else ()
    return ("curation.label.scale=log_background_ratio", *nearer)


def _range_around(kept: NDArray[np.float64], far: NDArray[np.float64]) -> str:
    """Ends, in few digits, between which the kept values lie and none of the others."""
    ends = []
    for edge, excluded, away in ((kept.min(), far[far < kept.min()], -1), (kept.max(), far[far > kept.max()], 1)):
        span = float(np.ptp(kept))
        room = span if not len(excluded) else float(np.abs(excluded - edge).min())
        digits = max(0, 1 - math.floor(math.log10(room)))  # a step well below the room there is
        ends.append(f"{edge + away * room / 2:.{digits}f}")
    return f"[{ends[0]},{ends[1]}]"


def label_patches(label_value: NDArray[np.float64], *, live_below: float, dead_above: float) -> NDArray[np.int8]:
    """Live (1) strictly below one threshold, dead (0) strictly above the other, ambiguous (-1) in between.

    >>> label_patches(np.array([200.0, 259.0, 300.0, 400.0]), live_below=259.0, dead_above=397.0)
    array([ 1, -1, -1,  0], dtype=int8)

    Args:
        label_value: Mean fluorescence of each patch on the label scale, shape ``(n_patches,)``.
        live_below: On the same scale.
        dead_above: Likewise, not less than ``live_below``.
    """
    labels = np.full(len(label_value), AMBIGUOUS, np.int8)
    labels[label_value < live_below] = LIVE
    labels[label_value > dead_above] = DEAD
    return labels
