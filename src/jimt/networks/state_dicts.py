"""State dicts: read from a file without executing it, compared with a network key by key, put in place."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from jimt.errors import InputError

State = Mapping[str, Tensor]

_EFFICIENTNET_LITE0 = "tf_efficientnet_lite0"  # whose weights are packaged under names of their own

# what torch.load and safetensors were seen to raise on damaged files
UNREADABLE = (
    *(safetensors.SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError),
    *(LookupError, AssertionError, AttributeError, TypeError),
)

# What a LiveDeadClassifier holds; networks of timm with a part named `network` have other parts besides.
_OF_CLASSIFIER = ("network.", "linear.")

# Files published for torchvision hold this second head, which served training on ImageNet only.
_AUXILIARY_HEAD = "AuxLogits."


def published_config(network: nn.Module) -> dict[str, Any]:
    """Return what timm says about the published weights of a network."""
    return cast(dict[str, Any], network.pretrained_cfg)


def read_state_dict(path: Path) -> State:
    """Return the tensors of a file by name, without executing anything in it.

    Args:
        path: A ``.safetensors`` file, or what ``torch.save`` made of a state dict, bare or under the key
            ``state_dict`` or ``model``; so also a checkpoint of jimt, of which the network is taken.

    Raises:
        InputError: If the file is damaged or holds anything but tensors by name.
    """
    advice = "save it again with safetensors.torch.save_file(network.state_dict(), 'NAME.safetensors')"
    content: object
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            with warnings.catch_warnings(action="ignore"):  # of the pickle protocol; the error below says it all
                content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path} is damaged or holds more than tensors, and code in a weights file is never executed "
            f"({type(error).__name__})",
            advice=advice,
        ) from error
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not (
        isinstance(content, Mapping)
        and content
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    ):
        raise InputError(f"{path} is not a state dict, that is tensors by name", advice=advice)
    state = {key.removeprefix("module."): value for key, value in content.items()}  # "module.": saved under DDP
    if all(key.startswith(_OF_CLASSIFIER) for key in state) and any(key.startswith(_OF_CLASSIFIER[0]) for key in state):
        network, linear = _OF_CLASSIFIER
        state = {key.removeprefix(network): value for key, value in state.items() if not key.startswith(linear)}
    return state


def put_state_dict(network: nn.Module, state: State, source: str) -> None:
    """Load a state dict after checking all of it; numbers are cast to the network's type.

    Left out are a classifier that is absent or of another shape on either side, and Inception's auxiliary head.

    Args:
        network: Changed in place, if nothing is wrong.
        state: Under timm's names; for EfficientNet-Lite0 those of its package do as well.
        source: What the message of an error calls it.

    Raises:
        InputError: If any other tensor is missing, unexpected or of another shape; the first few are named.
    """
    published = published_config(network)
    if published["architecture"] == _EFFICIENTNET_LITE0:
        state = {_timm_key(key): value for key, value in state.items()}
    wanted = network.state_dict()
    heads = {key for key in {*state, *wanted} if is_classifier(key, published)}
    if any(key not in state or key not in wanted or state[key].shape != wanted[key].shape for key in heads):
        state = {key: value for key, value in state.items() if key not in heads}
    else:
        heads = set()
    state = {key: value for key, value in state.items() if key in wanted or not key.startswith(_AUXILIARY_HEAD)}
    # counters of batches, which old files lack, matter to no prediction
    missing = [key for key in wanted if key not in state and key not in heads and not key.endswith("_batches_tracked")]
    unexpected = [key for key in state if key not in wanted]
    reshaped = [key for key in state if key in wanted and state[key].shape != wanted[key].shape]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    if any(found.values()):
        said = "; ".join(
            f"{len(keys)} {how} ({', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''})"
            for how, keys in found.items()
            if keys
        )
        raise InputError(
            f"{source} does not hold the weights of {published['architecture']} (of its {len(wanted)} keys {said})",
            advice="give the file of that network, or choose the network of that file",
        )
    network.load_state_dict(state, strict=False)


def is_classifier(key: str, published: dict[str, Any]) -> bool:
    """Say whether a tensor belongs to the layer that makes the logits."""
    classifiers = published.get("classifier") or ()
    names = (classifiers,) if isinstance(classifiers, str) else classifiers
    return key.rpartition(".")[0] in names


_REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks per stage of EfficientNet-Lite0
_BLOCKS = [f"blocks.{stage}.{block}" for stage, count in enumerate(_REPEATS) for block in range(count)]
# the first block does not expand, so its layers count from the depthwise convolution
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LATER = {
    **{"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"},
    **{"_project_conv": "conv_pwl", "_bn2": "bn3"},
}
_TIMM_LAYERS = {
    **{"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"},
    **{
        f"_blocks.{index}.{packaged}": f"{block}.{layer}"
        for index, block in enumerate(_BLOCKS)
        for packaged, layer in (_LATER if index else _FIRST).items()
    },
}


def _timm_key(key: str) -> str:
    """Return timm's name of a tensor of EfficientNet-Lite0; names that are not the package's come back unchanged."""
    layer, dot, tensor = key.rpartition(".")
    return _TIMM_LAYERS.get(layer, layer) + dot + tensor
