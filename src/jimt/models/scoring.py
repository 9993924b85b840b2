"""Outputs of patches: a classifier, rows of a manifest, one device, each patch exactly once for each orientation."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jimt.data.dataset import PatchDataset, evaluation_loader
from jimt.data.transforms import orient, to_network_input
from jimt.errors import InputError
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.field_maps import patch_features_of_fields, patch_logits_of_fields
from jimt.system.hardware import check_gpus
from jimt.system.memory import keep_freed_memory


def evaluation_device(accelerator: str, *, index: int, precision: str) -> torch.device:
    """The one device that patches are scored on.

    Raises:
        InputError: If there is no such card, or torch cannot use it.
    """
    if accelerator == "cpu":
        keep_freed_memory()
        return torch.device("cpu")
    try:
        check_gpus(devices=index + 1, precision=precision, compile_network=False)
    except InputError as error:  # what scores a finished training takes flags, and no overrides
        raise InputError(error.cause, remedies=("--accelerator cpu",)) from error
    return torch.device("cuda", index)


@torch.inference_mode()
def patch_outputs(
    classifier: nn.Module,
    folder: Path,
    rows: pd.DataFrame,
    *,
    prediction: dict[str, Any],
    device: torch.device,
    precision: str,
    batch_size: int,
    cache: Path | None = None,
) -> NDArray[np.float32]:
    """Logits, or what else a classifier gives, of patches, shape ``(n, 2)``, averaged over the orientations.

    Args:
        classifier: In evaluation mode.
        folder: The curated data set.
        rows: Rows of its manifest, at least one; the outputs are in their order.
        prediction: What the checkpoint says an answer depends on; its ``orientations`` is 1 or 8.
        device: Where it runs.
        precision: Lightning's word for it.
        batch_size: Patches at once.
        cache: Folder that keeps the feature maps of whole fields, where those are taken.
    """
    if prediction["cell"] is not None and isinstance(classifier, LiveDeadClassifier):
        return patch_logits_of_fields(classifier, folder, rows, prediction=prediction, device=device, cache=cache)
    bfloat16 = precision == "bf16-mixed"
    classifier = classifier.to(device).to(memory_format=torch.channels_last)
    dataset = PatchDataset(folder, rows, size=prediction["patch_size"])
    outputs: list[NDArray[np.float32]] = []
    mean, std = tuple(prediction["mean"]), tuple(prediction["std"])
    for batch in evaluation_loader(dataset, batch_size=batch_size, num_workers=0):
        patches = batch.patches.to(device)
        total = torch.zeros((), device=device)
        for orientation in range(prediction["orientations"]):
            images = orient(patches, torch.full((len(patches),), orientation, device=device))
            with torch.autocast(device.type, torch.bfloat16) if bfloat16 else contextlib.nullcontext():
                total = total + classifier(to_network_input(images, mean=mean, std=std)).float()
        outputs.append((total / prediction["orientations"]).cpu().numpy())
    return np.concatenate(outputs)


class _PooledFeatures(nn.Module):
    """Gives the pooled features of a classifier in place of its logits."""

    def __init__(self, classifier: LiveDeadClassifier) -> None:
        super().__init__()
        self._classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self._classifier.pooled_features(images)


def patch_features(
    classifier: LiveDeadClassifier,
    folder: Path,
    rows: pd.DataFrame,
    *,
    prediction: dict[str, Any],
    device: torch.device,
    precision: str,
    batch_size: int,
) -> NDArray[np.float32]:
    """Pooled features before the last linear layer, shape ``(n, n_features)``; arguments as in ``patch_outputs``."""
    if prediction["cell"] is not None:
        return patch_features_of_fields(classifier, folder, rows, prediction=prediction, device=device)
    return patch_outputs(
        _PooledFeatures(classifier).eval(),
        folder,
        rows,
        prediction=prediction,
        device=device,
        precision=precision,
        batch_size=batch_size,
    )


def input_batches(
    folder: Path, rows: pd.DataFrame, *, prediction: dict[str, Any], device: torch.device, batch_size: int
) -> Iterator[Tensor]:
    """Patches as a network takes them, upright, ``batch_size`` at a time, shape ``(n, 3, size, size)``."""
    dataset = PatchDataset(folder, rows, size=prediction["patch_size"])
    mean, std = tuple(prediction["mean"]), tuple(prediction["std"])
    for batch in evaluation_loader(dataset, batch_size=batch_size, num_workers=0):
        yield to_network_input(batch.patches.to(device), mean=mean, std=std)
