"""A frozen network's feature maps of whole fields, on a grid of cells, and the scores of patches cut from them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.nn import functional

from jimt.curation.store import FieldStore
from jimt.data.transforms import to_network_input
from jimt.models.classifier import LiveDeadClassifier

_MULTIPLE = 32  # pixels: the reduction of every backbone in use, so that maps of mirrored fields fit each other


@torch.inference_mode()
def feature_maps(
    classifier: LiveDeadClassifier,
    folder: Path,
    fields: Iterable[int],
    *,
    prediction: dict[str, Any],
    device: torch.device,
    cache: Path | None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Feature map of each field, averaged over the orientations, shape ``(n_features, height, width)`` in cells.

    Args:
        classifier: With a layer whose map is taken.
        folder: The curated data set.
        fields: Indices into its field store.
        prediction: What the checkpoint says an answer depends on; ``cell`` is the side of a cell, pixels.
        device: Where it runs.
        cache: Folder that keeps the maps, for the folds of a cross-validation; None to keep none.
    """
    store, cell = FieldStore(folder), int(prediction["cell"])
    classifier = classifier.eval().to(device, memory_format=torch.channels_last)
    mean, std = tuple(prediction["mean"]), tuple(prediction["std"])
    for field in fields:
        kept = None if cache is None else cache / f"{field}.npy"
        if kept is not None and kept.is_file():
            yield field, np.load(kept)
            continue
        pixels = store.field(field)
        height, width = pixels.shape
        beyond = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE))
        padded = torch.from_numpy(np.pad(pixels, beyond, mode="reflect"))[None, None].to(device)
        size = (padded.shape[2] // cell, padded.shape[3] // cell)
        total = torch.zeros((), device=device)
        for orientation in range(prediction["orientations"]):
            turned = padded.rot90(orientation % 4, (2, 3))
            turned = turned.flip(3) if orientation >= 4 else turned
            maps = classifier.feature_map(to_network_input(turned, mean=mean, std=std)).float()
            maps = maps.flip(3) if orientation >= 4 else maps
            total = total + _resized(maps.rot90(-(orientation % 4), (2, 3)), size)
        average = (total / prediction["orientations"])[0]
        result = average[:, : -(-height // cell), : -(-width // cell)].cpu().numpy()
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            aside = kept.with_name(f".{kept.name}")
            np.save(aside, result)
            aside.replace(kept)
        yield field, result


def _resized(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if maps.shape[2] > size[0]:
        return functional.adaptive_avg_pool2d(maps, size)
    return functional.interpolate(maps, size, mode="bilinear", align_corners=False)


def patch_logits_of_fields(
    classifier: LiveDeadClassifier,
    folder: Path,
    rows: pd.DataFrame,
    *,
    prediction: dict[str, Any],
    device: torch.device,
    cache: Path | None,
) -> NDArray[np.float32]:
    """Logits of patches, shape ``(n, 2)``: P(live) of a patch is the mean of its cells'.

    Arguments are those of ``scoring.patch_outputs``.
    """
    weight, bias = (value.detach().cpu().numpy() for value in classifier.linear.parameters())
    live = np.full(len(rows), np.nan)
    fields = np.unique(rows["field"]).tolist()
    for field, maps in feature_maps(classifier, folder, fields, prediction=prediction, device=device, cache=cache):
        margin = np.einsum("fyx,f->yx", maps, weight[1] - weight[0]) + (bias[1] - bias[0])
        cells = 1 / (1 + np.exp(-margin.astype(np.float64)))
        for row, window, (down, across) in _windows(rows, field, prediction):
            live[row] = down @ cells[window] @ across
    half = np.log(live / (1 - live)) / 2
    return np.stack([-half, half], axis=1).astype(np.float32)


def patch_features_of_fields(
    classifier: LiveDeadClassifier,
    folder: Path,
    rows: pd.DataFrame,
    *,
    prediction: dict[str, Any],
    device: torch.device,
) -> NDArray[np.float32]:
    """Mean features of the cells of patches, shape ``(n, n_features)``; arguments as in ``scoring.patch_outputs``."""
    features: dict[int, NDArray[np.float32]] = {}
    fields = np.unique(rows["field"]).tolist()
    for field, maps in feature_maps(classifier, folder, fields, prediction=prediction, device=device, cache=None):
        for row, window, (down, across) in _windows(rows, field, prediction):
            features[row] = np.einsum("fyx,y,x->f", maps[:, *window], down, across).astype(np.float32)
    return np.stack([features[row] for row in range(len(rows))])


def _windows(
    rows: pd.DataFrame, field: int, prediction: dict[str, Any]
) -> Iterator[tuple[int, tuple[slice, slice], tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Of each row that lies in a field, its number, its cells, and how much each row and column of them counts."""
    for row in np.flatnonzero(rows["field"].to_numpy() == field).tolist():
        along = [
            cells_of_patch(int(rows[axis].iloc[row]), size=prediction["patch_size"], cell=prediction["cell"])
            for axis in ("y", "x")
        ]
        yield row, (along[0][0], along[1][0]), (along[0][1], along[1][1])


def cells_of_patch(origin: int, *, size: int, cell: int) -> tuple[slice, NDArray[np.float64]]:
    """The cells that a patch lies on along one axis, and the share of the patch on each; a cell may be cut by its edge.

    >>> cells_of_patch(112, size=224, cell=32)[0]
    slice(3, 11, None)
    >>> (cells_of_patch(112, size=224, cell=32)[1] * 224).round().tolist()
    [16.0, 32.0, 32.0, 32.0, 32.0, 32.0, 32.0, 16.0]

    Args:
        origin: First pixel of the patch in its field.
        size: Its side, pixels.
        cell: Side of a cell, pixels.
    """
    first, end = origin // cell, -(-(origin + size) // cell)
    edges = np.clip(np.arange(first, end + 1) * cell, origin, origin + size)
    return slice(first, end), np.diff(edges) / size
