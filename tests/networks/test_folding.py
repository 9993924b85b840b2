"""Networks whose batch normalisation is folded into their convolutions answer as they did."""

import copy

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import nn

from jimt.networks.backbones import create_backbone
from jimt.networks.decoders import create_encoder_decoder
from jimt.networks.folding import fold_batch_norms


def norms(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def trained(network: nn.Module) -> nn.Module:
    """As after a training: no normalisation does what a new one does."""
    generator = torch.Generator().manual_seed(0)
    for norm in norms(network):
        for values, low in ((norm.weight, 0.5), (norm.bias, -0.5), (norm.running_mean, -0.5), (norm.running_var, 0.5)):
            values.data.uniform_(low, low + 1, generator=generator)
    return network.eval()


def answer(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return network(images)


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "test_efficientnet.r160_in1k"])
def test_a_folded_network_answers_as_before_and_the_given_one_stays_as_it_is(name):
    network = trained(create_backbone(name, num_classes=2))
    before = copy.deepcopy(network.state_dict())
    folded = fold_batch_norms(network, answer, size=64)
    assert norms(network)
    assert len(norms(folded)) <= len(norms(network)) // 5  # one may follow several layers together
    for key, values in network.state_dict().items():
        assert torch.equal(values, before[key])
    images = torch.rand(2, 3, 96, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-4, atol=1e-5)


class Elsewhere(nn.Module):
    """Holds its layers in another order than it passes them in."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.convolution(self.norm(images))


@pytest.mark.parametrize("network", [Elsewhere(), nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())])
def test_a_network_that_cannot_be_folded_is_given_back(network):
    assert fold_batch_norms(trained(network), answer, size=8) is network


def test_a_feature_pyramid_adds_its_maps_as_the_library_does():
    ours = create_encoder_decoder("resnet18.tv_in1k", "fpn", channels=32, n_outputs=2).eval()
    further = {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32, "upsampling": 1}
    theirs = smp.FPN("tu-resnet18.tv_in1k", encoder_weights=None, classes=2, **further).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images))
