"""The stained fields that a model is adapted to: bright-field and PI, and what makes them tell little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from jimt.curation.copies import DIGESTS
from jimt.curation.store import read_field_names
from jimt.data.fields import Fields
from jimt.errors import InputError
from jimt.evaluation.scores import training_data
from jimt.models.adaptation import AdaptedField
from jimt.models.checkpoint import Checkpoint
from jimt.models.pi_truth import pi_settings
from jimt.models.predictor import Predictor
from jimt.models.stained_evidence import Evidence, What, evidence_of
from jimt.prediction.answers import Source
from jimt.prediction.asking import Asking
from jimt.prediction.field_answer import patches_with_data
from jimt.vocabulary import Split


@dataclass(frozen=True)
class Stained:
    """A stained field.

    Attributes:
        known_as: What the checkpoint will say of it.
        fields: Its bright-field alone, as the model takes it.
        rows: Its patches with cells.
        pi: PI in counts, of the same shape.
    """

    known_as: AdaptedField
    fields: Fields
    rows: pd.DataFrame
    pi: NDArray[Any]


def read_stained(
    asking: Asking,
    sources: Sequence[Source],
    of_pi: Mapping[int, Source],
    left_out: dict[str, str],
    what: What,
) -> tuple[list[Stained], list[Evidence]]:
    """Read the stained fields, and ask the model about them.

    Args:
        asking: How fields are read, and the model.
        sources: The fields.
        of_pi: Where PI of each is, by its number.
        left_out: Takes those that cannot be used, by name, with the reason.
        what: What is to be fitted.

    Returns:
        Those that can be used, and what the model and PI say of each.
    """
    stained: list[Stained] = []
    evidence: list[Evidence] = []
    seen: dict[str | None, str] = {}
    predictor = asking.predictor
    for source in sources:
        try:
            opened = asking.read(source, of_pi.get(source.number))
            if opened.pi is None:
                raise InputError("no PI lies beside it")
            if isinstance(opened.pi, str):
                raise InputError(opened.pi)
            if (other := seen.get(opened.picture.digest)) is not None:
                raise InputError(f"it has the pixels of {other}")
            fields = predictor.fields_of([opened.picture.pixels])
            rows = patches_with_data(predictor, fields)
            empty = predictor.empty(fields, rows)
            rows = rows if empty is None else rows[~empty].reset_index(drop=True)
            group = "/".join(part for part in (source.plate, source.well) if part is not None) or None
            known_as = AdaptedField(source.name, group, opened.picture.digest, opened.pi.digest)
            one = Stained(known_as, fields, rows, opened.pi.pixels)
            evidence.append(ask_about(predictor, one, what))
        except InputError as error:
            left_out[source.name] = error.cause
            continue
        stained.append(one)
        seen[opened.picture.digest] = source.name
    return stained, evidence


def ask_about(predictor: Predictor, stained: Stained, what: What) -> Evidence:
    """What a model and PI say of a stained field; errors as of ``evidence_of``."""
    settings = pi_settings(predictor.checkpoint)
    return evidence_of(predictor, stained.fields, 0, stained.rows, stained.pi, settings, what=what)


def doubts_about(checkpoint: Checkpoint, path: Path, stained: list[Stained], evidence: list[Evidence]) -> list[str]:
    """What makes these fields tell less than they could, each a sentence.

    Args:
        checkpoint: The model before.
        path: Its file.
        stained: The fields.
        evidence: What the model and PI say of each.
    """
    told = []
    classes = {float(target) for each in evidence for target in each.patches.targets} - {0.5}
    if len(classes) == 1:
        kind = "live" if classes == {1.0} else "dead"
        told.append(
            f"by PI all patches of these fields are {kind}, so that how far to go rests on what the model said before: "
            "stain also a field of the other kind, such as a control"
        )
    try:
        curated = training_data(checkpoint.record, None, path)
    except InputError:  # the data are not here any more, and nothing tells
        return told
    learned = curated.manifest[curated.manifest["split"].isin([Split.TRAIN.value, Split.VAL.value])]
    digests = set(read_field_names(curated.folder).loc[learned["field"].unique(), list(DIGESTS)].stack().dropna())
    n_known = sum(each.known_as.brightfield in digests for each in stained)
    if n_known:
        told.append(
            f"the model was trained on {n_known} of these fields: it does better on what it knows than on others, and "
            "is adapted too little"
        )
    return told
