"""Two processes on the CPU (gloo) learn maps as one does, with fields that cannot be shared evenly."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from test_stain import NUCLEI, counted  # noqa: F401

from conftest import STAIN, composed_train
from jimt.training.run import train
from processes import train_in_processes

DDP = ["trainer=ddp", "trainer.accelerator=cpu"]


class Noted(Callback):
    """Gradients of each step, and how many fields were validated on."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.gradients, self.patches = folder, [], []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        self.gradients.append({name: p.grad.clone() for name, p in pl_module.named_parameters() if p.grad is not None})

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0) -> None:
        self.patches.append(len(batch.patches))

    def on_fit_end(self, trainer, pl_module) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        noted = {"gradients": self.gradients, "patches": self.patches}
        torch.save(noted, self._folder / f"rank{trainer.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_whatever_each_knows_of_its_crops(counted, tmp_path):  # noqa: F811
    # layer norm looks at each image alone; of the crops some have a black border, some no counted cells
    words = [*counted, *NUCLEI, "backbone.name=test_convnext2.r160_in1k", "stain.crops=16", "optim.batch_size=8"]
    words += ["trainer.max_epochs=1", "augmentation=paper"]  # noise is drawn by each process
    train(composed_train(*words, f"run_dir={tmp_path / 'one'}"), callbacks=[Noted(tmp_path / "of one")])
    train_in_processes(composed_train(*words, *DDP, f"run_dir={tmp_path / 'two'}"), Noted(tmp_path / "of two"))
    (one,) = (torch.load(path, weights_only=True) for path in (tmp_path / "of one").iterdir())
    two = [torch.load(tmp_path / f"of two/rank{rank}.pt", weights_only=True) for rank in range(2)]
    assert len(one["gradients"]) == len(two[0]["gradients"]) == 2
    for name, gradient in one["gradients"][0].items():
        torch.testing.assert_close(two[0]["gradients"][0][name], gradient, rtol=1e-3, atol=1e-5)
    # every field once, in as many steps of each process
    assert len(two[0]["patches"]) == len(two[1]["patches"]) == -(-len(one["patches"]) // 2)
    assert sum(map(sum, (two[0]["patches"], two[1]["patches"]))) == sum(one["patches"])
    tables = [pd.read_csv(tmp_path / name / "metrics.csv") for name in ("one", "two")]
    for column in ("train/loss", "val/loss", "val/correlation"):
        alone, shared = (table[column].dropna().tolist() for table in tables)
        assert shared == pytest.approx(alone, rel=2e-2), column


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_a_process_without_a_field_to_validate_on_waits_for_the_others(uneven, tmp_path, n):
    # of three fields the last process has none at the last step, or at any
    run, few = tmp_path / "run", ["trainer.max_epochs=1", "stain.crops=16", f"trainer.devices={n}"]
    train_in_processes(composed_train(*uneven, *STAIN, *DDP, *few, f"run_dir={run}"))
    table = pd.read_csv(run / "metrics.csv")
    assert np.isfinite(table["val/correlation"].dropna()).all()
    assert table["val/auroc"].notna().sum() == 1
    assert len(pd.read_csv(run / "test_scores.csv")) == 45
