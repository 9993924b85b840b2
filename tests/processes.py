"""Processes of their own that need not import torch again, and what they note while they train."""

import multiprocessing
import os
import signal
import socket
import warnings
from collections.abc import Callable
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

import drop_resnet  # noqa: F401  # known to timm in every process
from jimt.config.training import TrainConfig

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["preloaded"])
_LIMIT = 240  # seconds, on a busy machine


def new_process(function: Callable[..., None], *arguments: Any, daemon: bool | None = None) -> BaseProcess:
    """A process that will call a function when it is started."""
    with pytest.MonkeyPatch.context() as patch:  # the server finds its modules by PYTHONPATH alone
        before = os.environ.get("PYTHONPATH", "")
        patch.setenv("JIMT_TESTS_PYTHONPATH", before)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(Path(__file__).parent), before))))
        ensure_running()
    return _CONTEXT.Process(target=function, args=arguments, daemon=daemon)


def in_process(function: Callable[..., None], *arguments: Any) -> int:
    """Exit status of a process that calls a function; minus a signal's number if one killed it."""
    return _exit_status(new_process(function, *arguments))


def train_in_process(config: TrainConfig, *callbacks: Callback) -> int:
    """Exit status of a process that trains."""
    return in_process(_train, config, callbacks)


def train_in_processes(config: TrainConfig, *callbacks: Callback) -> None:
    """Train in ``trainer.devices`` processes that find each other as under torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = config.trainer.devices
    started = [new_process(_train_as, rank, world, port, config, callbacks) for rank in range(world)]
    for process in started:
        process.start()
    try:
        assert [_exit_status(process) for process in started] == [0] * world
    finally:
        for process in started:
            process.kill()


def _exit_status(process: BaseProcess) -> int:
    if process.pid is None:
        process.start()
    process.join(_LIMIT)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"the process does not end within {_LIMIT} s")
    return process.exitcode


def _train(config: TrainConfig, callbacks: tuple[Callback, ...]) -> None:
    from jimt.training.run import train

    os.setpgrp()
    # as in a process that a command starts: workers of a DataLoader notice that it died, and not the server's life
    multiprocessing.set_start_method("fork", force=True)
    warnings.simplefilter("ignore")  # pytest's own filters are not here
    train(config, callbacks=callbacks)


def _train_as(rank: int, world: int, port: int, config: TrainConfig, callbacks: tuple[Callback, ...]) -> None:
    from lightning_utilities.core.rank_zero import rank_zero_only

    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(world),
        "NODE_RANK": "0",
        "LOCAL_RANK": str(rank),
    }
    rank_zero_only.rank = rank  # Lightning reads it from the environment when it is imported
    _train(config, callbacks)


class Kill(Callback):
    """Ends its process as a power cut would, in the middle of an epoch."""

    def __init__(self, *, epoch: int, batch: int) -> None:
        self._at = (epoch, batch)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (trainer.current_epoch, batch_idx) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class Note(Callback):
    """Writes to ``FOLDER/rank<n>.pt`` what each step saw and did."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.train: list[tuple[int, list[int]]] = []
        """Epoch and rows of each training batch."""
        self.val: list[tuple[int, list[int]]] = []
        self.gradients: list[dict[str, torch.Tensor]] = []
        """Of each step."""
        self.weights: list[dict[str, torch.Tensor]] = []
        """After each step: parameters and buffers."""
        self.rates: list[float] = []
        """Learning rate of each step."""

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.train.append((trainer.current_epoch, batch.row.tolist()))

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self.val.append((trainer.current_epoch, batch.row.tolist()))

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.gradients.append({name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None})

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if len(self.weights) < len(self.gradients):
            self.weights.append({name: value.detach().clone() for name, value in pl_module.state_dict().items()})

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        noted = {name: vars(self)[name] for name in ("train", "val", "gradients", "weights", "rates")}
        torch.save(noted, self._folder / f"rank{trainer.global_rank}.pt")
