import numpy as np
import pytest
import torch

from jimt.statistics.calibration import fit_temperature, live_score


def simulated(temperature: float, n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that is ``temperature`` times too sure, and labels drawn as often as it should say."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-true))).astype(np.int64)
    offset = rng.normal(0, 3, n)  # of both logits, which says nothing
    return np.stack([offset, offset + true * temperature], 1).astype(np.float32), labels


def nll(scores: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.where(labels == 1, scores, 1 - scores)).mean())


def calibration_error(scores: np.ndarray, labels: np.ndarray) -> float:
    bins = np.minimum((scores * 15).astype(int), 14)
    return sum(
        (bins == number).mean() * abs(scores[bins == number].mean() - labels[bins == number].mean())
        for number in np.unique(bins)
    )


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0, 6.0])
def test_the_temperature_of_simulated_logits_is_recovered(temperature):
    assert fit_temperature(*simulated(temperature)) == pytest.approx(temperature, rel=0.08)


def test_a_score_is_the_softmax_at_the_temperature():
    logits, _ = simulated(2.0, n=100)
    for temperature in (0.5, 1.0, 3.0):
        expected = torch.from_numpy(logits).double().div(temperature).softmax(1)[:, 1].numpy()
        np.testing.assert_allclose(live_score(logits, temperature=temperature), expected, rtol=1e-6)


def test_scores_of_the_surest_logits_are_neither_infinite_nor_warned_of():
    logits = np.array([[0, 1e4], [1e4, 0], [0, 0]], np.float32)
    assert live_score(logits, temperature=0.05).tolist() == [1, 0, 0.5]


@pytest.mark.parametrize("n", [2, 20, 500])
@pytest.mark.parametrize("margin", [1e-3, 1.0, 100.0])
def test_patches_told_apart_without_error_do_not_ask_for_certainty(n, margin):
    labels = np.tile([0, 1], n // 2)
    logits = np.where(np.stack([labels == 0, labels == 1], 1), margin, 0).astype(np.float32)
    assert 0.05 <= fit_temperature(logits, labels) <= 20
    if n == 2 and margin == 1.0:  # two patches say little
        scores = live_score(logits, temperature=fit_temperature(logits, labels))
        assert 0.6 < scores.max() < 0.95


@pytest.mark.parametrize("flipped", [False, True])
def test_no_patch_changes_sides(flipped):
    logits, labels = simulated(3.0)
    labels = 1 - labels if flipped else labels  # worse than chance: the temperature grows, the sides stay
    scores = live_score(logits, temperature=fit_temperature(logits, labels))
    np.testing.assert_array_equal(scores > 0.5, logits.argmax(1) == 1)
    order = np.argsort(logits[:, 1] - logits[:, 0], kind="stable")
    assert (np.diff(scores[order]) >= 0).all()  # so no ROC curve changes either


def test_held_out_scores_of_an_overconfident_network_mean_more_what_they_say():
    logits, labels = simulated(4.0, n=1000)
    temperature = fit_temperature(logits, labels)
    held_out, true = simulated(4.0, n=4000, seed=1)
    before, after = (live_score(held_out, temperature=t) for t in (1.0, temperature))
    assert nll(after, true) < 0.7 * nll(before, true)
    assert calibration_error(after, true) < 0.3 * calibration_error(before, true)
