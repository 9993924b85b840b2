"""What a model is and how it came to its answers, as sentences of a paper."""

import re
from collections.abc import Iterator
from typing import Final

from jimt.models.checkpoint import Checkpoint
from jimt.prediction.answer_tables import printable
from jimt.vocabulary import SCALES, STRIDE

_DECODERS: Final = {"unet": "U-Net", "fpn": "feature pyramid network (FPN)"}
_NUCLEI_OF: Final = {
    "cells": "learned from counted cells",
    "nuclei": "learned from a nuclear stain, where PI-positive nuclei are dead",
}
"""By ``stain.nuclei_of``: where the nuclei that were learned came from."""
_TRAINED: Final = {"all": "fine-tuned", "head": "whose last layer was trained"}
"""By ``backbone.trainable``."""


def model_in_words(checkpoint: Checkpoint, *, stride: int) -> Iterator[str]:
    """Network, training, what it gives, and how its answers were averaged and calibrated.

    Args:
        checkpoint: The model.
        stride: Pixels from one patch to the next.
    """
    of_maps = checkpoint.task == "stain"
    yield _stain_model(checkpoint) if of_maps else _patch_model(checkpoint, stride=stride)
    if checkpoint.empty_filter is not None:
        of_field = checkpoint.empty_filter.features == "field"
        yield (
            "Patches without cells were told by a support vector machine on features of "
            f"{checkpoint.empty_filter.backbone}, {'averaged over each patch from those of its field, ' * of_field}"
            "trained on patches that were labelled by hand."
        )
    if checkpoint.output.orientations > 1:
        what = "Maps" if of_maps else "Scores"
        yield f"{what} are means over {checkpoint.output.orientations} orientations of each image."
    if not of_maps and checkpoint.output.temperature != 1:
        yield f"Probabilities were calibrated by temperature scaling (T = {checkpoint.output.temperature:.2f})."
    if (adaptation := checkpoint.record.adaptation) is not None:
        n = len(adaptation.fields)
        part = "the last layer and the calibration" if adaptation.what == "last-layer" else "the calibration"
        yield (
            f"Then {part} of the model {'were' if ' and ' in part else 'was'} adapted to PI of {n} stained "
            f"field{'s' * (n != 1)} of the experiment, which {'are' if n != 1 else 'is'} not among those analysed."
        )


def _backbone(checkpoint: Checkpoint) -> str:
    weights = checkpoint.record.weights
    start = "random weights" if weights == "random" else f"pretrained weights, {weights.replace(': ', ' ', 1)}"
    return f"{checkpoint.network.name} (timm; {start})"


def _labelled(checkpoint: Checkpoint) -> str:
    scale = checkpoint.record.labels.get("scale")
    if scale is None or checkpoint.record.labels.get("live_below") is None:
        return "when they were published"
    return f"by the {SCALES[scale]} (PI: propidium iodide)" if "PI" in SCALES[scale] else f"by the {SCALES[scale]}"


def _patch_model(checkpoint: Checkpoint, *, stride: int) -> str:
    size, record = checkpoint.input.patch_size, checkpoint.record
    patches = f"Patches of {size} x {size} px, one every {stride} px,"
    labels = f"of the data set {record.dataset} that were labelled live or dead {_labelled(checkpoint)}"
    if record.method != "linear_probe":
        trained = str(record.settings["backbone.trainable"])
        how = _TRAINED.get(trained, f"trained in part ({trained})")
        return f"{patches} were scored by the network {_backbone(checkpoint)}, {how} on patches {labels}."
    if checkpoint.output.tile is None:
        return (
            f"{patches} were scored by a logistic regression on features of the frozen network "
            f"{_backbone(checkpoint)}, fitted to patches {labels}."
        )
    tile, layer = checkpoint.output.tile, checkpoint.network.layer
    of_layer = f"layer {layer} of " if layer is not None else ""
    return (
        f"Tiles of {tile} x {tile} px of whole fields were scored by a logistic regression on the features that "
        f"{of_layer}the frozen network {_backbone(checkpoint)} has of them, fitted to tiles {labels}. {patches} have "
        "the mean of their tiles."
    )


def _stain_model(checkpoint: Checkpoint) -> str:
    network, record = checkpoint.network, checkpoint.record
    decoder = _DECODERS.get(str(network.decoder), str(network.decoder))
    reduced = (
        f", after {network.reduction} x {network.reduction} pixels were taken as one" if network.reduction > 1 else ""
    )
    parts = []
    if "log_pi" in network.outputs:
        parts.append("the logarithm of propidium iodide (PI) over its background")
    if "positive" in network.outputs:
        parts.append("the probability that PI is positive")
    if "dead" in network.outputs:
        source = record.settings["stain.nuclei_of"]
        parts.append(f"the probabilities that it lies in a dead and in a living nucleus ({_NUCLEI_OF[source]})")
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
    return (
        f"A convolutional network with the encoder {_backbone(checkpoint)} and a {decoder} as its decoder"
        f"{reduced}, trained on stained fields of the data set {record.dataset}, predicted from bright-field, of each "
        f"place of {STRIDE} x {STRIDE} px, {listed}."
    )


def plain(text: str) -> str:
    r"""A name on one line that Markdown reads as nothing but text.

    >>> print(plain("no_treatment"), plain("a|b\n[x](y) <i>"))
    no_treatment a\|b \[x\](y) \<i\>
    """
    return re.sub(r"([\\`*<>\[\]|&$])", r"\\\1", " ".join(printable(text).split()))
