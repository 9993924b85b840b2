import os
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision

from jimt.errors import InputError
from jimt.networks.backbones import FeatureExtractor, create_backbone, load_weights, normalisation

FOUR = {
    "resnet18.tv_in1k": 512,
    "tf_efficientnet_lite0": 1280,
    "inception_v3.tv_in1k": 2048,
    "squeezenet1_1.tv_in1k": 512,
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def patches():
    return np.random.default_rng(0).integers(0, 256, (5, 64, 64), dtype=np.uint8)


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory):
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(timm.create_model("resnet18").state_dict(), path)
    return path


@pytest.mark.parametrize("name", FOUR)
def test_a_patch_of_224_px_gives_two_logits(name):
    network = create_backbone(name, num_classes=2).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 2)


@pytest.mark.parametrize("name", FOUR)
def test_the_published_number_of_features_comes_out(name):
    extract = FeatureExtractor(name, "random", device="cpu", batch_size=2, precision="32-true")
    features = extract(np.zeros((1, 96, 96), np.uint8))
    assert (extract.n_features, features.shape, features.dtype) == (FOUR[name], (1, FOUR[name]), np.float32)
    assert extract.provenance == "random"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18.tv_in1k", IMAGENET),
        ("squeezenet1_1", IMAGENET),
        ("inception_v3.tv_in1k", HALF),
        ("inception_v3.gluon_in1k", IMAGENET),  # the tag decides
        ("tf_efficientnet_lite0", HALF),
    ],
)
def test_normalisation_is_the_one_of_the_weights(name, expected):
    assert normalisation(name) == expected


@pytest.mark.parametrize(
    ("name", "near"),
    [("resnet81", "resnet18"), ("squeezenet1_0", "squeezenet1_1"), ("resnet18.tv_in1", "resnet18.tv_in1k")],
)
def test_an_unknown_name_is_answered_with_near_ones(name, near):
    for ask in (lambda: create_backbone(name, num_classes=2), lambda: normalisation(name)):
        with pytest.raises(InputError, match=f"timm knows no network called {name}: did you mean .*{near}"):
            ask()


def test_squeezenet_computes_what_torchvision_computes():
    torch.manual_seed(0)
    theirs = torchvision.models.squeezenet1_1(weights=None).eval()
    ours = create_backbone("squeezenet1_1", num_classes=1000).eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=0)
        assert ours.forward_features(images).shape == (2, 512, 13, 13)


def test_squeezenet_behaves_like_timms_own_networks():
    network = timm.create_model("squeezenet1_1", num_classes=7).eval()
    feature_map = network.forward_features(torch.randn(2, 3, 64, 64))
    assert network.get_classifier().weight.shape == (7, 512, 1, 1)
    assert network.forward_head(feature_map).shape == (2, 7)
    pooled = network.forward_head(feature_map, pre_logits=True)
    torch.testing.assert_close(pooled, feature_map.mean((2, 3)))
    network.reset_classifier(0)
    assert isinstance(network.get_classifier(), torch.nn.Identity)
    torch.testing.assert_close(network.forward_head(feature_map), pooled)
    network.reset_classifier(3)
    assert network.forward_head(feature_map).shape == (2, 3)
    assert (network.num_features, network.pretrained_cfg["mean"]) == (512, IMAGENET[0])


def test_features_are_those_of_timm_on_the_normalised_batch(patches, resnet_file):
    reference = timm.create_model("resnet18", num_classes=0).eval()
    reference.load_state_dict({k: v for k, v in torch.load(resnet_file).items() if not k.startswith("fc.")})
    mean, std = (np.array(values, np.float32).reshape(1, 3, 1, 1) for values in IMAGENET)
    batch = (np.repeat(patches[:, None], 3, axis=1).astype(np.float32) / 255 - mean) / std
    with torch.inference_mode():
        expected = reference(torch.from_numpy(batch)).numpy()
    extract = FeatureExtractor("resnet18.tv_in1k", str(resnet_file), device="cpu", batch_size=2, precision="32-true")
    np.testing.assert_allclose(extract(patches), expected, rtol=1e-4, atol=1e-5)


def test_features_in_bfloat16_are_those_in_float32_but_for_rounding(patches, resnet_file):
    features = [
        FeatureExtractor("resnet18", str(resnet_file), device="cpu", batch_size=4, precision=precision)(patches)
        for precision in ("32-true", "bf16-mixed")
    ]
    assert np.abs(features[1] - features[0]).max() > 0  # it was another arithmetic
    assert np.corrcoef(features[0].ravel(), features[1].ravel())[0, 1] > 0.999
    assert features[1].dtype == np.float32


def test_read_only_patches_and_no_patches_have_features(patches):
    extract = FeatureExtractor("squeezenet1_1", "random", device="cpu", batch_size=4, precision="32-true")
    read_only = patches.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(extract(read_only), extract(patches))
    assert extract(patches[:0]).shape == (0, 512)


def test_an_extractor_of_random_weights_repeats_itself_and_leaves_the_random_state(patches):
    before = torch.random.get_rng_state()
    first = FeatureExtractor("squeezenet1_1", "random", device="cpu", batch_size=8, precision="32-true")(patches)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    np.testing.assert_array_equal(
        FeatureExtractor("squeezenet1_1", "random", device="cpu", batch_size=8, precision="32-true")(patches), first
    )


def test_missing_weights_are_said_before_any_patch_is_read():
    with pytest.raises(InputError, match=r"nowhere\.pth is not a file"):
        FeatureExtractor("squeezenet1_1", "nowhere.pth", device="cpu", batch_size=8, precision="32-true")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("resnet18.tv_in1k", "resnet18.safetensors"),
        ("squeezenet1_1", "squeezenet1_1.safetensors"),
        ("inception_v3.tv_in1k", "inception_v3.partial.safetensors"),
    ],
)
def test_the_shared_weights_load(name, file):
    if "JIMT_DATA" not in os.environ:
        pytest.skip("JIMT_DATA, the folder that holds weights/, is not set")
    path = Path(os.environ["JIMT_DATA"]) / "weights" / file
    network = create_backbone(name, num_classes=2).eval()
    assert load_weights(network, name, str(path)).startswith(f"file: {file} sha256 ")
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    with torch.inference_mode():
        assert torch.isfinite(network(torch.zeros(1, 3, 224, 224))).all()
