"""Passes at once give what passes in turn give, in their order, and leave threads as they were."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from jimt.models.network import LiveDeadNetwork
from jimt.networks.side_by_side import AT_ONCE, at_once, side_by_side

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3, 8])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 11])
def test_answers_come_in_the_order_of_the_works_whoever_ends_first(n, n_threads):
    gates = [threading.Event() for _ in range(n)]

    def work(number: int) -> int:
        if n_threads > 1 and number % 2 == 0 and number + 1 < n:
            assert gates[number + 1].wait(20)  # the one behind it ends first, so it was begun
        gates[number].set()
        return number

    assert list(side_by_side((partial(work, number) for number in range(n)), device=CPU)) == list(range(n))


def test_passes_share_the_threads_out_and_leave_their_number_as_it_was(n_threads):
    found = list(side_by_side([torch.get_num_threads] * 9, device=CPU))
    assert set(found) == {n_threads // min(n_threads, AT_ONCE)}
    assert torch.get_num_threads() == n_threads
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert later == [n_threads]


def test_no_more_works_are_begun_than_are_needed_soon(n_threads):
    begun: list[int] = []

    def works():
        for number in range(100):
            begun.append(number)
            yield partial(int, number)

    for n_seen, _ in enumerate(side_by_side(works(), device=CPU), 1):
        assert len(begun) <= n_seen + 2 * AT_ONCE


def test_a_pass_that_fails_is_told_and_ends_the_rest(n_threads):
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise torch.OutOfMemoryError("full")
        done.append(number)

    with pytest.raises(torch.OutOfMemoryError, match="full"):
        list(side_by_side((partial(work, number) for number in range(100)), device=CPU))
    assert len(done) <= 3 + 3 * AT_ONCE
    assert torch.get_num_threads() == n_threads


@pytest.mark.parametrize(
    ("n", "batch_size", "each"), [(1, 32, 1), (2, 32, 1), (20, 32, 10), (64, 32, 32), (65, 32, 17), (88, 32, 22)]
)
def test_patches_are_cut_into_an_even_number_of_parts_on_a_processor_and_into_full_ones_on_a_card(n, batch_size, each):
    assert at_once(n, batch_size=batch_size, device=CPU) == each
    assert at_once(n, batch_size=batch_size, device=torch.device("cuda")) == batch_size


def test_a_network_cut_at_a_layer_answers_two_threads_at_once():
    network = LiveDeadNetwork("test_resnet.r160_in1k", head="linear", layer="layer2").eval()
    images = torch.randn(4, 1, 3, 32, 32)

    @torch.inference_mode()
    def answer(number: int) -> torch.Tensor:
        return network.feature_map(images[number % 4])

    expected = [answer(number) for number in range(4)]
    n_hooks = len(network.network.layer2._forward_hooks)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns at every step
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(answer, range(400)))
    finally:
        sys.setswitchinterval(before)
    assert all(torch.allclose(one, expected[number % 4], atol=1e-6) for number, one in enumerate(found))
    assert len(network.network.layer2._forward_hooks) == n_hooks == 1


def test_hooks_of_others_on_that_layer_are_called_before_it_is_cut():
    network = LiveDeadNetwork("test_resnet.r160_in1k", head="linear", layer="layer2").eval()
    layer, seen = network.network.layer2, []
    for name in ("one", "two"):
        handle = layer.register_forward_hook(lambda _m, _i, _o, name=name: seen.append(name))
        network.feature_map(torch.randn(1, 3, 32, 32))
    assert seen == ["one", "one", "two"]
    handle.remove()
    network.feature_map(torch.randn(1, 3, 32, 32))
    assert seen[-1] == "one"
    assert len(layer._forward_hooks) == 2  # that of the cut is there once
