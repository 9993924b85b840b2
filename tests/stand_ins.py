"""Trainings that take no time, in place of real ones."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from jimt.config.search import TuneConfig
from jimt.config.training import TrainConfig
from jimt.errors import InputError
from jimt.system.files import BEST

QUIET = ["hydra/job_logging=none", "hydra/hydra_logging=none"]


class Accepting:
    """In place of ``jimt.training.run``: accepts what it is asked for, unless it is told to refuse."""

    def __init__(self) -> None:
        self.asked: list[TrainConfig] = []
        self.refuses = False

    def train(self, config, *, begins, config_of=None):
        self.asked.append(config)
        if self.refuses:
            raise InputError("refused")
        begins()
        (Path(config.run_dir) / "finished.json").touch()
        return {}


class Trial:
    """In place of ``run.train``: each epoch is worth ``value(settings, epoch)``; notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[TuneConfig] = []
        self.fails: dict[int, BaseException] = {}
        self.value: Callable[[TuneConfig, int], float] = lambda config, epoch: config.augmentation.contrast

    def train(self, config, *, device_index, callbacks, evaluates):
        assert evaluates is False
        self.asked.append(config)
        if len(self.asked) in self.fails:
            raise self.fails[len(self.asked)]
        folder = Path(config.run_dir)
        (folder / BEST).parent.mkdir()
        (folder / BEST).touch()
        for epoch in range(config.trainer.max_epochs):
            trainer = SimpleNamespace(current_epoch=epoch, max_epochs=config.trainer.max_epochs)
            trainer.callback_metrics = {config.tune.metric: self.value(config, epoch)}
            for callback in callbacks:
                callback.on_train_epoch_end(trainer, None)

    def validate(self, run_folder, metric, device_index):
        config = self.asked[-1]
        return self.value(config, config.trainer.max_epochs - 1), config.trainer.max_epochs


CONTRAST = [
    "tune.space.optim=null",
    "tune.space.augmentation={brightness:null,gamma:null,blur:null}",
    "trainer.max_epochs=4",
    "tune.n_random=2",
]
