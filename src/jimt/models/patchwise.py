"""Patches scored one by one, each exactly once for each orientation, on one device."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from jimt.curation.store import cut_patches, places_of
from jimt.data.fields import Fields
from jimt.data.transforms import orient
from jimt.models.checkpoint import Input
from jimt.models.devices import ExceedsMemory, ready
from jimt.models.like_training import windows_of
from jimt.models.network import LiveDeadNetwork
from jimt.networks.network_input import to_network_input
from jimt.networks.side_by_side import at_once, side_by_side

_PLACE = ["field", "y", "x"]


@dataclass(frozen=True)
class PatchPredictor:
    """Scores patches one by one.

    Attributes:
        network: Its weights loaded.
        takes: What it takes.
        orientations: How many of the eight an answer is the mean of.
        device: Where it runs.
        precision: Lightning's word for what it computes in.
        batch_size: Patches at once.
    """

    network: LiveDeadNetwork
    takes: Input
    orientations: int
    device: torch.device
    precision: str
    batch_size: int
    _seen: list[tuple[Fields, pd.MultiIndex, NDArray[np.float32]]] = dataclasses.field(
        default_factory=list, init=False, repr=False, compare=False
    )
    """Places and features of the patches of the field that was scored last."""

    def logits(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Logits of patches, shape ``(n, 2)``, averaged over the orientations; as ``Predictor.logits``."""
        return self._outputs(self.network, fields, rows)

    def features(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """Pooled features of patches, shape ``(n, n_features)``, likewise."""
        return self._outputs(self.network.pooled_features, fields, rows)

    def logits_of_field(self, fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        """As ``logits``, of patches of one field, whose features are kept for ``window_features``."""

        def both(images: Tensor) -> Tensor:
            return torch.cat([part.float() for part in self.network.logits_and_features(images)], dim=1)

        found = self._outputs(both, fields, rows)
        self._seen[:] = [(fields, pd.MultiIndex.from_frame(rows[_PLACE]), found[:, 2:])]
        return found[:, :2]

    def window_features(self, fields: Fields, number: int) -> NDArray[np.float32]:
        """Pooled features of ``like_training.windows_of`` a field, shape ``(n_windows, n_features)``."""
        windows = windows_of(fields, number, size=self.takes.patch_size)
        for seen, places, features in self._seen:
            found = places.get_indexer(pd.MultiIndex.from_frame(windows[_PLACE]))
            if seen is fields and (found >= 0).all():
                return features[found]
        return self.features(fields, windows)

    def _outputs(self, answer: Callable[[Tensor], Tensor], fields: Fields, rows: pd.DataFrame) -> NDArray[np.float32]:
        ready(self.network, self.device)
        together = at_once(len(rows), batch_size=self.batch_size, device=self.device)
        batches = _batches(fields, rows, size=self.takes.patch_size, batch_size=together)
        try:
            works = (partial(self._mean_over_orientations, answer, patches) for patches in batches)
            found = list(side_by_side(works, device=self.device))
        except torch.OutOfMemoryError as error:
            raise ExceedsMemory(
                f"{min(together, len(rows))} patches at once need more memory than the GPU has",
                remedies=("--accelerator cpu",),
            ) from error
        return np.concatenate(found)

    @torch.inference_mode()
    def _mean_over_orientations(self, answer: Callable[[Tensor], Tensor], grey: Tensor) -> NDArray[np.float32]:
        patches = grey.to(self.device)
        total = torch.zeros((), device=self.device)
        for orientation in range(self.orientations):
            turned = orient(patches, torch.full((len(patches),), orientation, device=self.device))
            images = to_network_input(turned, mean=self.takes.mean, std=self.takes.std)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16-mixed"):
                total = total + answer(images).float()
        return (total / self.orientations).cpu().numpy()


def _batches(fields: Fields, rows: pd.DataFrame, *, size: int, batch_size: int) -> Iterator[Tensor]:
    """Grey patches of rows, in their order, uint8, shape ``(n, 1, size, size)``."""
    places = places_of(rows)
    for start in range(0, len(rows), batch_size):
        yield torch.from_numpy(cut_patches(fields.field, places[start : start + batch_size], size=size)).unsqueeze(1)


def input_batches(
    fields: Fields, rows: pd.DataFrame, *, takes: Input, device: torch.device, batch_size: int
) -> Iterator[Tensor]:
    """Patches as a network takes them, upright, ``batch_size`` at a time, shape ``(n, 3, size, size)``."""
    for patches in _batches(fields, rows, size=takes.patch_size, batch_size=batch_size):
        yield to_network_input(patches.to(device), mean=takes.mean, std=takes.std)
