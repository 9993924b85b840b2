"""Two confidence intervals of a metric: over groups, which holds, and the paper's over patches, which is too narrow.

Over groups: the standard error of the delete-one-group jackknife (``resampling.py``) on the scale of the logit, times a
quantile of Student's t. ``benchmarks/coverage.py`` measures its coverage.

Over patches, by metric:

- balanced accuracy, AUROC: ``p +- z sqrt(p (1 - p) / n)`` with n patches, the paper's formula. It takes either for a
  share of n independent patches, which neither is.
- recalls: the same with the patches of the class, of which a recall is a share.
- Brier score: the mean of n squared errors, ``+- z sd / sqrt(n)``.
- average precision, F1, calibration error: none. They are no means over patches, and the paper gives none.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

from jimt.statistics.resampling import MIN_GROUPS, Jackknife
from jimt.statistics.weighted_patches import Floats
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

Interval = tuple[float, float]

FEW_GROUPS = 20
"""Below this many groups the coverage of an interval is less than it says where a few groups are spoilt as a whole.

With one group in ten at chance and the others at a recall of 0.93, 95 % intervals had a coverage of 82 to 84 % at 8 to
16 groups, 86 at 20, 93 at 30 and 95 at 40: a split so small often holds no spoilt group, and then nothing in it tells
of them. Where groups differ as a normal variable does, the coverage is 94 to 96 % from 5 groups on.
"""
FEW_OF_A_CLASS = 10
"""The same for groups that hold a class. With live patches in 4 of 20 or 8 of 40 groups, which differ as a normal
variable does, the coverage was 90 to 94 %; with live patches in 10 of 20, 95 %.
"""

_NO_SPREAD = 1e-12


def interval_over_patches(value: float, n_patches: int, *, confidence: float) -> Interval:
    """The paper's interval of a proportion of independent patches, ``p +- z sqrt(p (1 - p) / n)``, within 0 to 1.

    Args:
        value: The proportion.
        n_patches: Patches that it is a proportion of.
        confidence: Coverage wanted, if patches were independent.

    >>> low, high = interval_over_patches(0.866, 893 + 979, confidence=0.95)  # the paper's No treatment
    >>> f"{low:.3f} to {high:.3f}"
    '0.851 to 0.881'
    """
    return _normal(value, float(np.sqrt(value * (1 - value) / n_patches)), confidence=confidence)


def interval_of_mean(values: Floats, *, confidence: float) -> Interval | None:
    """Interval of a mean of values between 0 and 1, as if they were independent; None of fewer than two.

    >>> low, high = interval_of_mean(np.array([0.2, 0.3, 0.4]), confidence=0.95)
    >>> f"{low:.3f} to {high:.3f}"  # 0.3 -+ 1.96 x 0.1 / root of 3
    '0.187 to 0.413'
    """
    if len(values) < 2:
        return None
    return _normal(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), confidence=confidence)


def t_interval_of_mean(values: Floats, *, confidence: float) -> Interval | None:
    """Interval of a mean of few independent values between 0 and 1, by Student's t, within 0 to 1.

    Args:
        values: Shape ``(n,)``.
        confidence: Coverage wanted.

    Returns:
        The interval, or None of fewer than two values, or of values that are all the same: so few that agree, such as
        three shares of 0, do not tell how far others would lie.

    >>> low, high = t_interval_of_mean(np.array([0.2, 0.3, 0.4]), confidence=0.95)
    >>> f"{low:.3f} to {high:.3f}"  # 0.3 -+ 4.303 x 0.1 / root of 3
    '0.052 to 0.548'
    """
    if len(values) < 2 or (spread := float(values.std(ddof=1))) <= _NO_SPREAD:
        return None
    mean, half = float(values.mean()), spread / np.sqrt(len(values))
    half *= float(student.ppf((1 + confidence) / 2, len(values) - 1))
    return max(0.0, mean - half), min(1.0, mean + half)


def _normal(value: float, standard_error: float, *, confidence: float) -> Interval:
    half = float(norm.ppf((1 + confidence) / 2)) * standard_error
    return max(0.0, value - half), min(1.0, value + half)


def degrees_of_freedom(left_out: Floats) -> float:
    """Degrees of freedom of a standard error over groups (Satterthwaite, Biometrics Bull. 2, 1946).

    Where the groups' pull on the statistic is distributed normally, ``n`` of them know its variance with a variance of
    ``2 / (n - 1)`` of its square. Where a few pull hardest they know it less well, by the kurtosis of the pull: of 40
    groups of which 4 hold live cells, these 4 decide on the recall of live.

    Args:
        left_out: The statistic with each group left out, shape ``(n_groups,)``.

    >>> degrees_of_freedom(np.array([1.0, 2, 3, 4, 5]))  # as flat as this: one less than groups, no fewer
    4.0
    >>> round(degrees_of_freedom(np.array([0.0, 0, 0, 0, 0, 0, 0, 1])), 1)  # one group decides
    2.9
    """
    n = len(left_out)
    squares = (left_out - left_out.mean()) ** 2
    if not squares.any():
        return 1.0
    kurtosis = float((squares**2).mean() / squares.mean() ** 2)
    return max(1.0, 2 / max((kurtosis - (n - 3) / (n - 1)) / n, 2 / (n - 1)))


def standard_error(left_out: Floats) -> float:
    """Standard error of a statistic over groups by the delete-one jackknife (Efron and Stein, Ann. Stat. 9, 1981).

    Args:
        left_out: The statistic with each group left out, shape ``(n_groups,)``.

    >>> standard_error(np.array([2.5, 2.0, 1.5]))  # of the mean of 1, 2 and 3: their standard deviation over root 3
    0.5773502691896257
    """
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))


def interval_over_groups(statistic: Jackknife, *, confidence: float, bounds: tuple[float, float]) -> Interval | None:
    """Interval of a statistic over groups.

    Args:
        statistic: Of all patches, and with each group left out.
        confidence: Coverage wanted, such as 0.95.
        bounds: Least and largest value the statistic can have; the interval lies within.

    Returns:
        The interval, or None where the statistic is at one of its bounds, the same whichever group is left out, or
        not known without one of them.

    >>> low, high = interval_over_groups(Jackknife(0.8, np.array([0.78, 0.8, 0.82])), confidence=0.95, bounds=(0, 1))
    >>> f"{low:.3f} to {high:.3f}"
    '0.682 to 0.882'
    """
    low, high = bounds
    if not low < statistic.value < high or not np.isfinite(statistic.left_out).all():
        return None
    spread = standard_error(statistic.left_out)
    if spread <= _NO_SPREAD:
        return None
    quantile = float(student.ppf((1 + confidence) / 2, degrees_of_freedom(statistic.left_out)))
    share = (statistic.value - low) / (high - low)
    half = quantile * spread / (high - low) / (share * (1 - share))  # derivative of the logit
    limits = low + (high - low) * expit(logit(share) + np.array([-half, half]))
    return float(limits[0]), float(limits[1])


def calibration_interval(error: Jackknife, noise: Floats, *, confidence: float) -> Interval | None:
    """Interval of the expected calibration error, which chance only ever enlarges.

    A perfectly calibrated network shows an error too, of the size that ``noise`` has. So the lower limit is 0 where the
    error is within what noise gives, and elsewhere that of the error less the noise, in squares. In simulation the
    coverage was 93 to 98 %, and that of the plain interval 0 (of a calibrated network) to 94 % (far from it).

    Args:
        error: The calibration error.
        noise: ``ScoredPatches.calibration_noise`` of a bootstrap over groups, shape ``(n_resamples,)``.
        confidence: Coverage wanted.
    """
    interval = interval_over_groups(error, confidence=confidence, bounds=(0, 1))
    if interval is None:
        return None
    if error.value <= np.quantile(noise, (1 + confidence) / 2):
        return 0.0, interval[1]
    without = Jackknife(float(np.sqrt(error.value**2 - noise.mean() ** 2)), error.left_out)
    corrected = interval_over_groups(without, confidence=confidence, bounds=(0, 1))
    return (min(interval[0], corrected[0]) if corrected else 0.0), interval[1]


def interval_notes(labels: NDArray[np.int64], groups: NDArray[np.object_], *, sample: str) -> list[str]:
    """What to say of intervals over so few groups, in all and of those that hold each class; empty if there are enough.

    Args:
        labels: Live 1, dead 0, shape ``(n_patches,)``.
        groups: Group of each patch, likewise.
        sample: What the groups are all of, such as ``the test split``.

    >>> interval_notes(np.array([0, 1]), np.array(["A1", "A2"], object), sample="the test split")
    ['the test split holds 2 groups: too few for an interval']
    """
    names = groups.astype(str)
    n_groups = len(np.unique(names))
    notes = []
    if n_groups < FEW_GROUPS:
        notes.append(_note(n_groups, sample=sample))
    if n_groups >= MIN_GROUPS:
        for label in (LIVE, DEAD):
            n_holding = len(np.unique(names[labels == label]))
            if n_holding < min(n_groups, FEW_OF_A_CLASS):
                notes.append(_note(n_holding, sample=sample, kind=f" with {LABEL_NAMES[label]} patches"))
    return notes


def mixed_groups_notes(n_groups: int, n_mixed: int, *, sample: str) -> list[str]:
    """What to say of intervals of metrics within groups, which rest on the groups that hold both classes.

    Args:
        n_groups: Groups in all; where they are as few, ``interval_notes`` says it of all metrics.
        n_mixed: Those that hold live and dead patches; where there is none, there is no metric either.
        sample: What the groups are all of, such as ``the test split``.

    >>> mixed_groups_notes(30, 4, sample="the test split")
    ['the test split holds 4 groups with live and dead patches: an interval of a metric within groups over so few is \
too narrow']
    >>> mixed_groups_notes(4, 4, sample="the test split")
    []
    """
    if not 0 < n_mixed < min(n_groups, FEW_OF_A_CLASS):
        return []
    return [_note(n_mixed, sample=sample, kind=" with live and dead patches", of=" of a metric within groups")]


def _note(n_groups: int, *, sample: str, kind: str = "", of: str = "") -> str:
    verdict = f"too few for an interval{of}" if n_groups < MIN_GROUPS else f"an interval{of} over so few is too narrow"
    return f"{sample} holds {n_groups} group{'s' * (n_groups != 1)}{kind}: {verdict}"
