import gc
import weakref
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from jimt.errors import InputError
from jimt.interpretation.grad_cam import class_maps, last_spatial_layer
from jimt.networks.backbones import create_backbone
from jimt.vocabulary import DEAD, LIVE

SMALL = "test_resnet.r160_in1k"
BOTH = (LIVE, DEAD)


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads that wait for one another on busy cores turn seconds into minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class OneBlock(nn.Module):
    """A convolution and an activation in place, their mean over positions, and a linear head: timm's interface."""

    num_features = 4

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.act = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4, 2)

    def forward_features(self, images):
        return self.act(self.conv(images))

    def forward(self, images):
        return self.fc(self.forward_features(images).mean((2, 3)))


class Stub(nn.Module):
    """A network whose features are what it is told."""

    num_features = 8

    def __init__(self, features):
        super().__init__()
        self.conv, self.features = nn.Conv2d(3, 8, 1), features

    def forward_features(self, images):
        return self.features


def network_of(name: str) -> nn.Module:
    """A network of random weights, the same each time, for evaluation."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = OneBlock() if name == "one block" else create_backbone(name, num_classes=2)
    if name == SMALL:  # else all its maps are 0: what speaks against live speaks for dead
        network.fc.weight.data[LIVE] = -network.fc.weight.data[DEAD]
    return network.eval()


def images_of(n: int, *, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


def all_maps(network, layer, images, **settings) -> dict[int, np.ndarray]:
    """The maps of all batches together."""
    batches = list(class_maps(network, layer, images, **settings))
    return {label: np.concatenate([batch[label] for batch in batches]) for label in batches[0]}


def maps_of(network, images, *, batch_size: int = 8, bfloat16: bool = False) -> dict[int, np.ndarray]:
    layer = last_spatial_layer(network, size=images.shape[-1], name="it")
    return all_maps(network, layer, iter(images.split(batch_size)), labels=BOTH, bfloat16=bfloat16)


def hooks_of(network: nn.Module) -> list[str]:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [path for path, module in network.named_modules() if any(getattr(module, kind) for kind in kinds)]


# ---- the layer


@pytest.mark.parametrize(
    ("name", "size", "layer"),
    [
        ("resnet18", 64, "layer4.1"),
        ("squeezenet1_1", 64, "features.12"),
        ("inception_v3", 128, "Mixed_7c"),
        ("tf_efficientnet_lite0", 64, "bn2"),
        ("convnext_atto", 64, "norm_pre"),
        ("vit_tiny_patch16_224", 224, "blocks.11.norm1"),
        ("swin_tiny_patch4_window7_224", 224, "norm"),
        ("one block", 64, "act"),  # works in place: before it the convolution's output is not yet the features
    ],
)
def test_the_last_layer_with_positions_is_found_and_gives_the_features_of_each(name, size, layer):
    network = network_of(name)
    found = last_spatial_layer(network, size=size, name=name)
    assert found.name == layer
    assert found.module is network.get_submodule(layer)
    seen = []
    handle = found.module.register_forward_hook(lambda module, _, output: seen.append(output.clone()))
    with torch.no_grad():
        features = network.forward_features(images_of(2, height=size, width=size))
    handle.remove()
    output = found.to_channels_first(seen[0])
    side = features.shape[2] if features.ndim == 4 else 14
    assert output.shape == (2, network.num_features, side, side)
    if "vit" not in name:  # there it is what the last block begins with
        expected = features.permute(0, 3, 1, 2) if "swin" in name else features
        torch.testing.assert_close(output, expected)


def test_the_class_token_has_no_place_in_the_map_and_the_others_are_read_line_by_line():
    network = network_of("test_vit")
    to_channels_first = last_spatial_layer(network, size=160, name="test_vit").to_channels_first
    tokens = torch.arange(101.0).reshape(1, 101, 1)  # the class token, then ten lines of ten
    assert to_channels_first(tokens.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(to_channels_first(tokens), torch.arange(1.0, 101).reshape(1, 1, 10, 10))


@pytest.mark.parametrize(
    ("network", "features"),
    [
        ("twins_svt_small", "(49, 512)"),
        (Stub(torch.zeros(1, 8, 1, 1)), "(8, 1, 1)"),
        (Stub(torch.zeros(1, 8)), "(8,)"),
        (Stub([torch.zeros(1, 8, 4, 4)]), "list"),
    ],
)
def test_a_network_whose_features_have_no_positions_is_refused_with_the_remedy(network, features):
    name = network if isinstance(network, str) else "mine"
    network = network_of(network) if isinstance(network, str) else network
    with pytest.raises(InputError) as refused:
        last_spatial_layer(network, size=224, name=name)
    assert str(refused.value) == (
        f"{name} has no last layer whose output has positions (its features are {features}), so there is nothing for "
        "Grad-CAM to map: choose a convolutional network"
    )
    assert hooks_of(network) == []


def test_an_image_too_small_for_the_network_leaves_no_positions():
    with pytest.raises(InputError, match=r"resnet18 has no last layer .*\(512, 1, 1\)"):
        last_spatial_layer(network_of("resnet18"), size=32, name="resnet18")


def test_looking_for_the_layer_changes_nothing_of_the_network():
    network = network_of(SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    last_spatial_layer(network, size=64, name=SMALL)
    assert not any(module.training for module in network.modules())
    assert hooks_of(network) == []
    for name, value in network.state_dict().items():  # nor the running means of its normalisation
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


# ---- the maps


def stretched(maps: torch.Tensor, *, height: int, width: int) -> np.ndarray:
    """Maps enlarged linearly, then from 0 to 1 each; a map that is nowhere above 0 stays 0."""
    large = np.stack([cv2.resize(each, (width, height)) for each in maps.numpy()])
    large -= large.min((1, 2), keepdims=True)
    most = large.max((1, 2), keepdims=True)
    return large / np.where(most > 0, most, 1)


@pytest.mark.parametrize(
    ("name", "height", "width"),
    [("one block", 48, 80), (SMALL, 128, 128), ("swin_tiny_patch4_window7_224", 224, 224)],
)
def test_where_the_head_is_linear_in_the_mean_a_map_is_the_features_weighted_by_the_head(name, height, width):
    network, images = network_of(name), images_of(6, height=height, width=width)
    with torch.no_grad():
        features = network.forward_features(images)
    features = features.permute(0, 3, 1, 2) if "swin" in name else features
    head = network.head.fc if "swin" in name else network.fc
    found = maps_of(network, images, batch_size=4)
    for label in BOTH:
        weights = head.weight.detach()[label] / features[0, 0].numel()  # the gradient at each position, so their mean
        by_hand = torch.einsum("k,nkyx->nyx", weights, features).relu()
        assert found[label].dtype == np.float32
        assert found[label].shape == (6, height, width)
        np.testing.assert_allclose(found[label], stretched(by_hand, height=height, width=width), atol=1e-4)
    assert (np.maximum(found[LIVE], found[DEAD]).max((1, 2)) > 0.99).all()


@pytest.mark.parametrize(("name", "size"), [("test_vit", 160), ("test_efficientnet", 96), ("squeezenet1_1", 96)])
def test_a_map_is_the_layer_s_activations_weighted_by_their_mean_gradient(name, size):
    network, images = network_of(name), images_of(3, height=size, width=size)
    layer = last_spatial_layer(network, size=size, name=name)
    found = all_maps(network, layer, iter([images]), labels=BOTH, bfloat16=False)
    kept = []
    network.requires_grad_(True)
    handle = layer.module.register_forward_hook(lambda module, _, output: kept.append(output))
    logits = network(images)
    handle.remove()
    for label in BOTH:
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), kept[0], retain_graph=True)
        activations = kept[0].detach()
        if name == "test_vit":  # a class token, then ten lines of ten
            activations, gradient = (
                tokens[:, 1:].unflatten(1, (10, 10)).permute(0, 3, 1, 2) for tokens in (activations, gradient)
            )
        by_hand = (gradient.mean((2, 3), keepdim=True) * activations).sum(1).relu()
        np.testing.assert_allclose(found[label], stretched(by_hand, height=size, width=size), atol=1e-4)
        assert found[label].max() > 0.99


def test_the_maps_of_live_and_dead_differ():
    found = maps_of(network_of("one block"), images_of(4, height=64, width=64))
    assert set(found) == {LIVE, DEAD}
    assert (np.abs(found[LIVE] - found[DEAD]).mean((1, 2)) > 0.05).all()


def test_a_label_alone_is_mapped_as_beside_the_other():
    network, images = network_of("one block"), images_of(4, height=64, width=64)
    layer = last_spatial_layer(network, size=64, name="it")
    alone = all_maps(network, layer, iter([images]), labels=(DEAD,), bfloat16=False)
    assert set(alone) == {DEAD}
    np.testing.assert_array_equal(alone[DEAD], maps_of(network, images)[DEAD])


def test_a_map_does_not_depend_on_the_patches_beside_it():
    network, images = network_of(SMALL), images_of(6, height=128, width=128)
    together, one_by_one = maps_of(network, images), maps_of(network, images, batch_size=1)
    for label in BOTH:
        np.testing.assert_allclose(together[label], one_by_one[label], atol=1e-4)


def test_maps_in_bfloat16_are_those_of_float32_to_its_digits():
    network, images = network_of("one block"), images_of(4, height=64, width=64)
    exact, rounded = maps_of(network, images), maps_of(network, images, bfloat16=True)
    for label in BOTH:
        assert rounded[label].dtype == np.float32
        np.testing.assert_allclose(rounded[label], exact[label], atol=0.05)
        assert not np.array_equal(rounded[label], exact[label])


# ---- what stays behind


@pytest.mark.parametrize("name", [SMALL, "one block"])  # a layer with weights of its own, and one without
@pytest.mark.parametrize("frozen", ["nothing", "all", "some"])
def test_maps_are_the_same_whatever_training_had_frozen_and_no_weight_changes(name, frozen):
    network, images = network_of(name), images_of(3, height=64, width=64)
    as_trainable = maps_of(network, images)
    for number, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(frozen == "nothing" or (frozen == "some" and number % 2 == 0))
    values = {key: value.clone() for key, value in network.state_dict().items()}
    found = maps_of(network, images)
    for label in BOTH:
        np.testing.assert_array_equal(found[label], as_trainable[label])
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module.training for module in network.modules())
    assert hooks_of(network) == []
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, values[key], rtol=0, atol=0)


def test_no_hook_and_no_gradient_is_left_after_the_patches_could_not_be_read():
    network = network_of(SMALL)
    layer = last_spatial_layer(network, size=64, name=SMALL)

    def images():
        yield images_of(2, height=64, width=64)
        raise InputError("the field is missing")

    with pytest.raises(InputError, match="^the field is missing$"):
        all_maps(network, layer, images(), labels=BOTH, bfloat16=False)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert hooks_of(network) == []


def test_no_more_than_one_batch_s_activations_are_held_at_a_time():
    network = network_of(SMALL)
    layer = last_spatial_layer(network, size=64, name=SMALL)
    outputs: list[weakref.ref] = []
    handle = layer.module.register_forward_hook(lambda module, _, output: outputs.append(weakref.ref(output)))
    alive = []

    def images():
        for seed in range(6):
            yield images_of(4, height=64, width=64, seed=seed)
            alive.append(sum(reference() is not None for reference in outputs))

    gc.disable()  # what only the collector frees may stay for long
    try:
        all_maps(network, layer, images(), labels=BOTH, bfloat16=False)
        assert max(alive) <= 1
        assert not any(reference() is not None for reference in outputs)
    finally:
        gc.enable()
        handle.remove()
    assert len(outputs) == 6, "each batch passes once for both labels"


def resident_megabytes() -> float:
    """What the process holds in memory, as Linux tells it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux alone tells a process its memory there")
def test_memory_does_not_grow_with_the_number_of_maps():
    network = network_of(SMALL)
    layer = last_spatial_layer(network, size=64, name=SMALL)

    def thousand_maps():
        images = (images_of(32, height=64, width=64, seed=seed) for seed in range(16))
        return all_maps(network, layer, images, labels=BOTH, bfloat16=False)

    assert sum(len(maps) for maps in thousand_maps().values()) == 1024  # and a first time, for what is kept for good
    before = resident_megabytes()
    for _ in range(2):
        thousand_maps()
    assert resident_megabytes() - before < 50


def test_no_weight_has_a_gradient_computed_and_the_network_is_left_without_hooks():
    network = network_of(SMALL)
    with_gradient = []
    for name, weight in network.named_parameters():
        weight.requires_grad_(True)
        weight.register_hook(lambda _gradient, name=name: with_gradient.append(name))
    maps_of(network, images_of(2, height=64, width=64))
    assert with_gradient == []
    assert all(weight.grad is None for weight in network.parameters())
    assert hooks_of(network) == []
