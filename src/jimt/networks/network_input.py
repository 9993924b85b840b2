"""Grey pixels to what a network takes: the one way there, in curation, training and prediction alike."""

from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Triple = tuple[float, float, float]


def to_network_input(patches: Tensor, *, mean: Triple, std: Triple) -> Tensor:
    """Grey patches to three normalised channels, float32, channels last; bytes on a CPU by a table, which is quicker.

    Args:
        patches: uint8, or floats in 0 to 1, shape ``(n, 1, height, width)``.
        mean: Mean of each channel the backbone's weights expect, of values in 0 to 1.
        std: Standard deviation, likewise.
    """
    if patches.device.type == "cpu" and patches.dtype == torch.uint8:
        return _looked_up(patches.numpy(), _normalised(mean, std))
    return normalise(patches, mean=mean, std=std)


def normalise(patches: Tensor, *, mean: Triple, std: Triple) -> Tensor:
    """As ``to_network_input``, computed for each pixel; what ``torch.compile`` can put into the kernel before it."""
    grey = patches if patches.is_floating_point() else patches.float() / 255
    centre, scale = (_of_channels(values, patches.device) for values in (mean, std))
    # in one pass, and written as it lies in memory: the channels of a pixel side by side
    return torch.addcmul(-centre / scale, grey.permute(0, 2, 3, 1), 1 / scale).permute(0, 3, 1, 2)


def _of_channels(values: Triple, device: torch.device) -> Tensor:
    """Shape ``(3,)``, made on the device: for numbers that are copied there, the CPU waits until a GPU is idle."""
    channel = torch.arange(3, device=device)
    return torch.where(channel == 0, values[0], torch.where(channel == 1, values[1], values[2]))


@lru_cache(maxsize=8)
def _normalised(mean: Triple, std: Triple) -> tuple[NDArray[np.float32], ...]:
    """What each of 256 values becomes in each channel."""
    values = normalise(torch.arange(256).view(1, 1, 1, 256) / 255, mean=mean, std=std)
    return tuple(np.ascontiguousarray(channel) for channel in values[0, :, 0].numpy())


def _looked_up(patches: NDArray[np.uint8], tables: tuple[NDArray[np.float32], ...]) -> Tensor:
    """Each patch by itself, so that it is still in the processor's cache when its channels are put side by side."""
    images = np.empty((len(patches), *patches.shape[2:], 3), np.float32)
    for patch, image in zip(patches[:, 0], images, strict=True):
        cv2.merge([cv2.LUT(patch, table) for table in tables], image)
    return torch.from_numpy(images).permute(0, 3, 1, 2)
