"""What happens to a whole batch at once on the device (paper: augmentation by quarter turns and flips)."""

from functools import lru_cache
from math import ceil

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Triple = tuple[float, float, float]


def orient(patches: Tensor, orientation: Tensor) -> Tensor:
    """Turn each patch by ``orientation % 4`` quarter turns, then mirror it left to right where ``orientation >= 4``.

    Args:
        patches: Shape ``(n, channels, size, size)``.
        orientation: Integers from 0 to 7, shape ``(n,)``; 0 leaves a patch as it is.
    """
    if patches.device.type == "cpu":  # each patch is moved once; a GPU would start a kernel for each
        turned = torch.empty_like(patches, memory_format=torch.contiguous_format)
        for patch, out, number in zip(patches, turned, orientation.tolist(), strict=True):
            moved = patch.rot90(number % 4, (1, 2))
            out.copy_(moved.flip(2) if number >= 4 else moved)
        return turned
    turns = [patches, patches.rot90(1, (2, 3)), patches.rot90(2, (2, 3)), patches.rot90(3, (2, 3))]
    choices = torch.stack(turns + [each.flip(3) for each in turns])
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
    if patches.device.type == "cpu" and patches.dtype == torch.uint8:
        return _looked_up(patches.numpy(), _normalised(mean, std))
    grey = patches if patches.is_floating_point() else patches.float() / 255
    centre, scale = (patches.new_tensor(values, dtype=torch.float32) for values in (mean, std))
    # in one pass, and written as it lies in memory: the channels of a pixel side by side
    return torch.addcmul(-centre / scale, grey.permute(0, 2, 3, 1), 1 / scale).permute(0, 3, 1, 2)


@lru_cache(maxsize=8)
def _normalised(mean: Triple, std: Triple) -> tuple[NDArray[np.float32], ...]:
    """What each of 256 values becomes in each channel."""
    values = to_network_input(torch.arange(256).view(1, 1, 1, 256) / 255, mean=mean, std=std)
    return tuple(np.ascontiguousarray(channel) for channel in values[0, :, 0].numpy())


def _looked_up(patches: NDArray[np.uint8], tables: tuple[NDArray[np.float32], ...]) -> Tensor:
    """Each patch by itself, so that it is still in the processor's cache when its channels are put side by side."""
    images = np.empty((len(patches), *patches.shape[2:], 3), np.float32)
    for patch, image in zip(patches[:, 0], images, strict=True):
        cv2.merge([cv2.LUT(patch, table) for table in tables], image)
    return torch.from_numpy(images).permute(0, 3, 1, 2)
