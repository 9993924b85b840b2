"""The one device that patches and fields are scored on."""

import torch
from torch import nn

from jimt.errors import InputError
from jimt.system.hardware import check_gpus
from jimt.system.memory import keep_freed_memory


class ExceedsMemory(InputError):
    """What passes through a network at once needs more memory than the GPU has."""


def prediction_device(accelerator: str, *, index: int, precision: str) -> torch.device:
    """The one device that patches are scored on.

    Raises:
        InputError: If there is no such card, or torch cannot use it.
    """
    if accelerator == "cpu":
        keep_freed_memory()
        return torch.device("cpu")
    try:
        check_gpus(devices=index + 1, precision=precision, compile_network=False)
    except InputError as error:  # what scores a finished training takes flags, and no overrides
        raise InputError(error.cause, remedies=("--accelerator cpu",)) from error
    return torch.device("cuda", index)


def ready(network: nn.Module, device: torch.device) -> None:
    """Put a network in evaluation mode onto a device, unless it is: another thread may be passing something through."""
    layout = torch.channels_last
    weights = [weight for weight in network.parameters() if weight.ndim == 4]
    is_there = all(weight.device == device and weight.is_contiguous(memory_format=layout) for weight in weights)
    if network.training or not weights or not is_there:
        network.eval().to(device, memory_format=layout)  # type: ignore[call-overload]
