"""Clipped gradients, epochs of a few batches, batches learned by heart, and one batch to see that all goes through."""

from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

from conftest import STAIN, TINY, composed_train
from jimt.errors import InputError
from jimt.training.run import train
from processes import Note


def seen_by(folder: Path) -> dict:
    return torch.load(folder / "rank0.pt", weights_only=True)


class Gradients(pl.Callback):
    """Norm of the gradient of each step before and after it is clipped."""

    def __init__(self) -> None:
        self.before: list[float] = []
        self.after: list[float] = []

    def _norm(self, module: pl.LightningModule) -> float:
        of = [p.grad.double().square().sum().item() for p in module.parameters() if p.grad is not None]
        return sum(of) ** 0.5

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.before.append(self._norm(pl_module))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.after.append(self._norm(pl_module))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("task", [TINY, [*STAIN, "trainer.gradient_clip_val=null"]], ids=["patch", "stain"])
def test_a_gradient_that_is_too_long_is_shortened_to_the_limit_and_no_other(uneven, tmp_path, task, precision):
    plain, clipped = Gradients(), Gradients()
    overrides = [*uneven, *task, f"trainer.precision={precision}", "trainer.max_epochs=1"]
    overrides.append("optim.lr=1e-9")  # so that every step starts alike
    train(composed_train(*overrides, f"run_dir={tmp_path / 'plain'}"), callbacks=[plain], evaluates=False)
    assert plain.before == plain.after
    limit = sorted(plain.before)[len(plain.before) // 2]
    overrides.append(f"trainer.gradient_clip_val={limit}")
    train(composed_train(*overrides, f"run_dir={tmp_path / 'clipped'}"), callbacks=[clipped], evaluates=False)
    assert max(clipped.before) > limit > min(clipped.before)
    assert clipped.after == pytest.approx([min(norm, limit) for norm in clipped.before], rel=1e-4)


def test_an_epoch_is_cut_to_so_many_batches(uneven, tmp_path):
    overrides = [*uneven, *TINY, "trainer.limit_train_batches=2", "trainer.limit_val_batches=1"]
    overrides += ["trainer.eval_batch_size=4", "optim.schedule=one_cycle"]
    note = Note(tmp_path / "noted")
    train(composed_train(*overrides, f"run_dir={tmp_path / 'run'}"), callbacks=[note], evaluates=False)
    seen = seen_by(tmp_path / "noted")
    assert [(epoch, len(rows)) for epoch, rows in seen["train"]] == [(0, 16), (0, 16), (1, 16), (1, 16)]
    assert seen["train"][0][1] != seen["train"][2][1]  # another draw
    assert [(epoch, len(rows)) for epoch, rows in seen["val"]] == [(0, 4), (1, 4)]
    # one cycle over the four steps there are: its end is reached
    assert seen["rates"][-1] < 0.2 * max(seen["rates"])


def test_a_network_learns_by_heart_the_batches_that_are_repeated(uneven, tmp_path):
    overrides = [*uneven, *TINY, "trainer.overfit_batches=1", "trainer.max_epochs=16", "trainer.limit_val_batches=1"]
    note, run = Note(tmp_path / "noted"), tmp_path / "run"
    train(composed_train(*overrides, f"run_dir={run}"), callbacks=[note], evaluates=False)
    seen = seen_by(tmp_path / "noted")
    assert len(seen["train"]) == 16
    assert {tuple(rows) for _, rows in seen["train"]} == {tuple(seen["train"][0][1])}
    losses = pd.read_csv(run / "metrics.csv")["train/loss"].dropna().tolist()
    assert losses[-1] < 0.1 < 0.5 < losses[0]


def test_a_smoke_run_goes_through_one_batch_of_each_and_keeps_nothing(uneven, tmp_path, capsys):
    note = Note(tmp_path / "noted")
    config = composed_train(*uneven, *TINY, f"run_dir={tmp_path / 'run'}", "trainer.fast_dev_run=true")
    assert train(config, callbacks=[note]) == {}
    seen = seen_by(tmp_path / "noted")
    assert (len(seen["train"]), len(seen["val"]), len(seen["weights"])) == (1, 1, 1)
    assert "nothing was kept" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_a_smoke_run_leaves_a_finished_run_as_it_is(uneven, tmp_path):
    run = tmp_path / "run"
    train(composed_train(*uneven, *TINY, f"run_dir={run}", "trainer.max_epochs=1"), evaluates=False)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    train(composed_train(*uneven, *TINY, f"run_dir={run}", "trainer.fast_dev_run=true", "optim.lr=0.5"))
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.gradient_clip_val=0"], "gradient_clip_val=0.0 is not allowed: it takes null, or more than 0"),
        (["trainer.limit_train_batches=0"], "limit_train_batches=0 is not allowed: it takes null, or 1 or more"),
        (["trainer.precision=16-mixed"], "is for graphics cards: .*: give trainer.precision=auto, or trainer=gpu"),
        (["trainer.overfit_batches=1", "trainer.limit_train_batches=2"], "both say how many batches .*: give "),
        (["method=linear_probe", "trainer.overfit_batches=1"], "trainer.overfit_batches is without effect under"),
        (["trainer.fast_dev_run=true", "resume=run"], "trainer.fast_dev_run=true keeps nothing.*: give resume=null"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(overrides, said):
    with pytest.raises(InputError, match=said):
        composed_train("run_dir=run", *overrides)


@pytest.mark.parametrize("name", ["crossval", "tune"])
def test_a_smoke_run_is_of_one_training(name):
    with pytest.raises(InputError, match="trainer.fast_dev_run=true keeps nothing, so .*: try it in a single training"):
        composed_train("run_dir=run", "trainer.fast_dev_run=true", name=name)
