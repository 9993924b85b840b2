"""What maps of the stain say of patches: their means, and the evidence of death that these are."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jimt.curation.patches import tiles_of_patch
from jimt.vocabulary import STRIDE

EVIDENCE: Final = {"log_pi": ("log_pi",), "positive": ("positive",), "nuclei": ("dead", "live")}
"""Kinds of evidence that a patch is dead, each with the maps it is taken from: the mean of the predicted stain; the
square root of the positive area over that of cells; the share of nuclei that are dead."""
BARE: Final = 0.1
"""Share of a patch that is added to its area of cells, so that debris in an empty one is no proof of death. With the
true PI of mcf7 as the map, the area over that of cells has an AUROC against counted nuclei of 0.948, within experiments
0.932; the area itself 0.938 and 0.921 (``benchmarks/cell_area.py``)."""
FEW: Final = 0.01
"""Share of a patch that is added to its area of nuclei, a fifth of it to that of dead ones: a share of few is noise."""


def patch_means(
    maps: NDArray[np.float32],
    valid: NDArray[np.float64],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    *,
    size: int,
    tile: int = STRIDE,
) -> NDArray[np.float64]:
    """Mean of maps over the valid part of patches, shape ``(n_patches, n_maps)``.

    Args:
        maps: Shape ``(n_maps, height, width)`` in tiles.
        valid: Share of each tile that is data, shape ``(height, width)``.
        y: Upper edge of each patch, pixels, shape ``(n_patches,)``.
        x: Left edge, likewise.
        size: Side of a patch, pixels.
        tile: Side of a tile, pixels.
    """
    out = np.empty((len(y), len(maps)))
    for i, (top, left) in enumerate(zip(y.tolist(), x.tolist(), strict=True)):
        (rows, down), (columns, across) = (tiles_of_patch(edge, size=size, tile=tile) for edge in (top, left))
        weights = np.outer(down, across) * valid[rows, columns]
        if not weights.any():
            weights = np.outer(down, across)
        out[i] = np.tensordot(maps[:, rows, columns], weights / weights.sum(), axes=2)
    return out


def evidence_of(
    means: NDArray[np.float64], outputs: tuple[str, ...], *, cells: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The kinds of evidence that mean maps give, shape ``(n_patches, n_kinds)``.

    >>> evidence_of(np.array([[0.25, 0.3, 0.09]]), ("positive", "dead", "live"), cells=np.array([0.9])).round(3)
    array([[0.5  , 0.755]])

    Args:
        means: Of each map over each patch, shape ``(n_patches, n_outputs)``.
        outputs: What the maps show.
        cells: Share of each patch that is of cells, shape ``(n_patches,)``.
    """
    of = dict(zip(outputs, means.T, strict=True))
    kinds = []
    if "log_pi" in of:
        kinds.append(of["log_pi"])
    if "positive" in of:
        kinds.append(np.sqrt(of["positive"] / (cells + BARE)))
    if "dead" in of:
        kinds.append((of["dead"] + FEW / 5) / (of["dead"] + of["live"] + FEW))
    return np.stack(kinds, axis=1)
