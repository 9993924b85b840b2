"""``metrics.csv`` of a training that was killed and resumed is that of an uninterrupted one, wherever it was killed."""

import contextlib
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pytorch_lightning.callbacks import Callback

from conftest import STAIN, TINY, composed_train
from jimt.config.search import CrossvalConfig
from jimt.curation.folds import cross_validation_folds
from jimt.curation.manifest import open_curated
from jimt.training.loggers.metrics_csv import MetricsCsv
from jimt.training.run import train
from processes import in_process
from trainings import assert_same_training, checkpoint, epochs_of

KILLED = 9
"""What a killed process exits with here."""
QUICK = {"patch": [*TINY, "optim.batch_size=32", "trainer.max_epochs=3"], "stain": [*STAIN, "trainer.max_epochs=3"]}


def die() -> None:
    os._exit(KILLED)  # as a power cut would: nothing is written out or closed


def before_the_checkpoint() -> None:
    """Die when the second epoch's row stands and its checkpoint is about to be written."""
    from jimt.training import finetune

    whole = finetune.write_tensors

    def write(content, path):
        if content["epoch"] == 1:
            die()
        whole(content, path)

    finetune.write_tensors = write


def after_the_checkpoint() -> None:
    """Die when the second epoch's last checkpoint has just been written."""
    from jimt.training import finetune

    whole = finetune.write_tensors

    def write(content, path):
        whole(content, path)
        if content["epoch"] == 1 and path.name == "last.ckpt":
            die()

    finetune.write_tensors = write


def between_the_checkpoints() -> None:
    """Die when the second epoch is perhaps the best so far, and not yet the last."""
    from jimt.training import finetune

    whole = finetune.write_tensors

    def write(content, path):
        if content["epoch"] == 1 and path.name == "last.ckpt":
            die()
        whole(content, path)

    finetune.write_tensors = write


class TearsItsRow(Callback):
    """Dies in the middle of a row: of it stand the epoch's first digits, and no end of the line."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 2:
            path = Path(trainer.loggers[0].save_dir) / "metrics.csv"
            with path.open("a") as file:
                file.write("1")  # of what would have been epoch 12, say
            die()


class DiesInTheNextEpoch(Callback):
    """Dies when the next epoch has begun: its learning rate stands, and the step's row."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 2:
            die()


def train_until_killed(config, fold, prepared, callbacks) -> None:
    import drop_resnet  # noqa: F401  # known to timm in every process

    if prepared is not None:
        prepared()
    train(config, fold=fold, callbacks=callbacks)


MOMENTS = {
    "row before checkpoint": (before_the_checkpoint, ()),
    "checkpoint before the next epoch": (after_the_checkpoint, ()),
    "best before last": (between_the_checkpoints, ()),
    "in a row": (None, (TearsItsRow(),)),
    "in the next epoch": (None, (DiesInTheNextEpoch(),)),
}


@pytest.fixture(scope="module")
def whole(uneven, tmp_path_factory):
    """Uninterrupted trainings by task."""
    made = {}

    def run(task):
        if task not in made:
            made[task] = tmp_path_factory.mktemp("whole") / "run"
            train(composed_train(*uneven, *QUICK[task], f"run_dir={made[task]}"))
        return made[task]

    return run


@pytest.mark.parametrize(
    ("task", "moment"),
    [*(("patch", moment) for moment in MOMENTS), ("stain", "checkpoint before the next epoch")],
)
def test_no_row_is_missing_and_none_stands_twice(uneven, whole, tmp_path, task, moment):
    prepared, callbacks = MOMENTS[moment]
    config = composed_train(*uneven, *QUICK[task], f"run_dir={tmp_path / 'cut'}")
    assert in_process(train_until_killed, config, None, prepared, callbacks) == KILLED
    train(composed_train(*uneven, *QUICK[task], f"run_dir={tmp_path / 'cut'}", f"resume={tmp_path / 'cut'}"))
    assert epochs_of(tmp_path / "cut", "train/loss") == [0, 1, 2]
    assert (tmp_path / "cut/metrics.csv").read_bytes() == (whole(task) / "metrics.csv").read_bytes()
    assert_same_training(tmp_path / "cut", whole(task))


