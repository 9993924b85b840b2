"""A linear layer fitted to a few stained fields, with a penalty towards what it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from jimt.statistics.stained_calibration import ANSWERS, OFFSET_SD, Calibrates, cross_entropy
from jimt.statistics.weighted_patches import Floats

CHANGE_SD: Final = 1.0
"""Of the prior of what a change of the weights does to the calibrated logit of a patch that is as far from the mean as
patches are on average."""


@dataclass(frozen=True)
class LastLayer:
    """What is added to a linear layer that gives the logit of live above dead.

    Attributes:
        weight: Shape ``(n_features,)``.
        bias: A number.
    """

    weight: Floats
    bias: float


def fit_last_layer(fields: Sequence[Calibrates], features: Sequence[Floats], *, temperature: float) -> LastLayer:
    """The most probable change of the last layer after some stained fields.

    Args:
        fields: What each tells.
        features: What the layer is given of the patches of each, shape ``(n, n_features)``.
        temperature: That logits are divided by.

    >>> features, weights = [np.array([[1.0, 0.0], [0.0, 1.0]])], np.full(2, 0.5)
    >>> found = fit_last_layer([Calibrates(np.zeros(2), np.array([1.0, 0.0]), weights)], features, temperature=1.0)
    >>> found.weight.round(1).tolist(), round(found.bias, 1) + 0.0
    ([1.0, -1.0], 0.0)
    """
    stacked, weights = np.concatenate(features), np.concatenate([field.weights for field in fields])
    mean = np.average(stacked, axis=0, weights=weights)
    spread = np.sqrt(np.average(((stacked - mean) ** 2).sum(axis=1), weights=weights))
    if spread == 0:  # one patch: nothing tells one feature from another
        return LastLayer(np.zeros(stacked.shape[1]), 0.0)
    centred = (stacked - mean) / spread
    before = np.concatenate([field.margins for field in fields]) / temperature
    targets = np.concatenate([field.targets for field in fields])

    def loss(values: Floats) -> tuple[float, Floats]:
        change, offset = values[:-1], values[-1]
        logits = before + centred @ change + offset
        errors = ANSWERS * weights * (expit(logits) - targets)
        penalty = change @ change / CHANGE_SD**2 / 2 + (offset / OFFSET_SD) ** 2 / 2
        gradient = np.append(centred.T @ errors + change / CHANGE_SD**2, errors.sum() + offset / OFFSET_SD**2)
        return float(ANSWERS * weights @ cross_entropy(logits, targets) + penalty), gradient

    found = minimize(loss, np.zeros(stacked.shape[1] + 1), method="L-BFGS-B", jac=True).x[:-1]
    weight = found / spread * temperature
    return LastLayer(weight, -float(weight @ mean))  # what all patches share is left to the calibration
