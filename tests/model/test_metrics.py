import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from jimt.model.metrics import split_metrics

pytestmark = pytest.mark.stack


def random_logits(share_live: float, n: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    labels = (rng.random(n) < share_live).astype(np.int64)
    logits = rng.normal(0, 1, (n, 2)) + np.eye(2)[labels] * 0.7
    return torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(labels)


@pytest.mark.parametrize("share_live", [0.5, 0.1, 0.95])
def test_metrics_are_those_of_scikit_learn_however_rare_a_class(share_live):
    logits, labels = random_logits(share_live)
    metrics = split_metrics("val")
    for start in range(0, len(labels), 96):  # batch by batch, the last one smaller
        metrics.update(logits[start : start + 96], labels[start : start + 96])
    values = metrics.compute()
    score = logits.double().softmax(1)[:, 1].numpy()
    expected = {
        "val/balanced_accuracy": balanced_accuracy_score(labels, logits.argmax(1)),
        "val/auroc": roc_auc_score(labels, score),
    }
    assert {name: value.item() for name, value in values.items()} == pytest.approx(expected, abs=1e-6)
    if share_live != 0.5:  # then the plain share of right answers is another number
        assert abs(accuracy_score(labels, logits.argmax(1)) - expected["val/balanced_accuracy"]) > 1e-3


@pytest.mark.parametrize("split", ["val", "test"])
def test_metrics_carry_the_name_of_their_split(split):
    logits, labels = random_logits(0.5)
    metrics = split_metrics(split)
    metrics.update(logits, labels)
    assert set(metrics.compute()) == {f"{split}/balanced_accuracy", f"{split}/auroc"}


def test_an_epoch_forgets_the_one_before():
    logits, labels = random_logits(0.5)
    metrics = split_metrics("val")
    metrics.update(-logits, labels)
    metrics.reset()
    metrics.update(logits, labels)
    expected = balanced_accuracy_score(labels, logits.argmax(1))
    assert metrics.compute()["val/balanced_accuracy"].item() == pytest.approx(expected, abs=1e-6)
