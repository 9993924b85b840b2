"""What is known about every patch, and the labels a person would have given a few of them."""

from typing import Final

import numpy as np
import pandas as pd

from jimt.synthetic.microscope import Field

WITH_CELLS: Final = "with_cells"
WITHOUT_CELLS: Final = "without_cells"

# assumption: what a person would call without hesitation
HARDLY_COVERED: Final = 0.05  # at most this share of a patch belongs to cells, or
HOPELESS_DEFOCUS: Final = 8.0  # at least this mean blur, sigma px: no outline of a cell can be followed
WELL_COVERED: Final = 0.6
FAIR_DEFOCUS: Final = 4.0
MAX_PER_WORD: Final = 100  # labels; as many as a person gives in a quarter of an hour
FEW: Final = 40  # labels of the common word that are kept when the rare one has fewer


def tabulate_patches(field: Field, *, raw_image_id: str, patch_size: int, stride: int) -> pd.DataFrame:
    """Count and measure what every patch of a field holds.

    Args:
        field: The simulated pair.
        raw_image_id: Its name, repeated in every row.
        patch_size: Side of a patch, px.
        stride: Distance between the origins of neighbouring patches, px.

    Returns:
        One row per patch, by ``y`` then ``x``: ``raw_image_id``, ``y``, ``x``, ``n_live`` and ``n_dead`` (cells whose
        centre lies in it), ``live_fraction`` (of those cells; nan without cells), ``cell_cover`` (share of pixels that
        belong to a cell's territory, contracted or not), ``defocus`` (mean blur, sigma px).
    """
    height, width = field.brightfield.shape
    cells = field.cells
    rows: list[dict[str, str | int | float]] = []
    for y in range(0, height - patch_size + 1, stride):
        for x in range(0, width - patch_size + 1, stride):
            here = (cells.y >= y) & (cells.y < y + patch_size) & (cells.x >= x) & (cells.x < x + patch_size)
            n_dead = int(np.count_nonzero(here & cells.dead))
            n_live = int(np.count_nonzero(here)) - n_dead
            window = (slice(y, y + patch_size), slice(x, x + patch_size))
            rows.append(
                {
                    "raw_image_id": raw_image_id,
                    "y": y,
                    "x": x,
                    "n_live": n_live,
                    "n_dead": n_dead,
                    "live_fraction": n_live / (n_live + n_dead) if n_live + n_dead else float("nan"),
                    "cell_cover": round(float(np.mean(cells.label[window] > 0)), 4),
                    "defocus": round(float(np.mean(field.defocus[window])), 3),
                }
            )
    return pd.DataFrame(rows)


def tabulate_cells(field: Field, *, raw_image_id: str) -> pd.DataFrame:
    """The cells of a field whose centres lie in it, as a person with a stain of all nuclei would list them.

    Args:
        field: The simulated pair.
        raw_image_id: Its name, repeated in every row.

    Returns:
        One row per cell: ``raw_image_id``, ``y`` and ``x`` of its centre in pixels, ``dead`` (1 or 0).
    """
    height, width = field.brightfield.shape
    cells = field.cells
    inside = (cells.y >= 0) & (cells.y < height) & (cells.x >= 0) & (cells.x < width)
    return pd.DataFrame(
        {
            "raw_image_id": raw_image_id,
            "y": cells.y[inside].round(1),
            "x": cells.x[inside].round(1),
            "dead": cells.dead[inside].astype(int),
        }
    )


def label_clear_cases(truth: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Label patches that hold cells, or do not, beyond doubt.

    Args:
        truth: Table of :func:`tabulate_patches` over all fields.
        seed: Decides which of the clear cases are taken.

    Returns:
        ``raw_image_id``, ``y``, ``x`` and ``label``, in the order of ``truth``; at most 100 rows of each word and,
        where one word is rare, of the other no more than of the rare one or 40.
    """
    without_cells = (truth["cell_cover"] <= HARDLY_COVERED) | (truth["defocus"] >= HOPELESS_DEFOCUS)
    with_cells = (truth["cell_cover"] >= WELL_COVERED) & (truth["defocus"] <= FAIR_DEFOCUS)
    limit = min(MAX_PER_WORD, max(FEW, min(int(without_cells.sum()), int(with_cells.sum()))))
    rng = np.random.default_rng(seed)
    taken = []
    for word, clear in ((WITHOUT_CELLS, without_cells), (WITH_CELLS, with_cells)):
        rows = np.flatnonzero(clear.to_numpy())
        rows = rng.choice(rows, size=min(limit, len(rows)), replace=False)
        taken.append(truth.iloc[rows][["raw_image_id", "y", "x"]].assign(label=word))
    return pd.concat(taken).sort_index()
