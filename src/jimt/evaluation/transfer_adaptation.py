"""What some stained fields of another data set bring a model, on its other fields."""

from typing import Any

import pandas as pd

from jimt.errors import InputError
from jimt.evaluation.adapted_errors import errors_of_draws, mean_row
from jimt.evaluation.matched_scores import Tested, dead_shares
from jimt.evaluation.share_errors import share_errors, stained_evidence


def adaptation_of(tested: Tested, *, n_stained: int, n_draws: int, seed: int, confidence: float) -> dict[str, Any]:
    """Adapt a model's calibration to some fields of another data set, drawn at random, and predict the others.

    Args:
        tested: The model and the data set.
        n_stained: Fields that are taken for stained.
        n_draws: Draws of these, at most: where there are fewer, each once.
        seed: Of the draws.
        confidence: Coverage of the intervals over groups.

    Returns:
        ``adaptation``, as a row of ``adaptation_curve.json``, or None; ``no_adaptation``, why not; ``against`` which
        truth errors are told; and ``share_of``, what the model's dead share is a share of.
    """
    told: dict[str, Any] = {"adaptation": None, "no_adaptation": None, "against": None, "share_of": None}
    truth = share_errors(tested.curated, tested.table, dead_shares(tested, None, None))
    if truth is None:
        return told | {"no_adaptation": "published patches are no fields, and have no dead shares"}
    told["against"] = truth.against
    try:
        fields = stained_evidence(tested.predictor, tested.curated, tested.table, truth)
    except InputError as error:
        return told | {"no_adaptation": error.cause}
    if fields:
        told["share_of"] = fields[0]["evidence"].share_of
    draws = errors_of_draws(fields, pool=None, what="calibration", n_stained=[n_stained], n_draws=n_draws, seed=seed)
    found = pd.DataFrame(row for row in draws if row["truth"] == truth.against)
    if not len(found):
        return told | {"no_adaptation": f"of {len(fields)} fields none is left beside {n_stained} stained ones"}
    return told | {"adaptation": {"stained": n_stained, **mean_row(found, confidence=confidence)}}
