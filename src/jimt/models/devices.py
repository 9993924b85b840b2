"""The one device that patches and fields are scored on."""

import torch

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


def compute_in_threads(n: int) -> None:
    """Let what this thread asks of a network be computed in so many threads.

    Not in as many as the machine has processors: other processes beside this one compute too.
    """
    torch.set_num_threads(n)
