"""Activation maps of tested patches, and where their PI is positive."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from jimt.curation.field_fluorescence import UNITS, fluorescence_patches, value_in_unit
from jimt.curation.manifest import Curated
from jimt.curation.store import FieldStore
from jimt.interpretation.agreement import positive_pixels
from jimt.interpretation.grad_cam import SpatialLayer, class_maps, last_spatial_layer
from jimt.models.network import LiveDeadNetwork
from jimt.models.patchwise import input_batches
from jimt.models.predictor import Predictor
from jimt.report.progress import part
from jimt.report.study import Model

SMOOTHING = 2.0
"""Standard deviation of the Gaussian that PI is smoothed with before it is called positive, pixels."""
_BATCH = 16


@dataclass(frozen=True)
class _Mapped:
    """A network whose activation is mapped, with its trained weights or random ones."""

    predictor: Predictor
    network: LiveDeadNetwork
    layer: SpatialLayer

    def maps(
        self, store: FieldStore, rows: pd.DataFrame, labels: tuple[int, ...]
    ) -> Iterator[dict[int, NDArray[np.float32]]]:
        """Maps of some rows of the manifest, some at a time, by label, each of shape ``(n, size, size)``."""
        model = self.predictor.checkpoint
        images = input_batches(store, rows, takes=model.input, device=self.predictor.device, batch_size=_BATCH)
        bfloat16 = model.record.precision == "bf16-mixed"
        return class_maps(self.network, self.layer, images, labels=labels, bfloat16=bfloat16)


def _mapped(model: Model, number: int, copy: int | None) -> _Mapped:
    predictor = model.predictor(number)
    checkpoint, network = predictor.checkpoint, predictor.network
    if copy is not None:
        # not the training's own seed, which may have drawn the weights that a frozen random network was tested with
        sequence = np.random.SeedSequence([checkpoint.record.seed, number, 1 + copy])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(sequence.generate_state(1)[0]))
            network = checkpoint.network.build().eval()
    network = network.to(predictor.device).to(memory_format=torch.channels_last)
    name = checkpoint.network.layer
    if name is not None:
        layer = SpatialLayer(name, network.network.get_submodule(name), torch.Tensor.float)
    else:
        layer = last_spatial_layer(network.network, size=checkpoint.input.patch_size, name=checkpoint.network.name)
    return _Mapped(predictor, network, layer)


def maps_of(
    model: Model, indices: NDArray[np.int64], *, labels: tuple[int, ...], copy: int | None = None
) -> tuple[dict[int, NDArray[np.float16]], str]:
    """Maps of some tested patches, each by the model that was tested on it; and the layer's name.

    Args:
        model: Whose patches.
        indices: Into its scores.
        labels: Whose logits are mapped.
        copy: None for the trained weights, else the number of a copy of the network with random ones.

    Raises:
        InputError: If the network has no layer with positions, or the data set is absent.
    """
    curated, rows = model.tested
    chosen = rows.iloc[indices]
    size = int(curated.summary["patch_size"])
    found = {label: np.empty((len(indices), size, size), np.float16) for label in labels}  # half the memory
    layer = ""
    for checkpoint in np.unique(chosen["checkpoint"]):
        numbers = np.flatnonzero(chosen["checkpoint"].to_numpy() == checkpoint)
        loaded = _mapped(model, int(checkpoint), copy)
        layer = loaded.layer.name
        number = model.checkpoints[int(checkpoint)].parent.parent.name.removeprefix("fold_")
        of_all = f"({int(checkpoint) + 1} of {len(model.checkpoints)})"
        fold = f", fold {number} {of_all}" if model.is_crossval else ""
        weights = "" if copy is None else f", random weights {copy + 1}"
        done = 0
        with part(f"maps of {len(numbers):,} patches by {model.name}{fold}{weights}"):
            for batch in loaded.maps(curated.store, chosen.iloc[numbers], labels):
                for label, maps in batch.items():
                    found[label][numbers[done : done + len(maps)]] = maps
                done += len(batch[labels[0]])
    return found, layer


@dataclass(frozen=True)
class Dye:
    """PI of some patches in a unit, NaN where there is no data, and where it is positive; of ``(n, size, size)``."""

    images: NDArray[np.float32]
    positive: NDArray[np.bool_]
    unit: str


def dye_of(model: Model, indices: NDArray[np.int64]) -> Dye:
    """PI of tested patches.

    Raises:
        InputError: If the data set holds published patches, which have no fluorescence.
    """
    curated, rows = model.tested
    with part(f"PI of {len(indices):,} patches"):
        images = fluorescence_patches(curated, rows.iloc[indices])
    scale = curated.thresholds["scale"]
    threshold = value_in_unit(curated.thresholds["dead_above"], scale=scale)
    return Dye(images, positive_pixels(images, least=threshold, smoothing=SMOOTHING), UNITS[scale])


def positive_in_words(curated: Curated) -> str:
    """When a pixel of PI counts as positive."""
    scale = curated.thresholds["scale"]
    threshold = value_in_unit(curated.thresholds["dead_above"], scale=scale)
    return (
        f"above Otsu's threshold of the patch, and above {threshold:.4g} {UNITS[scale]} (the threshold of dead), "
        f"smoothed over {SMOOTHING:g} px"
    )
