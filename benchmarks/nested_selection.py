"""How honest the AUC of ``experiment=frozen_tiles`` on ``mcf7`` is: its choices made where the test fold is not seen.

Layer, penalty and the way tiles are averaged are chosen on three inner folds of whole experiments, anew for each of the
five outer folds. Beside it the settings of ``experiment=frozen_tiles``, these with one thing changed, and the same on
other partitions of the experiments. Overrides of a cross-validation may follow, such as backbone.weights=FILE:

    python benchmarks/nested_selection.py

Expected, pooled AUC of 290 live and 230 dead patches of 19 experiments (float32, 23 minutes on two busy cores; the
third decimal differs between processors):

    experiment=frozen_tiles              0.919
    the mean of a patch's logits         0.916
    layer3.1 in place of layer4.0        0.891
    layer4.1 in place of layer4.0        0.877
    experiments weighted by their size   0.921
    another partition, seed 1            0.934
    another partition, seed 2            0.927
    chosen on inner folds                0.919
      fold 0: layer4.0, 0.007, probabilities
      fold 1: layer4.0, 0.0007, probabilities
      fold 2: layer4.0, 0.0007, logits
      fold 3: layer4.0, 0.007, probabilities
      fold 4: layer4.0, 0.007, probabilities
"""

import argparse
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from jimt.config.hydra_schema import to_dataclasses
from jimt.config.own_configs import CONF
from jimt.config.search import CrossvalConfig
from jimt.curation.manifest import Curated, open_curated
from jimt.data.preparation import prepare
from jimt.models.checkpoint import Input
from jimt.models.mapwise import MapPredictor
from jimt.models.network import LiveDeadNetwork
from jimt.networks.backbones import load_weights, normalisation
from jimt.training.linear_probe import balanced_weights, set_linear, tile_examples

LAYERS = ("layer3.1", "layer4.0", "layer4.1")
PENALTIES = (7e-5, 7e-4, 7e-3)  # probe.c
AVERAGES = ("probabilities", "logits")
LAYER, C, MEAN = "layer4.0", 7e-4, "probabilities"  # experiment=frozen_tiles


@dataclass(frozen=True)
class Features:
    """Of one layer: every second tile with its label, to train on; and the tiles of each patch, to score."""

    network: LiveDeadNetwork
    tiles: NDArray[np.float32]
    labels: NDArray[np.int64]
    groups: NDArray[np.object_]
    patches: list[NDArray[np.float32]]
    """Shape ``(n_features, n_tiles)`` each, in the order of the manifest's used rows."""


