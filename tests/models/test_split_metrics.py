import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    recall_score,
    roc_auc_score,
)

from jimt.models.split_metrics import SplitMetrics
from jimt.statistics.metrics import METRICS

pytestmark = pytest.mark.stack


def random_logits(share_live: float, n: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    labels = (rng.random(n) < share_live).astype(np.int64)
    logits = rng.normal(0, 1, (n, 2)) + np.eye(2)[labels] * 0.7
    return torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(labels)


def groups_of(labels: torch.Tensor) -> torch.Tensor:
    """Seven groups and, of every eighth patch, none."""
    return torch.arange(len(labels)) % 8 - 1


def share_of_pairs_won(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """Pairs of one known group whose live patch has the higher score, ties one half, by comparing every pair."""
    pair = (labels[:, None] == 1) & (labels == 0) & (groups[:, None] == groups) & (groups >= 0)
    won = (scores[:, None] > scores) + (scores[:, None] == scores) / 2
    return won[pair].mean() if pair.any() else np.nan


def computed(logits: torch.Tensor, labels: torch.Tensor, split: str = "val") -> dict[str, float]:
    metrics = SplitMetrics(split)
    for start in range(0, len(labels), 96):  # batch by batch, the last one smaller
        part = slice(start, start + 96)
        metrics.update(logits[part], labels[part], groups_of(labels)[part])
    return {name: value.item() for name, value in metrics.compute().items()}


def expected_of(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """By scikit-learn, and the calibration error by hand."""
    score = 1 / (1 + np.exp(logits[:, 0].double().numpy() - logits[:, 1].double().numpy()))
    true, predicted = labels.numpy(), (score > 0.5).astype(int)
    counts = confusion_matrix(true, predicted, labels=[0, 1]).ravel()
    confidence, right = np.where(score > 0.5, score, 1 - score), predicted == true
    bins = np.digitize(confidence, np.linspace(0, 1, 16)[1:-1], right=True)
    error = sum(
        (bins == number).mean() * abs(confidence[bins == number].mean() - right[bins == number].mean())
        for number in np.unique(bins)
    )
    return {
        "val/balanced_accuracy": balanced_accuracy_score(true, predicted),
        "val/auroc": roc_auc_score(true, score),
        # torchmetrics is handed single precision, in which there are ties
        "val/auroc_within_groups": share_of_pairs_won(true, logits.softmax(1)[:, 1].numpy(), groups_of(labels).numpy()),
        "val/average_precision_live": average_precision_score(true, score),
        "val/f1_live": f1_score(true, predicted),
        "val/f1_dead": f1_score(true, predicted, pos_label=0),
        "val/recall_live": recall_score(true, predicted),
        "val/recall_dead": recall_score(true, predicted, pos_label=0),
        "val/brier": brier_score_loss(true, score),
        "val/expected_calibration_error": error,
        "val/dead_as_dead": counts[0],
        "val/dead_as_live": counts[1],
        "val/live_as_dead": counts[2],
        "val/live_as_live": counts[3],
    }


@pytest.mark.parametrize("share_live", [0.5, 0.1, 0.95])
def test_metrics_of_a_split_are_those_of_the_table_under_the_same_names(share_live):
    logits, labels = random_logits(share_live)
    scores = logits.double().softmax(1)[:, 1].numpy()
    followed = {name.removeprefix("val/"): value for name, value in computed(logits, labels).items()}
    counts = {"dead_as_dead", "dead_as_live", "live_as_dead", "live_as_live"}
    assert set(followed) - counts <= set(METRICS)
    for name in set(followed) - counts:
        if METRICS[name].within is None:
            assert followed[name] == pytest.approx(METRICS[name].value(labels.numpy(), scores), abs=1e-5)


@pytest.mark.parametrize("share_live", [0.5, 0.1, 0.95])
def test_metrics_are_those_of_scikit_learn_however_rare_a_class(share_live):
    logits, labels = random_logits(share_live)
    values = computed(logits, labels)
    assert values == pytest.approx(expected_of(logits, labels), abs=1e-5)
    if share_live != 0.5:  # then the plain share of right answers is another number
        assert abs(accuracy_score(labels, logits.argmax(1)) - values["val/balanced_accuracy"]) > 1e-3


def test_ties_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.choice([-1.0, -0.25, 0.5, 1.5], (300, 2)).astype(np.float32))
    labels = torch.from_numpy((rng.random(300) < 1 / (1 + np.exp(-logits[:, 1].numpy()))).astype(np.int64))
    assert len(np.unique((logits[:, 1] - logits[:, 0]).numpy())) < 20
    assert (logits[:, 1] == logits[:, 0]).any()  # a score of 0.5, which is dead
    assert computed(logits, labels) == pytest.approx(expected_of(logits, labels), abs=1e-5)


def test_logits_between_0_and_1_are_not_taken_for_probabilities():
    # SqueezeNet's, which end in a ReLU, may all lie there in one batch and in another not
    rng = np.random.default_rng(2)
    logits = torch.from_numpy(rng.uniform(0, 1, (288, 2)).astype(np.float32))
    logits[96:192] *= 5
    labels = torch.from_numpy((rng.random(288) < 0.5).astype(np.int64))
    assert computed(logits, labels) == pytest.approx(expected_of(logits, labels), abs=1e-5)


@pytest.mark.filterwarnings("ignore:No (positive|negative) samples")
@pytest.mark.parametrize("label", [0, 1])
def test_an_absent_class_is_no_crash_and_the_others_recall_stands(label):
    logits, _ = random_logits(0.5)
    values = computed(logits, torch.full((len(logits),), label))
    right = (logits.argmax(1) == label).double().mean().item()
    assert values["val/recall_live" if label else "val/recall_dead"] == pytest.approx(right)
    assert values["val/live_as_live"] + values["val/live_as_dead"] == (len(logits) if label else 0)


@pytest.mark.parametrize("split", ["train", "val"])
def test_metrics_carry_the_name_of_their_split(split):
    logits, labels = random_logits(0.5)
    names = set(expected_of(logits, labels))
    assert set(computed(logits, labels, split)) == {name.replace("val/", f"{split}/") for name in names}


def test_an_epoch_forgets_the_one_before():
    logits, labels = random_logits(0.5)
    metrics = SplitMetrics("val")
    metrics.update(-logits, labels, groups_of(labels))
    metrics.reset()
    metrics.update(logits, labels, groups_of(labels))
    values = {name: value.item() for name, value in metrics.compute().items()}
    assert values == pytest.approx(expected_of(logits, labels), abs=1e-5)
