"""What is trained of each network; expected parts are read off the networks' printed structure."""

import pytest
import timm
import torch
from torch import nn

from jimt.errors import InputError
from jimt.models.freezing import freeze, train_trainable
from jimt.networks.backbones import create_backbone

# the head, and the parts that compute at the smallest resolution of a 224 px image
PARTS = {
    "resnet18": (("fc.",), ("layer4.",)),  # 7 px: layer4 begins with the stride
    "squeezenet1_1": (
        ("classifier.1.",),
        tuple(f"features.{n}." for n in (9, 10, 11, 12)),
    ),  # 13 px: after the last pool
    # 5 px: of Mixed_7a the last convolution that is computed, which ends a branch with a stride
    "inception_v3": (("fc.",), ("Mixed_7a.branch7x7x3_4.", "Mixed_7b.", "Mixed_7c.")),
    # 7 px: block 5.0 widens at 14 px and has its stride in the depthwise convolution
    "tf_efficientnet_lite0": (
        ("classifier.",),
        (
            *(f"blocks.5.0.{layer}." for layer in ("conv_dw", "bn2", "conv_pwl", "bn3")),
            *(f"blocks.5.{block}." for block in (1, 2, 3)),
            "blocks.6.",
            "conv_head.",
            "bn2.",
        ),
    ),
    "convnext_atto": (("head.fc.",), ("stages.3.downsample.1.", "stages.3.blocks.", "head.norm.")),  # 7 px
    # channels last inside a block, so that a map is (7, 7, 768) and not (768, 7, 7)
    "convnext_tiny": (("head.fc.",), ("stages.3.downsample.1.", "stages.3.blocks.", "head.norm.")),
}


def network_of(name: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    network = create_backbone(name, num_classes=2)
    return network, network.get_classifier()


def trained(network: nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("name", PARTS)
def test_what_is_trained_of_each_network(name):
    network, head = network_of(name)
    names = {name for name, _ in network.named_parameters()}
    of_head, of_last_stage = PARTS[name]
    expected = {
        "all": names,
        "none": set(),
        "head": {name for name in names if name.startswith(of_head)},
        "last_stage": {name for name in names if name.startswith(of_head + of_last_stage)},
    }
    for trainable, parts in expected.items():
        freeze(network, head, trainable)
        assert trained(network) == parts, trainable
    assert expected["head"] < expected["last_stage"] < names


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "mixer_s32_224"])
def test_a_network_of_one_resolution_has_no_stages(name):
    network, head = network_of(name)
    before = network.training
    with pytest.raises(
        InputError, match=r"backbone\.trainable=last_stage is not for this network, .* no stages: give "
    ):
        freeze(network, head, "last_stage")
    assert network.training is before
    freeze(network, head, "head")
    assert trained(network) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("name", ["resnet18", "inception_v3", "tf_efficientnet_lite0", "test_resnet"])
@pytest.mark.parametrize("trainable", ["head", "last_stage"])
def test_frozen_parts_keep_their_batch_statistics_and_trained_ones_do_not(name, trainable):
    network, head = network_of(name)
    freeze(network, head, trainable)
    train_trainable(network.train())
    # not 64 px: Inception would be left with a single position, of which there are no statistics
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    generator = torch.Generator().manual_seed(0)
    network(torch.randn(4, 3, 128, 128, generator=generator)).square().sum().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    parameters = trained(network)
    statistics = {
        f"{layer.rpartition('.')[0]}.{buffer}"
        for layer in parameters
        if f"{layer.rpartition('.')[0]}.running_mean" in before
        for buffer in ("running_mean", "running_var", "num_batches_tracked")
    }
    assert changed <= parameters | statistics
    assert statistics <= changed
    of_head = PARTS.get(name, PARTS["resnet18"])[0]
    assert {key for key in parameters if key.startswith(of_head)} <= changed


def test_dropout_of_a_frozen_part_is_off_and_that_of_the_trained_head_on():
    network, head = network_of("squeezenet1_1")
    freeze(network, head, "head")
    train_trainable(network.train())
    assert {type(module) for module in network.modules() if module.training} >= {nn.Dropout}
    resnet = timm.create_model("test_resnet", num_classes=2, drop_rate=0.5, drop_path_rate=0.5)
    freeze(resnet, resnet.get_classifier(), "head")
    train_trainable(resnet.train())
    images = torch.randn(4, 3, 64, 64)
    assert torch.equal(resnet.forward_features(images), resnet.forward_features(images))


def test_looking_for_the_last_stage_leaves_no_trace():
    network, head = network_of("resnet18")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    freeze(network, head, "last_stage")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert network.training
    assert not any(module._forward_hooks for module in network.modules())