def features_of(layer: str, config: CrossvalConfig, curated: Curated, folder: Path) -> Features:
    """Run the frozen network over every field once."""
    network = LiveDeadNetwork(config.backbone.name, head="linear", layer=layer)
    load_weights(network.network, config.backbone.name, config.backbone.weights)
    mean, std = normalisation(config.backbone.name)
    takes = Input(config.curation.patches.size, {}, config.dataset.bit_depth, 0, mean, std, None)
    tile, orientations = config.probe.tile, config.evaluation.orientations
    scorer = MapPredictor(network, takes, orientations, tile, torch.device("cpu"), "32-true", folder / layer)
    rows = curated.manifest[used(curated)]
    tiles, labels, groups = tile_examples(scorer, curated, rows)
    maps = dict(scorer.maps(curated.store, rows["field"].unique().tolist()))
    side = config.curation.patches.size // tile
    patches = []
    for row in rows.itertuples():
        field = maps[row.field]
        y, x = min(row.y // tile, field.shape[1] - side), min(row.x // tile, field.shape[2] - side)
        patches.append(field[:, y : y + side, x : x + side].reshape(len(field), -1))
    return Features(network, tiles, labels, groups, patches)


def used(curated: Curated) -> NDArray[np.bool_]:
    """Which patches of the manifest are labelled and in no way left out."""
    return curated.manifest["split"].notna().to_numpy()


def scored(
    features: Features, rows: NDArray[np.int_], trained_on: set[str], c: float, *, even: bool
) -> dict[str, NDArray[np.float64]]:
    """P(live) of patches by a regression on the tiles of some experiments, for each way to average a patch's tiles."""
    train = np.isin(features.groups.astype(str), list(trained_on))
    labels = features.labels[train]
    weights = balanced_weights(labels, features.groups[train], balance_groups=even)
    set_linear(features.network, features.tiles[train], labels, weights, c=c)
    weight, bias = (value.detach().numpy() for value in features.network.linear.parameters())
    margins = [(weight[1] - weight[0]) @ features.patches[row] + bias[1] - bias[0] for row in rows]
    return {
        "probabilities": np.array([expit(margin).mean() for margin in margins]),
        "logits": np.array([expit(margin.mean()) for margin in margins]),
    }


class Study:
    """The patches that are used, their experiments, and the features of each layer."""

    def __init__(self, curated: Curated, features: dict[str, Features]) -> None:
        rows = curated.manifest[used(curated)]
        self.labels, self.groups = rows["label"].to_numpy(int), rows["group"].to_numpy(str)
        self.everything = np.arange(len(rows))
        self.features = features

    def aucs(
        self, rows: NDArray[np.int_], layer: str, c: float, folds: GroupKFold, *, even: bool = True
    ) -> dict[str, float]:
        """Pooled AUC of some patches, each scored by a regression on other experiments among them."""
        scores = {average: np.empty(len(rows)) for average in AVERAGES}
        for train, test in folds.split(rows, groups=self.groups[rows]):
            trained_on = set(self.groups[rows[train]])
            found = scored(self.features[layer], rows[test], trained_on, c, even=even)
            for average in AVERAGES:
                scores[average][test] = found[average]
        return {average: float(roc_auc_score(self.labels[rows], scores[average])) for average in AVERAGES}

    def nested(self) -> tuple[float, list[tuple[str, float, str]]]:
        """Pooled AUC where each outer fold's setting is the best of its inner folds; and these settings."""
        scores, chosen = np.empty(len(self.labels)), []
        for train, test in GroupKFold(5).split(self.everything, groups=self.groups):
            inner = {
                (layer, c, average): auc
                for layer, c in product(self.features, PENALTIES)
                for average, auc in self.aucs(train, layer, c, GroupKFold(3)).items()
            }
            layer, c, average = best = max(inner, key=inner.__getitem__)
            chosen.append(best)
            scores[test] = scored(self.features[layer], test, set(self.groups[train]), c, even=True)[average]
        return float(roc_auc_score(self.labels, scores)), chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--layers", nargs="+", default=list(LAYERS), help="fewer, for a quick try")
    options = parser.parse_args()
    asked = ["experiment=frozen_tiles", "curation.empty_filter.enabled=false", *options.overrides, "run_dir=none"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = to_dataclasses(compose("crossval", overrides=asked))
    curated = open_curated(prepare(config.dataset, config.curation))
    with tempfile.TemporaryDirectory() as folder:
        study = Study(curated, {layer: features_of(layer, config, curated, Path(folder)) for layer in options.layers})
    folds = GroupKFold(5)
    best = study.aucs(study.everything, LAYER, C, folds)
    print(f"experiment=frozen_tiles              {best[MEAN]:.3f}")
    print(f"the mean of a patch's logits         {best['logits']:.3f}")
    for layer in options.layers:
        if layer != LAYER:
            print(f"{layer} in place of {LAYER}        {study.aucs(study.everything, layer, C, folds)[MEAN]:.3f}")
    uneven = study.aucs(study.everything, LAYER, C, folds, even=False)
    print(f"experiments weighted by their size   {uneven[MEAN]:.3f}")
    for seed in (1, 2):
        random = GroupKFold(5, shuffle=True, random_state=seed)
        print(f"another partition, seed {seed}            {study.aucs(study.everything, LAYER, C, random)[MEAN]:.3f}")
    auc, chosen = study.nested()
    print(f"chosen on inner folds                {auc:.3f}")
    for fold, setting in enumerate(chosen):
        print(f"  fold {fold}: " + ", ".join(map(str, setting)))


if __name__ == "__main__":
    main()
