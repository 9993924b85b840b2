"""Which way patches are scored in: one by one, from feature maps of whole fields, or from maps of the stain."""

from pathlib import Path
from typing import cast

import torch

from jimt.models.checkpoint import Checkpoint, Input, Output
from jimt.models.mapwise import MapPredictor
from jimt.models.network import LiveDeadNetwork
from jimt.models.patchwise import PatchPredictor
from jimt.models.stain_network import StainNetwork
from jimt.models.stainwise import StainPredictor
from jimt.networks.folding import fold_batch_norms
from jimt.vocabulary import MULTIPLE

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


def quick_network(checkpoint: Checkpoint) -> LiveDeadNetwork | StainNetwork:
    """The trained network with nothing left to normalise; errors as of ``Checkpoint.load_network``."""
    network, size = checkpoint.load_network(), checkpoint.input.patch_size
    if isinstance(network, StainNetwork):
        side = MULTIPLE * network.reduction
        size = max(size + -size % side, 2 * side)  # of one place a decoder cannot normalise its channels
    folded = fold_batch_norms(network, lambda network, images: network(images), size=size)
    return cast(LiveDeadNetwork | StainNetwork, folded)
