"""What stops, slows and averages a fine-tuning, and what of Lightning is asked for by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import STAIN, TINY
from jimt.data import datamodule, stain_datamodule
from jimt.data.transforms import augmented_input
from jimt.errors import InputError
from jimt.models.checkpoint import read_checkpoint, read_tensors
from jimt.models.network import LiveDeadNetwork
from jimt.models.schedules import step_schedule
from jimt.models.stain_network import StainNetwork
from jimt.system.files import BEST
from jimt.training import learners
from jimt.training.run import train
from processes import Note
from trainings import epochs_of, validated

# ---- what stops, slows and averages


def noted(config, tmp_path: Path) -> dict:
    """What a training saw and did at each step."""
    train(config, callbacks=[Note(tmp_path / "noted")])
    return torch.load(tmp_path / "noted/rank0.pt", weights_only=True)


def test_training_ends_when_patience_does_and_the_last_checkpoint_is_of_the_last_epoch(uneven, train_config, tmp_path):
    # at this rate no score ever changes, so the first epoch is the best and two more are waited for
    train(train_config(*uneven, *TINY, "optim.lr=1e-12", "trainer.max_epochs=9", "trainer.patience=2"))
    assert epochs_of(tmp_path / "run", "val/balanced_accuracy") == [0, 1, 2]
    assert pd.read_csv(tmp_path / "run/metrics.csv")["val/balanced_accuracy"].dropna().nunique() == 1
    assert read_checkpoint(tmp_path / "run" / BEST).record.epoch == 1
    for name, epoch in (("best_epoch", 0), ("last", 2)):
        assert torch.load(tmp_path / f"run/checkpoints/{name}.ckpt", weights_only=True)["epoch"] == epoch


def test_the_best_checkpoint_is_of_the_epoch_with_the_highest_balanced_accuracy(uneven, train_config, tmp_path):
    train(train_config(*uneven, *TINY, "optim.batch_size=4", "trainer.max_epochs=5"))
    scores = pd.read_csv(tmp_path / "run/metrics.csv")["val/balanced_accuracy"].dropna().tolist()
    assert 0 < np.argmax(scores) < 4  # neither the first nor the last
    assert read_checkpoint(tmp_path / "run" / BEST).record.epoch == int(np.argmax(scores)) + 1
    assert torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 4


def test_two_batches_of_eight_added_up_are_one_batch_of_sixteen(uneven, train_config, tmp_path):
    # layer norm looks at each patch alone, unlike batch norm
    seen = {}
    for batch_size, accumulate in ((16, 1), (8, 2)):
        config = train_config(
            *uneven,
            *TINY,
            "backbone.name=test_convnext2.r160_in1k",
            "trainer.max_epochs=1",
            f"optim.batch_size={batch_size}",
            f"optim.accumulate={accumulate}",
            f"run_dir={tmp_path / str(accumulate)}",
        )
        seen[accumulate] = noted(config, tmp_path / str(accumulate))
    whole, halves = seen[1], seen[2]
    assert len(whole["train"]) == len(whole["gradients"]) == len(halves["gradients"]) == len(halves["train"]) / 2
    assert [rows for _, rows in whole["train"]] == [
        one + two for (_, one), (_, two) in zip(halves["train"][::2], halves["train"][1::2], strict=True)
    ]
    for name, gradient in whole["gradients"][0].items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(halves["gradients"][0][name], gradient, rtol=1e-3, atol=1e-6)


def test_weights_are_averaged_as_by_hand_and_the_average_is_kept(uneven, train_config, tmp_path):
    decay = 0.4
    seen = noted(train_config(*uneven, *TINY, f"optim.ema_decay={decay}"), tmp_path)
    average = {name: value.clone() for name, value in seen["weights"][0].items()}
    for n, weights in enumerate(seen["weights"][1:], 1):
        share = min(decay, (1 + n) / (10 + n))  # reaches 0.4 at the sixth step
        for name, value in weights.items():
            whole = not value.is_floating_point()
            average[name] = value if whole else share * average[name] + (1 - share) * value
    assert len(seen["weights"]) > 10
    content = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    for name, value in average.items():
        torch.testing.assert_close(content["state_dict"][name], value, rtol=1e-4, atol=1e-6)
        if value.is_floating_point():
            assert not torch.allclose(value, seen["weights"][-1][name], rtol=1e-4, atol=1e-6), name
    assert all(torch.equal(content["current_model_state"][name], seen["weights"][-1][name]) for name in average)


def test_the_averaged_weights_are_those_that_are_validated(uneven, train_config, tmp_path):
    train(train_config(*uneven, *TINY, "optim.ema_decay=0.9", "trainer.max_epochs=1"))
    state = read_tensors(tmp_path / "run/checkpoints/last.ckpt")["state_dict"]
    network = LiveDeadNetwork("test_resnet.r160_in1k", head="own", layer=None)
    network.load_state_dict(
        {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    )
    table = pd.read_csv(tmp_path / "run/metrics.csv")
    labels, logits = validated(tmp_path / "run", network.eval())
    loss = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels))
    assert table["val/loss"].dropna().tolist() == pytest.approx([loss.item()], rel=1e-5)


@pytest.mark.parametrize(("schedule", "warmup"), [("constant", 0.0), ("cosine", 0.25), ("one_cycle", 0.3)])
def test_the_learning_rate_follows_the_schedule_at_every_step(uneven, train_config, tmp_path, schedule, warmup):
    seen = noted(train_config(*uneven, *TINY, f"optim.schedule={schedule}", f"optim.warmup={warmup}"), tmp_path)
    n_steps = len(seen["rates"])
    factor = (lambda _: 1) if schedule == "constant" else step_schedule(schedule, n_steps=n_steps, warmup=warmup)
    assert seen["rates"] == pytest.approx([1e-3 * factor(step) for step in range(n_steps)])
    assert n_steps == 2 * len([epoch for epoch, _ in seen["train"] if epoch == 0])


# ---- Lightning's own, asked for by name


def test_a_callback_of_lightning_is_had_by_its_name(uneven, train_config, tmp_path):
    asked = "+trainer.callbacks={LearningRateMonitor: {logging_interval: step}}"
    train(train_config(*uneven, *TINY, "trainer.max_epochs=1", asked))
    table = pd.read_csv(tmp_path / "run/metrics.csv")
    assert table["lr-Adam"].notna().sum() > table["train/loss_step"].notna().sum() > 1  # by itself it would be one


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            "{LearningRateMoniter: {}}",
            "Lightning has no callback LearningRateMoniter: did you mean LearningRateMonitor",
        ),
        ("{Xyzzy: {}}", "Lightning has no callback Xyzzy: its documentation lists them"),
        ("{LearningRateMonitor: {interval: step}}", "LearningRateMonitor: .*unexpected keyword argument 'interval'"),
        ("{LearningRateMonitor: {logging_interval: minute}}", "LearningRateMonitor: logging_interval should be"),
        ("{Timer: [1]}", "Timer: .*must be a mapping"),
    ],
)
def test_a_callback_that_cannot_be_made_is_said_in_a_sentence(uneven, train_config, asked, said):
    with pytest.raises(InputError, match=rf"^trainer\.callbacks[:.] ?{said}") as caught:
        train(train_config(*uneven, *TINY, f"+trainer.callbacks={asked}"))
    assert "\n" not in str(caught.value)


def test_a_profile_is_written_into_the_runs_folder(uneven, train_config, tmp_path):
    train(train_config(*uneven, *TINY, "trainer.max_epochs=1", "trainer.profiler=simple"))
    (profile,) = (tmp_path / "run").glob("*profile*")
    assert "run_training_epoch" in profile.read_text()


@pytest.mark.parametrize(("progress", "shown"), [("rich", "Epoch 0"), ("none", None), ("lines", "epoch   1/1")])
def test_progress_is_shown_as_asked(uneven, train_config, capfd, progress, shown):
    train(train_config(*uneven, *TINY, "trainer.max_epochs=1", f"trainer.progress={progress}"))
    out = capfd.readouterr().out
    assert "Test split of no_treatment" in out
    if shown is None:
        assert "epoch" not in out.lower()
    else:
        assert shown in out


def test_a_network_is_compiled_where_that_is_asked_for(uneven, train_config, monkeypatch):
    compiled, augmented = [], []

    def noting(*batch, compiled, **rest):
        augmented.append(compiled)
        return augmented_input(*batch, compiled=compiled, **rest)

    monkeypatch.setattr(datamodule, "augmented_input", noting)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, mode: compiled.append((type(module).__name__, mode)))
    for asked in ("none", "default"):
        train(train_config(*uneven, *TINY, "trainer.max_epochs=1", f"trainer.compile={asked}", "retrain=true"))
    assert compiled == [("ResNet", "default")]
    half = len(augmented) // 2
    assert augmented == [False] * half + [True] * half
    assert half > 0


def test_the_smallest_crop_is_found_out_before_anything_is_compiled(uneven, train_config, monkeypatch):
    order = []

    def tried(*_, **__):
        order.append("crop")

    def noting(*batch, compiled, **rest):
        order.append("augmented" if compiled else "not compiled")
        return augmented_input(*batch, compiled=compiled, **rest)

    monkeypatch.setattr(learners, "refuse_small_crop", tried)
    monkeypatch.setattr(StainNetwork, "compile_parts", lambda network, mode: order.append(mode))
    monkeypatch.setattr(stain_datamodule, "augmented_input", noting)
    train(train_config(*uneven, *STAIN, "trainer.compile=default", "trainer.fast_dev_run=true"))
    assert order == ["crop", "default", "augmented"]


# ---- networks


def test_any_network_of_timm_trains(uneven, train_config):
    metrics = train(
        train_config(*uneven, *TINY, "backbone.name=convnext_atto", "trainer.max_epochs=1", "optim.batch_size=32")
    )
    assert metrics["backbone"] == "convnext_atto"
    assert metrics["counts"]["patches"] == 45


@pytest.mark.parametrize("trainable", ["head", "last_stage"])
def test_what_is_frozen_is_in_the_checkpoint_as_it_was_published(uneven, train_config, tmp_path, trainable):
    seen = noted(train_config(*uneven, *TINY, "trainer.max_epochs=1", f"backbone.trainable={trainable}"), tmp_path)
    first, last = seen["weights"][0], seen["weights"][-1]
    changed = {name for name, value in last.items() if not torch.equal(value, first[name])}
    assert changed
    starts = ("network.network.fc.",) if trainable == "head" else ("network.network.fc.", "network.network.layer4.")
    assert all(name.startswith(starts) for name in changed)
