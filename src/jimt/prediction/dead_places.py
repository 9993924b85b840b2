"""Which places of a field are outlined as dead: regions, and where nuclei are counted those that hold a dead one."""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from jimt.prediction.answers import FieldAnswer


def dead_places(answer: FieldAnswer, *, threshold: float) -> NDArray[np.bool_]:
    """Places taken for dead, shape ``(height, width)`` in places; unknown ones are not.

    A model of nuclei calls some places at the edge of a living nucleus dead. Outlined, they would be counted as dead
    nuclei by whoever counts outlines. So a region of places that join at their sides is left out unless a nucleus that
    is counted as dead has its middle in it.

    Args:
        answer: Of the field.
        threshold: Probability of death from which on a place is taken for dead.
    """
    dead = np.nan_to_num(answer.dead_map, nan=-np.inf) >= threshold
    if answer.dead_nuclei is None:
        return np.asarray(dead)
    regions = label(dead, connectivity=1)
    rows, columns = (answer.dead_nuclei // answer.place).astype(np.intp).T
    return np.asarray(dead & np.isin(regions, regions[rows, columns]))
