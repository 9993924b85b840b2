"""What happens to a whole batch at once on the device (paper: augmentation by quarter turns and flips)."""

from collections.abc import Callable
from functools import cache
from math import ceil
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from jimt.config.training import AugmentationConfig
from jimt.data.dataset import CHANGES
from jimt.networks.network_input import Triple, normalise, to_network_input


def augmented_input(
    pixels: Tensor,
    targets: Tensor | None,
    orientation: Tensor,
    changes: Tensor,
    settings: AugmentationConfig,
    *,
    mean: Triple,
    std: Triple,
    compiled: bool,
) -> tuple[Tensor, Tensor | None]:
    """What ``augment`` gives, in the way of the device; ``compiled`` there where that is a GPU."""
    on_gpu = pixels.device.type != "cpu"
    work = compiled_augment() if compiled and on_gpu else augment
    return work(pixels, targets, orientation, changes, settings, mean=mean, std=std, by_place=on_gpu)


def augment(
    pixels: Tensor,
    targets: Tensor | None,
    orientation: Tensor,
    changes: Tensor,
    settings: AugmentationConfig,
    *,
    mean: Triple,
    std: Triple,
    by_place: bool,
) -> tuple[Tensor, Tensor | None]:
    """Turn, mirror and change patches and their targets, and make of the patches what a network takes.

    Args:
        pixels: uint8, shape ``(n, 1, size, size)``.
        targets: Shape ``(n, n_outputs, size / 4, size / 4)``, or None.
        orientation: As of ``orient``.
        changes: In -1 to 1, shape ``(n, N_CHANGES)``.
        settings: How strong the changes are.
        mean: As of ``to_network_input``.
        std: Likewise.
        by_place: Whether each pixel of the result is computed from its place, all at once, for a GPU; ``torch.compile``
            makes one kernel of it, but a few where a whole patch (its mean, for the contrast) or a pixel's neighbours
            (blur) have to be known. Otherwise patch by patch, for the cache of a CPU.

    Returns:
        Shape ``(n, 3, size, size)``, channels last; and the targets.
    """
    turn, take = (orient_by_place, normalise) if by_place else (orient, to_network_input)
    turned = None if targets is None else turn(targets, orientation)
    changed, turned = _changed(turn(pixels, orientation), turned, changes, settings)
    return take(changed, mean=mean, std=std), turned


@cache
def compiled_augment() -> Callable[..., tuple[Tensor, Tensor | None]]:
    """``augment`` as ``torch.compile`` writes it, at the first call.

    Never with CUDA graphs, as the network may be: in those the next batch would overwrite this one.
    """
    # more operations in one kernel than by default: for a second one the pixels would be written and read once more
    return cast(
        Callable[..., tuple[Tensor, Tensor | None]],
        torch.compile(augment, options={"realize_opcount_threshold": 100}),
    )


def _changed(
    pixels: Tensor, targets: Tensor | None, changes: Tensor, settings: AugmentationConfig
) -> tuple[Tensor, Tensor | None]:
    """Change intensities and magnification, and the targets with it; as they are where no change has any strength."""
    strengths = {name: getattr(settings, name) for name in CHANGES}
    if not any(strengths.values()):
        return pixels, targets
    grey = pixels.float() / 255
    scale = strengths.pop("scale")
    if scale > 0:
        factors = torch.exp2(scale * changes[:, CHANGES.index("scale")])
        grey = magnify(grey, factors, mode="bilinear")
        targets = None if targets is None else magnify(targets, factors, mode="nearest")
    return change_intensity(grey, changes, **strengths), targets


def orient(patches: Tensor, orientation: Tensor) -> Tensor:
    """Turn each patch by ``orientation % 4`` quarter turns, then mirror it left to right where ``orientation >= 4``.

    Args:
        patches: Shape ``(n, channels, size, size)``.
        orientation: Integers from 0 to 7, shape ``(n,)``; 0 leaves a patch as it is.
    """
    if patches.device.type != "cpu":
        return orient_by_place(patches, orientation)
    turned = torch.empty_like(patches, memory_format=torch.contiguous_format)
    for patch, out, number in zip(patches, turned, orientation.tolist(), strict=True):
        moved = patch.rot90(number % 4, (1, 2))
        out.copy_(moved.flip(2) if number >= 4 else moved)
    return turned


def orient_by_place(patches: Tensor, orientation: Tensor) -> Tensor:
    """As ``orient``, by asking for each place where its pixel comes from: a GPU would start a kernel for each patch."""
    n, n_channels, size = patches.shape[:3]
    turns, mirrored = (orientation % 4).view(-1, 1), (orientation >= 4).view(-1, 1)
    there = torch.arange(size, device=patches.device)
    back, sideways = size - 1 - there, turns % 2 == 1
    # a step down or across, as steps in memory: on its side a row is a column
    down = torch.where((turns == 1) | (turns == 2), back, there) * torch.where(sideways, 1, size)
    across = torch.where((turns >= 2) != mirrored, back, there) * torch.where(sideways, size, 1)
    places = (down.unsqueeze(2) + across.unsqueeze(1)).view(n, 1, -1).expand(-1, n_channels, -1)
    return patches.flatten(2).gather(2, places).view(patches.shape)


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
