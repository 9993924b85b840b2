"""How far predicted dead shares agree with PI, field by field and well by well, and what to do about it."""

from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.prediction.answers import FieldRow
from jimt.statistics.estimates import estimates
from jimt.statistics.share_agreement import ShareAgreement, share_agreement
from jimt.statistics.value_text import value_text
from jimt.vocabulary import AMBIGUOUS

CONFIDENCE: Final = 0.95
CLOSE: Final = 0.10
"""Mean absolute error of the dead share, up to which a share is close to PI's."""
ORDERED: Final = 0.75
"""Area under the ROC curve of patches against PI, from which on they stand in the right order."""
_METRICS: Final = ("auroc", "auroc_within_groups", "auroc_within_raw_images")


def agreement_with_pi(rows: list[FieldRow], patches: pd.DataFrame) -> dict[str, Any]:
    """Agreement of a prediction with PI; what ``check.json`` holds.

    Args:
        rows: Of the fields, those that failed left out.
        patches: ``score`` and ``label`` by PI of patches with cells, and ``number`` of their field.

    Returns:
        ``share_of``; ``fields`` and ``wells``, each with ``n`` and, by name, value and interval of the measures of
        ``share_agreement``, the wells' shares being means of their fields'; ``constant``, the mean absolute error of
        the one share that is best for all these fields; ``patches``, areas under the ROC curve; ``groups``, whether
        intervals are over wells or fields; ``verdict``, ``trust``, ``adapt``, ``train anew`` or ``unknown``; and
        ``sentence``.
    """
    compared = [row for row in rows if row.dead_share is not None and row.pi_share is not None]
    wells = [f"{row.plate or ''}/{row.well}" for row in compared]
    by_well = len(compared) > 0 and all(row.well is not None for row in compared)
    groups = np.array(wells if by_well else [row.raw_image_id for row in compared], object)
    predicted = np.array([row.dead_share for row in compared], np.float64)
    true = np.array([row.pi_share for row in compared], np.float64)
    of_fields = share_agreement(predicted, true, groups, confidence=CONFIDENCE)
    result: dict[str, Any] = {
        "share_of": compared[0].share_of if compared else None,
        "groups": "wells" if by_well else "fields",
        "fields": _plain(of_fields),
        "wells": None,
        "constant": float(np.abs(true - np.median(true)).mean()) if compared else None,
        "patches": _patches(compared, groups, patches),
    }
    if by_well:
        means = pd.DataFrame({"group": groups, "predicted": predicted, "true": true}).groupby("group").mean()
        names = means.index.to_numpy(object)
        result["wells"] = _plain(
            share_agreement(means["predicted"].to_numpy(), means["true"].to_numpy(), names, confidence=CONFIDENCE)
        )
    return result | verdict(result)


def _plain(found: ShareAgreement) -> dict[str, Any]:
    measures = {name: {"value": each.value, "interval": each.interval_groups} for name, each in found.measures.items()}
    return {"n": found.n, "limits_of_agreement": found.limits, **measures}


def _patches(compared: list[FieldRow], groups: Any, patches: pd.DataFrame) -> dict[str, Any]:
    known = pd.DataFrame(
        {"number": [row.number for row in compared], "group": groups, "name": [row.raw_image_id for row in compared]}
    )
    used = patches[patches["label"] != AMBIGUOUS].merge(known, on="number")
    if not len(used):
        return {name: {"value": None, "interval": None} for name in _METRICS}
    found = estimates(
        used["label"].to_numpy(np.int64),
        used["score"].to_numpy(np.float64),
        used["group"].to_numpy(object),
        used["name"].to_numpy(object),
        names=_METRICS,
        confidence=CONFIDENCE,
        seed=0,  # of a calibration error alone
    )
    finite = {name: np.isfinite(each.value) for name, each in found.items()}  # none where PI labels all alike
    return {
        name: {"value": each.value, "interval": each.interval_groups}
        if finite[name]
        else {"value": None, "interval": None}
        for name, each in found.items()
    }


def verdict(found: dict[str, Any]) -> dict[str, str]:
    """What to do, and why, in one sentence.

    The model is trusted where its shares are close to PI's and closer than one number for all fields would be; it is
    worth adapting where patches or fields stand in the right order at least; else it is to be trained anew.

    Args:
        found: As ``agreement_with_pi`` gives it, but for these.
    """
    fields, patches = found["fields"], found["patches"]
    error, bias = fields["mae"]["value"], fields["bias"]["value"]
    if error is None:
        return {"verdict": "unknown", "sentence": "unknown: no field has both a predicted share and one by PI"}
    auroc = patches["auroc"]["value"]
    spearman = fields["spearman"]["value"]
    off = f"dead shares are off by {value_text(error, fields['mae']['interval'])} on average (bias {bias:+.3f})"
    order = "" if auroc is None else f", and patches are told apart with an AUROC of {auroc:.3f}"
    beaten = f"; one share for all fields would be off by {found['constant']:.3f}"
    told = f"{off}{order}{beaten}"
    if error <= CLOSE and found["constant"] == 0:  # as of one field: a model that always says the same would do as well
        why = "unknown, for PI finds the same share in every field, and any constant can be right"
        return {"verdict": "unknown", "sentence": f"{why}: {off}{order}"}
    if error <= CLOSE and error < found["constant"]:
        return {"verdict": "trust", "sentence": f"trust: {told}"}
    if (auroc or 0) >= ORDERED or (spearman or 0) >= ORDERED:
        return {"verdict": "adapt", "sentence": f"adapt, for shares are off but in the right order: {told}"}
    return {"verdict": "train anew", "sentence": f"train anew, for neither shares nor their order agree: {told}"}
