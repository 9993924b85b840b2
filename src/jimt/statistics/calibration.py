"""Temperature scaling (Guo et al., 2017): one number that makes scores mean what they say."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

_LOG_RANGE = (np.log(0.05), np.log(20.0))


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Temperature by which logits are divided before the softmax, fitted on validation patches.

    Maximum a posteriori with a standard normal prior on its logarithm, which weighs as much as one patch or two:
    where a few validation patches are told apart without error, the likelihood alone would ask for infinite certainty.

    Args:
        logits: Dead and live, shape ``(n, 2)``.
        labels: Live 1, dead 0, shape ``(n,)``.

    >>> logits = np.tile([[0.0, 4.0]], (100, 1))  # P(live) = 0.98 throughout, while three in four are live
    >>> labels = np.tile([1, 1, 1, 0], 25)
    >>> temperature = fit_temperature(logits, labels)
    >>> live_score(logits[:1], temperature=temperature).round(2)
    array([0.76])
    """
    margin = (logits[:, 1] - logits[:, 0]).astype(np.float64) * np.where(labels == 1, 1.0, -1.0)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -margin * np.exp(-log_temperature)).sum() + log_temperature**2 / 2)

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded").x))


def live_score(logits: NDArray[np.floating], *, temperature: float) -> NDArray[np.float64]:
    """P(live) of logits.

    Args:
        logits: Dead and live, shape ``(n, 2)``.
        temperature: What they are divided by before the softmax.

    Returns:
        Shape ``(n,)``.

    >>> live_score(np.array([[0.0, 0.0], [0.0, 2.0]]), temperature=2.0).round(3)
    array([0.5  , 0.731])
    """
    margin = (logits[:, 1] - logits[:, 0]).astype(np.float64) / temperature
    return np.asarray(np.exp(-np.logaddexp(0.0, -margin)))
