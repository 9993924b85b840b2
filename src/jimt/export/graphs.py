"""Models as graphs from the raw field to the answer: what ``models.predictor`` does, in operations that ONNX has.

Every side is dynamic, and so is the number of fields. All pixels count as data: a field comes from a camera.
"""

from typing import cast

import cv2
import torch
from torch import Tensor, nn
from torch.nn import functional

from jimt.curation.cell_area import PERCENTILE, SD, SHARE
from jimt.export.placed_networks import PlacedNetwork, network
from jimt.export.raw_counts import Pixels, RawCounts
from jimt.export.sides import last_of, mirrored, n_patches, shares_of_places, shares_of_tiles
from jimt.models.checkpoint import Checkpoint
from jimt.models.map_evidence import BARE, FEW
from jimt.vocabulary import STRIDE


def graph_of(checkpoint: Checkpoint, placed: PlacedNetwork, pixels: Pixels) -> "PatchGraph | FieldGraph":
    """The graph of a model around its network.

    Args:
        checkpoint: The model.
        placed: Its network.
        pixels: Of the fields that it is to take.
    """
    kind = PatchGraph if placed.multiple is None else FieldGraph
    return kind(checkpoint, placed, pixels)


class PatchGraph(nn.Module):
    """Patches scored one by one, as by ``PatchPredictor``, half a patch apart; arguments as of ``graph_of``."""

    outputs = ("score",)

    def __init__(self, checkpoint: Checkpoint, placed: PlacedNetwork, pixels: Pixels) -> None:
        super().__init__()
        self.counts = RawCounts(checkpoint.input, pixels)
        self._size, self._gives = checkpoint.input.patch_size, checkpoint.output

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """P(live), shape ``(n, 1, rows, columns)``, of fields of shape ``(n, 1, height, width)``."""
        grey, size = self.counts(image), self._size
        n, n_rows, n_columns = grey.shape[0], *(n_patches(side, size) for side in grey.shape[2:])
        cut = grey
        for axis, n_places in ((2, n_rows), (3, n_columns)):
            places = torch.arange(n_places)[:, None] * (size // 2) + torch.arange(size)
            cut = cut.index_select(axis, places.flatten())
        cut = cut.reshape(n, n_rows, size, n_columns, size).permute(0, 1, 3, 2, 4)
        patches = cut.reshape(-1, 1, size, size)
        orientations = range(self._gives.orientations)
        logits = [
            network(_turned(patches, each), channels=1, tile=size, multiple=None).double() for each in orientations
        ]
        score = torch.sigmoid(_sum(logits) / len(orientations) / self._gives.temperature)
        return (score.float().reshape(n, 1, n_rows, n_columns),)


class FieldGraph(nn.Module):
    """Patches scored from tiles, as by ``MapPredictor``, or from maps of the stain, as by ``StainPredictor``.

    Arguments as of ``graph_of``.
    """

    def __init__(self, checkpoint: Checkpoint, placed: PlacedNetwork, pixels: Pixels) -> None:
        super().__init__()
        self.counts, self.cells = RawCounts(checkpoint.input, pixels), CellArea()
        self._size, self._gives, self._names = (
            checkpoint.input.patch_size,
            checkpoint.output,
            checkpoint.network.outputs,
        )
        self._tile, self._channels, self._multiple = placed.tile, placed.channels, cast(int, placed.multiple)
        self.outputs = ("score", "tiles" if checkpoint.output.stain is None else "maps")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Of fields of shape ``(n, 1, height, width)`` P(live) of patches, and that of tiles, or maps of the stain.

        Shapes ``(n, 1, rows, columns)`` and ``(n, channels, height / tile, width / tile)``.
        """
        grey = self.counts(image)
        of_tiles = self._of_tiles(grey)
        if self._gives.stain is not None:
            return self._stain_score(grey, of_tiles), of_tiles
        logit, temperature = of_tiles.double(), self._gives.temperature
        down, across = (shares_of_tiles(side, size=self._size, tile=self._tile) for side in grey.shape[2:])
        live = down @ torch.sigmoid(logit) @ across.transpose(0, 1)
        score = torch.sigmoid((torch.log(live) - torch.log(1 - live)) / temperature)
        return score.float(), torch.sigmoid(logit / temperature).float()

    def _of_tiles(self, grey: Tensor) -> Tensor:
        """What the network gives of each tile, the mean over orientations, as ``mapwise.maps_of_field``."""
        height, width = grey.shape[2:]
        padded = grey
        for axis, side in ((2, height), (3, width)):
            place = torch.arange((side + self._multiple - 1) // self._multiple * self._multiple)
            padded = padded.index_select(axis, mirrored(place, side, edge_twice=False))
        found = []
        for orientation in range(self._gives.orientations):
            turned = _turned(padded, orientation)
            maps = network(turned, channels=self._channels, tile=self._tile, multiple=self._multiple)
            maps = maps.flip(3) if orientation >= 4 else maps
            found.append(maps.rot90(-(orientation % 4), (2, 3)))
        rows, columns = ((side + self._tile - 1) // self._tile for side in (height, width))
        return (_sum(found) / len(found))[:, :, :rows, :columns]

    def _stain_score(self, grey: Tensor, maps: Tensor) -> Tensor:
        """As ``StainPredictor.evidence`` and ``logits``."""
        stain = self._gives.stain
        assert stain is not None
        down, across = (shares_of_places(side, size=self._size) for side in grey.shape[2:])
        means = down @ torch.cat([maps, self.cells(grey)], dim=1).double() @ across.transpose(0, 1)
        of = dict(zip((*self._names, "cells"), means.chunk(means.shape[1], dim=1), strict=True))
        kinds = []
        if "log_pi" in of:
            kinds.append(of["log_pi"])
        if "positive" in of:
            kinds.append(torch.sqrt(of["positive"] / (of["cells"] + BARE)))
        if "dead" in of:
            kinds.append((of["dead"] + FEW / 5) / (of["dead"] + of["live"] + FEW))
        logit = stain.offset + _sum([kind * factor for kind, factor in zip(kinds, stain.factors, strict=True)])
        return torch.sigmoid(logit / self._gives.temperature).float()


class CellArea(nn.Module):
    """Share of each place that is of cells, as ``curation.cell_area.cell_area``."""

    def __init__(self) -> None:
        super().__init__()
        kernel = cv2.getGaussianKernel(round(SD * 8 + 1) | 1, SD, cv2.CV_32F)  # the size that OpenCV chooses
        self.register_buffer("kernel", torch.from_numpy(kernel).view(1, 1, -1, 1))

    def forward(self, grey: Tensor) -> Tensor:
        """Shape ``(n, 1, height / 4, width / 4)`` of grey values in 0 to 1."""
        image = grey * 255
        image = image - image.mean((2, 3), keepdim=True)  # contrast does not change, and nothing large cancels
        mean, square = self._blurred(image), self._blurred(image * image)
        contrast = self._blurred(torch.sqrt(torch.clamp(square - mean * mean, min=0)))
        ordered = contrast.flatten(1).sort(1).values
        last = last_of(ordered.shape[1])
        hundredths = last * round(PERCENTILE)
        below, part = hundredths // 100, (hundredths % 100).float() / 100
        low, high = ordered.index_select(1, below), ordered.index_select(1, torch.minimum(below + 1, last))
        strongest = low + (high - low) * part
        cells = (contrast > SHARE * strongest.view(-1, 1, 1, 1)).float()
        beyond = [-side % STRIDE for side in cells.shape[2:]]
        return functional.avg_pool2d(functional.pad(cells, (0, beyond[1], 0, beyond[0])), STRIDE)

    def _blurred(self, image: Tensor) -> Tensor:
        kernel = cast(Tensor, self.kernel)
        radius = kernel.shape[2] // 2
        for axis, along in ((2, kernel), (3, kernel.transpose(2, 3))):
            side = image.shape[axis]
            places = mirrored(torch.arange(side + 2 * radius) - radius, side, edge_twice=True)
            image = functional.conv2d(image.index_select(axis, places), along)
        return image


def _turned(images: Tensor, orientation: int) -> Tensor:
    """Images in one of the eight orientations, as ``data.transforms.orient``."""
    images = images.rot90(orientation % 4, (2, 3))
    return images.flip(3) if orientation >= 4 else images


def _sum(parts: list[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
