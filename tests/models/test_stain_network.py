"""A backbone and a decoder: published weights arrive, maps lie where they should, losses are those of the textbook."""

import copy
import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import drop_resnet  # noqa: F401  # known to timm
from conftest import STAIN, composed_train
from jimt.config.stain import StainConfig
from jimt.errors import InputError
from jimt.models.freezing import freeze
from jimt.models.stain_module import StainModule, map_losses
from jimt.models.stain_network import StainNetwork
from jimt.networks.backbones import create_backbone

TINY = "test_resnet.r160_in1k"
OUTPUTS = ("log_pi", "positive", "dead", "live")


@functools.cache
def _network(*settings) -> StainNetwork:
    backbone, decoder, channels, reduction, outputs = settings
    torch.manual_seed(0)
    return StainNetwork(backbone, decoder=decoder, channels=channels, reduction=reduction, outputs=outputs)


def network(backbone=TINY, decoder="fpn", *, channels=64, reduction=1, outputs=OUTPUTS) -> StainNetwork:
    return copy.deepcopy(_network(backbone, decoder, channels, reduction, outputs))


# ---- published weights


@pytest.mark.parametrize(
    ("backbone", "decoder"),
    [
        (TINY, "fpn"),
        pytest.param("resnet18.tv_in1k", "fpn", marks=pytest.mark.slow),
        ("squeezenet1_1.tv_in1k", "unet"),
        pytest.param("inception_v3.tv_in1k", "unet", marks=pytest.mark.slow),
        ("test_convnext2.r160_in1k", "fpn"),
    ],
)
def test_pretrained_weights_give_the_feature_map_that_timms_network_gives(tmp_path, backbone, decoder):
    torch.manual_seed(0)
    donor = create_backbone(backbone, num_classes=10).eval()
    for name, value in donor.state_dict().items():  # statistics too, which begin alike in every network
        if name.endswith("running_mean"):
            value.uniform_(-0.1, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.8, 1.2)
    torch.save(donor.state_dict(), tmp_path / "weights.pt")
    ours = network(backbone, decoder)
    told = ours.load_pretrained(str(tmp_path / "weights.pt"))
    assert told.startswith("file: weights.pt sha256 ")
    images = torch.randn(2, 3, 128, 96)
    with torch.inference_mode():
        expected = donor.forward_features(images)
        if backbone.startswith("test_convnext2"):  # timm's classifier normalises once more
            expected = donor.stages(donor.stem(images))
        torch.testing.assert_close(ours.eval().encoder(images)[-1], expected, rtol=1e-5, atol=1e-5)
        # and not what random weights give
        assert not torch.allclose(_network(backbone, decoder, 64, 1, OUTPUTS).eval().encoder(images)[-1], expected)


@pytest.mark.slow
def test_a_part_of_efficientnet_before_its_last_layer_gets_the_weights(tmp_path):
    torch.manual_seed(0)
    donor = create_backbone("tf_efficientnet_lite0", num_classes=0).eval()
    torch.save(donor.state_dict(), tmp_path / "weights.pt")
    ours = network("tf_efficientnet_lite0")
    ours.load_pretrained(str(tmp_path / "weights.pt"))
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = donor.blocks(donor.bn1(donor.conv_stem(images)))
        torch.testing.assert_close(ours.eval().encoder(images)[-1], expected)


def test_weights_of_another_network_are_refused_and_change_nothing(tmp_path):
    torch.save(create_backbone("test_convnext2.r160_in1k", num_classes=0).state_dict(), tmp_path / "other.pt")
    ours = network()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(InputError, match=r"other\.pt"):
        ours.load_pretrained(str(tmp_path / "other.pt"))
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())


# ---- which networks


