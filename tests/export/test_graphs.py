"""A graph answers as the predictor does, whatever model it is of: computed by torch, without ONNX."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from exports import SIZE, TASKS, model
from jimt.curation.cell_area import cell_area
from jimt.curation.patches import Scaling, to_8_bit
from jimt.curation.payload import payload
from jimt.data.stain_targets import places
from jimt.export import graphs
from jimt.export.graphs import CellArea, graph_of
from jimt.export.placed_networks import PlacedNetwork
from jimt.export.raw_counts import RawCounts
from jimt.export.sides import means_of_tiles, mirrored
from jimt.models.predictor import Predictor

SIZES = ((SIZE, SIZE), (SIZE + 5, 2 * SIZE + 3), (3 * SIZE + 17, SIZE + 1))


def field(shape: tuple[int, int], *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = functional.interpolate(torch.from_numpy(rng.normal(size=(1, 1, 5, 7))), shape, mode="bicubic")
    return (2000 + 500 * smooth[0, 0].numpy() + rng.normal(0, 150, shape)).clip(1, 4095).astype(np.uint16)


@torch.inference_mode()
def answers(checkpoint, images: list[np.ndarray], monkeypatch) -> dict[str, np.ndarray]:
    placed = PlacedNetwork(checkpoint).eval()
    monkeypatch.setattr(graphs, "network", lambda grey, **_: placed(grey))
    graph = graph_of(checkpoint, placed, "uint16").eval()
    found = graph(torch.from_numpy(np.stack(images)[:, None]))
    return {name: values.numpy() for name, values in zip(graph.outputs, found, strict=True)}


def assert_alike(checkpoint, monkeypatch, sizes=SIZES) -> None:
    predictor = Predictor(checkpoint)
    for shape in sizes:
        images = [field(shape, seed=seed) for seed in (1, 2)]
        found = answers(checkpoint, images, monkeypatch)
        for i, image in enumerate(images):
            table = predictor.scores(image)
            grid = table.pivot(index="y", columns="x", values="score").to_numpy()
            np.testing.assert_allclose(found["score"][i, 0], grid, atol=1e-6)
            assert len(np.unique(found["score"])) > 1
            of_one = predictor.fields_of([image])
            if "maps" in found:
                maps = predictor.maps(of_one, 0)
                for given, wanted in zip(found["maps"][i], maps.values(), strict=True):
                    np.testing.assert_allclose(given, wanted, atol=5e-5)
            if "tiles" in found:
                np.testing.assert_allclose(found["tiles"][i, 0], predictor.live_tiles(of_one, 0), atol=1e-6)


@pytest.mark.parametrize("kind", TASKS)
def test_a_graph_answers_as_the_predictor_in_all_eight_orientations(kind, monkeypatch):
    assert_alike(model(kind), monkeypatch, SIZES[1:2])


@pytest.mark.parametrize("kind", TASKS)
def test_sides_may_be_of_any_length(kind, monkeypatch):
    assert_alike(model(kind, orientations=1), monkeypatch)


@pytest.mark.parametrize("layer", ["layer1", "layer4"])
def test_features_finer_and_coarser_than_tiles(layer, monkeypatch):
    assert_alike(model("tiles", layer=layer, orientations=2), monkeypatch, SIZES[1:])


@pytest.mark.parametrize("maps", [("log_pi",), ("positive",), ("dead", "live"), ("log_pi", "dead", "live")])
def test_evidence_of_any_kind(maps, monkeypatch):
    assert_alike(model("stain", maps=maps, orientations=1, reduction=2), monkeypatch, SIZES[1:2])


@pytest.mark.parametrize("scaling", ["bit_depth", "full_range", "percentile_dataset"])
@pytest.mark.parametrize(("bit_depth", "bit_shift", "added"), [(12, 0, 0), (12, 0, 32768), (12, 4, 0), (16, 0, 0)])
def test_counts_become_the_same_8_bits_at_every_count(scaling, bit_depth, bit_shift, added):
    takes = model(scaling=scaling, bit_depth=bit_depth, bit_shift=bit_shift).input
    counts = (np.arange(1 << bit_depth).reshape(-1, 64) << bit_shift).astype(np.uint16) + np.uint16(added)
    of_payload = payload(counts, bit_depth=bit_depth, bit_shift=bit_shift)
    wanted = to_8_bit(of_payload, np.ones(counts.shape, bool), Scaling(**takes.scaling))
    found = RawCounts(takes, "uint16")(torch.from_numpy(counts)) * 255
    np.testing.assert_array_equal(found.round().numpy(), wanted)


def test_the_area_of_cells_is_that_of_opencv():
    grey = np.random.default_rng(0).integers(0, 255, (101, 90)).astype(np.uint8)
    grey[:, 40:] //= 16
    wanted = places(cell_area(grey, np.ones(grey.shape, bool)))
    found = CellArea()(torch.from_numpy(grey).float()[None, None] / 255)
    assert 0.2 < wanted.mean() < 0.8
    assert np.abs(found[0, 0].numpy() - wanted).mean() < 1e-3  # a pixel at the threshold may fall either way


@pytest.mark.parametrize(("sides", "size"), [((16, 24), (4, 6)), ((7, 11), (3, 4)), ((5, 5), (5, 5))])
def test_means_of_tiles_are_those_of_torch(sides, size):
    maps = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(means_of_tiles(maps, size), functional.adaptive_avg_pool2d(maps, size))


@pytest.mark.parametrize(("mode", "twice"), [("reflect", False), ("symmetric", True)])
def test_reflection_is_that_of_numpy(mode, twice):
    line = np.arange(5)
    places = mirrored(torch.arange(-11, 17), 5, edge_twice=twice)
    np.testing.assert_array_equal(line[places.numpy()], np.pad(line, (11, 12), mode=mode))
