"""Sums over patches and tiles along one axis of a field whose side is not known before the graph runs."""

import torch
from torch import Tensor

from jimt.vocabulary import STRIDE


def last_of(side: int) -> Tensor:
    """The last place of a side, shape ``(1,)``: to some operations of ONNX a dynamic side is no number."""
    return torch.arange(side)[-1:]


def mirrored(place: Tensor, side: int, *, edge_twice: bool) -> Tensor:
    """Places beyond a side as those within it, by reflection.

    >>> mirrored(torch.arange(-2, 6), 4, edge_twice=False).tolist()
    [2, 1, 0, 1, 2, 3, 2, 1]
    >>> mirrored(torch.arange(-2, 6), 4, edge_twice=True).tolist()
    [1, 0, 0, 1, 2, 3, 3, 2]

    Args:
        place: Whole numbers.
        side: How many places there are.
        edge_twice: Whether the last one follows on itself.
    """
    twice = int(edge_twice)
    period = 2 * (last_of(side) + twice)
    place = place % period
    return torch.minimum(place, period - place - twice)


def n_patches(side: int, size: int) -> int:
    """Whole patches along a side, half a patch apart."""
    return (side - size) // (size // 2) + 1


def shares_of_tiles(side: int, *, size: int, tile: int) -> Tensor:
    """Share of each patch that lies on each tile, shape ``(n_patches, n_tiles)``, float64.

    >>> shares_of_tiles(336, size=224, tile=32)[1].mul(224).tolist()
    [0.0, 0.0, 0.0, 16.0, 32.0, 32.0, 32.0, 32.0, 32.0, 32.0, 16.0]

    Args:
        side: Of the field, pixels.
        size: Of a patch, pixels; patches begin half of it apart.
        tile: Side of a tile, pixels.
    """
    first = (torch.arange(n_patches(side, size)) * (size // 2))[:, None]
    edge = (torch.arange((side + tile - 1) // tile) * tile)[None]
    shared = torch.minimum(edge + tile, first + size) - torch.maximum(edge, first)
    return shared.clamp(min=0).double() / size


def shares_of_places(side: int, *, size: int) -> Tensor:
    """Likewise of places of maps, each weighted by how much of it lies in the field, as ``map_evidence.patch_means``.

    >>> shares_of_places(6, size=4).tolist()[0]
    [1.0, 0.0]
    >>> [round(share, 3) for share in shares_of_places(6, size=4).tolist()[1]]  # half of the last place is beyond
    [0.667, 0.333]
    """
    n_places = (side + STRIDE - 1) // STRIDE
    inside = (last_of(side) + 1 - torch.arange(n_places) * STRIDE).clamp(max=STRIDE).double() / STRIDE
    weights = shares_of_tiles(side, size=size, tile=STRIDE) * inside
    return weights / weights.sum(1, keepdim=True)


def means_of_tiles(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """``adaptive_avg_pool2d``, which ONNX does not have, to sides that are not known before.

    >>> means_of_tiles(torch.arange(6.0).view(1, 1, 2, 3), (1, 2)).flatten().tolist()
    [2.0, 3.0]

    Args:
        maps: Shape ``(n, channels, height, width)``.
        size: Wanted height and width.
    """
    down, across = (_bins(side, n) for side, n in zip(maps.shape[2:], size, strict=True))
    return down @ maps @ across.transpose(0, 1)


def _bins(side: int, n: int) -> Tensor:
    number, place = torch.arange(n)[:, None], torch.arange(side)[None]
    n_in, n_out = last_of(side) + 1, last_of(n) + 1
    first, end = number * n_in // n_out, ((number + 1) * n_in + n_out - 1) // n_out
    inside = ((place >= first) & (place < end)).float()
    return inside / inside.sum(1, keepdim=True)
