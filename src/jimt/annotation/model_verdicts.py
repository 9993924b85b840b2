"""What a model says of patches that were judged by eye, and of the nuclei of fields whose cells are to be counted."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.curation.pixel_sizes import differ
from jimt.errors import InputError

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor


def open_model(run: Path, curated: Curated) -> "Predictor":
    """The model of a run, for the patches or fields of a curated data set.

    Raises:
        InputError: If there is none, or its patches or pixels are of another size, or its scaling another, than those
            of the data set.
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
    trained, here = takes.pixel_size, summary["pixel_size"]["um"]
    if trained is not None and here is not None and differ(trained, here):
        raise InputError(
            f"the model of {run} was trained on pixels of {trained:.4g} µm, and those of {curated.folder.name} are of "
            f"{here:.4g} µm",
            advice="give another run",
        )
    return model


def nuclei_of(run: Path, curated: Curated) -> Callable[[int], dict[tuple[float, float], bool]]:
    """What gives the nuclei that a model predicts in a field, by its number: whether each is dead, by its centre.

    Raises:
        InputError: If the model predicts no nuclei, or errors as of ``open_model``.
    """
    model = open_model(run, curated)
    if "dead" not in model.checkpoint.network.outputs:
        raise InputError(f"the model of {run} predicts no nuclei", advice="give a run that predicts them, or none")

    def nuclei(number: int) -> dict[tuple[float, float], bool]:
        found = model.nuclei(curated.store, number)
        columns = (found["y"].round(1), found["x"].round(1), found["dead"])
        return {(float(y), float(x)): bool(dead) for y, x, dead in zip(*columns, strict=True)}

    return nuclei


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
