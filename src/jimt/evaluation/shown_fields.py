"""Fields as figures show them: what a model predicts of each, beside what was measured (``task=stain``)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.data.stain_targets import StainTargets, TargetSettings
from jimt.errors import InputError
from jimt.figures.stain_maps import MarkedNuclei, StainField
from jimt.statistics.image_agreement import pixel_correlation
from jimt.statistics.predicted_nuclei import nuclei_of_maps

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor

LIMITS: Final = (0.0, 4.0)
"""Logarithm to base 2 of PI over background that is drawn darkest and brightest: once and 16 times the background."""


class ShownFields:
    """What is true of the fields of a curated data set, to be shown beside what a model predicts of them.

    Args:
        curated: The data set, with fluorescence.
        settings: Of the training, as the checkpoint records them.
        outputs: What the model predicts, names of ``vocabulary.OUTPUTS``.

    Raises:
        InputError: If it does not predict PI itself, or the data set has no fluorescence.
    """

    def __init__(self, curated: Curated, settings: Mapping[str, Any], outputs: tuple[str, ...]) -> None:
        if "log_pi" not in outputs:
            raise InputError("the model does not predict how bright PI is (stain.log_pi=0), so no field can be drawn")
        self._curated = curated
        self._targets = StainTargets(
            curated, TargetSettings(("log_pi",), None, 1.0, float(settings["stain.smoothing"]))
        )
        self._known = curated.nuclei() if settings["stain.nuclei_of"] == "nuclei" else curated.cells()
        self._names = curated.manifest.drop_duplicates("field").set_index("field")["raw_image_id"].astype(str)

    def field(
        self, number: int, maps: Mapping[str, NDArray[np.floating]], *, predicted_share: float, chosen_as: str
    ) -> StainField:
        """One field.

        Args:
            number: In the store of the data set.
            maps: As ``Predictor.maps`` gives them.
            predicted_share: Of the field that is predicted dead; NaN where there is none.
            chosen_as: Why it is shown.
        """
        (true,) = self._targets.compute(number)
        valid = np.isfinite(true)
        here = None if self._known is None else self._known[self._known["field"] == number]
        is_counted = here is not None and len(here) > 0
        predicted = true_nuclei = None
        if "dead" in maps:
            predicted = _marked(nuclei_of_maps(maps["dead"] * valid, maps["live"] * valid))
            true_nuclei = _marked(here) if here is not None and is_counted else None
        return StainField(
            name=self._names[number],
            chosen_as=chosen_as,
            brightfield=self._curated.store.field(number),
            predicted=np.where(valid, maps["log_pi"], np.nan) / np.log(2),
            true=true / np.log(2),
            correlation=pixel_correlation(maps["log_pi"], true, valid),
            predicted_dead_share=predicted_share,
            true_dead_share=float(here["dead"].mean()) if here is not None and is_counted else np.nan,
            predicted_nuclei=predicted,
            true_nuclei=true_nuclei,
        )


def _marked(nuclei: pd.DataFrame) -> MarkedNuclei:
    return MarkedNuclei(nuclei[["y", "x"]].to_numpy(float), nuclei["dead"].to_numpy(bool))


def best_median_worst(correlations: NDArray[np.floating]) -> list[tuple[int, str]]:
    """The fields with the best, the median and the worst correlation, and the words that say so; few are named once.

    >>> best_median_worst(np.array([0.2, 0.9, 0.5, np.nan, 0.3]))
    [(1, 'best of 4'), (4, 'median of 4'), (0, 'worst of 4')]
    >>> best_median_worst(np.array([0.2]))
    [(0, 'the only field')]

    Args:
        correlations: Of each field, shape ``(n_fields,)``; NaN is left out.

    Returns:
        Indices, each with its words.
    """
    order = np.argsort(-correlations, kind="stable").tolist()  # NaN stands last
    n = int(np.isfinite(correlations).sum())
    if n == 1:
        return [(order[0], "the only field")]
    places = {0: "best", n // 2: "median", n - 1: "worst"} if n else {}
    return [(order[place], f"{words} of {n}") for place, words in places.items()]


def tested_fields(predictor: "Predictor", curated: Curated, table: pd.DataFrame) -> list[StainField]:
    """The best, the median and the worst of the fields that a model was tested on.

    Args:
        predictor: The model.
        curated: The data set.
        table: As ``map_agreement`` gives it.

    Raises:
        InputError: As of ``ShownFields``.
    """
    checkpoint = predictor.checkpoint
    shown = ShownFields(curated, checkpoint.record.settings, checkpoint.network.outputs)
    numbers, shares = table["field"].tolist(), table["predicted_share"].tolist()
    return [
        shown.field(
            numbers[row],
            predictor.maps(curated.store, numbers[row]),
            predicted_share=shares[row],
            chosen_as=words,
        )
        for row, words in best_median_worst(table["correlation"].to_numpy(float))
    ]
