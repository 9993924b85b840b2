"""The filter while patches are labelled: when it is fitted, what it is measured on, and when it is enough."""

import threading

import numpy as np
import pytest

from jimt.annotation.patch_features import PatchFeatures
from jimt.annotation.patch_order import spread_order, uncertain_order
from jimt.annotation.patch_page import filter_lines
from jimt.annotation.running_filter import EVERY, Labelled, Progress, RunningFilter
from jimt.config.curating import EmptyFilterConfig
from jimt.errors import InputError

SETTINGS = EmptyFilterConfig(True, ["a"], "none", "none", "patches", "linear", 1.0, 5, 32, "cpu", "32-true")


class Pool:
    """Patches that are their own features: the first says whether it is empty, with some noise."""

    def __init__(self, n: int, *, noise: float) -> None:
        rng = np.random.default_rng(0)
        self.empty = rng.random(n) < 0.5
        self.values = np.stack([self.empty + noise * rng.normal(size=n), rng.normal(size=n)], 1).astype(np.float32)
        self.groups = np.array([f"group {number % 6}" for number in range(n)], object)
        self.raw_image_ids = np.array([f"{number % 12}" for number in range(n)], object)

    def __len__(self) -> int:
        return len(self.values)

    def labelled(self, n: int, *, spread: int = 4) -> list[Labelled]:
        return [Labelled(number, bool(self.empty[number]), number % spread == 0) for number in range(n)]


def run(tmp_path, pool: Pool, *stages: list[Labelled], embed=None) -> RunningFilter:
    embed = embed or (lambda numbers: pool.values[numbers])
    features = PatchFeatures(tmp_path, {"of": "a test"}, n=len(pool), embed=embed)
    running, settled = RunningFilter(pool, features, SETTINGS, seed=0), threading.Condition()

    def tell() -> None:
        with settled:
            settled.notify_all()

    def is_settled() -> bool:
        n = len(running._labelled) // EVERY * EVERY
        has_both = len({label.empty for label in running._labelled[:n]}) == 2
        return running.progress.failed is not None or (
            running.progress.n_fitted >= n * has_both and running.progress.n_features == len(pool)
        )

    running.start(stages[0], tell=tell)
    for stage in stages:
        running.set_labelled(stage)
        with settled:
            assert settled.wait_for(is_settled, timeout=20)
    running.stop()
    return running


def test_it_is_fitted_every_twenty_labels_and_measured_on_the_spread_alone(tmp_path):
    pool = Pool(300, noise=0.1)
    assert run(tmp_path, pool, pool.labelled(19)).progress.n_fitted == 0
    running = run(tmp_path, pool, pool.labelled(47))
    assert running.progress.n_fitted == 40
    assert running.progress.n_measured == 10
    assert running.progress.f1.value == 1.0
    assert ((running.scores > 0) == pool.empty).all()


def test_it_is_fitted_once_both_kinds_are_labelled_however_late_that_is(tmp_path):
    pool = Pool(300, noise=0.1)
    pool.empty[:30], pool.values[:30, 0] = False, 0
    assert run(tmp_path, pool, pool.labelled(20)).progress.n_fitted == 0
    running = run(tmp_path, pool, pool.labelled(40))
    assert running.progress.n_fitted == 40
    assert ((running.scores > 0) == pool.empty).mean() > 0.95


def test_of_one_group_alone_there_is_a_filter_and_no_f1(tmp_path):
    pool = Pool(300, noise=0.1)
    pool.groups[:] = "all"
    progress = run(tmp_path, pool, pool.labelled(100)).progress
    assert filter_lines(progress) == [
        "The filter was fitted on 100 labels. F1 cannot be measured: it needs labels of both kinds from two groups or "
        "more.",
        "The last fits agree with a kappa of 1.000.",
        "More labels will hardly change the filter: you can stop.",
    ]


def test_without_an_empty_patch_among_those_drawn_at_random_there_is_no_f1(tmp_path):
    pool = Pool(300, noise=0.0)
    labels = [Labelled(number, bool(pool.empty[number]), not pool.empty[number]) for number in range(40)]
    assert filter_lines(run(tmp_path, pool, labels).progress) == [
        f"F1 cannot be measured yet, after 40 labels: none of the {int((~pool.empty[:40]).sum())} patches that were "
        "drawn at random is empty, or called so."
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_the_fit_is_told_on_the_page(tmp_path):
    def embed(numbers):
        raise RuntimeError("out of order")

    pool = Pool(50, noise=0.1)
    running = run(tmp_path, pool, pool.labelled(20), embed=embed)
    assert filter_lines(running.progress) == [
        "No filter can be fitted, so patches come as a spread: it has ended by a fault; see the terminal"
    ]


def test_it_is_enough_where_fits_agree_and_both_kinds_are_many(tmp_path):
    pool = Pool(300, noise=0.1)
    assert not run(tmp_path, pool, pool.labelled(60)).progress.is_enough  # three fits have two agreements
    progress = run(tmp_path, pool, pool.labelled(100)).progress
    assert progress.agreement == pytest.approx(1, abs=0.01)
    assert progress.is_enough
    assert "you can stop" in filter_lines(progress)[-1]
    noisy = Pool(300, noise=3)
    assert not run(tmp_path / "noisy", noisy, noisy.labelled(100)).progress.is_enough


def test_going_on_says_what_it_would_have_said_without_a_stop(tmp_path):
    pool = Pool(300, noise=0.5)
    whole = run(tmp_path, pool, *(pool.labelled(n) for n in range(20, 201, 20)))
    again = run(tmp_path, pool, pool.labelled(200))
    np.testing.assert_array_equal(whole.scores, again.scores)
    assert whole.progress == again.progress


def test_features_are_computed_once_and_kept(tmp_path):
    pool, computed = Pool(100, noise=0.1), []

    def embed(numbers):
        computed.append(len(numbers))
        return pool.values[numbers]

    run(tmp_path, pool, pool.labelled(40), embed=embed)
    run(tmp_path, pool, pool.labelled(60), embed=embed)
    assert sum(computed) == 100


def test_a_network_that_cannot_be_had_is_said_and_stops_nobody(tmp_path):
    def embed(numbers):
        raise InputError("the weights cannot be had")

    pool = Pool(50, noise=0.1)
    running = run(tmp_path, pool, pool.labelled(20), embed=embed)
    assert filter_lines(running.progress) == [
        "No filter can be fitted, so patches come as a spread: the weights cannot be had"
    ]
    assert filter_lines(Progress()) == [
        "No filter yet: it is fitted from 20 labels on, when both kinds are among them. Features of 0 patches are "
        "computed."
    ]


def test_a_spread_takes_one_patch_of_each_group_in_turn():
    groups = np.repeat(np.array(["a", "b", "c"], object), [50, 5, 20])
    order = spread_order(groups, seed=0)
    assert sorted(order.tolist()) == list(range(75))
    for turn in range(5):
        assert sorted(groups[order[3 * turn : 3 * turn + 3]]) == ["a", "b", "c"]
    assert set(groups[order[55:]]) == {"a"}


def test_uncertain_patches_are_nearest_to_the_decision_and_of_several_images():
    scores = np.array([0.01, 0.02, 0.03, -0.5, 2.0, -0.015], np.float32)
    names = np.array(["a", "a", "a", "b", "c", "a"], object)
    assert uncertain_order(scores, names, n=4, left_out=()) == [0, 5, 3, 4]
    assert uncertain_order(scores, names, n=2, left_out={0}) == [5, 1]
