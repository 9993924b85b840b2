"""Which part of a network is trained: all of it, its last stage, or its head."""

import torch
from torch import Tensor, nn

from jimt.errors import InputError

_PROBE_SIZE = 224  # pixels; which layers share the last resolution does not depend on it


def freeze(network: nn.Module, head: nn.Module, trainable: str) -> None:
    """Set ``requires_grad`` of every parameter.

    Args:
        network: A convolutional network.
        head: The classifier in it.
        trainable: ``all``; ``last_stage``, the layers that compute at the smallest resolution, and the head; ``head``;
            or ``none``.

    Raises:
        InputError: If ``last_stage`` is asked of a network of one resolution throughout.
    """
    network.requires_grad_(trainable == "all")
    if trainable == "last_stage":
        for layer in _last_stage(network):
            for parameter in layer.parameters(recurse=False):
                parameter.requires_grad_(True)
    if trainable in ("last_stage", "head"):
        head.requires_grad_(True)


def _last_stage(network: nn.Module) -> list[nn.Module]:
    """Layers with weights after the last reduction of the resolution, in the order of computation."""
    seen: list[tuple[nn.Module, int]] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        seen.append((layer, _side(output)))

    with_weights = [module for module in network.modules() if list(module.parameters(recurse=False))]
    hooks = [module.register_forward_hook(note) for module in with_weights]
    was_training = network.training
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, _PROBE_SIZE, _PROBE_SIZE))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    # gates of squeeze-and-excitation compute on 1 x 1 maps inside every stage
    sizes = [size for _, size in seen if size > 1]
    if not sizes or min(sizes) == max(sizes):
        raise InputError(
            "backbone.trainable=last_stage is not for this network, which computes at one resolution "
            "throughout and has no stages",
            remedies=("backbone.trainable=head", "backbone.trainable=all"),
        )
    after = max(i for i, (_, size) in enumerate(seen) if size > min(sizes))
    return [layer for layer, _ in seen[after + 1 :]]


def _side(output: object) -> int:
    """Side of a square feature map, channels first or last; 0 of anything else."""
    if not isinstance(output, Tensor) or output.ndim != 4:
        return 0
    _, one, two, three = output.shape
    return int(two) if two == three or one == two else 0


def train_trainable(module: nn.Module) -> None:
    """Put what is trained into training mode and the rest into evaluation mode: no dropout, statistics as published."""
    parameters = list(module.parameters())
    if parameters and all(parameter.requires_grad for parameter in parameters):
        module.train()
        return
    module.training = False
    for child in module.children():
        train_trainable(child)
