"""Checkpoints are there whole or not at all, and nothing in a file is ever executed."""

import errno
import io
import os
import resource
import shutil
import signal
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest
import torch

from conftest import TINY, TINY_PROBE, composed_train
from jimt.errors import InputError
from jimt.evaluation.test_split import evaluate
from jimt.models.checkpoint import VERSION, read_checkpoint, read_tensors, save_checkpoint, write_tensors
from jimt.networks.backbones import create_backbone, load_weights
from jimt.system import files
from jimt.training.run import train
from processes import in_process


@pytest.fixture(scope="module")
def finished(uneven, tmp_path_factory):
    run = tmp_path_factory.mktemp("finished") / "run"
    train(composed_train(*uneven, *TINY, f"run_dir={run}", "trainer.max_epochs=1"))
    return run


@pytest.fixture
def run(finished, tmp_path):
    """A copy that a test may spoil, not marked as finished."""
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run/finished.json").unlink()
    return tmp_path / "run"


def resumed(uneven, run: Path, *changes: str):
    return composed_train(*uneven, *TINY, f"run_dir={run}", f"resume={run}", "trainer.max_epochs=2", *changes)


# ---- a full disk


def test_a_checkpoint_that_does_not_fit_leaves_the_old_one_whole(tmp_path):
    path = tmp_path / "checkpoints/best.ckpt"
    write_tensors({"epoch": 1, "weights": torch.arange(10)}, path)
    assert in_process(_save_beyond_the_limit, path) == 0
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == 1
    assert content["weights"].tolist() == list(range(10))
    assert [found.name for found in path.parent.iterdir()] == ["best.ckpt"]


def _save_beyond_the_limit(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python does itself
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        write_tensors({"epoch": 2, "weights": torch.zeros(1_000_000)}, path)
    except OSError as error:
        assert error.errno == errno.EFBIG  # noqa: PT017
    else:
        raise AssertionError("the limit of this system is no limit")


def test_a_disk_that_fills_up_in_training_is_said_in_a_sentence_and_keeps_finished_epochs(
    uneven, run, finished, monkeypatch
):
    before = {name: (run / f"checkpoints/{name}.ckpt").read_bytes() for name in ("best_epoch", "last")}
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", _no_space)  # where a network file system says so
        with pytest.raises(
            InputError,
            match=r"no space left for .*run \(No space left on device\); the checkpoints .* are whole.* give resume=",
        ):
            train(resumed(uneven, run))
    assert before == {name: (run / f"checkpoints/{name}.ckpt").read_bytes() for name in ("best_epoch", "last")}
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best_epoch.ckpt", "last.ckpt"}
    assert not (run / "finished.json").exists()
    train(resumed(uneven, run))
    assert read_tensors(run / "checkpoints/last.ckpt")["epoch"] == 1
    assert read_checkpoint(run / "checkpoints/best.ckpt").record.epoch in (1, 2)


def _no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("method", ["finetune", "linear_probe"])
def test_a_disk_that_is_full_after_training_is_said_in_a_sentence(uneven, run, monkeypatch, method):
    monkeypatch.setattr(files.os, "fsync", _no_space)
    overrides = [*uneven, *TINY_PROBE, f"run_dir={run}"]
    if method == "finetune":  # trained already: what is left is to write the checkpoint
        overrides = [*uneven, *TINY, f"run_dir={run}", f"resume={run}", "trainer.max_epochs=1"]
    ways = {"finetune": "; the checkpoints .* give resume=", "linear_probe": ": free some, and start it again"}[method]
    with pytest.raises(InputError, match=r"no space left for .*run \(No space left on device\)" + ways):
        train(composed_train(*overrides))
    assert not (run / "finished.json").exists()


# ---- files of others


class Malicious:
    def __init__(self, victim: Path) -> None:
        self._victim = victim

    def __reduce__(self):
        return Path.touch, (self._victim,)


@pytest.mark.stack
def test_code_in_a_checkpoint_is_not_executed_by_evaluation_resuming_or_loading_weights(uneven, run, tmp_path):
    victim, path = tmp_path / "executed", run / "checkpoints/last.ckpt"
    content = torch.load(path, weights_only=True)
    content["record"]["weights"] = Malicious(victim)
    torch.save(content, path)
    shutil.copy(path, run / "checkpoints/best.ckpt")
    said = "last.ckpt is damaged, or holds more than tensors and plain values, so it was not loaded"
    with pytest.raises(InputError, match="best.ckpt is damaged, or holds more than tensors"):
        evaluate(run)
    with pytest.raises(InputError, match=said):
        train(resumed(uneven, run))
    with pytest.raises(InputError, match="last.ckpt is damaged .*, and code in a weights file is never executed"):
        train(composed_train(*uneven, *TINY, f"backbone.weights={path}", f"run_dir={tmp_path / 'other'}"))
    assert not victim.exists()
    torch.load(path, weights_only=False)  # what would have happened
    assert victim.exists()


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"not a checkpoint", lambda whole: whole[:5000]])
def test_a_damaged_checkpoint_is_refused(uneven, run, damage):
    for name, use in (("best.ckpt", lambda: evaluate(run)), ("last.ckpt", lambda: train(resumed(uneven, run)))):
        path = run / "checkpoints" / name
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(InputError, match=f"{name} is damaged"):
            use()


