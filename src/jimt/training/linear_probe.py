"""The baseline to beat: logistic regression on a frozen network's features (``backbone.trainable=none``)."""

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from jimt.config.training import TrainConfig
from jimt.curation.manifest import Curated
from jimt.curation.tiles import fluorescence_cells
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.field_maps import feature_maps
from jimt.vocabulary import DEAD, LIVE, Split

_STEP = 2  # every second cell along y and x: neighbours are nearly the same
_MIN_VALID = 0.5  # share of a cell's pixels that are data


def set_linear(
    classifier: LiveDeadClassifier,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    c: float,
) -> None:
    """Set the classifier's linear layer to a logistic regression on standardised features.

    Args:
        classifier: Built with ``backbone.trainable=none``; changed in place.
        features: Of patches or cells, shape ``(n, n_features)``.
        labels: Live 1, dead 0, shape ``(n,)``.
        weights: How much each counts, likewise; see ``balanced_weights``.
        c: Inverse of the L2 penalty.
    """
    mean = np.average(features, axis=0, weights=weights)
    sd = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    sd[sd == 0] = 1  # a feature that is always the same
    regression = LogisticRegression(C=c, max_iter=5000)
    regression.fit((features - mean) / sd, labels, sample_weight=weights)
    weight = regression.coef_[0] / sd
    bias = float(regression.intercept_[0] - weight @ mean)
    linear = classifier.linear
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():  # softmax of the two is the logistic function of their difference
        linear.weight.copy_(torch.tensor(np.stack([-weight / 2, weight / 2])))
        linear.bias.copy_(torch.tensor([-bias / 2, bias / 2]))


def balanced_weights(
    labels: NDArray[np.int64], groups: NDArray[np.object_], *, balance_groups: bool
) -> NDArray[np.float64]:
    """Weights of mean 1 under which both classes count alike, as the sampler of fine-tuning draws them.

    Args:
        labels: Live 1, dead 0, shape ``(n,)``.
        groups: Group of each, likewise.
        balance_groups: A group counts as the square root of its size, before the classes are balanced.
    """
    weights = np.ones(len(labels))
    if balance_groups:
        _, of, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        weights /= np.sqrt(sizes[of])
    for label in (LIVE, DEAD):
        weights[labels == label] /= weights[labels == label].sum()
    return np.asarray(weights / weights.mean())


def cell_examples(
    classifier: LiveDeadClassifier, config: TrainConfig, curated: Curated, *, device: torch.device, cache: Path | None
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.object_]]:
    """Features, labels and groups of cells of the training fields.

    A cell is live below the middle of the two cut-offs; none is left out between them, since a patch between them is
    often one of live and dead cells side by side.

    Raises:
        InputError: If the fluorescence images are no longer there.
    """
    cell = config.probe.cell
    assert cell is not None
    rows = curated.manifest[curated.manifest["split"] == Split.TRAIN.value]
    fields = rows.drop_duplicates("field").set_index("field")
    cells = fluorescence_cells(config.dataset, config.curation, fields["raw_image_id"].tolist(), cell=cell)
    middle = (curated.thresholds["live_below"] + curated.thresholds["dead_above"]) / 2
    features, labels, groups = [], [], []
    maps = feature_maps(
        classifier,
        curated.folder,
        fields.index.tolist(),
        prediction=classifier.hparams["prediction"],
        device=device,
        cache=cache,
    )
    for field, feature_map in maps:
        of_field = cells[str(fields.loc[field, "raw_image_id"])]
        chosen = np.zeros(of_field.valid.shape, bool)
        chosen[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP] = True
        chosen &= of_field.valid > _MIN_VALID
        features.append(feature_map[:, chosen].T)
        labels.append(np.where(of_field.label_value[chosen] < middle, LIVE, DEAD))
        groups.append(np.full(int(chosen.sum()), str(fields.loc[field, "group"]), object))
    return np.concatenate(features), np.concatenate(labels).astype(np.int64), np.concatenate(groups)


def as_checkpoint(classifier: LiveDeadClassifier) -> dict[str, Any]:
    """What Lightning would write of a classifier that was set and not trained."""
    return {
        "pytorch-lightning_version": importlib.metadata.version("pytorch-lightning"),
        "epoch": 0,
        "state_dict": classifier.state_dict(),
        "hyper_parameters": dict(classifier.hparams),
    }
