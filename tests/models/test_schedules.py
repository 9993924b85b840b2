from math import cos, pi

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from jimt.models.schedules import step_schedule


@pytest.mark.parametrize("n_steps", [3, 10, 97, 1000])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.3, 0.35])
def test_one_cycle_is_torchs(n_steps, warmup):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = OneCycleLR(optimizer, max_lr=1.0, total_steps=n_steps, pct_start=warmup, cycle_momentum=False)
    ours = step_schedule("one_cycle", n_steps=n_steps, warmup=warmup)
    for step in range(n_steps):
        assert ours(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9), step
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("warmup", "expected"),
    [
        # nothing rises: half a cosine over eight steps, 0 at the ninth, which is never made
        (0.0, [(1 + cos(pi * step / 8)) / 2 for step in range(9)]),
        # two of eight steps rise in even thirds to 1
        (0.25, [1 / 3, 2 / 3, *[(1 + cos(pi * step / 6)) / 2 for step in range(7)]]),
    ],
)
def test_cosine_rises_in_even_steps_and_falls_as_half_a_cosine(warmup, expected):
    factor = step_schedule("cosine", n_steps=8, warmup=warmup)
    assert [factor(step) for step in range(9)] == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 50])
def test_every_step_of_every_length_has_a_rate_between_0_and_1(schedule, warmup, n_steps):
    factor = step_schedule(schedule, n_steps=n_steps, warmup=warmup)
    rates = [factor(step) for step in range(n_steps + 2)]  # torch asks for the step after the last
    assert all(0 <= rate <= 1 for rate in rates)
    assert max(rates[:n_steps]) > 0
    highest = rates.index(max(rates))
    assert rates[: highest + 1] == sorted(rates[: highest + 1])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
