"""A frozen network's feature maps of whole fields, on a grid of tiles, and the scores of patches cut from them."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional

from jimt.curation.patches import tiles_of_patch
from jimt.data.fields import Fields
from jimt.models.checkpoint import Input
from jimt.models.devices import ExceedsMemory, ready
from jimt.models.like_training import windows_of
from jimt.models.network import LiveDeadNetwork
from jimt.networks.decoders import resized
from jimt.networks.network_input import to_network_input
from jimt.networks.side_by_side import side_by_side
from jimt.statistics.stained_calibration import logit_of, probability_of
from jimt.vocabulary import MULTIPLE

_FEW_PIXELS: Final = 2**19
"""Of a field, as the network sees it: up to so many, orientations pass two at a time."""


@dataclass(frozen=True)
class MapPredictor:
    """Scores patches from maps of whole fields: P(live) of a patch is the mean of its tiles'.

    Attributes:
        network: With a linear head, its weights loaded.
        takes: What it takes.
        orientations: How many of the eight an answer is the mean of.
        tile: Side of a tile, pixels.
        device: Where it runs.
        precision: Lightning's word for what it computes in.
        cache: Folder that keeps the maps; None to keep none.
    """

    network: LiveDeadNetwork
    takes: Input
    orientations: int
    tile: int
    device: torch.device
    precision: str
    cache: Path | None
    _last: list[tuple[Fields, int, NDArray[np.float32]]] = dataclasses.field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """The last field's map: its scores and its features are asked for in turn."""

    def logits(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Logits of patches, shape ``(n, 2)``; as ``Predictor.logits``."""
        live = np.full(len(rows), np.nan)
        for field, maps in self.maps(fields, np.unique(rows["field"]).tolist()):
            tiles = self.live_tiles(maps, temperature=1.0, offset=0.0)
            for row, window, (down, across) in self._windows(rows, field):
                live[row] = down @ tiles[window] @ across
        half = np.log(live / (1 - live)) / 2
        return np.stack([-half, half], axis=1).astype(np.float32)

    def live_tiles(self, maps: NDArray[np.float32], *, temperature: float, offset: float) -> NDArray[np.float64]:
        """P(live) of each tile of a field, shape ``(height, width)`` in tiles.

        Args:
            maps: Feature map of the field, as ``maps`` gives it.
            temperature: That logits are divided by.
            offset: That is added to the logit of live before.
        """
        weight, bias = (value.detach().cpu().numpy() for value in self.network.linear.parameters())
        margin = np.einsum("fyx,f->yx", maps, weight[1] - weight[0]) + (bias[1] - bias[0])
        return np.asarray(1 / (1 + np.exp(-(margin.astype(np.float64) + offset) / temperature)))

    def margins_by(
        self, fields: Fields, number: int, rows: pd.DataFrame
    ) -> Callable[[NDArray[np.float64], float], NDArray[np.float64]]:
        """Logit of live above dead of patches of one field, by what is added to the weights and bias that tell both."""
        ((_, maps),) = self.maps(fields, [number])
        before = logit_of(self.live_tiles(maps, temperature=1.0, offset=0.0))
        windows = list(self._windows(rows, number))

        def by(weight: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
            live = probability_of(before + np.tensordot(weight, maps, axes=1) + bias)
            return logit_of(np.array([down @ live[window] @ across for _, window, (down, across) in windows]))

        return by

    def features(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Mean features of the tiles of patches, shape ``(n, n_features)``; as ``Predictor.features``."""
        features: dict[int, NDArray[np.float32]] = {}
        for field, maps in self.maps(fields, np.unique(rows["field"]).tolist()):
            for row, window, (down, across) in self._windows(rows, field):
                features[row] = np.einsum("fyx,y,x->f", maps[:, *window], down, across).astype(np.float32)
        return np.stack([features[row] for row in range(len(rows))])

    def window_features(self, fields: Fields, number: int) -> NDArray[np.float32]:
        """Mean features of ``like_training.windows_of`` a field, shape ``(n_windows, n_features)``."""
        return self.features(fields, windows_of(fields, number, size=self.takes.patch_size))

    def maps(self, fields: Fields, numbers: Iterable[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Feature map of each field, averaged over the orientations, shape ``(n_features, height, width)`` in tiles."""
        ready(self.network, self.device)
        for number in numbers:
            if self._last and self._last[0][0] is fields and self._last[0][1] == number:
                yield number, self._last[0][2]
                continue
            kept = None if self.cache is None else self.cache / f"{number}.npy"
            if kept is not None and kept.is_file():
                yield number, np.load(kept)
                continue
            result = self._map(fields.field(number))
            self._last[:] = [(fields, number, result)]
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                aside = kept.with_name(f".{kept.name}")
                np.save(aside, result)
                aside.replace(kept)
            yield number, result

    def _map(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        def in_tiles(images: torch.Tensor) -> list[torch.Tensor]:
            height, width = (side // self.tile for side in images.shape[2:])
            return [resized(self.network.feature_map(images), (height, width))]

        (found,) = maps_of_field(
            in_tiles,
            pixels,
            takes=self.takes,
            orientations=self.orientations,
            multiple=MULTIPLE,
            device=self.device,
            precision=self.precision,
        )
        height, width = pixels.shape
        return found[:, : -(-height // self.tile), : -(-width // self.tile)]

    def _windows(
        self, rows: pd.DataFrame, field: int
    ) -> Iterator[tuple[int, tuple[slice, slice], tuple[NDArray[np.float64], NDArray[np.float64]]]]:
        """Of each row that lies in a field, its number, its tiles, and how much each row and column of them counts."""
        for row in np.flatnonzero(rows["field"].to_numpy() == field).tolist():
            (rows_of, down), (columns_of, across) = (
                tiles_of_patch(int(rows[axis].iloc[row]), size=self.takes.patch_size, tile=self.tile)
                for axis in ("y", "x")
            )
            yield row, (rows_of, columns_of), (down, across)


def maps_of_field(
    answer: Callable[[torch.Tensor], Sequence[torch.Tensor]],
    pixels: NDArray[np.uint8],
    *,
    takes: Input,
    orientations: int,
    multiple: int,
    device: torch.device,
    precision: str,
    reduction: int = 1,
) -> list[NDArray[np.float32]]:
    """What a network gives of a whole field, as it lies: arrays of shape ``(n_maps, height, width)``.

    Args:
        answer: Maps of normalised images, in one resolution or several.
        pixels: The field in 8 bits, shape ``(height, width)``. It is continued by reflection, to which maps belong too.
        takes: What the network takes.
        orientations: How many of the eight the answer is the mean of.
        multiple: Pixels that the sides are continued to a multiple of.
        device: Where it runs.
        precision: Lightning's word for what it computes in.
        reduction: Pixels along each side whose mean is one of the network's.

    Raises:
        ExceedsMemory: If the field needs more memory than the GPU has.
    """
    height, width = pixels.shape
    beyond = ((0, -height % multiple), (0, -width % multiple))
    padded = np.pad(pixels, beyond, mode="reflect")[None, None]

    @torch.inference_mode()
    def upright(together: Sequence[int]) -> list[list[torch.Tensor]]:
        turned = [image.rot90(turn % 4, (2, 3)) for turn in together]
        flipped = [one.flip(3) if turn >= 4 else one for turn, one in zip(together, turned, strict=True)]
        images = to_network_input(torch.cat(flipped), mean=takes.mean, std=takes.std)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            found = answer(images)
        return [[_upright(maps[[n]], turn).float() for maps in found] for n, turn in enumerate(together)]

    try:
        image = torch.from_numpy(padded).to(device)
        if reduction > 1:  # of one channel and once, where the network would do it of three in each orientation
            image = functional.avg_pool2d(image.float() / 255, reduction)
        works = (partial(upright, together) for together in _together(orientations, tuple(image.shape[2:]), device))
        found = chain.from_iterable(side_by_side(works, device=device))
        totals = next(found)
        with torch.inference_mode():
            for each in found:
                for total, maps in zip(totals, each, strict=True):
                    total += maps
            return [(total[0] / orientations).cpu().numpy() for total in totals]
    except torch.OutOfMemoryError as error:
        raise ExceedsMemory(
            f"a field of {width} x {height} px needs more memory than the GPU has", remedies=("--accelerator cpu",)
        ) from error


def _together(orientations: int, shape: tuple[int, ...], device: torch.device) -> list[list[int]]:
    """Orientations that pass at once: two of one shape on a processor, which reads its weights once for both.

    Of a large field that saves nothing and takes twice the memory; a graphics card has the weights in its memory.
    """
    if device.type != "cpu" or prod(shape) > _FEW_PIXELS:
        return [[turn] for turn in range(orientations)]
    pairs = ([turn, turn + 2] for turn in range(orientations) if turn % 4 < 2)
    return [[turn for turn in pair if turn < orientations] for pair in pairs]


def _upright(maps: torch.Tensor, turn: int) -> torch.Tensor:
    return (maps.flip(3) if turn >= 4 else maps).rot90(-(turn % 4), (2, 3))
