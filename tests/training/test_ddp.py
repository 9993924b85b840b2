"""Two real processes on the CPU (gloo) train as one does, and the test split is scored once, on one device."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, log_loss, roc_auc_score

from conftest import REPOSITORY, TINY, composed_train
from jimt.curation.manifest import open_curated
from jimt.errors import InputError
from jimt.evaluation.test_split import main as evaluate_command
from jimt.models.checkpoint import Checkpoint, read_checkpoint, read_tensors
from jimt.models.network import LiveDeadNetwork
from jimt.training.run import train
from processes import Note, train_in_processes

# 45 validation patches are 23 and 22; at 11 a batch that would be three batches and two, which NCCL's broadcast of
# batch statistics at each would not survive (gloo's does)
DDP = [*TINY, "trainer=ddp", "trainer.accelerator=cpu", "trainer.eval_batch_size=11"]


@pytest.fixture(scope="module")
def run(uneven, tmp_path_factory):
    """``python train.py trainer=ddp``: its folder and what it said."""
    folder = tmp_path_factory.mktemp("ddp")
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "train.py"), *uneven, *DDP, "hydra.run.dir=run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,  # so that its second process can be ended too
    )
    try:
        out, err = process.communicate(timeout=300)  # to the end of the last process that can write
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, err
    return folder / "run", out, err


def test_each_thing_is_said_once_and_nothing_is_warned_of(run):
    _, out, err = run
    assert [line for line in err.splitlines() if not line.startswith("[W")] == []  # [W: of sockets, by torch itself
    for line in (
        "training test_resnet",
        "epoch   1/2",
        "epoch   2/2",
        "Test split of no_treatment",
        "scores and metrics",
    ):
        assert out.count(line) == 1, line


def last_epoch(run: Path) -> tuple[Checkpoint, LiveDeadNetwork]:
    """The checkpoint of a run, and its network with the weights of the last epoch."""
    checkpoint, state = read_checkpoint(run / "checkpoints/best.ckpt"), read_tensors(run / "checkpoints/last.ckpt")
    network, prefix = checkpoint.network.build(), "network."
    weights = {name: value for name, value in state["state_dict"].items() if name.startswith(prefix)}
    network.load_state_dict({name.removeprefix(prefix): value for name, value in weights.items()})
    return checkpoint, network.eval()


def test_every_test_patch_is_scored_once_as_by_one_process_to_the_last_digit(run, uneven):
    folder, _, _ = run
    curated = open_curated(Path(composed_train(*uneven, *DDP, "run_dir=x").curation.output_root) / "no_treatment")
    test = curated.manifest[curated.manifest["split"] == "test"]
    scores = pd.read_csv(folder / "test_scores.csv")
    columns = ["raw_image_id", "y", "x", "label"]
    assert len(scores) == 45
    assert scores[columns].astype(str).values.tolist() == test[columns].astype(str).values.tolist()

    def written() -> tuple[bytes, dict]:
        metrics = json.loads((folder / "test_metrics.json").read_text())
        del metrics["advice"]  # its command names a folder as seen from the working directory
        return (folder / "test_scores.csv").read_bytes(), metrics

    before = written()
    torch.set_num_threads(1)
    evaluate_command([str(folder)])
    assert written() == before


def test_validation_is_scikit_learns_over_the_shares_of_both_processes(run):
    folder, _, _ = run
    checkpoint, network = last_epoch(folder)
    curated = open_curated(Path(checkpoint.record.curated_folder))
    rows = curated.manifest[curated.manifest["split"] == "val"]
    assert len(rows) % 2 == 1
    patches = np.stack([curated.store.field(r.field)[r.y : r.y + 64, r.x : r.x + 64] for r in rows.itertuples()])
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (checkpoint.input.mean, checkpoint.input.std))
    with torch.inference_mode():
        logits = network((torch.from_numpy(patches)[:, None].float() / 255 - mean) / std).double()
    labels, live = rows["label"].to_numpy(int), logits.softmax(1)[:, 1].numpy()
    expected = {
        "val/loss": log_loss(labels, live),
        "val/auroc": roc_auc_score(labels, live),
        "val/balanced_accuracy": balanced_accuracy_score(labels, live > 0.5),
        "val/average_precision_live": average_precision_score(labels, live),
        "val/brier": brier_score_loss(labels, live),
        "val/live_as_live": ((live > 0.5) & (labels == 1)).sum(),
        "val/dead_as_live": ((live > 0.5) & (labels == 0)).sum(),
    }
    table = pd.read_csv(folder / "metrics.csv")
    table = table[table["val/loss"].notna()]
    assert table["epoch"].tolist() == [0, 1]
    assert table.iloc[-1][list(expected)].to_dict() == pytest.approx(expected, rel=1e-4)


def test_every_epoch_stands_once_in_the_metrics(run):
    folder, _, _ = run
    table = pd.read_csv(folder / "metrics.csv")
    assert table["train/loss"].notna().sum() == 2
    assert table["train/loss_step"].notna().sum() == 2 * 6  # 90 patches are six batches of 16
    assert json.loads((folder / "test_metrics.json").read_text())["counts"]["patches"] == 45


def test_two_processes_take_the_steps_of_one(uneven, tmp_path):
    # layer norm looks at each patch alone, unlike batch norm, so that gradients can be compared
    network = ["backbone.name=test_convnext2.r160_in1k", "optim.accumulate=2", "optim.batch_size=8"]
    train(
        composed_train(*uneven, *TINY, *network, f"run_dir={tmp_path / 'one'}"), callbacks=[Note(tmp_path / "of one")]
    )
    train_in_processes(
        composed_train(*uneven, *DDP, *network, f"run_dir={tmp_path / 'two'}"), Note(tmp_path / "of two")
    )
    (one,) = (torch.load(path, weights_only=True) for path in (tmp_path / "of one").iterdir())
    two = [torch.load(tmp_path / f"of two/rank{rank}.pt", weights_only=True) for rank in range(2)]
    # training: batch by batch the same patches, shared out evenly
    assert len(one["train"]) == 2 * 12
    for whole, *shares in zip(one["train"], *(each["train"] for each in two), strict=True):
        assert {epoch for epoch, _ in shares} == {whole[0]}
        assert [len(rows) for _, rows in shares] == [4, 4]
        assert sorted(row for _, rows in shares for row in rows) == sorted(whole[1])
    # validation: every patch once an epoch over both, in as many batches each
    assert len(two[0]["val"]) == len(two[1]["val"]) == 2 * 3
    for epoch in range(2):
        rows = [row for each in two for at, batch in each["val"] if at == epoch for row in batch]
        assert sorted(rows) == list(range(45))
    # the step: gradients of the whole batch, and then the same weights everywhere
    for name, gradient in one["gradients"][0].items():
        torch.testing.assert_close(two[0]["gradients"][0][name], gradient, rtol=1e-3, atol=1e-6)
    assert len(one["gradients"]) == len(two[0]["gradients"]) == 2 * 6
    for ours, theirs in zip(two[0]["weights"], two[1]["weights"], strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    # and what was written is of the last epoch
    for name, value in torch.load(tmp_path / "two/checkpoints/last.ckpt", weights_only=True)["state_dict"].items():
        assert torch.equal(value, two[0]["weights"][-1][name])


def test_both_processes_validate_the_network_that_is_kept(uneven, tmp_path):
    # batch norm: each process has running statistics of its own share until they are shared
    train_in_processes(
        composed_train(*uneven, *DDP, "trainer.max_epochs=1", "optim.ema_decay=0.5", f"run_dir={tmp_path / 'run'}"),
        Note(tmp_path / "noted"),
    )
    checkpoint, network = last_epoch(tmp_path / "run")
    curated = open_curated(Path(checkpoint.record.curated_folder))
    rows = curated.manifest[curated.manifest["split"] == "val"]
    patches = np.stack([curated.store.field(r.field)[r.y : r.y + 64, r.x : r.x + 64] for r in rows.itertuples()])
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (checkpoint.input.mean, checkpoint.input.std))
    with torch.inference_mode():
        logits = network((torch.from_numpy(patches)[:, None].float() / 255 - mean) / std)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(rows["label"].to_numpy(np.int64))).item()
    table = pd.read_csv(tmp_path / "run/metrics.csv")
    assert table["val/loss"].dropna().tolist() == pytest.approx([loss], rel=1e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ["trainer.devices=50"],
            "50 processes (trainer.devices x trainer.num_nodes) are more than the 45 patches of val: give "
            "trainer.devices=16 trainer.num_nodes=1",
        ),
        (
            ["trainer.devices=5", "trainer.num_nodes=20"],
            "100 processes (trainer.devices x trainer.num_nodes) are more than the 90 patches of train: give "
            "trainer.devices=16 trainer.num_nodes=1",
        ),
        (
            ["optim.batch_size=15"],
            "optim.batch_size=15 cannot be shared evenly by 2 processes (trainer.devices x trainer.num_nodes): give "
            "optim.batch_size=14",
        ),
        (
            ["trainer.strategy=auto"],
            "trainer.devices=2 on trainer.num_nodes=1 are several processes, and trainer.strategy=auto starts one: "
            "give trainer.strategy=ddp, or trainer.devices=1 trainer.num_nodes=1",
        ),
    ],
)
def test_processes_that_cannot_share_the_work_are_refused(uneven, tmp_path, change, said):
    with pytest.raises(InputError) as caught:
        train(composed_train(*uneven, *DDP, f"run_dir={tmp_path / 'run'}", *change))
    assert str(caught.value) == said
    assert not (tmp_path / "run/checkpoints").exists()
