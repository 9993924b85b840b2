"""What a model of ``task=stain`` predicts, from what it has learned it, and what it cannot tell."""

from typing import Final

from jimt.models.checkpoint import Checkpoint
from jimt.models.stainwise import STAINED
from jimt.vocabulary import STRIDE

_LEARNED_FROM: Final = {
    None: "PI alone: no counted cell was shown to it, so counted cells test it",
    "cells": "PI and the cells that were counted (dataset.cells)",
    "nuclei": "PI and all nuclei on their stain (dataset.nuclei), dead where they are PI-positive",
}
"""By ``stain.nuclei_of``."""


def predicted_in_words(checkpoint: Checkpoint) -> str:
    """The maps, in a sentence."""
    outputs = checkpoint.network.outputs
    told = {
        "log_pi": "how bright PI is, as a multiple of the field's background",
        "positive": "how likely it is PI-positive, brighter than the background nearby (curation.label.positive)",
        "dead": "how likely it lies in a dead nucleus, and how likely in a living one",
    }
    parts = [words for name, words in told.items() if name in outputs]
    return f"Of each place of {STRIDE} x {STRIDE} pixels of a bright-field image it predicts {'; '.join(parts)}."


def learned_in_words(checkpoint: Checkpoint) -> str:
    """What the maps were learned from."""
    source = checkpoint.record.settings["stain.nuclei_of"]
    words = _LEARNED_FROM[source]
    if not {"log_pi", "positive"} & set(checkpoint.network.outputs):
        words = words.removeprefix("PI and ")
    return f"It has learned this from {words}."


def share_in_words(checkpoint: Checkpoint) -> str:
    """What the predicted dead share of a field is a share of."""
    outputs = checkpoint.network.outputs
    if "dead" in outputs:
        return "The dead share of a field is of nuclei: predicted dead ones among all predicted ones."
    positive = "PI-positive" if "positive" in outputs else f"stained above {STAINED:g} times the background"
    return (
        f"The dead share of a field is of area: what is predicted as {positive}, over the area of cells, which is told "
        "by the texture of bright-field. It is no share of cells, since dead cells shrink."
    )


def share_in_short(checkpoint: Checkpoint) -> str:
    """What a model's dead share of a field is before it is calibrated, of any task."""
    if checkpoint.task != "stain":
        return "mean of 1 - P(live) over the field"
    return "dead nuclei among all" if "dead" in checkpoint.network.outputs else "PI-positive area among that of cells"


def limits_in_words(checkpoint: Checkpoint) -> list[str]:
    """What such a model cannot tell."""
    lines = [
        "It predicts what PI would show: a cell that dies without taking up PI is not dead to it, and one that has "
        "come off is not there.",
        "Stain that bright-field gives no sign of cannot be predicted; such places come out as the mean of what was "
        "learned, so that predicted images are smoother than measured ones.",
    ]
    if "dead" in checkpoint.network.outputs:
        lines.append(
            "Nuclei that touch may be predicted as one, so that a number of nuclei is too low where cells crowd."
        )
    return lines
