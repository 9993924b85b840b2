"""A training asks the device for nothing in a step, so that a graphics card need not wait for the processor."""

import errno
import sys

import pandas as pd
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import STAIN, TINY, composed_train
from jimt.data.datamodule import LiveDeadDataModule
from jimt.data.stain_datamodule import StainDataModule
from jimt.data.transforms import augment
from jimt.errors import InputError, Interrupted
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.stain_module import StainModule
from jimt.training import callbacks
from jimt.training.loggers.metrics_csv import MetricsCsv
from jimt.training.run import train

pytestmark = pytest.mark.stack
ASKS = ("_local_scalar_dense", "nonzero", "_unique2", "masked_select", "equal")
"""Operations of torch whose answer, or whose number of values, the processor needs."""
TASKS = {"patch": (TINY, LiveDeadDataModule, LiveDeadClassifier), "stain": (STAIN, StainDataModule, StainModule)}


class Asked(TorchDispatchMode):
    """Notes which operations ask."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.name().removeprefix("aten::").partition(".")[0]
        places = args[1] if name in ("index", "index_put", "index_put_") else ()
        # an array made of numbers of Python, which a card has to be sent; a single number goes with the kernel
        is_sent = name == "lift_fresh" and args[0].dim() > 0
        if (
            name in ASKS
            or is_sent
            or any(each is not None and each.dtype in (torch.bool, torch.uint8) for each in places)
        ):
            self.found.add(name)
        return operation(*args, **(kwargs or {}))


def test_what_asks_is_noticed():
    values = torch.arange(4)
    for work in (lambda: values.sum().item(), lambda: values[values > 1], lambda: torch.tensor([1.0, 2.0])):
        with Asked() as asked:
            work()
        assert asked.found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("augmentation", ["paper", "strong"])
def test_no_step_asks(uneven, tmp_path, monkeypatch, task, augmentation):
    overrides, data, module = TASKS[task]
    steps = []

    def noting(of, name):
        whole = getattr(of, name)

        def noted(self, *arguments):
            if not self.trainer.training:
                return whole(self, *arguments)
            with Asked() as asked:
                answer = whole(self, *arguments)
            steps.append((name, asked.found))
            return answer

        monkeypatch.setattr(of, name, noted)

    def as_on_a_card(*arguments, compiled, **rest):
        return augment(*arguments, by_place=True, **rest)

    monkeypatch.setattr(sys.modules[data.__module__], "augmented_input", as_on_a_card)
    noting(data, "on_after_batch_transfer")
    noting(module, "training_step")
    asked = *overrides, f"augmentation={augmentation}", "trainer.max_epochs=1", f"run_dir={tmp_path}"
    train(composed_train(*uneven, *asked))
    assert {name for name, _ in steps} == {"on_after_batch_transfer", "training_step"}
    assert [found for _, found in steps if found] == []


class Losses(Callback):
    """The loss of each batch as Lightning has it, and how many losses the file has after it."""

    def __init__(self, folder):
        self.of_step, self.written, self._file = {}, [], folder / "metrics.csv"

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        told = pd.read_csv(self._file) if self._file.is_file() else pd.DataFrame()
        self.written.append(told["train/loss_step"].notna().sum() if "train/loss_step" in told else 0)
        loss = trainer.accumulate_grad_batches * outputs["loss"].item()
        self.of_step.setdefault(trainer.global_step - 1, loss)  # later come batches of the step after it


@pytest.mark.parametrize(("task", "accumulate"), [("patch", 1), ("patch", 2), ("stain", 1)])
def test_the_loss_of_every_step_is_logged_a_few_at_a_time(uneven, tmp_path, monkeypatch, task, accumulate):
    monkeypatch.setattr(callbacks, "_AT_A_TIME", 2)
    seen = Losses(tmp_path)
    asked = *TASKS[task][0], f"optim.accumulate={accumulate}", f"run_dir={tmp_path}"
    train(composed_train(*uneven, *asked), callbacks=[seen])
    table = pd.read_csv(tmp_path / "metrics.csv")
    rows = table[table["train/loss_step"].notna()]
    expected = {step: loss for step, loss in seen.of_step.items() if step >= 0}
    assert rows["step"].tolist() == list(range(len(expected)))
    assert rows["train/loss_step"].tolist() == pytest.approx([expected[step] for step in sorted(expected)], rel=1e-6)
    assert rows["epoch"].tolist() == sorted(rows["epoch"])
    after_each_step = seen.written[accumulate - 1 :: accumulate]
    assert after_each_step[0] == 0  # the first loss waits for the second
    assert after_each_step[1] == 2


class Ends(Callback):
    """Ends a training after its third step."""

    def __init__(self, error):
        self._error = error

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 3:
            raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError("too little")])
@pytest.mark.parametrize("task", TASKS)
def test_losses_of_a_training_that_is_stopped_are_logged_to_the_last(uneven, tmp_path, task, error):
    asked = *TASKS[task][0], "optim.batch_size=8", "trainer.progress=none", f"run_dir={tmp_path}"
    with pytest.raises((Interrupted, MemoryError)):
        train(composed_train(*uneven, *asked), callbacks=[Ends(error)])
    rows = pd.read_csv(tmp_path / "metrics.csv")
    rows = rows[rows["train/loss_step"].notna()]
    assert rows["step"].tolist() == [0, 1, 2]
    assert rows["epoch"].tolist() == [0, 0, 0]


class FullDisk(Callback):
    """Lets the disk be full when the second of five losses is written, and no longer when the training ends for it."""

    def __init__(self, monkeypatch):
        self._whole, self._n = MetricsCsv.log_metrics, 0
        monkeypatch.setattr(MetricsCsv, "log_metrics", lambda *arguments, **rest: self._log(*arguments, **rest))

    def _log(self, logger, metrics, step=None):
        self._n += "train/loss_step" in metrics
        if self._n == 2:
            self._n += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self._whole(logger, metrics, step)


def test_no_loss_is_logged_twice_where_a_logger_fails(uneven, tmp_path, monkeypatch):
    monkeypatch.setattr(callbacks, "_AT_A_TIME", 5)
    with pytest.raises(InputError, match="no space left"):
        train(composed_train(*uneven, *TINY, f"run_dir={tmp_path}"), callbacks=[FullDisk(monkeypatch)])
    rows = pd.read_csv(tmp_path / "metrics.csv")
    assert rows["step"][rows["train/loss_step"].notna()].tolist() == [0]
