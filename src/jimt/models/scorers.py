"""Which way patches are scored in: one by one, from feature maps of whole fields, or from maps of the stain."""

from pathlib import Path

import torch

from jimt.models.checkpoint import Input, Output
from jimt.models.mapwise import MapPredictor
from jimt.models.network import LiveDeadNetwork
from jimt.models.patchwise import PatchPredictor
from jimt.models.stain_network import StainNetwork
from jimt.models.stainwise import StainPredictor

Scorer = PatchPredictor | MapPredictor | StainPredictor
"""What scores patches one by one, from feature maps of whole fields, or from maps of the stain."""


def scorer_of(
    network: LiveDeadNetwork | StainNetwork,
    *,
    takes: Input,
    gives: Output,
    device: torch.device,
    precision: str,
    batch_size: int,
    cache: Path | None = None,
) -> Scorer:
    """The scorer that an output asks for.

    Args:
        network: Its weights loaded.
        takes: What it takes.
        gives: How its logits become scores; with tiles, fields are scored, else patches; of a network that predicts
            the stain, fields.
        device: Where it runs.
        precision: Lightning's word for what it computes in.
        batch_size: Patches at once.
        cache: Folder that keeps the feature maps of whole fields, where those are taken; None to keep none.
    """
    if isinstance(network, StainNetwork):
        return StainPredictor(network, takes, gives.stain, gives.orientations, device, precision)
    if gives.tile is None:
        return PatchPredictor(network, takes, gives.orientations, device, precision, batch_size)
    return MapPredictor(network, takes, gives.orientations, gives.tile, device, precision, cache)