@pytest.mark.parametrize(
    "content",
    [
        {"weights": torch.zeros(3)},
        {"state_dict": {"weight": torch.zeros(3)}, "hyper_parameters": {"lr": 0.1}},
        {"state_dict": {}, "record": {}},
        [1, 2],
    ],
    ids=["tensors", "another project's", "empty", "a list"],
)
def test_a_checkpoint_of_something_else_is_refused(uneven, run, content):
    for name, use in (("best.ckpt", lambda: evaluate(run)), ("last.ckpt", lambda: train(resumed(uneven, run)))):
        torch.save(content, run / "checkpoints" / name)
        with pytest.raises(InputError, match=f"{name} is not a checkpoint of jimt: give "):
            use()


def test_what_a_training_goes_on_from_is_no_model(run):
    with pytest.raises(
        InputError, match=r"last\.ckpt is what a training goes on from, and no finished model: give .*run"
    ):
        evaluate(run / "checkpoints/last.ckpt")


# ---- one contract, whole


def as_strings(value) -> object:
    """Plain values and tensors, to be compared."""
    if isinstance(value, torch.Tensor):
        return (value.dtype, value.tolist())
    if isinstance(value, dict):
        return {key: as_strings(part) for key, part in value.items()}
    return value


def test_a_checkpoint_is_the_same_after_it_was_written_and_read(run, tmp_path):
    one = read_checkpoint(run / "checkpoints/best.ckpt")
    save_checkpoint(one, tmp_path / "again.ckpt")
    other = read_checkpoint(tmp_path / "again.ckpt")
    assert as_strings(asdict(one)) == as_strings(asdict(other))
    assert one.record.groups["train"] and not set(one.record.groups["train"]) & set(one.record.groups["test"])  # noqa: PT018
    with pytest.raises(FrozenInstanceError):
        one.task = "another"


@pytest.mark.parametrize("lost", ["jimt_checkpoint", "task", "output.temperature", "record.groups"])
def test_what_lacks_something_is_no_checkpoint(run, lost):
    path = run / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    *parents, name = lost.split(".")
    part = content
    for parent in parents:
        part = part[parent]
    del part[name]
    torch.save(content, path)
    with pytest.raises(InputError, match=r"best\.ckpt is not a checkpoint of jimt: give "):
        evaluate(run)


@pytest.mark.parametrize("version", [VERSION - 1, VERSION + 1])
def test_a_checkpoint_of_another_jimt_is_refused(run, version):
    path = run / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"jimt_checkpoint": version}, path)
    with pytest.raises(InputError, match=r"best\.ckpt is of another jimt .*: train again, or install that jimt"):
        evaluate(run)


def test_weights_of_another_network_are_refused(run):
    path = run / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    content["network"]["name"] = "test_efficientnet"
    torch.save(content, path)
    with pytest.raises(InputError, match="the checkpoint holds the weights of another network than test_efficientnet"):
        evaluate(run)


# ---- weights of one run for the next


def test_a_run_starts_from_the_weights_of_another(uneven, finished, tmp_path):
    network = create_backbone("test_resnet.r160_in1k", num_classes=2)
    path = finished / "checkpoints/best.ckpt"
    said = load_weights(network, "test_resnet.r160_in1k", str(path))
    assert said.startswith("file: best.ckpt sha256 ")
    state = torch.load(path, weights_only=True)["state_dict"]
    for key, value in network.state_dict().items():
        assert torch.equal(value, state[f"network.{key}"])  # its head for live and dead too
    metrics = train(
        composed_train(*uneven, *TINY, f"backbone.weights={path}", "optim.lr=1e-12", f"run_dir={tmp_path / 'run'}")
    )
    assert metrics["weights"] == said


def test_the_network_of_a_frozen_run_is_taken_and_its_linear_layer_left(uneven, tmp_path):
    train(composed_train(*uneven, *TINY_PROBE, f"run_dir={tmp_path / 'run'}"))
    path = tmp_path / "run/checkpoints/best.ckpt"
    state = torch.load(path, weights_only=True)["state_dict"]
    assert any(key.startswith("linear.") for key in state)
    network = create_backbone("test_resnet.r160_in1k", num_classes=2)
    head = network.fc.weight.clone()
    load_weights(network, "test_resnet.r160_in1k", str(path))
    for key, value in network.state_dict().items():
        assert key.startswith("fc.") or torch.equal(value, state[f"network.{key}"])
    assert torch.equal(network.fc.weight, head)


def test_a_checkpoint_of_another_backbone_is_refused_by_the_keys_that_do_not_fit(finished):
    network = create_backbone("test_efficientnet", num_classes=2)
    with pytest.raises(
        InputError,
        match=r"best\.ckpt does not hold the weights of test_efficientnet \(of its \d+ keys \d+ missing "
        r"\(conv_stem\.weight, .*\d+ unexpected \(conv1\.0\.weight, .*: give the file of that network, or choose the "
        r"network of that file",
    ):
        load_weights(network, "test_efficientnet", str(finished / "checkpoints/best.ckpt"))


def test_a_network_with_a_part_called_network_keeps_its_keys(tmp_path):
    network = create_backbone("volo_d1_224", num_classes=2)
    assert any(key.startswith("network.") for key in network.state_dict())
    buffer = io.BytesIO()
    torch.save({"state_dict": network.state_dict()}, buffer)
    (tmp_path / "volo.pth").write_bytes(buffer.getvalue())
    other = create_backbone("volo_d1_224", num_classes=2)
    load_weights(other, "volo_d1_224", str(tmp_path / "volo.pth"))
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())
