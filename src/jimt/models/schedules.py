"""The optimiser, how its learning rate changes over a training, and what is drawn in it."""

from collections.abc import Callable
from math import cos, pi
from typing import Any

import numpy as np
import torch
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

_ONE_CYCLE_START, _ONE_CYCLE_END = 1 / 25, 1e-4 / 25  # of the highest rate, as in torch's OneCycleLR


def seed_epoch(seed: int, *, epoch: int, process: int) -> None:
    """Seed dropout and noise, which take no generator; anew each epoch, so that a resumed run draws the same.

    Args:
        seed: Of the training.
        epoch: From 0.
        process: Which of those that train together.
    """
    sequence = np.random.SeedSequence([seed, epoch, process])
    torch.manual_seed(int(sequence.generate_state(1)[0]))


def step_schedule(schedule: str, *, n_steps: int, warmup: float) -> Callable[[int], float]:
    """Factor of the learning rate at each step.

    Args:
        schedule: ``cosine``: a linear rise from 0, then half a cosine down to 0. ``one_cycle``: half a cosine up from a
            25th, half a cosine down to nearly 0 at the last step.
        n_steps: Steps of the whole training.
        warmup: Share of them in which the rate rises.
    """
    n_rising = round(warmup * n_steps)
    highest = warmup * n_steps - 1  # the step, perhaps between two, at which one_cycle turns

    def cosine(step: int) -> float:
        if step < n_rising:
            return (step + 1) / (n_rising + 1)
        return _between(1.0, 0.0, (step - n_rising) / max(1, n_steps - n_rising))

    def one_cycle(step: int) -> float:
        if step < highest:
            return _between(_ONE_CYCLE_START, 1.0, step / highest)
        return _between(1.0, _ONE_CYCLE_END, (step - highest) / (n_steps - 1 - highest))

    return cosine if schedule == "cosine" else one_cycle


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * min(1.0, share))) / 2


def optimizer_of(
    parts: list[dict[str, Any]], optim: dict[str, Any], n_steps: Callable[[], int | float], *, fused: bool = False
) -> Any:
    """Adam or AdamW and the schedule of its learning rate, as Lightning takes them.

    Args:
        parts: Parameters, each part with its highest learning rate, as ``params`` and ``lr``.
        optim: The fields of ``OptimConfig``, as plain values.
        n_steps: How many steps there will be; asked where the rate changes.
        fused: Whether a step is computed in one go, which saves a CPU most of its time; it differs in the last digit.
    """
    kind: type[Optimizer] = AdamW if optim["decoupled"] else Adam
    options: dict[str, Any] = {"betas": (optim["betas"][0], optim["betas"][1]), "weight_decay": optim["weight_decay"]}
    if fused:
        options["fused"] = True
    optimizer = kind(parts, **options)
    if optim["schedule"] == "constant":
        return optimizer
    factor = step_schedule(optim["schedule"], n_steps=int(n_steps()), warmup=optim["warmup"])
    schedule = LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
