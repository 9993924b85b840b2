from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score
from torch.utils.data import DataLoader

from jimt.models.classifier import LiveDeadClassifier
from jimt.models.freezing import freeze
from jimt.models.network import LiveDeadNetwork
from jimt.statistics.calibration import live_score

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # Lightning 2.6 on torch 2.14
]

RECORD = {"settings": {"seed": 0}, "weights": "random", "precision": "32-true"}
OPTIM = {
    "lr": 1e-2,
    "betas": [0.5, 0.999],
    "weight_decay": 1e-5,
    "decoupled": False,
    "schedule": "constant",
    "warmup": 0.0,
    "label_smoothing": 0.0,
}


def batch_of(patches: torch.Tensor, label: torch.Tensor) -> SimpleNamespace:
    """What ``jimt.data`` hands over, of patches of one group."""
    return SimpleNamespace(patches=patches, label=label, group=torch.zeros(len(label)))


def classifier_of(
    trainable: str = "all", *, backbone: str = "test_resnet.r160_in1k", seed: int = 0, **changes
) -> LiveDeadClassifier:
    torch.manual_seed(0)
    network = LiveDeadNetwork(backbone, head="own", layer=None)
    freeze(network.network, network.own_head, trainable)
    return LiveDeadClassifier(network, optim=OPTIM | changes, seed=seed, record=dict(RECORD))


def images_and_labels(n: int = 8, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 32, 32, generator=generator), torch.arange(n) % 2


def loader(n_batches: int = 2) -> DataLoader:
    batches = [images_and_labels(seed=seed) for seed in range(n_batches)]
    return DataLoader([batch_of(patches, label) for patches, label in batches], batch_size=None)


def fit(classifier: LiveDeadClassifier, folder, *, max_epochs: int = 1) -> pl.Trainer:
    """Train as Lightning does, which decides by itself what is in training mode."""
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=max_epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(classifier, loader(), loader())
    return trainer


def scores_of(classifier: LiveDeadClassifier, images: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return live_score(classifier.eval()(images).numpy(), temperature=1.0)


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}


def state_of(classifier: LiveDeadClassifier) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in classifier.network.network.state_dict().items()}


def test_training_the_head_changes_nothing_else_not_even_batch_statistics(tmp_path):
    classifier = classifier_of("head")
    before = state_of(classifier)
    fit(classifier, tmp_path, max_epochs=2)
    assert changed(before, state_of(classifier)) == {"fc.weight", "fc.bias"}


def test_training_all_changes_every_parameter_and_the_batch_statistics(tmp_path):
    classifier = classifier_of("all")
    before = state_of(classifier)
    fit(classifier, tmp_path)
    assert changed(before, state_of(classifier)) == set(before)


def test_a_frozen_feature_is_the_same_in_training_and_in_evaluation():
    images, _ = images_and_labels()
    classifier = classifier_of("head").train()
    assert classifier.training
    with torch.inference_mode():
        torch.testing.assert_close(classifier(images), classifier.eval()(images), rtol=0, atol=0)
        whole = classifier_of("all")
        assert not torch.allclose(whole.train()(images), whole.eval()(images), atol=1e-3)


@pytest.mark.parametrize(("trainable", "n_trained"), [("head", 2), ("all", None)])
@pytest.mark.parametrize(("decoupled", "kind"), [(False, torch.optim.Adam), (True, torch.optim.AdamW)])
def test_adam_moves_what_is_trained_as_the_config_says(trainable, n_trained, decoupled, kind):
    classifier = classifier_of(trainable, lr=3e-4, betas=[0.25, 0.75], weight_decay=0.125, decoupled=decoupled)
    optimizer = classifier.configure_optimizers()
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (3e-4, (0.25, 0.75), 0.125)
    assert len(group["params"]) == (n_trained or len(list(classifier.parameters())))


def test_a_training_step_is_one_of_adam_by_hand():
    images, labels = images_and_labels()
    classifier = classifier_of("head").train()
    bias = classifier.network.own_head.bias
    optimizer = classifier.configure_optimizers()
    classifier.log = lambda *arguments, **options: None
    classifier.training_step(batch_of(images, labels), 0).backward()
    start, gradient = bias.detach().clone(), bias.grad + 1e-5 * bias.detach()
    optimizer.step()
    # the first step: both means are the gradient itself after their correction, so it is lr in the gradient's direction
    expected = start - 1e-2 * gradient / (gradient.abs() + 1e-8)
    torch.testing.assert_close(bias.detach(), expected, rtol=1e-4, atol=1e-7)


