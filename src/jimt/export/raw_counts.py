"""Counts of a raw field to the 8 bits that a network sees, as part of a graph; as ``curation.patches.to_8_bit``."""

from typing import Literal

import torch
from torch import Tensor, nn

from jimt.models.checkpoint import Input

Pixels = Literal["uint16", "uint8", "float32"]
"""Of the field that a graph takes: counts as a 16-bit file holds them; in 8 bits as the network sees them, where
percentiles of the whole field give these; or those in 0 to 1, not yet rounded."""


def is_fixed(takes: Input) -> bool:
    """Whether a fixed rule gives the 8 bits, rather than percentiles of each field."""
    return bool(takes.scaling["method"] != "percentile_image")


def grey_range(takes: Input) -> tuple[float, float]:
    """Counts of a 16-bit field that become 0 and 255, by a fixed rule."""
    scaling = takes.scaling
    if scaling["method"] == "percentile_dataset":
        return float(scaling["low"]), float(scaling["high"])
    return 0.0, float((1 << (16 if scaling["method"] == "full_range" else scaling["bit_depth"])) - 1)


class RawCounts(nn.Module):
    """Counts to grey values in 0 to 1 that are whole multiples of 1 / 255.

    Args:
        takes: What the network takes.
        pixels: Of the field.
    """

    def __init__(self, takes: Input, pixels: Pixels) -> None:
        super().__init__()
        self._pixels = pixels
        self._shift, self._bits = takes.bit_shift, takes.bit_depth
        low, high = {"uint8": (0.0, 255.0), "float32": (0.0, 1.0)}.get(pixels) or grey_range(takes)
        self._low, self._gain = low, 255.0 / max(high - low, torch.finfo(torch.float32).tiny)

    def forward(self, counts: Tensor) -> Tensor:
        """Grey values of counts, float32, of the same shape."""
        if self._pixels == "uint16":
            counts = counts.to(torch.int32)  # torch computes with hardly any uint16, ONNX shifts no signed number
            if self._shift:
                counts = torch.div(counts, 1 << self._shift, rounding_mode="floor")
            if self._bits < 16:
                counts = counts % (1 << self._bits)
        levels = (counts.to(torch.float64) - self._low) * self._gain  # float64: ties are rounded as in training
        return levels.round().clamp(0, 255).to(torch.float32) / 255
