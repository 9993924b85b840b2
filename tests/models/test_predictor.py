"""The one way to a score: raw fields, curated fields and a run's own test scores agree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import jimt
from conftest import TINY, TINY_PROBE, composed_train
from jimt.curation.empty_filter import save_empty_filter
from jimt.errors import InputError
from jimt.models.checkpoint import EmptyFilter
from jimt.models.predictor import Predictor
from jimt.networks.backbones import FeatureExtractor
from jimt.training.run import train


@pytest.fixture(scope="module", params=["patches", "tiles"])
def run(request, uneven, tmp_path_factory) -> Path:
    """A finished run that scores patches one by one, and one that scores them from maps of whole fields."""
    folder = tmp_path_factory.mktemp("predicted") / "run"
    settings = [*TINY, "trainer.max_epochs=1"]
    if request.param == "tiles":
        settings = [*TINY_PROBE, "probe=tiles", "probe.layer=layer3"]
    train(composed_train(*uneven, *settings, f"run_dir={folder}"))
    return folder


def raw_field(run: Path, raw_image_id: str) -> np.ndarray:
    """A bright-field image as its file holds it."""
    root = Path(jimt.load(run).checkpoint.record.curated_folder)
    raw = Path(jimt.open_curated(root.name, root=root.parent).summary["root"])
    return tifffile.imread(raw / f"{raw_image_id}--Trans.tif")


def test_scores_of_a_raw_image_are_those_of_the_test_split(run):
    written = pd.read_csv(run / "test_scores_with_ambiguous.csv")
    model = jimt.load(run)
    for raw_image_id, rows in written.groupby("raw_image_id"):
        image = raw_field(run, raw_image_id)
        assert image.dtype == np.uint16
        scores = model.scores(image, stride=32)
        assert scores["empty"].isna().all()  # the curation had no filter
        found = scores.set_index(["y", "x"])["score"].loc[list(rows[["y", "x"]].itertuples(index=False, name=None))]
        np.testing.assert_allclose(found, rows["score"], atol=1e-6)


def test_patches_of_a_raw_image_lie_half_a_patch_apart_and_inside(run):
    image = raw_field(run, "--W00001--P00001--Z00000--T00000")
    height, width = image.shape
    scores = jimt.load(run).scores(image)
    expected = [(y, x) for y in range(0, height - 63, 32) for x in range(0, width - 63, 32)]
    assert list(scores[["y", "x"]].itertuples(index=False, name=None)) == expected
    assert scores["score"].between(0, 1).all()


def test_the_order_of_rows_is_that_of_the_answers(run):
    model = jimt.load(run)
    root = Path(model.checkpoint.record.curated_folder)
    curated = jimt.open_curated(root.name, root=root.parent)
    rows = curated.manifest.iloc[::7]
    shuffled = rows.sample(frac=1, random_state=0)
    one, other = model.live_scores(curated.store, rows), model.live_scores(curated.store, shuffled)
    np.testing.assert_allclose(pd.Series(other, shuffled.index).loc[rows.index], one, atol=1e-6)
    assert len(model.features(curated.store, rows)) == len(rows)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((3, 64, 64), np.uint16), r"image 0 has the shape \(3, 64, 64\), and one bright-field channel"),
        (np.ones((40, 90), np.uint16), r"the image is 90 x 40 px, and a patch 64 x 64"),
        (np.ones((64, 64), np.float32), r"holds floating-point numbers, which curation.scaling.method=bit_depth"),
    ],
)
def test_an_image_that_cannot_be_scored_says_why(run, image, said):
    with pytest.raises(InputError, match=said):
        jimt.load(run).scores(image)


def test_patches_without_cells_are_told_by_the_filter_that_the_checkpoint_holds(run, tmp_path):
    name, precision = "test_resnet.r160_in1k", "32-true"
    extractor = FeatureExtractor(name, "random", device="cpu", batch_size=8, precision=precision)
    image = raw_field(run, "--W00001--P00001--Z00000--T00000")
    scores = jimt.load(run).scores(image)
    eight_bit = np.clip(np.rint(image.astype(float) * 255 / 4095), 0, 255).astype(np.uint8)  # 12 bits, by hand
    patches = np.stack([eight_bit[y : y + 64, x : x + 64] for y, x in zip(scores["y"], scores["x"], strict=True)])
    features = extractor(patches)
    pipeline = make_pipeline(StandardScaler(), SVC(kernel="linear"))
    pipeline.fit(features, np.arange(len(features)) % 3 == 0)
    save_empty_filter(pipeline, tmp_path / "filter.skops")
    machine = torch.frombuffer(bytearray((tmp_path / "filter.skops").read_bytes()), dtype=torch.uint8)
    checkpoint = jimt.load(run).checkpoint
    known = EmptyFilter(name, "patches", precision, machine, extractor.state())
    model = Predictor(replace(checkpoint, empty_filter=known))
    expected = pipeline.decision_function(features) > 0
    assert 0 < expected.sum() < len(expected)
    assert model.scores(image)["empty"].tolist() == expected.tolist()


def test_an_answer_depends_neither_on_the_curated_folder_nor_on_conf(run, tmp_path, monkeypatch):
    image = raw_field(run, "--W00001--P00001--Z00000--T00000")
    before = jimt.load(run).scores(image)
    (tmp_path / "model.ckpt").write_bytes((run / "checkpoints/best.ckpt").read_bytes())
    monkeypatch.setattr("jimt.config.own_configs.CONF", tmp_path / "no conf")
    monkeypatch.setattr("pandas.read_parquet", lambda *_, **__: pytest.fail("read the curated folder"))
    pd.testing.assert_frame_equal(jimt.load(tmp_path / "model.ckpt").scores(image), before)
