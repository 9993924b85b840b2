"""What one image of a file holds, a position say: its channels, planes and time points, read one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from jimt.curation.pixel_sizes import PixelSize


@dataclass(frozen=True)
class Stack:
    """One image of an open file.

    Attributes:
        n_channels: Colours of one picture are no channels; pages of which nothing says what they are, are.
        n_planes: Along z.
        n_times: Time points.
        plane: Reads one plane by channel, z and time, each from 0, while its file is open: shape ``(height, width)``,
            or ``(height, width, n_colours)`` with red first; raises ``BadImageError``.
        channel_names: As the file has them, one for each channel; empty where it has none.
        pixel_size: What the file says of it.
        seconds: Of each time point after the first, as the file says it; None where it does not.
    """

    n_channels: int
    n_planes: int
    n_times: int
    plane: Callable[[int, int, int], NDArray[Any]]
    channel_names: tuple[str, ...] = ()
    pixel_size: PixelSize = field(default_factory=PixelSize)
    seconds: tuple[float, ...] | None = None
