"""Activation maps of tested patches, and where their PI is positive."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from jimt.curation.manifest import Curated
from jimt.curation.rereading import UNITS, configs_of, fluorescence_patches, value_in_unit
from jimt.interpretation.agreement import positive_pixels
from jimt.interpretation.grad_cam import SpatialLayer, class_maps, last_spatial_layer
from jimt.models.checkpoint import load_classifier
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.scoring import input_batches
from jimt.report.device import Device
from jimt.report.progress import part
from jimt.report.study import Model

SMOOTHING = 2.0
"""Standard deviation of the Gaussian that PI is smoothed with before it is called positive, pixels."""
_BATCH = 16


@dataclass(frozen=True)
class _Loaded:
    """A classifier, ready to be mapped."""

    classifier: LiveDeadClassifier
    prediction: dict[str, Any]
    provenance: dict[str, Any]
    layer: SpatialLayer
    device: torch.device

    def maps(
        self, folder: Path, rows: pd.DataFrame, labels: tuple[int, ...]
    ) -> Iterator[dict[int, NDArray[np.float32]]]:
        """Maps of some rows of the manifest, some at a time, by label, each of shape ``(n, size, size)``."""
        images = input_batches(folder, rows, prediction=self.prediction, device=self.device, batch_size=_BATCH)
        bfloat16 = self.provenance["precision"] == "bf16-mixed"
        return class_maps(self.classifier, self.layer, images, labels=labels, bfloat16=bfloat16)


def _load(model: Model, checkpoint: int, device: Device, copy: int | None) -> _Loaded:
    classifier, hyperparameters = load_classifier(model.checkpoints[checkpoint])
    prediction, provenance = hyperparameters["prediction"], hyperparameters["provenance"]
    if copy is not None:
        # not the training's own seed, which may have drawn the weights that a frozen random network was tested with
        sequence = np.random.SeedSequence([int(provenance["seed"]), checkpoint, 1 + copy])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(sequence.generate_state(1)[0]))
            classifier = LiveDeadClassifier(**hyperparameters).eval()
    there = device.of(provenance)
    classifier = classifier.to(there).to(memory_format=torch.channels_last)
    name = hyperparameters["layer"]
    if name is not None:
        layer = SpatialLayer(name, classifier.network.get_submodule(name), torch.Tensor.float)
    else:
        layer = last_spatial_layer(classifier.network, size=prediction["patch_size"], name=str(provenance["backbone"]))
    return _Loaded(classifier, prediction, provenance, layer, there)


def maps_of(
    model: Model, indices: NDArray[np.int64], device: Device, *, labels: tuple[int, ...], copy: int | None = None
) -> tuple[dict[int, NDArray[np.float16]], str]:
    """Maps of some tested patches, each by the model that was tested on it; and the layer's name.

    Args:
        model: Whose patches.
        indices: Into its scores.
        device: Where it runs.
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
        of = np.flatnonzero(chosen["checkpoint"].to_numpy() == checkpoint)
        loaded = _load(model, int(checkpoint), device, copy)
        layer = loaded.layer.name
        number = model.checkpoints[int(checkpoint)].parent.parent.name.removeprefix("fold_")
        of_all = f"({int(checkpoint) + 1} of {len(model.checkpoints)})"
        fold = f", fold {number} {of_all}" if model.is_crossval else ""
        weights = "" if copy is None else f", random weights {copy + 1}"
        done = 0
        with part(f"maps of {len(of):,} patches by {model.name}{fold}{weights}"):
            for batch in loaded.maps(curated.folder, chosen.iloc[of], labels):
                for label, maps in batch.items():
                    found[label][of[done : done + len(maps)]] = maps
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
        InputError: If there are no fluorescence images, or they are no longer there.
    """
    curated, rows = model.tested
    with part(f"PI of {len(indices):,} patches"):
        images = fluorescence_patches(curated, rows.iloc[indices], needed_by="PI beside activation maps")
    scale = configs_of(curated)[1].label.scale
    cut = value_in_unit(curated.thresholds["dead_above"], scale=scale)
    return Dye(images, positive_pixels(images, least=cut, smoothing=SMOOTHING), UNITS[scale])


def positive_in_words(curated: Curated) -> str:
    """When a pixel of PI counts as positive."""
    scale = curated.thresholds["scale"]
    cut = value_in_unit(curated.thresholds["dead_above"], scale=scale)
    return (
        f"above Otsu's threshold of the patch, and above {cut:.4g} {UNITS[scale]} (the cut-off for dead), smoothed "
        f"over {SMOOTHING:g} px"
    )
