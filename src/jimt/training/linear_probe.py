"""The baseline to beat: logistic regression on a frozen network's features (``method=linear_probe``)."""

from typing import cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from jimt.curation.field_fluorescence import fluorescence_tiles
from jimt.curation.manifest import Curated
from jimt.models.mapwise import MapPredictor
from jimt.models.network import LiveDeadNetwork
from jimt.system.files import digest_of
from jimt.training.settled import Training, scorer_for
from jimt.vocabulary import DEAD, LIVE, Split

_STEP = 2  # every second tile along y and x: neighbours are nearly the same
_MIN_VALID = 0.5  # share of a tile's pixels that are data


def fit(training: Training, network: LiveDeadNetwork, curated: Curated) -> int:
    """Set the linear layer to a logistic regression on frozen features of the training patches or tiles.

    Args:
        training: What was asked and settled.
        network: With a linear head, which is set in place.
        curated: The data set, with the split to train on.

    Returns:
        0: no epoch was trained.
    """
    probe = training.config.probe
    assert probe is not None
    rows = curated.manifest[curated.manifest["split"] == Split.TRAIN.value]
    if probe.tile is None:
        features = _patch_features(training, network, curated, rows)
        labels = rows["label"].to_numpy(np.int64)
        groups = rows["group"].fillna(rows["raw_image_id"]).to_numpy(object)
    else:
        features, labels, groups = tile_examples(cast(MapPredictor, scorer_for(training, network)), curated, rows)
    weights = balanced_weights(labels, groups, balance_groups=probe.balance_groups)
    set_linear(network.cpu(), features, labels, weights, c=probe.c)
    return 0


def set_linear(
    network: LiveDeadNetwork,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64],
    *,
    c: float,
) -> None:
    """Set the linear layer to a logistic regression on standardised features.

    Args:
        network: With a linear head; changed in place.
        features: Of patches or tiles, shape ``(n, n_features)``.
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
    linear = network.linear
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():  # softmax of the two is the logistic function of their difference
        linear.weight.copy_(torch.tensor(np.stack([-weight / 2, weight / 2])))
        linear.bias.copy_(torch.tensor([-bias / 2, bias / 2]))


def balanced_weights(
    labels: NDArray[np.int64], groups: NDArray[np.object_], *, balance_groups: bool
) -> NDArray[np.float64]:
    """Weights of mean 1 under which both classes count alike, as the sampler of fine-tuning draws them.

    >>> balanced_weights(np.array([1, 1, 1, 0]), np.array(list("aabb"), object), balance_groups=False).round(3).tolist()
    [0.667, 0.667, 0.667, 2.0]

    Args:
        labels: Live 1, dead 0, shape ``(n,)``.
        groups: Group of each, likewise.
        balance_groups: A group counts as the square root of its size, before the classes are balanced.
    """
    weights = np.ones(len(labels))
    if balance_groups:
        _, group_numbers, sizes = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
        weights /= np.sqrt(sizes[group_numbers])
    for label in (LIVE, DEAD):
        weights[labels == label] /= weights[labels == label].sum()
    return np.asarray(weights / weights.mean())


def tile_examples(
    scorer: MapPredictor, curated: Curated, rows: pd.DataFrame
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.object_]]:
    """Features, labels and groups of tiles of the fields that some rows of the manifest lie in.

    A tile is live below the middle of the two thresholds; none is left out between them, since a patch between them is
    often one of live and dead cells side by side.

    Args:
        scorer: Gives the feature maps.
        curated: The data set.
        rows: Of its manifest.
    """
    fields = rows.drop_duplicates("field").set_index("field")
    measured = fluorescence_tiles(curated, fields.index.tolist(), tile=scorer.tile)
    middle = (curated.thresholds["live_below"] + curated.thresholds["dead_above"]) / 2
    features, labels, groups = [], [], []
    for field, feature_map in scorer.maps(curated.store, fields.index.tolist()):
        tiles = measured[field]
        chosen = np.zeros(tiles.valid.shape, bool)
        chosen[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP] = True
        chosen &= tiles.valid > _MIN_VALID
        features.append(feature_map[:, chosen].T)
        labels.append(np.where(tiles.label_value[chosen] < middle, LIVE, DEAD))
        groups.append(np.full(int(chosen.sum()), str(fields.loc[field, "group"]), object))
    return np.concatenate(features), np.concatenate(labels).astype(np.int64), np.concatenate(groups)


def _patch_features(
    training: Training, network: LiveDeadNetwork, curated: Curated, rows: pd.DataFrame
) -> NDArray[np.float32]:
    """Pooled features of some patches; the folds of a cross-validation share those of all patches."""
    scorer = scorer_for(training, network)
    if training.fold is None:
        return scorer.features(curated.store, rows)
    used = curated.manifest[curated.manifest["split"].notna()]
    keys = ("backbone.name", "weights", "probe.layer", "seed", "curation", "evaluation.orientations", "jimt version")
    depends_on = digest_of([*(training.settings[key] for key in keys), training.precision])
    cache = training.folder.parent / "features.npz"
    features = None
    if cache.is_file():
        with np.load(cache) as cached:
            if str(cached["depends_on"]) == depends_on:
                features = cached["features"]
    if features is None:
        features = scorer.features(curated.store, used)
        aside = cache.with_name(f".{cache.name}")
        np.savez(aside, features=features, depends_on=depends_on)
        aside.replace(cache)
    return np.asarray(features[np.searchsorted(used.index, rows.index)])
