import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import composed_train
from jimt.config.search import CrossvalConfig
from jimt.curation.manifest import open_curated
from jimt.models.checkpoint import Input
from jimt.models.mapwise import MapPredictor, tiles_of_patch
from jimt.models.predictor import open_predictor
from jimt.training.run import train

TILES = [
    "backbone.name=test_resnet.r160_in1k",
    "backbone.weights=random",
    "method=linear_probe",
    "probe=tiles",
    "probe.layer=layer3",
    "curation.split.val=4",
    "curation.split.test=4",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
]


@pytest.fixture
def run(small, train_config, tmp_path):
    metrics = train(train_config(*small, *TILES))
    return tmp_path / "run", metrics


def test_tiles_labelled_by_their_own_fluorescence_tell_patches_apart(run):
    folder, metrics = run
    assert metrics["metrics"]["auroc"]["value"] > 0.9  # speckle against none: even a random network sees it
    scores = pd.read_csv(folder / "test_scores.csv")
    assert scores["score"].between(0, 1).all()


def test_a_patchs_score_is_the_mean_over_its_tiles_of_the_field(run):
    folder, _ = run
    predictor = open_predictor(folder)
    takes, network = predictor.checkpoint.input, predictor.network
    curated = open_curated(next((folder.parent / "data/curated").iterdir()))
    row = pd.read_csv(folder / "test_scores_with_ambiguous.csv").iloc[7]
    field = int(curated.manifest.loc[curated.manifest["raw_image_id"] == row.raw_image_id, "field"].iloc[0])
    pixels = curated.store.field(field) / 255  # 160 x 192: both multiples of 32
    image = np.stack([(pixels - m) / s for m, s in zip(takes.mean, takes.std, strict=True)])
    caught = {}
    network.network.layer3.register_forward_hook(lambda _m, _i, o: caught.update(map=o))
    with torch.no_grad():
        network.network(torch.tensor(image[None], dtype=torch.float32))
        grid = torch.nn.functional.interpolate(caught["map"], (10, 12), mode="bilinear", align_corners=False)
        if caught["map"].shape[2] > 10:
            grid = torch.nn.functional.adaptive_avg_pool2d(caught["map"], (10, 12))
        live = network.linear(grid.permute(0, 2, 3, 1)).softmax(-1)[0, :, :, 1]
    y, x = round(row.y / 16), round(row.x / 16)
    live = live[y : y + 4, x : x + 4].mean().item()
    margin = np.log(live / (1 - live)) / predictor.checkpoint.output.temperature
    assert row.score == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-4)


@pytest.mark.parametrize(("size", "stride", "tile"), [(224, 112, 32), (224, 112, 16), (64, 20, 16), (100, 33, 8)])
def test_a_patch_is_the_mean_of_its_own_pixels_also_where_its_edge_cuts_tiles(size, stride, tile):
    rng = np.random.default_rng(0)
    for origin in range(0, 500 - size, stride):
        tiles, shares = tiles_of_patch(origin, size=size, tile=tile)
        values = rng.normal(size=600 // tile)
        assert shares @ values[tiles] == pytest.approx(np.repeat(values, tile)[origin : origin + size].mean())


def test_scores_of_every_second_window_of_coarse_tiles_are_of_the_window_s_own_pixels(monkeypatch):
    # 112 / 32 = 3.5: rounded to whole tiles, windows would lie 16 px off, now to one side and now to the other
    field = np.random.default_rng(0).normal(0, 2, (2, 14, 14)).astype(np.float32)
    monkeypatch.setattr(MapPredictor, "maps", lambda *_: iter([(0, field)]))
    origins = [(y, x) for y in (0, 112, 224) for x in (0, 112, 224)]
    rows = pd.DataFrame({"field": 0, "y": [y for y, _ in origins], "x": [x for _, x in origins]})
    linear = torch.nn.Linear(2, 2)
    network = torch.nn.Module()
    network.linear = linear
    takes = Input(224, {}, 12, 0, (0, 0, 0), (1, 1, 1), None)
    scorer = MapPredictor(network, takes, 1, 32, torch.device("cpu"), "32-true", None)
    logits, features = scorer.logits(None, rows), scorer.features(None, rows)
    with torch.no_grad():
        live = linear(torch.from_numpy(field).permute(1, 2, 0)).softmax(-1)[..., 1].numpy()
    pixels = np.kron(live, np.ones((32, 32)))
    for (y, x), (dead_logit, live_logit), of_patch in zip(origins, logits, features, strict=True):
        score = 1 / (1 + np.exp(dead_logit - live_logit))
        assert score == pytest.approx(pixels[y : y + 224, x : x + 224].mean(), abs=1e-5)
        expected = [np.kron(each, np.ones((32, 32)))[y : y + 224, x : x + 224].mean() for each in field]
        assert of_patch == pytest.approx(expected, abs=1e-5)


def test_maps_of_turned_and_mirrored_fields_are_turned_back(run):
    folder, _ = run
    predictor = open_predictor(folder)
    curated = open_curated(next((folder.parent / "data/curated").iterdir()))
    network = predictor.network
    # the mean grey value of each 16 x 16 px: the same whichever way the field lies
    network.feature_map = lambda images: torch.nn.functional.avg_pool2d(images[:, :1], 16)
    takes = replace(predictor.checkpoint.input, mean=(0, 0, 0), std=(1, 1, 1))
    maps = {}
    for n in (1, 4, 8):
        scorer = MapPredictor(network, takes, n, 16, torch.device("cpu"), "32-true", None)
        ((_, maps[n]),) = scorer.maps(curated.store, [0])
    expected = (curated.store.field(0) / 255).reshape(10, 16, 12, 16).mean((1, 3))
    for n in (1, 4, 8):
        assert maps[n][0] == pytest.approx(expected, abs=1e-5)


def test_folds_share_the_maps_and_leave_none(small, tmp_path):
    from jimt.training.crossval import cross_validate

    overrides = [f"run_dir={tmp_path / 'folds'}", "crossval.n_folds=3", *small, *TILES]
    config = composed_train(*overrides, name="crossval")
    assert isinstance(config, CrossvalConfig)
    result = cross_validate(config)
    assert result["pooled"]["auroc"]["value"] > 0.9
    assert not (tmp_path / "folds/maps").exists()
    assert json.loads((tmp_path / "folds/crossval.json").read_text())["counts"] == result["counts"]


def test_no_raw_image_is_read_after_the_curation(run, small_pairs):
    from jimt.evaluation.test_split import evaluate

    folder, metrics = run
    for path in small_pairs.glob("*.tif"):
        path.unlink()
    assert evaluate(folder)["metrics"]["auroc"] == metrics["metrics"]["auroc"]
