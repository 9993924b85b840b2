"""The network of a model as a graph of its own: what it gives of each place of upright grey fields.

A graph of the whole model calls it once for each orientation, by a stand-in that ``onnx_graph`` replaces: torch takes
minutes to follow a network through sides that are not known to be multiples of anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import torch
from timm.layers import padding
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.nn import functional

from jimt.export.sides import means_of_tiles
from jimt.models.checkpoint import Checkpoint
from jimt.models.stain_network import StainNetwork
from jimt.vocabulary import MULTIPLE, STRIDE

NETWORK: Final = "jimt::Network"
"""The stand-in: domain and name of an operation that ONNX does not have."""


def network(grey: Tensor, *, channels: int, tile: int, multiple: int | None) -> Tensor:
    """Stands for what a placed network gives of fields of shape ``(n, 1, height, width)``, in places of ``tile`` px.

    It takes the fields in the blocks of ``Blocks``, or as they are where ``multiple`` is None.
    """
    n, _, height, width = grey.shape
    blocks = grey if multiple is None else grey.reshape(n, 1, height // multiple, multiple, width // multiple, multiple)
    shape = (n, channels, height // tile, width // tile)
    return torch.onnx.ops.symbolic(NETWORK, (blocks,), dtype=torch.float32, shape=shape, version=1)


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


class Blocks(nn.Module):
    """A placed network of fields whose sides are told in blocks, shape ``(n, 1, rows, multiple, columns, multiple)``.

    They lie in memory as the fields do; but torch knows of each side that it halves without a rest, and compares what
    layers make of them in seconds.

    Args:
        placed: The network.
        multiple: Side of a block, pixels.
    """

    def __init__(self, placed: PlacedNetwork, multiple: int) -> None:
        super().__init__()
        self.placed, self._multiple = placed, multiple

    def forward(self, blocks: Tensor) -> Tensor:
        """As ``PlacedNetwork``."""
        n, _, rows, _, columns, _ = blocks.shape
        return cast(Tensor, self.placed(blocks.reshape(n, 1, rows * self._multiple, columns * self._multiple)))


@contextmanager
def known_padding() -> Iterator[None]:
    """Meanwhile timm pads by a number, not by a formula of the side, what a stride parts without a rest.

    With TensorFlow's padding ("same", in ``tf_`` networks) each layer's formula holds that of the layer before, and
    torch takes ten minutes to follow them.
    """
    of_side = padding.get_same_padding

    def known(side: int, kernel_size: int, stride: int, dilation: int) -> int:
        if isinstance(side, torch.SymInt) and statically_known_true(side % stride == 0):
            return max((kernel_size - 1) * dilation + 1 - stride, 0)
        return cast(int, of_side(side, kernel_size, stride, dilation))

    padding.get_same_padding = known  # type: ignore[assignment]
    try:
        yield
    finally:
        padding.get_same_padding = of_side
