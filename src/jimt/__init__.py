"""Tells living from dead cells in bright-field images, with no stain.

``load`` opens a trained model, ``open_curated`` a curated data set; everything else is for jimt itself.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jimt.curation.manifest import Curated
    from jimt.models.predictor import Predictor

__version__ = "0.1.0"


def load(run: str | Path, *, accelerator: str | None = None) -> "Predictor":
    """Open the model of a run.

    Args:
        run: The folder of a run, or a checkpoint.
        accelerator: ``cpu`` or ``gpu``; None for the training's.

    Returns:
        The model: ``scores(image)`` gives P(live) of each patch of a bright-field image of shape ``(height, width)``.

    Raises:
        InputError: If there is none, it cannot be read, or there is no such device.
    """
    from jimt.models.predictor import open_predictor  # late: torch takes seconds

    return open_predictor(Path(run), accelerator=accelerator)


def open_curated(name: str, *, root: str | Path = "data/curated") -> "Curated":
    """Open a curated data set.

    Args:
        name: Of the data set.
        root: ``curation.output_root`` of the curation.

    Raises:
        InputError: If it is absent or damaged.
    """
    from jimt.curation.manifest import open_curated

    return open_curated(Path(root) / name)
