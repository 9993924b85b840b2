"""Mean fluorescence of each patch, in raw camera units, and the scale the thresholds are on (paper: "Labelling")."""

import numpy as np
from numpy.typing import NDArray

from jimt.errors import InputError


def label_values(
    mean_fluorescence: NDArray[np.float64], background: NDArray[np.float64], *, scale: str
) -> NDArray[np.float64]:
    """Mean fluorescence on the scale the thresholds are on.

    >>> label_values(np.array([300.0]), np.array([100.0]), scale="background_subtracted")
    array([200.])
    >>> label_values(np.array([300.0]), np.array([100.0]), scale="log_background_ratio").round(3)
    array([1.099])

    Args:
        mean_fluorescence: Mean PI intensity of each patch in raw camera units, shape ``(n_patches,)``.
        background: Background of the field each patch was cut from, same units and shape.
        scale: ``raw`` (the paper's), ``background_subtracted`` (raw units above background) or
            ``log_background_ratio`` (natural logarithm of mean over background; patches of experiments whose
            background differs by orders of magnitude become comparable).

    Raises:
        InputError: If a logarithm is asked of a mean or background that is not positive.
    """
    if scale == "raw":
        return mean_fluorescence
    if scale == "background_subtracted":
        return mean_fluorescence - background
    if (background <= 0).any() or (mean_fluorescence <= 0).any():
        raise InputError(
            "a field's fluorescence background is 0 at curation.label.background_percentile, so no "
            "logarithm can be taken",
            remedies=("curation.label.scale=background_subtracted", "curation.label.background_percentile=NUMBER"),
        )
    return np.asarray(np.log(mean_fluorescence / background))
