"""A model says of each field whether it is like those of the training, and with which number."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from conftest import TINY, TINY_PROBE, composed_train
from jimt.models.checkpoint import read_checkpoint
from jimt.models.like_training import windows_of
from jimt.models.network import LiveDeadNetwork
from jimt.models.predictor import open_predictor
from jimt.models.reference import fit_reference, spread_over_groups
from jimt.statistics.image_quality import MEASURES
from jimt.system.files import BEST
from jimt.training.run import train
from stains import Fields as FieldsWithPi


def fields_of(images, **how):
    return FieldsWithPi(images, images, **how)


PLAIN = {"colour": False, "pixel_size": None, "zoom": 1.0}


@pytest.fixture(scope="module", params=["finetune", "linear_probe", "tiles"])
def run(request, uneven, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("run") / "run"
    how = {
        "finetune": [*TINY, "trainer.max_epochs=1"],
        "linear_probe": TINY_PROBE,
        "tiles": [*TINY_PROBE, "probe=tiles", "probe.layer=layer3"],
    }
    train(composed_train(*uneven, *how[request.param], f"run_dir={run}"))
    return run


def field(seed=0, *, height=128, width=192):
    """As ``uneven_field`` draws them."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(60, 300, (height // 32, width // 32)) + np.where(np.arange(width // 32) >= 3, 150, 0)
    brightfield = rng.normal(2000, np.kron(spread, np.ones((32, 32))))
    return brightfield.clip(1, 4095).astype(np.uint16)


def judged(run, image, **told):
    predictor = open_predictor(run)
    fields = predictor.fields_of([image])
    predictor.logits(fields, predictor.patches_of(fields, 0, stride=None))
    return predictor.familiarity(fields, 0, **PLAIN | told)


def test_fields_as_those_of_the_training_are_near_and_others_far(run):
    distances = [judged(run, field(seed)).distance for seed in range(20, 28)]
    assert np.median(distances) < 1
    for spoil in (lambda image: gaussian_filter(image.astype(float), 3), lambda image: np.sort(image, axis=0)):
        far = judged(run, spoil(field(20)).astype(np.uint16))
        assert far.flags
        assert far.distance > np.median(distances)


def test_a_blurred_field_is_told_with_its_sharpness_and_that_of_training_fields(run):
    flags = {flag.name: flag.reason for flag in judged(run, gaussian_filter(field(20), 3.0)).flags}
    found, low, high = re.fullmatch(
        r"out of focus, or magnified more: sharpness ([\d.]+), and the limits by the training's fields are "
        r"([\d.]+) and ([\d.]+)",
        flags["focus"],
    ).groups()
    assert float(found) < float(low) < float(high)


def test_one_pass_gives_scores_and_features(run, monkeypatch):
    predictor = open_predictor(run)
    fields = predictor.fields_of([field()])
    rows = predictor.patches_of(fields, 0, stride=None)
    alone = open_predictor(run).familiarity(fields, 0, **PLAIN)
    assert predictor.logits(fields, rows) == pytest.approx(open_predictor(run).scorer.logits(fields, rows), abs=0)
    monkeypatch.setattr(LiveDeadNetwork, "feature_map", None)  # a further pass would fail
    monkeypatch.setattr(LiveDeadNetwork, "pooled_features", None)
    monkeypatch.setattr(LiveDeadNetwork, "forward", None)
    together = predictor.familiarity(fields, 0, **PLAIN)
    assert together.distance == pytest.approx(alone.distance, rel=1e-4)
    assert [flag.name for flag in together.flags] == [flag.name for flag in alone.flags]


def test_what_the_file_says_is_flagged_by_itself(run):
    told = judged(run, field(20), colour=True, pixel_size=1.3, zoom=2.6)
    reasons = {flag.name: flag.reason for flag in told.flags}
    assert reasons["colour"] == "the file is in colour, and the images of the training are grey"
    assert reasons["pixel_size"].startswith("enlarged from 1.3 µm a pixel 2.6 times to the pixel size of the training")
    assert "pixel_size" not in {flag.name for flag in judged(run, field(20), pixel_size=0.4, zoom=1.3).flags}


