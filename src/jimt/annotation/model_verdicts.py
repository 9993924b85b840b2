"""What a model says of patches that were judged by eye, and of the nuclei of fields whose cells are to be counted."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.errors import InputError

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor


def open_model(run: Path, curated: Curated) -> "Predictor":
    """The model of a run, for the patches or fields of a curated data set.

    Raises:
        InputError: If there is none, or its patches are of another size or scaling than those of the data set.
    """
    from jimt.models.predictor import open_predictor  # late: torch takes seconds

    model = open_predictor(run)
    takes, summary = model.checkpoint.input, curated.summary
    for what, wanted, given in (
        ("patch size", takes.patch_size, summary["patch_size"]),
        ("8-bit scaling", takes.scaling["method"], summary["scaling"]["method"]),
    ):
        if wanted != given:
            raise InputError(
                f"the model of {run} was trained with a {what} of {wanted}, and {curated.folder.name} has {given}",
                advice="curate the data set as the model's was, or give another run",
            )
    return model


def scores_of(model: "Predictor", curated: Curated, rows: pd.DataFrame) -> NDArray[np.float64]:
    """P(live) of patches.

    Args:
        model: The model.
        curated: The data set.
        rows: Of its manifest, ``field``, ``y`` and ``x``.
    """
    return model.live_scores(curated.store, rows)


def trained_on(model: "Predictor", curated: Curated, rows: pd.DataFrame) -> int:
    """How many of some patches are of groups that the model was trained on."""
    record = model.checkpoint.record
    if record.dataset != curated.folder.name:
        return 0
    groups = {name for split, names in record.groups.items() if split != "test" for name in names}
    return int(rows["group"].isin(groups).sum())
