"""What happens to a whole batch at once on the device (paper: augmentation by quarter turns and flips)."""

from math import ceil

import torch
from torch import Tensor
from torch.nn import functional

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


def change_intensity(
    grey: Tensor, changes: Tensor, *, brightness: float, contrast: float, gamma: float, blur: float, noise: float
) -> Tensor:
    """Change each patch as another lamp, exposure, focus or camera would.

    Args:
        grey: Values in 0 to 1, shape ``(n, 1, size, size)``.
        changes: Numbers in -1 to 1 for brightness, contrast, gamma, blur and noise, the first columns of shape
            ``(n, 5)`` or more; 0 changes nothing.
        brightness: Largest shift of all values.
        contrast: Largest change of the contrast about the patch's mean, in factors of two.
        gamma: Largest change of the exponent, in factors of two.
        blur: Largest standard deviation of a Gaussian blur, pixels.
        noise: Largest standard deviation of Gaussian noise, drawn by torch's global generator.

    Returns:
        Values in 0 to 1, of the same shape.
    """
    shift, factor, exponent, width, grain = (changes[:, i].view(-1, 1, 1, 1) for i in range(5))
    if gamma > 0:
        grey = grey ** torch.exp2(gamma * exponent)
    if contrast > 0:
        mean = grey.mean((2, 3), keepdim=True)
        grey = mean + (grey - mean) * torch.exp2(contrast * factor)
    if blur > 0:
        grey = _blurred(grey, blur * width.abs(), radius=ceil(3 * blur))
    if noise > 0:
        grey = grey + noise * grain.abs() * torch.randn_like(grey)
    return (grey + brightness * shift).clamp(0, 1)


def magnify(images: Tensor, factors: Tensor, *, mode: str) -> Tensor:
    """Magnify each image about its centre; what lies beyond the edge is its mirror image.

    Args:
        images: Shape ``(n, channels, size, size)``.
        factors: Of each, shape ``(n,)``; 1 changes nothing.
        mode: ``bilinear``, or ``nearest`` where values are NaN.
    """
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / factors
    grid = functional.affine_grid(theta, [len(images), 1, *images.shape[2:]], align_corners=False)
    return functional.grid_sample(images, grid, mode=mode, padding_mode="reflection", align_corners=False)


def _blurred(grey: Tensor, sigma: Tensor, *, radius: int) -> Tensor:
    """Gaussian blur of each patch by its own ``sigma``, shape ``(n, 1, 1, 1)``, along y, then along x."""
    offsets = torch.arange(-radius, radius + 1, device=grey.device, dtype=grey.dtype)
    kernels = torch.exp(-0.5 * (offsets / sigma.view(-1, 1).clamp(min=1e-3)) ** 2)
    kernels = kernels / kernels.sum(1, keepdim=True)
    n = len(grey)
    stacked = functional.pad(grey.transpose(0, 1), (radius,) * 4, mode="replicate")
    stacked = functional.conv2d(stacked, kernels.view(n, 1, -1, 1), groups=n)
    return functional.conv2d(stacked, kernels.view(n, 1, 1, -1), groups=n).transpose(0, 1)


def to_network_input(patches: Tensor, *, mean: Triple, std: Triple) -> Tensor:
    """Grey patches to three normalised channels, float32, channels last.

    Args:
        patches: uint8, or floats in 0 to 1, shape ``(n, 1, size, size)``.
        mean: Mean of each channel the backbone's weights expect, of values in 0 to 1.
        std: Standard deviation, likewise.
    """
    grey = patches if patches.is_floating_point() else patches.float() / 255
    images = (grey - patches.new_tensor(mean, dtype=torch.float32).view(1, 3, 1, 1)) / patches.new_tensor(
        std, dtype=torch.float32
    ).view(1, 3, 1, 1)
    return images.contiguous(memory_format=torch.channels_last)
