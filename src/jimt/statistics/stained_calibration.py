"""Calibration of a model to a few stained fields: what it said before counts as well, so that one field is enough.

Patches of a field, and fields of an experiment, are alike. A field therefore counts as much as a few independent
answers, however many patches it has, and what is fitted starts from the model as it is: offsets of logits have a normal
prior around 0, a change of the temperature one around 1. Where all fields are of one class, the prior alone keeps
what is fitted finite.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit

from jimt.statistics.weighted_patches import Floats

ANSWERS: Final = 4.0
"""Independent answers, live or dead, that a stained field is worth."""
OFFSET_SD: Final = 1.0
"""Of the prior of an offset, in calibrated logits: from an even chance to 73 %."""
TEMPERATURE_SD: Final = 0.5
"""Of the prior of the logarithm of a temperature over the one before."""
_MOST: Final = 20.0  # logits, beyond which nothing changes
_CERTAIN: Final = 1e-6


@dataclass(frozen=True)
class Calibrates:
    """What one stained field tells of scores.

    Attributes:
        margins: Logit of live above dead of each patch, shape ``(n,)``.
        targets: P(live) that PI gives each, 1, 0, or 0.5 between the thresholds, likewise.
        weights: Share of the field that each stands for, likewise; they add up to 1.
    """

    margins: Floats
    targets: Floats
    weights: Floats


@dataclass(frozen=True)
class Recalibrated:
    """What ``recalibrate`` gives: P(live) is the logistic function of (margin + offset) / temperature."""

    offset: float
    temperature: float


def recalibrate(fields: Sequence[Calibrates], *, temperature: float) -> Recalibrated:
    """Offset and temperature of the logits, the most probable after some stained fields.

    Args:
        fields: What each tells.
        temperature: Of the model before.

    >>> margins, weights = np.array([2.0, 1.0, -1.0, -2.0]), np.full(4, 0.25)
    >>> right = Calibrates(margins, np.array([1.0, 1.0, 0.0, 0.0]), weights)
    >>> dead = Calibrates(margins, np.zeros(4), weights)
    >>> found = [recalibrate(fields, temperature=1.0).offset for fields in ([right], [dead], [dead] * 4)]
    >>> [round(offset, 1) + 0.0 for offset in found]  # more dead fields take it further, none takes it to infinity
    [0.0, -1.2, -2.5]
    """

    def loss(values: Floats) -> float:
        offset, log_scale = values
        total = (offset / OFFSET_SD) ** 2 / 2 + (log_scale / TEMPERATURE_SD) ** 2 / 2
        for field in fields:
            logits = (field.margins / temperature + offset) * np.exp(log_scale)
            total += ANSWERS * float(field.weights @ cross_entropy(logits, field.targets))
        return float(total)

    offset, log_scale = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-_MOST, _MOST), (-3, 3)]).x
    return Recalibrated(float(offset) * temperature, temperature / float(np.exp(log_scale)))


def logit_of(probabilities: NDArray[np.floating]) -> Floats:
    """Logits of probabilities, those of certainty no larger than any that is of use."""
    return np.asarray(logit(np.clip(probabilities.astype(np.float64), _CERTAIN, 1 - _CERTAIN)))


def probability_of(logits: Floats) -> Floats:
    """Probabilities of logits."""
    return np.asarray(expit(logits))


def cross_entropy(logits: Floats, targets: Floats) -> Floats:
    """Of answers with these logits, where the truth is 1 with the probability of the target.

    >>> cross_entropy(np.array([0.0, 0.0]), np.array([1.0, 0.5])).round(3)
    array([0.693, 0.693])
    """
    return np.asarray(np.logaddexp(0.0, logits) - targets * logits)


@dataclass(frozen=True)
class OfShare:
    """What a dead share of one stained field is a share of.

    Attributes:
        logits: Of death of each place, or nucleus, shape ``(n,)``.
        weights: How much each counts, likewise; they add up to 1.
        share: Dead share by PI.
    """

    logits: Floats
    weights: Floats
    share: float

    def shifted(self, shift: float, *, counts: bool) -> float:
        """Predicted dead share, if a number is added to all logits.

        Args:
            shift: The number.
            counts: Whether what is the likelier dead is counted, as nuclei are, or probabilities are added up.
        """
        dead = self.logits + shift > 0 if counts else expit(self.logits + shift)
        return float(self.weights @ dead)


def shift_of_shares(fields: Sequence[OfShare], *, counts: bool) -> float:
    """What is to be added to logits of death, so that the predicted dead shares of stained fields come out right.

    The most probable shift, each field's share being worth ``ANSWERS`` answers.

    Args:
        fields: The stained fields.
        counts: As of ``OfShare.shifted``.

    >>> logits, weights = np.array([-2.0, -1.0, 1.0, 2.0]), np.full(4, 0.25)
    >>> too_dead = OfShare(logits, weights, share=0.25)
    >>> shifts = [shift_of_shares([too_dead] * n, counts=True) for n in (1, 4)]
    >>> [too_dead.shifted(shift, counts=True) for shift in shifts]  # one field does not take it all the way
    [0.5, 0.25]
    """

    def loss(shift: float) -> float:
        total = (shift / OFFSET_SD) ** 2 / 2
        for field in fields:
            share = np.clip(field.shifted(shift, counts=counts), _CERTAIN, 1 - _CERTAIN)
            total -= ANSWERS * (field.share * np.log(share) + (1 - field.share) * np.log(1 - share))
        return float(total)

    if not counts:
        return float(minimize_scalar(loss, bounds=(-_MOST, _MOST), method="bounded").x)
    # a share of counted nuclei jumps where one of them changes sides: half-way between two jumps none is at the edge
    jumps = np.unique(np.concatenate([-field.logits for field in fields]))
    tried = np.concatenate([[0.0], (jumps[1:] + jumps[:-1]) / 2, jumps[:1] - 1, jumps[-1:] + 1])
    return float(min(tried, key=loss))
