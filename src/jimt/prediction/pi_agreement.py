"""How far predicted dead shares agree with PI, field by field and well by well, and what to do about it."""

from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.prediction.answers import FieldRow
from jimt.statistics.estimates import estimates
from jimt.statistics.recalibration import MIN_GROUPS, left_out_errors
from jimt.statistics.share_agreement import ShareAgreement, share_agreement
from jimt.statistics.value_text import value_text
from jimt.vocabulary import AMBIGUOUS

CONFIDENCE: Final = 0.95
CLOSE: Final = 0.10
"""Mean absolute error of the dead share, up to which a share is close to PI's."""
ORDERED: Final = 0.75
"""Area under the ROC curve of patches of one field against PI, from which on they stand in the right order."""
MENDED: Final = 0.75
"""Error of a line through other groups' shares, in units of that of their mean, up to which a line mends shares. Shares
drawn at random come so low in 8 of 100 checks of four wells and in 1 of 100 of twelve."""
_METRICS: Final = ("auroc", "auroc_within_groups", "auroc_within_raw_images")


def agreement_with_pi(rows: list[FieldRow], patches: pd.DataFrame) -> dict[str, Any]:
    """Agreement of a prediction with PI; what ``check.json`` holds.

    Args:
        rows: Of the fields, those that failed left out.
        patches: ``score`` and ``label`` by PI of patches with cells, and ``number`` of their field.

    Returns:
        ``share_of``; ``fields`` and ``wells``, each with ``n`` and, by name, value and interval of the measures of
        ``share_agreement``, the wells' shares being means of their fields'; ``constant``, the mean absolute error of
        the one share that is best for all these fields; ``left_out``, those of a ``line`` and a ``mean`` of the other
        groups, None of too few; ``patches``, areas under the ROC curve; ``groups``, whether intervals are over wells or
        fields; ``verdict``, ``trust``, ``adapt``, ``train anew`` or ``unknown``; and ``sentence``.
    """
    compared = [row for row in rows if row.dead_share is not None and row.pi_share is not None]
    wells = [f"{row.plate or ''}/{row.well}" for row in compared]
    by_well = len(compared) > 0 and all(row.well is not None for row in compared)
    groups = np.array(wells if by_well else [row.raw_image_id for row in compared], object)
    predicted = np.array([row.dead_share for row in compared], np.float64)
    true = np.array([row.pi_share for row in compared], np.float64)
    of_fields = share_agreement(predicted, true, groups, confidence=CONFIDENCE)
    guessed = left_out_errors(predicted, true, groups)
    result: dict[str, Any] = {
        "share_of": compared[0].share_of if compared else None,
        "groups": "wells" if by_well else "fields",
        "fields": _plain(of_fields),
        "wells": None,
        "constant": float(np.abs(true - np.median(true)).mean()) if compared else None,
        "left_out": None if guessed is None else {"line": guessed[0], "mean": guessed[1]},
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

    The model is trusted where its shares are close to PI's and closer than one number for all fields would be. It is
    worth adapting where it sees what PI sees, on another scale: a line through the shares of other groups mends its
    own, or patches of one field stand in the right order. That fields do is not enough: of few they do by chance.

    Args:
        found: As ``agreement_with_pi`` gives it, but for these.
    """
    fields, of_others = found["fields"], found["left_out"]
    error, bias, constant = fields["mae"]["value"], fields["bias"]["value"], found["constant"]
    if error is None:
        return _said("unknown", "no field has both a predicted share and one by PI")
    within = found["patches"]["auroc_within_raw_images"]
    seen = within["value"] is not None and within["value"] >= ORDERED and (within["interval"] or [1])[0] > 0.5
    mended = of_others is not None and of_others["line"] <= MENDED * of_others["mean"] > 0
    told = f"dead shares are off by {value_text(error, fields['mae']['interval'])} on average (bias {bias:+.3f})"
    if constant > 0:
        told += f"; one share for all fields would be off by {constant:.3f}"
    if of_others is not None:
        told += f", a straight line through those of other {found['groups']} by {of_others['line']:.3f}"
    if within["value"] is not None:
        told += f"; patches of one field are told apart with an AUROC of {within['value']:.3f}"
    if error <= CLOSE and error < constant:
        return _said("trust", told)
    if error <= CLOSE and not mended:
        return _said("unknown", f"PI finds nearly the same share in every field, and any constant can be right: {told}")
    if mended or seen:
        sees = "the order of fields is right" if mended else "patches of one field are told apart"
        return _said("adapt", f"shares are off, but {sees}, so that another scale would mend much: {told}")
    if of_others is None and within["value"] is None:
        few = f"fewer than {MIN_GROUPS} {found['groups']} do not tell whether adapting would do"
        return _said("unknown", f"shares are off, so use none of them, and {few}: {told}")
    return _said("train anew", f"shares are off, and neither another scale nor patches would mend them: {told}")


def _said(word: str, why: str) -> dict[str, str]:
    return {"verdict": word, "sentence": f"{word}: {why}"}