def test_the_loss_is_cross_entropy_of_the_softmax():
    images, labels = images_and_labels()
    classifier = classifier_of().eval()
    logged = {}
    classifier.log = lambda name, value, **options: logged.update({name: (value.item(), options)})
    batch = batch_of(images, labels)
    loss = classifier.training_step(batch, 0)
    with torch.inference_mode():
        probabilities = np.exp(classifier(images).double().numpy())
    expected = log_loss(labels, probabilities / probabilities.sum(1, keepdims=True))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert loss.requires_grad
    assert set(logged) == {"train/loss"}
    for value, options in logged.values():
        assert value == pytest.approx(expected, rel=1e-5)
        assert options["batch_size"] == 8


def test_smoothed_labels_share_their_part_evenly_and_only_in_training(tmp_path):
    images, labels = images_and_labels()
    classifier = classifier_of("head", lr=1e-12, label_smoothing=0.2)
    metrics = fit(classifier, tmp_path).callback_metrics
    images, labels = (
        torch.cat(parts) for parts in zip(*(images_and_labels(seed=seed) for seed in range(2)), strict=True)
    )
    with torch.inference_mode():
        log_probabilities = classifier.eval()(images).double().log_softmax(1)
    right = -log_probabilities[torch.arange(16), labels].mean().item()
    either = -log_probabilities.mean().item()
    assert metrics["train/loss"].item() == pytest.approx(0.8 * right + 0.2 * either, rel=1e-4)
    assert metrics["val/loss"].item() == pytest.approx(right, rel=1e-4)


def test_dropout_is_drawn_by_seed_and_epoch_whatever_was_drawn_before():
    def drawn(seed: int, epoch: int) -> torch.Tensor:
        classifier = classifier_of(backbone="squeezenet1_1", seed=seed)
        torch.manual_seed(int(torch.randint(1000, ()).item()))
        trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", barebones=True)
        trainer.fit_loop.epoch_progress.current.completed = epoch
        classifier.trainer = trainer
        classifier.on_train_epoch_start()
        return classifier(images_and_labels()[0].repeat(1, 1, 2, 2))

    torch.manual_seed(1)
    first = drawn(0, 3)
    assert torch.equal(first, drawn(0, 3))
    assert not torch.equal(first, drawn(0, 4))
    assert not torch.equal(first, drawn(1, 3))


def test_validation_of_an_epoch_is_scikit_learns_over_all_its_batches(tmp_path):
    classifier = classifier_of("head", lr=1e-12)  # trained by nothing, so that the scores can be had afterwards
    metrics = fit(classifier, tmp_path).callback_metrics
    images, labels = (
        torch.cat(parts) for parts in zip(*(images_and_labels(seed=seed) for seed in range(2)), strict=True)
    )
    scores = scores_of(classifier, images)
    assert metrics["val/balanced_accuracy"].item() == pytest.approx(balanced_accuracy_score(labels, scores > 0.5))
    assert metrics["val/auroc"].item() == pytest.approx(roc_auc_score(labels, scores), abs=1e-6)
    assert metrics["val/loss"].item() == pytest.approx(log_loss(labels, scores.astype(float)), rel=1e-4)
    assert metrics["train/loss"].item() == pytest.approx(metrics["val/loss"].item(), rel=1e-4)


def test_a_checkpoint_loads_without_executing_anything(tmp_path):
    classifier = classifier_of("head")
    trainer = fit(classifier, tmp_path)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    content = torch.load(tmp_path / "one.ckpt", map_location="cpu", weights_only=True)
    assert content["record"] == RECORD
    again = classifier_of("head")
    again.load_state_dict(content["state_dict"])
    images, _ = images_and_labels()
    np.testing.assert_array_equal(scores_of(again, images), scores_of(classifier, images))


def test_the_score_is_the_softmax_of_live():
    images, _ = images_and_labels()
    classifier = classifier_of()
    scores = scores_of(classifier, images)
    with torch.inference_mode():
        logits = classifier(images).double().numpy()
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), rtol=1e-5)
    assert scores.shape == (8,)
