import json

import numpy as np
import pandas as pd
import pytest
import torch
from jimt.models.field_maps import cells_of_patch, feature_maps, patch_features_of_fields, patch_logits_of_fields

from conftest import composed_train
from jimt.config.search import CrossvalConfig
from jimt.curation.manifest import open_curated
from jimt.curation.tiles import fluorescence_cells
from jimt.errors import InputError
from jimt.models.checkpoint import load_classifier
from jimt.training.run import train

CELLS = [
    "backbone.name=test_resnet.r160_in1k",
    "backbone.weights=random",
    "backbone.trainable=none",
    "probe=cells",
    "probe.layer=layer3",
    "curation.split.val=4",
    "curation.split.test=4",
    "trainer.num_threads=1",
    "trainer.precision=32-true",
]


@pytest.fixture
def run(small, train_config, tmp_path):
    metrics = train(train_config(*small, *CELLS))
    return tmp_path / "run", metrics


def test_cells_labelled_by_their_own_fluorescence_tell_patches_apart(run):
    folder, metrics = run
    assert metrics["metrics"]["auroc"]["value"] > 0.9  # speckle against none: even a random network sees it
    scores = pd.read_csv(folder / "test_scores.csv")
    assert scores["score"].between(0, 1).all()


def test_a_patchs_score_is_the_mean_over_its_cells_of_the_field(run):
    folder, _ = run
    classifier, hyperparameters = load_classifier(folder / "checkpoints/best.ckpt")
    prediction = hyperparameters["prediction"]
    curated = open_curated(next((folder.parent / "data/curated").iterdir()))
    row = pd.read_csv(folder / "test_scores_with_ambiguous.csv").iloc[7]
    field = int(curated.manifest.loc[curated.manifest["raw_image_id"] == row.raw_image_id, "field"].iloc[0])
    pixels = curated.store.field(field) / 255  # 160 x 192: both multiples of 32
    image = np.stack([(pixels - m) / s for m, s in zip(prediction["mean"], prediction["std"], strict=True)])
    caught = {}
    classifier.network.layer3.register_forward_hook(lambda _m, _i, o: caught.update(map=o))
    with torch.no_grad():
        classifier.network(torch.tensor(image[None], dtype=torch.float32))
        grid = torch.nn.functional.interpolate(caught["map"], (10, 12), mode="bilinear", align_corners=False)
        if caught["map"].shape[2] > 10:
            grid = torch.nn.functional.adaptive_avg_pool2d(caught["map"], (10, 12))
        live = classifier.linear(grid.permute(0, 2, 3, 1)).softmax(-1)[0, :, :, 1]
    y, x = round(row.y / 16), round(row.x / 16)
    live = live[y : y + 4, x : x + 4].mean().item()
    margin = np.log(live / (1 - live)) / prediction["temperature"]
    assert row.score == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-4)


@pytest.mark.parametrize(("size", "stride", "cell"), [(224, 112, 32), (224, 112, 16), (64, 20, 16), (100, 33, 8)])
def test_a_patch_is_the_mean_of_its_own_pixels_also_where_its_edge_cuts_cells(size, stride, cell):
    rng = np.random.default_rng(0)
    for origin in range(0, 500 - size, stride):
        cells, shares = cells_of_patch(origin, size=size, cell=cell)
        values = rng.normal(size=600 // cell)
        assert shares @ values[cells] == pytest.approx(np.repeat(values, cell)[origin : origin + size].mean())


def test_scores_of_every_second_window_of_coarse_cells_are_of_the_window_s_own_pixels(tmp_path, monkeypatch):
    # 112 / 32 = 3.5: rounded to whole cells, windows would lie 16 px off, now to one side and now to the other
    field = np.random.default_rng(0).normal(0, 2, (2, 14, 14)).astype(np.float32)
    maps = lambda *_, **__: iter([(0, field)])  # noqa: E731
    monkeypatch.setattr("jimt.models.field_maps.feature_maps", maps)
    origins = [(y, x) for y in (0, 112, 224) for x in (0, 112, 224)]
    rows = pd.DataFrame({"field": 0, "y": [y for y, _ in origins], "x": [x for _, x in origins]})
    linear = torch.nn.Linear(2, 2)
    classifier = torch.nn.Module()
    classifier.linear = linear
    options = {"prediction": {"patch_size": 224, "cell": 32}, "device": torch.device("cpu")}
    logits = patch_logits_of_fields(classifier, tmp_path, rows, **options, cache=None)
    features = patch_features_of_fields(classifier, tmp_path, rows, **options)
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
    classifier, hyperparameters = load_classifier(folder / "checkpoints/best.ckpt")
    curated = open_curated(next((folder.parent / "data/curated").iterdir()))

    # the mean grey value of each 16 x 16 px: the same whichever way the field lies
    classifier.feature_map = lambda images: torch.nn.functional.avg_pool2d(images[:, :1], 16)
    prediction = hyperparameters["prediction"] | {"mean": [0, 0, 0], "std": [1, 1, 1]}
    maps = {}
    for n in (1, 4, 8):
        prediction["orientations"] = n
        ((_, maps[n]),) = feature_maps(
            classifier, curated.folder, [0], prediction=prediction, device=torch.device("cpu"), cache=None
        )
    expected = (curated.store.field(0) / 255).reshape(10, 16, 12, 16).mean((1, 3))
    for n in (1, 4, 8):
        assert maps[n][0] == pytest.approx(expected, abs=1e-5)


def test_folds_share_the_maps_and_leave_none(small, tmp_path):
    from jimt.training.crossval import cross_validate

    overrides = [f"run_dir={tmp_path / 'folds'}", "crossval.n_folds=3", *small, *CELLS]
    config = composed_train(*overrides, name="crossval")
    assert isinstance(config, CrossvalConfig)
    result = cross_validate(config)
    assert result["pooled"]["auroc"]["value"] > 0.9
    assert not (tmp_path / "folds/maps").exists()
    assert json.loads((tmp_path / "folds/crossval.json").read_text())["counts"] == result["counts"]


def test_training_on_cells_needs_the_raw_images_and_scoring_does_not(run, small_pairs, small, train_config, tmp_path):
    from jimt.evaluation.test_split import evaluate

    folder, metrics = run
    for path in small_pairs.glob("*--PI.tif"):
        path.rename(path.with_name(path.name.replace("--PI", "--Ph")))
    assert evaluate(folder)["metrics"]["auroc"] == metrics["metrics"]["auroc"]
    with pytest.raises(InputError):
        fluorescence_cells(*_config(small, train_config), ["--W00001--P00001--Z00000--T00000"], cell=16)


def _config(small, train_config):
    config = train_config(*small)
    return config.dataset, config.curation