def test_no_fold_of_a_cross_validation_lacks_a_row(uneven, tmp_path):
    asked = *uneven, *QUICK["patch"], "crossval.n_folds=3", f"run_dir={tmp_path / 'cut'}"
    config = composed_train(*asked, name="crossval")
    assert isinstance(config, CrossvalConfig)
    curated = open_curated(Path(config.curation.output_root) / config.dataset.name)
    fold = cross_validation_folds(curated.manifest, n_folds=3, validation=True)[1]
    assert in_process(train_until_killed, config, fold, after_the_checkpoint, ()) == KILLED
    config.resume = config.run_dir
    train(config, fold=fold)
    config.run_dir, config.resume = str(tmp_path / "whole"), None
    train(config, fold=fold)
    assert (tmp_path / "cut/metrics.csv").read_bytes() == (tmp_path / "whole/metrics.csv").read_bytes()


def test_the_rows_stand_before_the_checkpoint_that_claims_their_epoch(uneven, tmp_path):
    config = composed_train(*uneven, *QUICK["patch"], "logger=tensorboard", f"run_dir={tmp_path / 'cut'}")
    assert in_process(train_until_killed, config, None, after_the_checkpoint, ()) == KILLED
    assert checkpoint(tmp_path / "cut", "last")["epoch"] == 1
    table = pd.read_csv(tmp_path / "cut/metrics.csv")
    for column in ("train/loss", "train/balanced_accuracy", "val/loss"):
        assert epochs_of(tmp_path / "cut", column) == [0, 1]
    assert not (table["train/loss"].notna() & table["train/loss_step"].notna()).any()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "cut/tensorboard")).Reload()
    steps = table.loc[table["train/loss"].notna(), "step"].tolist()
    assert [event.step for event in events.Scalars("train/loss")] == steps


# ---- the file alone


def logged(folder: Path, *rows: dict[str, float]) -> MetricsCsv:
    logger = MetricsCsv(folder)
    for step, row in enumerate(rows):
        logger.log_metrics(row, step=step)
    return logger


@contextlib.contextmanager
def killed_while_writing(monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", killed)
        yield


def test_a_kill_while_a_resumed_run_takes_its_rows_over_loses_none(tmp_path, monkeypatch):
    logged(tmp_path, {"train/loss": 0.5, "epoch": 0}, {"train/loss": 0.25, "epoch": 1})
    before = (tmp_path / "metrics.csv").read_bytes()
    with killed_while_writing(monkeypatch):
        MetricsCsv(tmp_path).go_on(before_epoch=1)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_new_column_is_empty_in_the_rows_before_and_a_kill_then_loses_none(tmp_path, monkeypatch):
    logger = logged(tmp_path, {"lr": 0.1}, {"train/loss": 0.5, "epoch": 0})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,lr,step,train/loss", ",0.1,0,", "0,,1,0.5"]
    before = (tmp_path / "metrics.csv").read_bytes()
    with killed_while_writing(monkeypatch):
        logger.log_metrics({"val/loss": 0.25, "epoch": 0}, step=2)
    assert (tmp_path / "metrics.csv").read_bytes() == before


def test_a_training_anew_writes_no_row_behind_those_of_another(tmp_path):
    logged(tmp_path, {"train/loss": 0.5, "epoch": 0})
    logged(tmp_path, {"train/loss": 0.25, "epoch": 0})
    assert (tmp_path / "metrics.csv").read_text().splitlines() == ["epoch,step,train/loss", "0,0,0.25"]


@pytest.mark.parametrize("torn", ["", "1", "1,0.1", "12,0.1,5,0.25,0.125\r"])
def test_what_a_kill_left_of_a_row_is_no_row(tmp_path, torn):
    logged(tmp_path, {"lr": 0.1}, {"train/loss": 0.5, "epoch": 0}, {"lr": 0.1}, {"train/loss": 0.25, "epoch": 1})
    whole = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "metrics.csv").write_bytes(whole + torn.encode())
    MetricsCsv(tmp_path).go_on(before_epoch=2)
    assert (tmp_path / "metrics.csv").read_bytes() == whole
    shutil.copy(tmp_path / "metrics.csv", tmp_path / "again.csv")
    MetricsCsv(tmp_path).go_on(before_epoch=2)
    assert (tmp_path / "metrics.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
