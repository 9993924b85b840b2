"""What predicts without a network, fitted on training groups and applied to others, and whether a model beats it.

A network earns its cost where it beats these on the same groups by more than chance: a constant, and a logistic
regression on plain features of a patch (its mean, its spread, its focus, the number of its cells).

Every fit takes both classes for equally likely, as the sampler of training does. A constant share of live patches would
be another number for each fold, and lowest where the held-out fold is most alive: pooled, its AUROC is far below 0.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jimt.statistics.intervals import Interval, interval_over_groups
from jimt.statistics.resampling import jackknife
from jimt.statistics.share_agreement import why_not_told
from jimt.statistics.value_text import number_text, value_text
from jimt.statistics.weighted_patches import Floats, Weights

CONSTANT_SCORE: Final = 0.5
"""P(live) of every patch, for a model that knows nothing of it: both classes alike."""
PATCH_FEATURES: Final = ("mean", "SD", "focus")
"""Columns of ``patch_features``, in words."""
_NO_DIFFERENCE = 1e-12


def constant_share(training_shares: Floats) -> float | None:
    """Median dead share of the training fields, which of all constants has the least absolute error there.

    Over several folds its correlation with the truth says nothing: it is highest where the held-out fields are lowest.

    Args:
        training_shares: Shape ``(n_fields,)``; NaN of fields without a cell, which take no part.

    Returns:
        The median, or None where no share is known.

    >>> constant_share(np.array([0.1, 0.2, 0.9, np.nan]))
    0.2
    """
    known = training_shares[np.isfinite(training_shares)]
    return float(np.median(known)) if len(known) else None


def patch_features(patches: NDArray[np.uint8]) -> Floats:
    """Plain features of patches, in the order of ``PATCH_FEATURES``.

    Args:
        patches: Bright-field of 8 bits, shape ``(n, size, size)``, of 3 pixels a side or more.

    Returns:
        Mean and standard deviation of the grey values, and focus, which blur lowers: the variance of the Laplacian
        (each inner pixel's four neighbours less four times itself); shape ``(n, 3)``.

    >>> flat, edge = np.full((4, 4), 7, np.uint8), np.repeat([[0, 0, 8, 8]], 4, axis=0).astype(np.uint8)
    >>> patch_features(np.stack([flat, edge]))
    array([[ 7.,  0.,  0.],
           [ 4.,  4., 64.]])
    """
    return np.array([[patch.mean(), patch.std(), _focus(patch)] for patch in patches]).reshape(-1, len(PATCH_FEATURES))


def _focus(patch: NDArray[np.uint8]) -> float:
    grey = patch.astype(np.int32)
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((neighbours - 4 * grey[1:-1, 1:-1]).var())


def logistic_scores(
    training_features: Floats, training_labels: NDArray[np.int64], held_out_features: Floats, *, c: float
) -> Floats:
    """P(live) of held-out patches by a logistic regression on features of training patches.

    Args:
        training_features: Shape ``(n_training, n_features)``; they are standardised, and a constant one has no effect.
        training_labels: Live 1, dead 0, shape ``(n_training,)``; where there is one class only, nothing can be fitted
            and every score is ``CONSTANT_SCORE``.
        held_out_features: Shape ``(n, n_features)``.
        c: Inverse of the L2 penalty.

    Returns:
        Shape ``(n,)``.

    >>> features, labels = np.array([[10.0], [12.0], [30.0], [34.0]]), np.array([1, 1, 0, 0])
    >>> logistic_scores(features, labels, np.array([[11.0], [21.5], [32.0]]), c=1.0).round(1)
    array([0.7, 0.5, 0.3])
    """
    if len(np.unique(training_labels)) < 2:
        return np.full(len(held_out_features), CONSTANT_SCORE)
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=c, class_weight="balanced", max_iter=5000))
    regression.fit(training_features, training_labels)
    return np.asarray(regression.predict_proba(held_out_features)[:, 1], np.float64)


def held_out(
    predict: Callable[[NDArray[np.bool_], NDArray[np.bool_]], Floats | float],
    folds: NDArray[np.integer],
    *,
    only: NDArray[np.integer] | None = None,
) -> Floats:
    """Predictions for each fold, fitted on the others.

    Args:
        predict: From which rows are for training and which are held out, each ``(n,)``, to a prediction for each of the
            latter, or one for all of them.
        folds: Fold of each row, shape ``(n,)``.
        only: Folds that are held out; None for each in turn.

    Returns:
        Shape ``(n,)``; NaN in folds that are not held out.

    >>> shares = np.array([0.1, 0.2, 0.6, 0.8])
    >>> held_out(lambda train, _: constant_share(shares[train]), np.array([0, 0, 1, 1])).round(2)
    array([0.7 , 0.7 , 0.15, 0.15])
    """
    predictions = np.full(len(folds), np.nan)
    for fold in np.unique(folds) if only is None else only:
        predictions[folds == fold] = predict(folds != fold, folds == fold)
    return predictions


@dataclass(frozen=True)
class AgainstBaseline:
    """A model's metric against that of a baseline on the same groups.

    Attributes:
        model: None where it cannot be had.
        baseline: Likewise.
        difference: Of the model minus the baseline, likewise.
        interval_groups: Interval of the difference over groups; None where it cannot be had.
        beats: Whether the model is better by more than chance; None where that cannot be told.
        why: Why it cannot be told; empty where it can.
        sentence: What to say where the model does not beat the baseline; empty where it does.
    """

    model: float | None
    baseline: float | None
    difference: float | None
    interval_groups: Interval | None
    beats: bool | None
    why: str
    sentence: str


def against_baseline(
    model: Callable[[Weights], Floats],
    baseline: Callable[[Weights], Floats],
    groups: NDArray[np.object_],
    *,
    higher_is_better: bool,
    bounds: tuple[float, float],
    confidence: float,
    metric: str,
    name: str,
) -> AgainstBaseline:
    """Whether a model beats a baseline: the interval of their paired difference over groups excludes zero.

    Where the difference is the same whichever group is left out there is no interval, and its sign decides.

    Args:
        model: The model's metric, from weights of the groups, ``(n, n_groups)`` in the order of ``group_numbers``, to
            shape ``(n,)``.
        baseline: Likewise.
        groups: Group of each patch, or field.
        higher_is_better: Which way a better model moves the metric.
        bounds: Least and largest value of the metric.
        confidence: Coverage wanted, such as 0.95.
        metric: In words.
        name: Of the baseline, in words.

    >>> errors = {"model": np.array([0.3, 0.2, 0.4, 0.3]), "constant": np.array([0.2, 0.3, 0.1, 0.3])}
    >>> of_model, of_constant = (lambda weights, e=e: weights @ e / weights.sum(1) for e in errors.values())
    >>> against_baseline(of_model, of_constant, np.array(list("abcd"), object), higher_is_better=False, bounds=(0, 1),
    ...                  confidence=0.95, metric="mean absolute error", name="a constant").sentence
    'the model does not beat a constant: mean absolute error 0.300 against 0.225, difference +0.075 (-0.196 to +0.335)'
    """
    names = np.unique(groups.astype(str))
    of_model, of_baseline = (float(function(np.ones((1, len(names))))[0]) for function in (model, baseline))
    over_groups = jackknife(lambda weights: {metric: model(weights) - baseline(weights)}, groups)
    missing = [who for who, value in (("the model", of_model), (name, of_baseline)) if not np.isfinite(value)]
    found = None if over_groups is None else over_groups[metric]
    interval, beats, worse, why = None, None, False, ""
    if missing:
        why = f"it cannot be had of {' and '.join(missing)}"
    elif found is None:
        why = f"{len(names)} group{'s are' if len(names) != 1 else ' is'} too few"
    elif not np.isfinite(found.left_out).all():
        why = why_not_told(found)
    else:
        low, high = bounds
        interval = interval_over_groups(found, confidence=confidence, bounds=(low - high, high - low))
        ends = interval or (float(found.left_out.min()), float(found.left_out.max()))
        higher, lower = ends[0] > _NO_DIFFERENCE, ends[1] < -_NO_DIFFERENCE
        beats, worse = (higher, lower) if higher_is_better else (lower, higher)
    difference = None if missing else of_model - of_baseline
    is_ahead = difference is not None and (difference > 0) is higher_is_better and abs(difference) > _NO_DIFFERENCE
    verdict = "is worse than" if worse else "is not shown to beat" if is_ahead else "does not beat"
    sentence = ""
    if beats is None:
        sentence = f"{metric} cannot tell whether the model beats {name}: {why}"
    elif not beats:
        sentence = (
            f"the model {verdict} {name}: {metric} {number_text(of_model)} against {number_text(of_baseline)}, "
            f"difference {value_text(difference, interval, signed=True)}"
        )
    model_value, baseline_value = (value if np.isfinite(value) else None for value in (of_model, of_baseline))
    return AgainstBaseline(model_value, baseline_value, difference, interval, beats, why, sentence)
