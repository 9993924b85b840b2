"""Scores that follow from maps of whole fields: by hand, pixel by pixel, and the same however a field lies."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

from jimt.curation.cell_area import cell_area
from jimt.models import stainwise
from jimt.models.checkpoint import Input, StainScore
from jimt.models.like_training import windows_of
from jimt.models.stainwise import StainPredictor
from jimt.statistics.predicted_nuclei import nuclei_of_maps
from stains import Fields

TAKES = Input(patch_size=32, scaling={}, bit_depth=12, bit_shift=0, mean=(0.5,) * 3, std=(0.25,) * 3, pixel_size=None)
ALL = ("log_pi", "positive", "dead", "live")


class Stand(nn.Module):
    """In place of a network: weights that prefer a direction, and a count of what passes through."""

    def __init__(self, outputs=ALL, *, reduction=1, plain=False) -> None:
        super().__init__()
        self.outputs, self.reduction, self._plain, self.seen = outputs, reduction, plain, []
        torch.manual_seed(0)
        self._place = 4 // reduction
        self.layer = nn.Conv2d(3, len(outputs), self._place, stride=self._place)
        self.further = nn.Conv2d(3, 7, 2 * self._place, stride=2 * self._place)

    def maps(self, images):
        self.seen.append(tuple(images.shape))
        if self._plain:  # the mean of each place, 0 to 1
            grey = functional.avg_pool2d(images[:, :1], self._place) * 0.25 + 0.5
            return torch.cat([grey * (1 + n) / len(self.outputs) for n in range(len(self.outputs))], dim=1)
        raw = self.layer(images)
        return torch.stack(
            [raw[:, n] if name == "log_pi" else raw[:, n].sigmoid() for n, name in enumerate(self.outputs)], 1
        )

    def maps_and_features(self, images):
        return self.maps(images), self.further(images)


SCORE = StainScore(offset=0.7, factors=(-1.5, -0.5, -2.0))


def predictor(network, *, orientations=1, score=SCORE):
    return StainPredictor(network, TAKES, score, orientations, torch.device("cpu"), "32-true")


def image(height=64, width=96, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def half_of_cells():
    """A field whose left half alone has a texture."""
    spread = np.where(np.arange(96) < 48, 40, 2)
    return np.random.default_rng(3).normal(128, spread, (64, 96)).clip(0, 255).astype(np.uint8)


def rows_of(places, field=0):
    return pd.DataFrame([(field, y, x) for y, x in places], columns=["field", "y", "x"])


def enlarged(maps):
    """A place as the pixels that it is of."""
    return np.kron(maps, np.ones((1, 4, 4)))


PLACES = [(0, 0), (3, 5), (32, 64), (17, 33), (30, 62)]


@pytest.mark.parametrize("orientations", [1, 4, 8])
def test_a_field_passes_through_once_for_each_orientation_whatever_is_asked(orientations):
    network = Stand()
    fields = Fields([image(), image(seed=1)], [image(), image(seed=1)])
    ours = predictor(network, orientations=orientations)
    rows = pd.concat([rows_of(PLACES * 5, 1), rows_of(PLACES * 7, 0), rows_of(PLACES, 1)])
    ours.logits(fields, rows)
    assert sum(n for n, *_ in network.seen) == 2 * orientations
    lies, stands = (3, 64, 96), (3, 96, 64)
    seen = {(channels, height, width) for _, channels, height, width in network.seen}
    assert seen == ({lies} if orientations == 1 else {lies, stands})
    ours.shares(fields, [0, 1])
    ours.logits(fields, rows_of(PLACES, 1))
    ours.maps(fields, 0)
    assert sum(n for n, *_ in network.seen) == 2 * orientations


def test_patches_are_scored_in_the_order_they_are_asked_for_whichever_field_they_are_of():
    fields = Fields([image(), image(seed=1)], [image(), image(seed=1)])
    ours = predictor(Stand())
    rows = pd.concat([rows_of([place], n % 2) for n, place in enumerate(PLACES * 2)], ignore_index=True)
    together = ours.logits(fields, rows)
    each = np.concatenate([ours.logits(fields, rows.iloc[[n]]) for n in range(len(rows))])
    np.testing.assert_array_equal(together, each)
    order = np.random.default_rng(2).permutation(len(rows))
    np.testing.assert_array_equal(ours.logits(fields, rows.iloc[order]), together[order])


def test_a_patch_is_scored_by_the_mean_over_its_pixels_of_what_is_predicted_there():
    pixels = half_of_cells()
    fields = Fields([pixels], [pixels])
    ours = predictor(Stand())
    log_pi, positive, dead, live = enlarged(ours.maps(fields, 0))
    cells = cell_area(pixels, np.ones(pixels.shape, bool))
    assert 0.2 < cells.mean() < 0.8
    logits = ours.logits(fields, rows_of(PLACES))
    for (y, x), (of_dead, of_live) in zip(PLACES, logits, strict=True):
        here = slice(y, y + 32), slice(x, x + 32)
        kinds = (
            log_pi[here].mean(),
            np.sqrt(positive[here].mean() / (cells[here].mean() + 0.1)),
            (dead[here].mean() + 0.002) / (dead[here].mean() + live[here].mean() + 0.01),
        )
        expected = 0.7 - 1.5 * kinds[0] - 0.5 * kinds[1] - 2.0 * kinds[2]
        assert of_live - of_dead == pytest.approx(expected, rel=1e-5)
        assert of_live + of_dead == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("outputs", "kinds"),
    [(("log_pi",), 1), (("positive",), 1), (("dead", "live"), 1), (("positive", "dead", "live"), 2), (ALL, 3)],
)
def test_each_kind_of_evidence_is_there_once(outputs, kinds):
    fields = Fields([image()], [image()])
    found = predictor(Stand(outputs), score=None).evidence(fields, rows_of(PLACES))
    assert found.shape == (len(PLACES), kinds)
    assert np.isfinite(found).all()


def test_the_map_of_one_orientation_is_what_the_network_gives_of_the_normalised_field():
    network, fields = Stand(), Fields([image()], [image()])
    images = (torch.from_numpy(image()).float() / 255 - 0.5) / 0.25
    with torch.inference_mode():
        expected = network.maps(images.expand(1, 3, -1, -1))[0].numpy()
    np.testing.assert_allclose(predictor(network).maps(fields, 0), expected, rtol=1e-5, atol=1e-6)


def orientations_of(array):
    """Over the last two axes."""
    turned = [np.rot90(array, quarter, (-2, -1)) for quarter in range(4)]
    return [np.ascontiguousarray(one) for one in (*turned, *(one[..., ::-1] for one in turned))]


@pytest.mark.parametrize("reduction", [1, 2])
def test_with_eight_orientations_the_maps_of_a_turned_field_are_turned_and_scores_the_same(reduction):
    ours = predictor(Stand(reduction=reduction), orientations=8)
    pixels = image(64, 128)
    marks = np.zeros((64, 128), int)
    places = [(0, 0), (3, 5), (32, 96), (17, 33)]
    for number, (y, x) in enumerate(places):
        marks[y : y + 32, x : x + 32] |= 1 << number
    upright = Fields([pixels], [pixels])
    maps, logits = ours.maps(upright, 0), ours.logits(upright, rows_of(places))
    share = ours.shares(upright, [0])["predicted_share"][0]
    for number, (turned, marked) in enumerate(zip(orientations_of(pixels), orientations_of(marks), strict=True)):
        fields = Fields([turned], [turned])
        np.testing.assert_allclose(ours.maps(fields, 0), orientations_of(maps)[number], atol=1e-5)
        where = [np.argwhere(marked >> n & 1).min(0) for n in range(len(places))]
        np.testing.assert_allclose(ours.logits(fields, rows_of(where)), logits, atol=1e-5)
        assert ours.shares(fields, [0])["predicted_share"][0] == pytest.approx(share, rel=1e-5)
    # of one orientation alone it is another, so this says something
    one = predictor(Stand(reduction=reduction))
    turned = np.ascontiguousarray(np.rot90(pixels))
    assert np.abs(one.maps(Fields([turned], [turned]), 0) - np.rot90(one.maps(upright, 0), 1, (1, 2))).max() > 0.01


def test_a_field_that_ends_within_a_place_is_continued_by_its_mirror_image():
    network, pixels = Stand(), image(70, 83)
    fields = Fields([pixels], [pixels])
    maps = predictor(network).maps(fields, 0)
    assert maps.shape == (4, 18, 21)
    assert network.seen == [(1, 3, 96, 96)]
    whole = np.pad(pixels, ((0, 26), (0, 13)), mode="reflect")
    expected = predictor(Stand()).maps(Fields([whole], [whole]), 0)
    np.testing.assert_array_equal(maps, expected[:, :18, :21])


@pytest.mark.parametrize("inside", [0.25, 0.5, 1.0])
def test_pixels_without_data_change_no_score_and_no_share(inside):
    pixels, no_data = image(), np.zeros((64, 96), bool)
    no_data[:, 92:], no_data[12:20, 24 : 24 + int(8 * inside)] = True, True
    found = []
    for filled in (0, 255):
        network = Stand(plain=True)  # which looks at each place alone
        brightfield = np.where(no_data, filled, pixels).astype(np.uint8)
        if inside < 1:  # a place that is data in part is of its pixels, those without data among them
            brightfield[12:20, 24:32] = pixels[12:20, 24:32]
        fields = Fields([brightfield], [pixels], no_data=[no_data])
        ours = predictor(network)
        found.append((ours.logits(fields, rows_of(PLACES)), ours.shares(fields, [0]), ours.maps(fields, 0)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1]["predicted_share"][0] == found[1][1]["predicted_share"][0]
    assert not np.array_equal(found[0][2], found[1][2])  # the maps show it


def test_a_patch_without_any_data_is_scored_all_the_same():
    fields = Fields([image()], [image()], no_data=[np.ones((64, 96), bool)])
    assert np.isfinite(predictor(Stand()).logits(fields, rows_of(PLACES))).all()


def test_the_share_of_nuclei_is_of_what_is_predicted_to_be_in_dead_and_in_living_ones():
    no_data = np.zeros((64, 96), bool)
    no_data[:, :16] = True
    fields = Fields([image()], [image()], no_data=[no_data])
    ours = predictor(Stand())
    _, _, dead, live = ours.maps(fields, 0)
    (row,) = ours.shares(fields, [0]).to_dict("records")
    assert (row["field"], row["share_of"]) == (0, "nuclei")
    dead[:, :4] = live[:, :4] = 0
    found = nuclei_of_maps(dead, live)
    assert len(found) > 5
    assert row["predicted_share"] == pytest.approx(found["dead"].mean(), rel=1e-6)


@pytest.mark.parametrize("outputs", [("log_pi", "positive"), ("positive",), ("log_pi",)])
def test_the_share_of_area_is_of_the_cells(outputs):
    pixels = half_of_cells()
    no_data = np.zeros((64, 96), bool)
    no_data[:8] = True
    fields = Fields([pixels], [pixels], no_data=[no_data])
    ours = predictor(Stand(outputs))
    maps = dict(zip(outputs, enlarged(ours.maps(fields, 0)), strict=True))
    cells = cell_area(pixels, ~no_data)
    assert 0.3 < cells.mean() < 0.7
    stained = maps["positive"] if "positive" in maps else maps["log_pi"] > np.log(1.5)
    (row,) = ours.shares(fields, [0]).to_dict("records")
    assert row["share_of"] == "area"
    assert row["predicted_share"] == pytest.approx(stained[cells].mean(), rel=1e-6)


def test_a_field_without_cells_or_nuclei_has_no_share():
    empty = Fields([np.full((64, 96), 128, np.uint8)], [image()], no_data=[np.ones((64, 96), bool)])
    assert np.isnan(predictor(Stand(("positive",))).shares(empty, [0])["predicted_share"][0])
    network = Stand(("dead", "live"))
    with torch.no_grad():
        network.layer.weight.zero_()
        network.layer.bias.fill_(-20.0)
    fields = Fields([image()], [image()])
    assert np.isnan(predictor(network).shares(fields, [0])["predicted_share"][0])
    # of a patch that shows no nucleus one in five counts as dead, for want of a better guess
    np.testing.assert_allclose(predictor(network, score=None).evidence(fields, rows_of(PLACES)), 0.2, atol=1e-5)


def test_shares_are_given_in_the_order_they_are_asked_for():
    fields = Fields([image(seed=n) for n in range(3)], [image()] * 3)
    ours = predictor(Stand())
    table = ours.shares(fields, [2, 0])
    assert table["field"].tolist() == [2, 0]
    assert table["predicted_share"].tolist() == [ours.shares(fields, [n])["predicted_share"][0] for n in (2, 0)]


def test_features_are_the_mean_over_a_patch_of_what_the_last_layer_is_given():
    network, fields = Stand(), Fields([image(), image(seed=1)], [image()] * 2)
    rows = pd.concat([rows_of([(0, 0), (32, 64)], 1), rows_of([(8, 16)], 0)])
    features = predictor(network).features(fields, rows)
    assert features.shape == (3, 7)
    assert features.dtype == np.float32
    images = (torch.from_numpy(image(seed=1)).float() / 255 - 0.5) / 0.25
    with torch.inference_mode():
        maps = network.further(images.expand(1, 3, -1, -1))[0]
    np.testing.assert_allclose(features[0], maps[:, :4, :4].mean((1, 2)).numpy(), atol=1e-5)  # squares of 8 pixels


def test_maps_are_kept_for_the_fields_asked_for_last_and_never_of_other_fields(monkeypatch):
    network = Stand()
    fields = Fields([image(seed=n) for n in range(3)], [image()] * 3)
    ours = predictor(network)
    size = ours.maps(fields, 0).nbytes
    monkeypatch.setattr(stainwise, "_CACHED", 2 * size)
    expected = [predictor(Stand()).maps(fields, n) for n in range(3)]
    for n in (0, 1, 2, 0, 1, 2, 2, 1):
        np.testing.assert_array_equal(ours.maps(fields, n), expected[n])
        assert len(ours._kept) <= 2
    other = Fields([image(seed=9)], [image()])
    np.testing.assert_array_equal(ours.maps(other, 0), predictor(Stand()).maps(other, 0))
    monkeypatch.setattr(stainwise, "_CACHED", 1)  # less than one: it is answered all the same
    np.testing.assert_array_equal(ours.maps(fields, 2), expected[2])


def test_smooth_fields_give_smooth_maps_at_the_same_place():
    # a bright spot of a field is where its map is highest
    for y, x in ((10, 20), (50, 80), (33, 5)):
        spot = np.zeros((64, 96))
        spot[y, x] = 1
        pixels = (gaussian_filter(spot, 4) * 2e4).clip(0, 255).astype(np.uint8)
        maps = predictor(Stand(plain=True), orientations=8).maps(Fields([pixels], [pixels]), 0)
        row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
        assert (row, column) == (y // 4, x // 4)


def test_features_of_windows_come_with_the_maps_in_one_pass_and_are_those_of_patches():
    network, fields = Stand(), Fields([image(height=96)], [image(height=96)])
    predictor_ = predictor(network, orientations=2)
    predictor_.maps(fields, 0)
    n_passes = len(network.seen)
    found = predictor_.window_features(fields, 0)
    assert len(network.seen) == n_passes
    windows = windows_of(fields, 0, size=32)
    assert windows[["y", "x"]].values.tolist() == [[y, x] for y in (0, 32, 64) for x in (0, 32, 64)]
    assert found == pytest.approx(predictor_.features(fields, windows), abs=1e-5)
