"""Adapts a model to a few stained fields, so that it comes out right on them as far as so few can tell."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from jimt.errors import InputError
from jimt.models.checkpoint import Checkpoint
from jimt.models.network import LiveDeadNetwork
from jimt.models.stain_network import StainNetwork
from jimt.models.stained_evidence import Evidence, What
from jimt.statistics.last_layer import LastLayer, fit_last_layer
from jimt.statistics.stained_calibration import Recalibrated, probability_of, recalibrate, shift_of_shares
from jimt.vocabulary import DEAD, LIVE


@dataclass(frozen=True)
class Fitted:
    """What was fitted on some stained fields.

    Attributes:
        scores: Of the scores of patches.
        shifts: Added to the logits of maps, by their names.
        last_layer: Added to the last layer; None where that was left as it was.
    """

    scores: Recalibrated
    shifts: dict[str, float]
    last_layer: LastLayer | None


def fit(evidence: Sequence[Evidence], *, temperature: float, what: What) -> Fitted:
    """What makes a model come out right on some stained fields, as far as these can tell.

    Args:
        evidence: Of each field.
        temperature: Of the model.
        what: What is fitted.
    """
    shifts = {
        name: shift_of_shares([each.shares[name] for each in evidence if name in each.shares], counts=_counts(name))
        for name in dict.fromkeys(name for each in evidence for name in each.shares)
    }
    last_layer = None
    patches = [each.patches for each in evidence]
    if what == "last-layer":
        features = [each.features for each in evidence if each.features is not None]
        last_layer = fit_last_layer(patches, features, temperature=temperature)
        moved = [each.margins_by(last_layer) for each in evidence if each.margins_by is not None]
        patches = [dataclasses.replace(each, margins=margins) for each, margins in zip(patches, moved, strict=True)]
    return Fitted(recalibrate(patches, temperature=temperature), shifts, last_layer)


def _counts(name: str) -> bool:
    """Whether a share is of what is the likelier dead: of nuclei, and where positive places are not predicted."""
    return name != "positive"


def share_after(evidence: Evidence, fitted: Fitted) -> float:
    """Dead share of a field by the model as it was fitted."""
    if evidence.shares:
        name = list(evidence.shares)[-1]
        return evidence.shares[name].shifted(fitted.shifts.get(name, 0.0), counts=_counts(name))
    margins = evidence.patches.margins
    if fitted.last_layer is not None:
        assert evidence.margins_by is not None
        margins = evidence.margins_by(fitted.last_layer)
    dead = probability_of(-(margins + fitted.scores.offset) / fitted.scores.temperature)
    return float(evidence.patches.weights @ dead)


def as_it_was(temperature: float) -> Fitted:
    """What nothing was fitted to."""
    return Fitted(Recalibrated(0.0, temperature), {}, None)


def adapt(checkpoint: Checkpoint, ask: Callable[[Checkpoint], list[Evidence]], *, what: What) -> Checkpoint:
    """A model that was adapted to stained fields; the one before is left as it was.

    Args:
        checkpoint: The model before.
        ask: Asks a model about the fields.
        what: What is fitted.

    Raises:
        InputError: If the model has no last layer of the kind that is fitted.
    """
    network, temperature = checkpoint.load_network(), checkpoint.output.temperature
    if what == "last-layer":
        refuse_last_layer(checkpoint)
    fitted = fit(ask(checkpoint), temperature=temperature, what=what)
    if fitted.shifts:
        assert isinstance(network, StainNetwork)
        for name, by in fitted.shifts.items():
            network.shift(name, by)
        checkpoint = dataclasses.replace(checkpoint, state_dict=network.state_dict())
        # what the maps say of patches has changed
        scores = recalibrate([each.patches for each in ask(checkpoint)], temperature=temperature)
        fitted = dataclasses.replace(fitted, scores=scores)
    if fitted.last_layer is not None:
        _change(last_layer_of(network), fitted.last_layer)
        checkpoint = dataclasses.replace(checkpoint, state_dict=network.state_dict())
    offset = checkpoint.output.offset + fitted.scores.offset
    output = dataclasses.replace(checkpoint.output, offset=offset, temperature=fitted.scores.temperature)
    return dataclasses.replace(checkpoint, output=output)


def refuse_last_layer(checkpoint: Checkpoint) -> None:
    """Raise where a model has no linear last layer whose logits are those of patches.

    Raises:
        InputError: So.
    """
    if checkpoint.task == "stain":
        raise InputError(
            "the model predicts maps, and its last layer is of places, which PI of a few fields would spoil",
            advice="fit its calibration alone",
        )
    last_layer_of(checkpoint.load_network())


def last_layer_of(network: LiveDeadNetwork | StainNetwork) -> nn.Linear:
    """The linear layer that gives the logits of patches.

    Raises:
        InputError: If it is of another kind.
    """
    layer = None
    if isinstance(network, LiveDeadNetwork):
        layer = network.linear if isinstance(network.linear, nn.Linear) else network.own_head
    if not isinstance(layer, nn.Linear):
        raise InputError("the last layer of this network is not linear", advice="fit its calibration alone")
    return layer


def _change(layer: nn.Linear, change: LastLayer) -> None:
    """Add to the logit of live above dead: half to one, and half from the other."""
    with torch.no_grad():
        for row, sign in ((LIVE, 0.5), (DEAD, -0.5)):
            layer.weight[row] += torch.from_numpy(sign * change.weight).to(layer.weight.dtype)
            layer.bias[row] += sign * change.bias