@pytest.mark.parametrize(
    ("backbone", "decoder", "reduction"),
    [
        pytest.param("resnet18.tv_in1k", "unet", 2, marks=pytest.mark.slow),
        ("squeezenet1_1.tv_in1k", "unet", 2),
        pytest.param("inception_v3.tv_in1k", "unet", 2, marks=pytest.mark.slow),
        pytest.param("tf_efficientnet_lite0", "fpn", 2, marks=pytest.mark.slow),
        *((TINY, "fpn", reduction) for reduction in (1, 2, 4)),
    ],
)
def test_maps_have_a_place_for_each_four_pixels_whatever_the_reduction(backbone, decoder, reduction):
    ours = network(backbone, decoder, reduction=reduction).eval()
    side = 96 * reduction
    with torch.inference_mode():
        assert ours(torch.zeros(1, 3, side, 2 * side)).shape == (1, 4, side // 4, side // 2)


@pytest.mark.parametrize(
    ("backbone", "decoder", "said"),
    [
        (
            "squeezenet1_1.tv_in1k",
            "fpn",
            "the feature maps of squeezenet1_1.tv_in1k are not halves of one another, as stain.decoder=fpn needs: give "
            "stain.decoder=unet, or backbone.name=resnet18.tv_in1k",
        ),
        pytest.param(
            "inception_v3.tv_in1k",
            "fpn",
            "the feature maps of inception_v3.tv_in1k are not halves of one another, as stain.decoder=fpn needs: give "
            "stain.decoder=unet, or backbone.name=resnet18.tv_in1k",
            marks=pytest.mark.slow,
        ),
        (
            "test_vit.r160_in1k",
            "unet",
            "test_vit.r160_in1k gives no features of several scales, from which maps of the stain could be made: give "
            "backbone.name=resnet18.tv_in1k, or task=patch",
        ),
        ("nonsense", "fpn", "timm knows no network called nonsense"),
    ],
)
def test_a_network_that_cannot_give_maps_is_refused_by_name(backbone, decoder, said):
    with pytest.raises(InputError) as caught:
        network(backbone, decoder)
    assert str(caught.value).startswith(said)


def test_everything_but_the_stain_begins_as_rare_and_is_a_probability():
    ours = network()
    with torch.no_grad():
        ours._last.weight.zero_()
        maps = ours.maps(torch.randn(2, 3, 64, 64))
    assert maps.shape == (2, 4, 16, 16)
    rare = 1 / (1 + math.exp(2))
    for values, expected in zip(maps.transpose(0, 1), (0.0, rare, rare / 2, rare / 2), strict=True):
        torch.testing.assert_close(values, torch.full_like(values, expected))


def test_a_place_is_in_a_nucleus_that_is_dead_or_alive():
    raw = torch.tensor([[[[2.0]], [[0.0]], [[-3.0]], [[1.0]]]])
    nucleus, dead = 1 / (1 + math.exp(3)), 1 / (1 + math.exp(-1))
    by_hand = [2.0, 0.5, nucleus * dead, nucleus * (1 - dead)]
    assert network().as_maps(raw).flatten().tolist() == pytest.approx(by_hand)
    some = network().as_maps(torch.randn(3, 4, 5, 6) * 4)
    assert (some[:, 2] + some[:, 3] <= 1).all()
    two = network(outputs=("dead", "live")).as_maps(raw[:, 2:])
    assert two.flatten().tolist() == pytest.approx(by_hand[2:])


# ---- losses


def test_losses_are_those_of_the_textbook_over_the_places_that_are_known():
    nan = math.nan
    raw = torch.tensor([[[[0.0, 2.0], [0.5, 7.0]], [[1.0, -2.0], [0.0, 9.0]]]], requires_grad=True)
    targets = torch.tensor([[[[0.2, 0.5], [0.5, nan]], [[1.0, 0.25], [nan, nan]]]])
    # smooth L1: half the square over 0.3 below 0.3, the distance less half of 0.3 above
    log_pi = (0.5 * 0.2**2 / 0.3 + (1.5 - 0.15) + 0.0) / 3

    def entropy(logit, wanted):
        live = 1 / (1 + math.exp(-logit))
        return -wanted * math.log(live) - (1 - wanted) * math.log(1 - live)

    positive = (entropy(1.0, 1.0) + entropy(-2.0, 0.25)) / 2
    losses = map_losses(raw, targets, ("log_pi", "positive"))
    assert losses.tolist() == pytest.approx([log_pi, positive], rel=1e-6)
    losses.sum().backward()
    assert torch.isfinite(raw.grad).all()
    assert (raw.grad[torch.isnan(targets)] == 0).all()
    assert raw.grad[0, 0].flatten().tolist() == pytest.approx([-0.2 / 0.3 / 3, 1 / 3, 0, 0])


def test_an_output_of_which_nothing_is_known_costs_nothing():
    raw = torch.randn(2, 2, 4, 4, requires_grad=True)
    targets = torch.full((2, 2, 4, 4), math.nan)
    targets[:, 0] = 1.0
    losses = map_losses(raw, targets, ("log_pi", "positive"))
    losses.sum().backward()
    assert losses[1] == 0
    assert (raw.grad[:, 1] == 0).all()
    assert raw.grad[:, 0].abs().sum() > 0


def test_of_nuclei_it_is_learned_where_they_are_and_within_them_whether_they_are_dead():
    nan = math.nan
    raw = torch.tensor([[[[1.0, -1.0], [2.0, 3.0], [0.0, 5.0]], [[0.5, 4.0], [-2.0, 9.0], [7.0, 6.0]]]])
    raw.requires_grad_()
    dead = torch.tensor([[1.0, 0.0], [0.0, nan], [1.0, 0.0]])
    live = torch.tensor([[0.0, 1.0], [0.0, nan], [1.0, 0.0]])  # where two discs meet it is of both

    def entropy(logit, wanted):
        likely = 1 / (1 + math.exp(-logit))
        return -wanted * math.log(likely) - (1 - wanted) * math.log(1 - likely)

    where = [entropy(1, 1), entropy(-1, 1), entropy(2, 0), entropy(0, 1), entropy(5, 0)]
    which = [entropy(0.5, 1), entropy(4, 0), entropy(7, 0.5)]
    losses = map_losses(raw, torch.stack([dead, live])[None], ("dead", "live"))
    assert losses.tolist() == pytest.approx([np.mean(where), np.mean(which)], rel=1e-6)
    losses.sum().backward()
    known = torch.tensor([[[1, 1], [1, 0], [1, 1]], [[1, 1], [0, 0], [1, 0]]])
    assert torch.equal((raw.grad[0] != 0).long() | (1 - known), torch.ones_like(known))
    assert (raw.grad[0][known == 0] == 0).all()


# ---- how it is trained


def module(*, trainable="all", weights=(1.0, 0.5), decoder_lr=0.01, **optim):
    ours = network(outputs=("log_pi", "positive"))
    freeze(ours.encoder, torch.nn.Identity(), trainable)
    settings = {"lr": 0.001, "betas": (0.9, 0.999), "weight_decay": 0.02, "decoupled": True, "schedule": "constant"}
    return StainModule(
        ours,
        optim=settings | optim,
        decoder_lr=decoder_lr,
        weights=weights,
        patch_size=32,
        seed=0,
        record={},
    )


def test_the_step_minimises_the_weighted_sum_of_the_losses(monkeypatch):
    ours = module(weights=(2.0, 0.25))
    logged = {}
    monkeypatch.setattr(ours, "log", lambda name, value, **_: logged.__setitem__(name, float(value.detach())))
    batch = SimpleNamespace(pixels=torch.randn(2, 3, 64, 64), targets=torch.rand(2, 2, 16, 16))
    loss = ours.training_step(batch, 0)
    assert logged["train/loss"] == pytest.approx(
        2 * logged["train/loss_log_pi"] + 0.25 * logged["train/loss_positive"], rel=1e-6
    )
    assert float(loss.detach()) == pytest.approx(logged["train/loss"])


def test_the_backbone_and_the_decoder_have_each_their_own_rate():
    ours = module()
    (of_backbone, of_decoder) = ours.configure_optimizers().param_groups
    assert (of_backbone["lr"], of_decoder["lr"]) == (0.001, 0.01)
    assert (of_backbone["weight_decay"], of_decoder["weight_decay"]) == (0.02, 0.02)
    names = {id(parameter): name for name, parameter in ours.named_parameters()}
    assert {names[id(p)].split(".")[2] for p in of_backbone["params"]} == {"encoder"}
    assert {names[id(p)].split(".")[2] for p in of_decoder["params"]} == {"decoder", "segmentation_head"}
    assert len(of_backbone["params"]) + len(of_decoder["params"]) == len(names)


def test_one_cycle_raises_and_lowers_both_rates_alike():
    ours = module(schedule="one_cycle", warmup=0.25)
    ours.trainer = SimpleNamespace(estimated_stepping_batches=20)
    found = ours.configure_optimizers()
    optimizer, schedule = found["optimizer"], found["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(20):
        rates.append([part["lr"] for part in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    rates = np.array(rates)
    np.testing.assert_allclose(rates[:, 1], 10 * rates[:, 0])
    assert rates[:, 0].max() == pytest.approx(0.001)
    assert np.argmax(rates[:, 0]) in (4, 5)
    assert rates[-1, 0] < 0.001 / 100


@pytest.mark.parametrize("trainable", ["head", "last_stage", "all"])
def test_what_is_frozen_of_the_backbone_does_not_move_while_the_decoder_learns(trainable):
    torch.manual_seed(0)
    ours = module(trainable=trainable)
    ours.train()
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    optimizer = ours.configure_optimizers()
    assert len(optimizer.param_groups) == (1 if trainable == "head" else 2)
    assert optimizer.param_groups[-1]["lr"] == 0.01
    for _ in range(2):
        loss = map_losses(ours(torch.randn(4, 3, 64, 64)), torch.rand(4, 2, 16, 16), ("log_pi", "positive")).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    moved = {name for name, value in ours.state_dict().items() if not torch.equal(value, before[name])}
    of_backbone = {name for name in moved if name.startswith("network.network.encoder.")}
    everything = {name for name in before if name.startswith("network.network.encoder.")}
    assert any("decoder" in name for name in moved)
    assert any("segmentation_head" in name for name in moved)
    if trainable == "head":  # weights and batch statistics alike
        assert of_backbone == set()
    elif trainable == "last_stage":
        assert {name.split(".")[4].split("_")[0] for name in of_backbone} == {"layer4"}
    else:
        assert len(of_backbone) == len(everything)


def test_settings_of_the_stain_that_cannot_be_are_refused():
    def settings(**changes) -> StainConfig:
        config = composed_train("run_dir=run", *STAIN).stain
        return StainConfig(**vars(config) | changes)

    for changes, said in (
        ({"crop": 100}, "stain.crop=100 is no multiple of 32 pixels, as stain.reduction=1 needs: give stain.crop=96"),
        ({"crop": 20}, "needs: give stain.crop=32"),
        ({"crop": 64, "reduction": 4}, "no multiple of 128 pixels, as stain.reduction=4 needs: give stain.crop=128"),
        ({"log_pi": 0, "positive": 0}, "are all 0, so nothing is to be predicted: give stain.log_pi=1"),
        ({"nuclei": 1.0}, "stain.nuclei=1 and stain.nuclei_of=null: nuclei are predicted from what tells where"),
        ({"nuclei_of": "cells"}, "stain.nuclei=0 and stain.nuclei_of=cells: nuclei are predicted"),
        ({"crop": None}, "stain.positive_crops=0.5 is without effect on whole fields: give stain.positive_crops=0"),
        ({"decoder": "linknet"}, "stain.decoder=linknet is not allowed: it takes one of fpn, unet"),
        ({"channels": 100}, "stain.channels=100 is not allowed: it takes a multiple of 32"),
        ({"reduction": 3}, "stain.reduction=3 is not allowed: it takes 1, 2 or 4"),
        ({"decoder_lr": 0.0}, "stain.decoder_lr=0.0 is not allowed"),
        ({"log_pi": -1.0}, "stain.log_pi=-1.0 is not allowed"),
        ({"nuclei_of": "both"}, "stain.nuclei_of=both is not allowed: it takes one of cells, nuclei"),
        ({"nucleus_radius": 0.0}, "stain.nucleus_radius=0.0 is not allowed"),
        ({"smoothing": -1.0}, "stain.smoothing=-1.0 is not"),
        ({"crops": 0}, "stain.crops=0 is not"),
        ({"positive_crops": 1.5}, "stain.positive_crops=1.5 is not"),
    ):
        with pytest.raises(InputError) as caught:
            settings(**changes)
        assert said in str(caught.value), changes
        assert "\n" not in str(caught.value)
