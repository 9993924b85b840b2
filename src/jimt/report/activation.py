"""Activation maps of tested patches, and where their PI is positive."""

import threading
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import torch
from numpy.typing import NDArray

from jimt.curation.field_fluorescence import UNITS, fluorescence_patches, threshold_in_unit
from jimt.curation.manifest import Curated
from jimt.errors import InputError
from jimt.interpretation.agreement import positive_pixels
from jimt.interpretation.grad_cam import SpatialLayer, class_maps, last_spatial_layer
from jimt.models.checkpoint import Checkpoint
from jimt.models.network import LiveDeadNetwork
from jimt.models.patchwise import input_batches
from jimt.models.stain_network import StainNetwork
from jimt.report.progress import part
from jimt.report.study import Model
from jimt.system.hardware import bfloat16_instructions

SMOOTHING = 2.0
"""Standard deviation of the Gaussian that PI is smoothed with before it is called positive, pixels."""
_BATCH = 16
_DRAWS: Final = threading.Lock()  # the generator of torch is one for all threads


def _network(model: Model, number: int, copy: int | None) -> LiveDeadNetwork:
    """The network of a checkpoint with its trained weights, or a copy of it with random ones."""
    predictor = model.predictor(number)
    network = predictor.network
    if isinstance(network, StainNetwork):
        raise InputError("a network that predicts maps of the stain has no single answer whose origin could be mapped")
    if copy is not None:
        # not the training's own seed, which may have drawn the weights that a frozen random network was tested with
        sequence = np.random.SeedSequence([predictor.checkpoint.record.seed, number, 1 + copy])
        with _DRAWS, torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(sequence.generate_state(1)[0]))
            network = cast(LiveDeadNetwork, predictor.checkpoint.network.build().eval())
    return network.to(predictor.device).to(memory_format=torch.channels_last)


def _layer(checkpoint: Checkpoint, network: LiveDeadNetwork) -> SpatialLayer:
    name = checkpoint.network.layer
    if name is not None:
        return SpatialLayer(name, network.network.get_submodule(name), torch.Tensor.float)
    return last_spatial_layer(network.network, size=checkpoint.input.patch_size, name=checkpoint.network.name)


def maps_of(
    model: Model, indices: NDArray[np.int64], *, labels: tuple[int, ...], copy: int | None = None, quickly: bool = False
) -> tuple[dict[int, NDArray[np.float16]], str]:
    """Maps of some tested patches, each by the model that was tested on it; and the layer's name.

    Args:
        model: Whose patches.
        indices: Into its scores.
        labels: Whose logits are mapped.
        copy: None for the trained weights, else the number of a copy of the network with random ones.
        quickly: In bfloat16 also where patches were scored in float32, if the processor has instructions for it.

    Raises:
        InputError: If the network has no layer with positions, or the data set is absent.
    """
    curated, rows = model.tested
    chosen = rows.iloc[indices]
    size = int(curated.summary["patch_size"])
    found = {label: np.empty((len(indices), size, size), np.float16) for label in labels}  # half the memory
    for checkpoint in np.unique(chosen["checkpoint"]):
        numbers = np.flatnonzero(chosen["checkpoint"].to_numpy() == checkpoint)
        predictor, network = model.predictor(int(checkpoint)), _network(model, int(checkpoint), copy)
        layer = _layer(predictor.checkpoint, network)
        images = input_batches(
            curated.store,
            chosen.iloc[numbers],
            takes=predictor.checkpoint.input,
            device=predictor.device,
            batch_size=_BATCH,
        )
        is_quicker = quickly and predictor.device.type == "cpu" and bfloat16_instructions() is not None
        bfloat16 = is_quicker or predictor.checkpoint.record.precision == "bf16-mixed"
        number = model.checkpoints[int(checkpoint)].parent.parent.name.removeprefix("fold_")
        fold = f", fold {number} ({int(checkpoint) + 1} of {len(model.checkpoints)})" if model.is_crossval else ""
        weights = "" if copy is None else f", random weights {copy + 1}"
        done = 0
        with part(f"maps of {len(numbers):,} patches by {model.name}{fold}{weights}"):
            for batch in class_maps(network, layer, images, labels=labels, bfloat16=bfloat16):
                for label, maps in batch.items():
                    found[label][numbers[done : done + len(maps)]] = maps
                done += len(batch[labels[0]])
    return found, layer.name


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
    threshold = threshold_in_unit(curated.thresholds, "dead_above")
    return Dye(images, positive_pixels(images, least=threshold, smoothing=SMOOTHING), UNITS[scale])


def positive_in_words(curated: Curated) -> str:
    """When a pixel of PI counts as positive."""
    scale = curated.thresholds["scale"]
    threshold = threshold_in_unit(curated.thresholds, "dead_above")
    return (
        f"above Otsu's threshold of the patch, and above {threshold:.4g} {UNITS[scale]} (the threshold of dead), "
        f"smoothed over {SMOOTHING:g} px"
    )
