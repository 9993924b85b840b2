"""What happens to a whole batch at once on the device (paper: augmentation by quarter turns and flips)."""

import torch
from torch import Tensor

Triple = tuple[float, float, float]


def orient(patches: Tensor, orientation: Tensor) -> Tensor:
    """Turn each patch by ``orientation % 4`` quarter turns, then mirror it left to right where ``orientation >= 4``.

    Args:
        patches: Shape ``(n, channels, size, size)``.
        orientation: Integers from 0 to 7, shape ``(n,)``; 0 leaves a patch as it is.
    """
    turns = [patches, patches.rot90(1, (2, 3)), patches.rot90(2, (2, 3)), patches.rot90(3, (2, 3))]
    choices = torch.stack(turns + [turned.flip(3) for turned in turns])
    return choices[orientation, torch.arange(len(patches), device=patches.device)]


def to_network_input(patches: Tensor, *, mean: Triple, std: Triple) -> Tensor:
    """Grey 8-bit patches to three normalised channels, float32, channels last.

    Args:
        patches: uint8, shape ``(n, 1, size, size)``.
        mean: Mean of each channel the backbone's weights expect, of values in 0 to 1.
        std: Standard deviation, likewise.
    """
    grey = patches.float() / 255
    images = (grey - patches.new_tensor(mean, dtype=torch.float32).view(1, 3, 1, 1)) / patches.new_tensor(
        std, dtype=torch.float32
    ).view(1, 3, 1, 1)
    return images.contiguous(memory_format=torch.channels_last)
