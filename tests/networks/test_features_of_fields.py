"""Features of patches from one pass over their field, by a plain pass and means over pixels in NumPy."""

import numpy as np
import pytest
import timm
import torch

from jimt.curation.store import cut_patches
from jimt.errors import InputError
from jimt.networks import backbones
from jimt.networks.backbones import FeatureExtractor
from remedies import composed_prepare

SMALL = "test_resnet.r160_in1k"
SIZE = 64


def extractor(name: str = SMALL, precision: str = "32-true") -> FeatureExtractor:
    return FeatureExtractor(name, "random", device="cpu", batch_size=4, precision=precision)


def field(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def plain_map(extract: FeatureExtractor, name: str, pixels: np.ndarray) -> np.ndarray:
    """Feature map of a field that ends with a tile, each place repeated over its pixels."""
    network = timm.create_model(name, pretrained=False, num_classes=0).eval()
    network.load_state_dict(extract.state())
    mean, std = (np.array(timm.get_pretrained_cfg(name).to_dict()[key]) for key in ("mean", "std"))
    images = (pixels[None] / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.inference_mode():
        maps = network.forward_features(torch.from_numpy(images[None]).float())[0].numpy()
    return maps.repeat(pixels.shape[0] // maps.shape[1], axis=1).repeat(pixels.shape[1] // maps.shape[2], axis=2)


@pytest.mark.parametrize("name", [SMALL, "test_efficientnet.r160_in1k"])
def test_a_feature_is_the_mean_of_the_field_s_feature_map_over_the_patch(name):
    fields = [field(0, 160, 128), field(1, 96, 192)]
    extract = extractor(name)
    places = np.array([(1, 0, 17), (0, 0, 0), (0, 96, 64), (0, 41, 3), (1, 32, 128)])  # some end within a tile
    found = extract.of_places(fields.__getitem__, places, size=SIZE, whole=True)
    maps = [plain_map(extract, name, pixels) for pixels in fields]
    expected = [maps[n][:, y : y + SIZE, x : x + SIZE].mean((1, 2)) for n, y, x in places.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_field_that_ends_within_a_tile_is_continued_by_its_mirror_image():
    pixels, places = field(2, 150, 110), np.array([(0, 86, 46)])
    mirrored = np.pad(pixels, ((0, 10), (0, 18)), mode="reflect")
    extract = extractor()
    found, of_mirrored = (
        extract.of_places(lambda _, seen=seen: seen, places, size=SIZE, whole=True) for seen in (pixels, mirrored)
    )
    np.testing.assert_array_equal(found, of_mirrored)


def test_a_network_sees_beyond_a_patch_in_its_field_and_not_where_patches_pass_by_themselves():
    pixels, places = field(3, 160, 160), np.array([(0, 32, 32)])
    other = pixels.copy()
    other[:, :32] = 255 - other[:, :32]
    features = {
        whole: [extractor().of_places(lambda _, seen=seen: seen, places, size=SIZE, whole=whole) for seen in pair]
        for whole, pair in {True: (pixels, other), False: (pixels, other)}.items()
    }
    np.testing.assert_array_equal(*features[False])
    assert np.abs(features[True][0] - features[True][1]).max() > 1e-3


def test_patches_by_themselves_are_those_that_are_cut():
    pixels, places = field(4, 128, 160), np.array([(0, y, x) for y in (0, 64) for x in (0, 31, 96)])
    extract = extractor()
    cut = cut_patches(lambda _: pixels, places, size=SIZE)
    found = extract.of_places(lambda _: pixels, places, size=SIZE, whole=False)
    np.testing.assert_array_equal(found, np.concatenate([extract(cut[:4]), extract(cut[4:])]))


def test_a_huge_field_passes_in_blocks_that_are_seen_with_what_lies_round_them(monkeypatch):
    monkeypatch.setattr(backbones, "_BLOCK", 96)
    pixels, extract = field(5, 64, 480), extractor()
    places = np.array([(0, 0, x) for x in (0, 95, 96, 200, 416)])
    found = extract.of_places(lambda _: pixels, places, size=SIZE, whole=True)
    for place, feature in zip(places, found, strict=True):
        begin = max(0, place[2] // 96 * 96 - 64)
        block = pixels[:, begin : place[2] // 96 * 96 + 96 + 2 * 64]
        maps = plain_map(extract, SMALL, block[:, : block.shape[1] // 32 * 32])
        corner = place[2] - begin
        np.testing.assert_allclose(feature, maps[:, :, corner : corner + SIZE].mean((1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["test_vit.r160_in1k"])
def test_a_network_without_a_map_of_fields_is_refused_and_patches_mend_it(name):
    pixels, places = field(6, 160, 160), np.array([(0, 0, 0)])
    extract = extractor(name)
    with pytest.raises(InputError, match=f"{name} has no feature map of whole fields: choose a conv") as refused:
        extract.of_places(lambda _: pixels, places, size=160, whole=True)
    (remedy,) = refused.value.remedies
    _, curation = composed_prepare("dataset=synthetic", remedy)
    whole = curation.empty_filter.features == "field"
    assert extract.of_places(lambda _: pixels, places, size=160, whole=whole).shape == (1, extract.n_features)
