import itertools

import numpy as np
import pytest
import torch
from scipy.stats import binom, chisquare, kstest, uniform

from jimt.data.dataset import N_CHANGES, BalancedSampler, Key

TEN_TO_ONE = np.repeat([0, 1], [5000, 500])


def keys_of(seed: int, epoch: int = 0, labels: np.ndarray = TEN_TO_ONE, **options) -> list[Key]:
    """Each draw of one epoch."""
    sampler = BalancedSampler(labels, seed=seed, **({"multiple": 1, "orientations": True, "repeats": False} | options))
    sampler.set_epoch(epoch)
    keys = list(sampler)
    assert len(sampler) == len(keys)
    return keys


def drawn(seed: int, epoch: int = 0, labels: np.ndarray = TEN_TO_ONE, **options) -> np.ndarray:
    """(row, orientation) of each draw of one epoch."""
    return np.array([(key.row, key.orientation) for key in keys_of(seed, epoch, labels, **options)])


def on_rank(monkeypatch, rank: int, world: int) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world)


def test_live_and_dead_are_drawn_equally_often_from_ten_times_as_many_dead():
    n = len(TEN_TO_ONE)
    low, high = binom.interval(1 - 1e-6, n, 0.5)
    for seed in range(3):
        assert low <= TEN_TO_ONE[drawn(seed)[:, 0]].sum() <= high


def test_patches_of_one_class_are_drawn_equally_often():
    rows = np.concatenate([drawn(0, epoch)[:, 0] for epoch in range(20)])
    times = np.bincount(rows, minlength=len(TEN_TO_ONE))
    for label in (0, 1):
        assert chisquare(times[label == TEN_TO_ONE]).pvalue > 1e-4


def test_an_epoch_draws_as_many_patches_as_there_are_with_replacement():
    rows = drawn(0)[:, 0]
    assert len(rows) == len(TEN_TO_ONE)
    # a patch is missed by n draws of weight w with probability (1 - w) ** n
    n = len(rows)
    missed = 5000 * (1 - 1 / 10_000) ** n + 500 * (1 - 1 / 1000) ** n
    assert len(np.unique(rows)) == pytest.approx(n - missed, rel=0.05)


@pytest.mark.parametrize("seed", [0, 7])
def test_seed_and_epoch_say_what_is_drawn(seed):
    np.testing.assert_array_equal(drawn(seed, 3), drawn(seed, 3))
    for other in (drawn(seed, 4), drawn(seed + 1, 3), drawn(seed + 1, 2)):
        assert (drawn(seed, 3)[:, 0] == other[:, 0]).mean() < 0.02
        assert (drawn(seed, 3)[:, 1] == other[:, 1]).mean() == pytest.approx(1 / 8, abs=0.03)


def test_the_global_random_state_neither_matters_nor_changes():
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    first = drawn(0)
    state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    np.testing.assert_array_equal(drawn(0), first)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_all_eight_orientations_are_equally_likely_and_independent_of_the_patch():
    rows, orientations = drawn(0).T
    assert set(orientations) == set(range(8))
    assert chisquare(np.bincount(orientations)).pvalue > 1e-4
    for label in (0, 1):
        assert chisquare(np.bincount(orientations[TEN_TO_ONE[rows] == label], minlength=8)).pvalue > 1e-4


@pytest.mark.parametrize("multiple", [1, 4, 12, 64, 1000])
def test_an_epoch_is_rounded_up_to_whole_steps(multiple):
    labels = TEN_TO_ONE[::11]  # 500
    n = len(keys_of(0, 0, labels, multiple=multiple))
    assert n % multiple == 0
    assert 0 <= n - len(labels) < multiple


def test_without_orientations_every_patch_stays_upright_and_the_same_ones_are_drawn():
    turned, upright = drawn(3, orientations=True), drawn(3, orientations=False)
    np.testing.assert_array_equal(upright[:, 0], turned[:, 0])
    assert not upright[:, 1].any()


def test_changes_are_uniform_from_minus_one_to_one_and_independent_of_each_other_and_the_patch():
    keys = keys_of(0)
    changes = np.array([key.changes for key in keys])
    assert changes.shape == (len(TEN_TO_ONE), N_CHANGES)
    for column in changes.T:
        assert kstest(column, uniform(-1, 2).cdf).pvalue > 1e-4
    live = TEN_TO_ONE[[key.row for key in keys]]
    orientations = [key.orientation for key in keys]
    correlations = np.corrcoef(np.column_stack([changes, live, orientations]).T)[np.triu_indices(N_CHANGES + 2, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(keys))


# ---- several processes


@pytest.mark.parametrize("world", [2, 3])
def test_the_shares_of_all_processes_make_up_the_draw_of_one(monkeypatch, world):
    labels = TEN_TO_ONE[::11]  # 500: not a multiple of three
    alone = keys_of(5, 2, labels, multiple=6)
    shares = []
    for rank in range(world):
        on_rank(monkeypatch, rank, world)
        shares.append(keys_of(5, 2, labels, multiple=6))
        assert len(shares[-1]) == len(alone) / world
    assert list(itertools.chain.from_iterable(zip(*shares, strict=True))) == alone


@pytest.mark.parametrize("accumulate", [1, 2, 3])
@pytest.mark.parametrize(("world", "batch_size"), [(2, 4), (2, 16), (3, 12), (4, 4), (8, 64)])
def test_a_step_of_several_processes_takes_the_patches_it_takes_in_one(monkeypatch, world, batch_size, accumulate):
    labels = TEN_TO_ONE[::11]
    multiple = batch_size * accumulate
    for epoch in range(2):
        alone = keys_of(5, epoch, labels, multiple=multiple)
        steps = [alone[start : start + multiple] for start in range(0, len(alone), multiple)]
        own = batch_size // world  # of each batch
        together: list[list[Key]] = [[] for _ in steps]
        for rank in range(world):
            on_rank(monkeypatch, rank, world)
            share = keys_of(5, epoch, labels, multiple=multiple)
            batches = [share[start : start + own] for start in range(0, len(share), own)]
            assert {len(batch) for batch in batches} == {own}
            assert len(batches) == len(steps) * accumulate
            for number, batch in enumerate(batches):
                together[number // accumulate] += batch
        monkeypatch.undo()
        assert [sorted(step) for step in together] == [sorted(step) for step in steps]
