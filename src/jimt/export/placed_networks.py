"""The network of a model as a graph of its own: what it gives of each place of upright grey fields.

A graph of the whole model calls it once for each orientation, by a stand-in that ``onnx_graph`` replaces: torch takes
minutes to follow a network through sides that are not known to be multiples of anything.
"""

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from jimt.export.sides import means_of_tiles
from jimt.models.checkpoint import Checkpoint
from jimt.models.stain_network import StainNetwork
from jimt.vocabulary import MULTIPLE, STRIDE

NETWORK: Final = "jimt::Network"
"""The stand-in: domain and name of an operation that ONNX does not have."""


def network(grey: Tensor, *, channels: int, tile: int) -> Tensor:
    """Stands for what a placed network gives of fields of shape ``(n, 1, height, width)``, in places of ``tile`` px."""
    shape = (grey.shape[0], channels, grey.shape[2] // tile, grey.shape[3] // tile)
    return torch.onnx.ops.symbolic(NETWORK, (grey,), dtype=torch.float32, shape=shape, version=1)


class PlacedNetwork(nn.Module):
    """A network that takes grey fields and gives a few numbers of each of their places.

    Args:
        checkpoint: The model.

    Attributes:
        tile: Side of a place, pixels.
        channels: Numbers of each.
        multiple: Pixels that the sides of a field are multiples of; None where they are those of a place.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = checkpoint.load_network().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(checkpoint.input.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(checkpoint.input.std).view(1, 3, 1, 1))
        self.multiple: int | None = MULTIPLE
        self.channels = 1
        tile = checkpoint.output.tile
        if isinstance(self.network, StainNetwork):
            self.multiple, self.tile = MULTIPLE * self.network.reduction, STRIDE
            self.channels = len(self.network.outputs)
        elif tile is None:
            self.multiple, self.tile = None, checkpoint.input.patch_size
        else:
            self.tile = tile
            weight, bias = self.network.linear.parameters()
            self.register_buffer("weight", (weight[1] - weight[0]).view(1, -1, 1, 1))
            self.register_buffer("bias", bias[1] - bias[0])
            with torch.inference_mode():
                seen = self.network.feature_map(torch.zeros(1, 3, 8 * MULTIPLE, 8 * MULTIPLE))
            self._is_finer = seen.shape[2] > 8 * MULTIPLE // tile

    def forward(self, grey: Tensor) -> Tensor:
        """Shape ``(n, channels, height / tile, width / tile)`` of fields of shape ``(n, 1, height, width)``.

        Maps of the stain; else the logit of live, of a patch or of each tile.
        """
        images = (grey - cast(Tensor, self.mean)) / cast(Tensor, self.std)
        if isinstance(self.network, StainNetwork):
            return self.network.maps(images)
        if self.multiple is None:
            logits = self.network(images)
            return cast(Tensor, logits[:, 1] - logits[:, 0]).view(-1, 1, 1, 1)
        # the linear layer first: it and the means over tiles and orientations commute
        features = self.network.feature_map(images)
        logit = (features * cast(Tensor, self.weight)).sum(1, keepdim=True) + cast(Tensor, self.bias)
        size = (grey.shape[2] // self.tile, grey.shape[3] // self.tile)
        if self._is_finer:
            return means_of_tiles(logit, size)
        return functional.interpolate(logit, size, mode="bilinear", align_corners=False)