def test_the_reference_is_small_and_of_the_training_split_alone(run):
    checkpoint = read_checkpoint(run / BEST)
    reference = checkpoint.reference
    assert (reference.unknown, reference.n_groups) == (None, len(checkpoint.record.groups["train"]))
    size = sum(
        part.nbytes
        for spread in (reference.features, reference.texture)
        for part in (spread.mean, spread.directions, spread.variances)
    )
    assert size < 2 << 20
    assert set(reference.limits) == {"unlike", "texture", *MEASURES}
    assert all(reference.limits_of_window[name] >= limit for name, limit in reference.limits.items())
    low, high = reference.interval
    assert low <= 1 <= high


class Means:
    """In place of a network: the mean grey value and the standard deviation of each window."""

    def __init__(self, size):
        self._size = size

    def window_features(self, fields, number):
        rows, pixels = windows_of(fields, number, size=self._size), fields.field(number).astype(np.float32)
        cut = [pixels[y : y + self._size, x : x + self._size] for y, x in zip(rows["y"], rows["x"], strict=True)]
        return np.array([[part.mean(), part.std()] for part in cut], np.float32)


def noise(seed, *, height=64, width=96):
    return np.random.default_rng(seed).normal(120, 20, (height, width)).clip(0, 255).astype(np.uint8)


def test_of_four_groups_no_limit_is_told_and_that_is_said():
    fields = fields_of([noise(seed) for seed in range(8)])
    reference = fit_reference(Means(32), fields, {n: f"G{n % 4}" for n in range(8)}, size=32, seed=0)
    assert reference.unknown == (
        "the model was trained on 4 groups, and fewer than 5 do not tell how much groups differ"
    )
    assert not reference.limits


def test_a_smaller_field_has_a_wider_limit():
    fields = fields_of([noise(seed) for seed in range(24)])
    reference = fit_reference(Means(32), fields, {n: f"G{n % 8}" for n in range(24)}, size=32, seed=0)
    assert reference.n_windows == 6
    limits = [reference.limit("unlike", n_windows=n) for n in (1, 2, 6, 60)]
    assert limits[0] == reference.limits_of_window["unlike"] > limits[1] > limits[2] == limits[3]


def test_the_reference_does_not_depend_on_the_order_of_fields():
    fields = fields_of([noise(seed) for seed in range(20)])
    groups = {n: f"G{n % 7}" for n in range(20)}
    one, other = (
        fit_reference(Means(32), fields, given, size=32, seed=0) for given in (groups, dict(reversed(groups.items())))
    )
    assert torch.equal(one.features.mean, other.features.mean)
    assert torch.equal(one.texture.mean, other.texture.mean)
    assert one.limits == other.limits


def test_windows_lie_side_by_side_where_there_are_data():
    fields = fields_of([noise(0)])
    rows = windows_of(fields, 0, size=32)
    assert rows[["y", "x"]].values.tolist() == [[y, x] for y in (0, 32) for x in (0, 32, 64)]
    assert len(windows_of(fields_of([noise(0, height=400, width=400)]), 0, size=32)) == 16
    no_data = np.zeros((64, 96), bool)
    no_data[:, :40] = True
    assert windows_of(fields_of([noise(0)], no_data=[no_data]), 0, size=32)["x"].unique().tolist() == [32, 64]


def test_of_many_fields_some_of_every_group_are_taken():
    groups = {n: "large" if n < 1000 else f"G{n}" for n in range(1010)}
    chosen = spread_over_groups(groups, most=50)
    assert len(chosen) <= 50
    assert {groups[n] for n in chosen} == set(groups.values())
    of_large = [n for n in chosen if n < 1000]
    assert (min(of_large), max(of_large)) == (0, 999)


def test_a_training_field_with_little_but_black_edge_spoils_no_limit():
    images, black = [noise(seed) for seed in range(24)], [np.zeros((64, 96), bool) for _ in range(24)]
    black[3][:] = True
    black[3][16:48, 16:48] = False  # a quarter of each of four windows, and nothing of two
    images[3][black[3]] = 0
    fields = fields_of(images, no_data=black)
    assert windows_of(fields, 3, size=32)[["y", "x"]].values.tolist() == [[y, x] for y in (0, 32) for x in (0, 32)]
    reference = fit_reference(Means(32), fields, {n: f"G{n % 8}" for n in range(24)}, size=32, seed=0)
    told = [*reference.limits.values(), *reference.limits_of_window.values(), *sum(reference.measures.values(), ())]
    assert np.isfinite(told).all()
