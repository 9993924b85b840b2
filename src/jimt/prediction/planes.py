"""Which channel of a file is read, and which plane of its stack: one, the sharpest, or a projection of all."""

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from jimt.curation.decoding import BadImageError
from jimt.prediction.stacks import Stack

PlaneChoice = int | Literal["sharpest", "max", "mean"]
"""Which plane of a z-stack: its number from 0, the sharpest by ``sharpness``, or a projection of all."""


def sharpness(image: NDArray[Any]) -> float:
    """Tenengrad (Krotkov 1987): mean squared Sobel gradient, divided by the squared mean so that light cancels out.

    Args:
        image: Shape ``(height, width)``, or with colours as last axis.
    """
    pixels = image.astype(np.float32)
    mean = float(pixels.mean())
    if mean == 0:
        return -np.inf
    along_x, along_y = (cv2.Sobel(pixels, cv2.CV_32F, dx, 1 - dx, ksize=3) for dx in (1, 0))
    return float(np.mean(along_x**2 + along_y**2)) / mean**2


def channel_number(stack: Stack, channel: int | str | None) -> int:
    """The number of the channel that was asked for.

    Args:
        stack: What the file holds.
        channel: By number from 0, or by its name in the file; None where there is one.

    Raises:
        BadImageError: If there are several and none was asked for, or no such one.
    """
    n = stack.n_channels
    named = [f"{place} ({name})" for place, name in enumerate(stack.channel_names)]
    listed = ", ".join(named or [f"{place}" for place in range(n)])
    if channel is None:
        if n == 1:
            return 0
        raise BadImageError(
            f"has {n} channels, {listed}, and nothing says which is bright-field", remedies=("--channel NUMBER",)
        )
    if isinstance(channel, str) and channel in stack.channel_names:
        return stack.channel_names.index(channel)
    number = int(channel) if str(channel).isdecimal() else None
    if number is None or number >= n:
        has = f"{n} channels, {listed}" if n > 1 else f"one channel, {listed}"
        raise BadImageError(f"has {has}, so no channel {channel}", remedies=("--channel NUMBER",))
    return number


def read_plane(stack: Stack, channel: int, z: PlaneChoice, time: int, notes: list[str]) -> NDArray[Any]:
    """The plane, or the projection of all; no more than two planes are in memory.

    Args:
        stack: What the file holds.
        channel: By number from 0.
        z: Which plane.
        time: By number from 0.
        notes: What was chosen is added to it, where there are several planes.

    Raises:
        BadImageError: If there is no such plane, or one cannot be read.
    """
    if time >= stack.n_times:
        raise BadImageError(f"has {stack.n_times} time points, so no {time} (counted from 0)", advice="start anew")
    n = stack.n_planes
    if isinstance(z, int):
        if not 0 <= z < n:
            planes = f"{n} planes" if n > 1 else "one plane"
            raise BadImageError(
                f"has {planes}, so no plane {z} (counted from 0)", remedies=("--z NUMBER", "--z sharpest")
            )
        if n > 1:
            notes.append(f"plane {z} of {n} (counted from 0)")
        return _plane(stack, channel, z, time)
    first = _plane(stack, channel, 0, time)
    if n == 1:
        return first
    means = [float(first.mean())]
    if z == "sharpest":
        best, number, most = first, 0, sharpness(first)
        for place in range(1, n):
            image = _plane(stack, channel, place, time)
            means.append(float(image.mean()))
            if (sharp := sharpness(image)) > most:
                best, number, most = image, place, sharp
        _check_brightness(means)
        notes.append(f"plane {number} of {n} (counted from 0), the sharpest by Tenengrad")
        return best
    notes.append(f"{'maximum' if z == 'max' else 'mean'} of {n} planes")
    total = first if z == "max" else first.astype(np.float64)
    for place in range(1, n):
        image = _plane(stack, channel, place, time)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise BadImageError("has planes of different kinds", advice="export all in one way")
        means.append(float(image.mean()))
        total = np.maximum(total, image) if z == "max" else total + image
    _check_brightness(means)
    if z == "max":
        return total
    mean = total / n
    return mean.astype(first.dtype) if first.dtype.kind == "f" else np.rint(mean).astype(first.dtype)


def _check_brightness(means: list[float]) -> None:
    """Refuse planes that look like channels: ImageJ's "Images to Stack" calls bright-field and PI two planes.

    Raises:
        BadImageError: If one is more than twice as bright as another, as no planes of one bright-field stack are.
    """
    low, high = min(means), max(means)
    if high > 2 * max(low, 0):
        raise BadImageError(
            f"has planes of mean {low:.4g} to {high:.4g}, as channels differ and planes of one stack do not",
            remedies=("--z NUMBER",),
        )


def _plane(stack: Stack, channel: int, z: int, time: int) -> NDArray[Any]:
    """A plane of a file, which has rows, columns and perhaps colours.

    Raises:
        BadImageError: If it cannot be read, or has no pixels.
    """
    image = stack.plane(channel, z, time)
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise BadImageError(f"has a plane of shape {image.shape}", advice="export it again")
    return image
