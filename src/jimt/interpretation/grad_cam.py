"""Grad-CAM (Selvaraju et al., 2017) by the grad-cam package, on the last spatial layer of any backbone (Fig. 6)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jimt.errors import InputError


@dataclass(frozen=True)
class SpatialLayer:
    """The layer whose activations are mapped.

    Attributes:
        name: Its name in the network.
        module: The layer itself.
        to_channels_first: From its output to float32 of shape ``(n, channels, height, width)``.
    """

    name: str
    module: nn.Module
    to_channels_first: Callable[[Tensor], Tensor]


def last_spatial_layer(network: Any, *, size: int, name: str) -> SpatialLayer:
    """Find the last layer of a timm network whose output still has positions.

    Of modules that hand on the same output the innermost with weights of its own is taken, which is the last
    convolutional block of ResNet, SqueezeNet and Inception. Transformers whose class token alone is classified have no
    gradient on the last tokens: there it is the normalisation that the last block begins with.

    Args:
        network: Of ``create_backbone``, in evaluation mode.
        size: Side of the images it will see.
        name: Its name, for the message.

    Raises:
        InputError: If no layer's output has positions.
    """
    device = next(network.parameters()).device
    seen: list[tuple[str, nn.Module, Tensor]] = []
    handles = [
        module.register_forward_hook(lambda m, _i, out, path=path: seen.append((path, m, out)))
        for path, module in network.named_modules()
        if path
    ]
    try:
        with torch.no_grad():
            last = network.forward_features(torch.zeros(1, 3, size, size, device=device))
    finally:
        for handle in handles:
            handle.remove()
    if hasattr(network, "blocks") and isinstance(last, Tensor) and last.ndim == 3:
        first = getattr(network.blocks[-1], "norm1", None)
        for path, module, output in seen:
            if module is first and isinstance(first, nn.Module) and output.ndim == 3:
                for n_prefixes in (int(getattr(network, "num_prefix_tokens", 0)), 0):  # XCiT's class token joins later
                    side = round((output.shape[1] - n_prefixes) ** 0.5)
                    if side > 1 and side * side == output.shape[1] - n_prefixes:
                        return SpatialLayer(path, first, partial(_from_tokens, n_prefixes=n_prefixes, side=side))
    if isinstance(last, Tensor) and last.ndim == 4:
        channels_last = last.shape[-1] == network.num_features and last.shape[1] != network.num_features
        if (last.shape[1:3] if channels_last else last.shape[2:]).numel() > 1:
            path, module = _gives(last, seen)
            order = (0, 3, 1, 2) if channels_last else (0, 1, 2, 3)
            return SpatialLayer(path, module, lambda output: output.float().permute(order))
    shape = tuple(last.shape[1:]) if isinstance(last, Tensor) else type(last).__name__
    raise InputError(
        f"{name} has no last layer whose output has positions (its features are {shape}), so there is "
        "nothing for Grad-CAM to map",
        advice="choose a convolutional network",
    )


def _gives(last: Tensor, seen: list[tuple[str, nn.Module, Any]]) -> tuple[str, nn.Module]:
    """Of modules in the order they ended, the first that ends with this output for good and has weights of its own.

    An activation that works in place hands on the tensor of the layer before it, which is not yet the output then.
    """
    same = [(path, module) for path, module, output in seen if output is last]
    if not same:  # computed outside any module: the nearest is the last of the same shape
        same = [(path, m) for path, m, output in seen if isinstance(output, Tensor) and output.shape == last.shape][-1:]
    if not same:
        raise InputError(
            "no layer of the network gives an output of the shape of its features", advice="choose another network"
        )
    leaves = [number for number, (_, module) in enumerate(same) if next(module.children(), None) is None]
    for path, module in same[leaves[-1] if leaves else 0 :]:
        if next(module.parameters(), None) is not None:
            return path, module
    return same[-1]


def _from_tokens(tokens: Tensor, *, n_prefixes: int, side: int) -> Tensor:
    return tokens[:, n_prefixes:].float().transpose(1, 2).reshape(len(tokens), -1, side, side)


def class_maps(
    model: nn.Module,
    layer: SpatialLayer,
    images: Iterable[Tensor],
    *,
    labels: tuple[int, ...],
    bfloat16: bool,
) -> Iterator[dict[int, NDArray[np.float32]]]:
    """Activation maps of some labels, each stretched to 0 to 1 within itself.

    Args:
        model: From images to two logits; in evaluation mode. Which of its weights are trained is not kept.
        layer: Of ``last_spatial_layer``.
        images: Batches of normalised images, ``(n, 3, height, width)``, on the model's device.
        labels: Whose logit is mapped.
        bfloat16: Compute under autocast, as the patches were scored.

    Yields:
        Of each batch, maps by label, each of shape ``(n, height, width)``.
    """
    from pytorch_grad_cam import GradCAM  # late: seconds

    model.requires_grad_(False)
    begins = layer.module.register_forward_hook(_begin_gradient)  # before the hooks of the library
    cam = GradCAM(model, [layer.module], reshape_transform=layer.to_channels_first)
    try:  # not as a context: its end would swallow an IndexError
        for batch in images:
            with torch.autocast(batch.device.type, torch.bfloat16, enabled=bfloat16):
                logits = cam.activations_and_grads(batch)
            maps = {}
            for label in labels:  # by one pass: called once for each label, the library would pass the batch each time
                cam.activations_and_grads.gradients = []
                logits[:, label].sum().backward(retain_graph=label != labels[-1])
                of_layers = cam.compute_cam_per_layer(batch, [], False)
                maps[label] = np.asarray(cam.aggregate_multi_layers(of_layers), np.float32)
            yield maps
    finally:
        cam.activations_and_grads.release()
        begins.remove()


def _begin_gradient(_layer: nn.Module, _given: object, output: Tensor) -> Tensor:
    """The gradient goes back to the layer's output and no further, not even to its own weights."""
    return output.detach().requires_grad_().clone()  # a copy, since what comes next may work in place
