"""Nuclei are found where they were drawn, as many as there are, each of its kind."""

import numpy as np
import pytest

from jimt.data.stain_targets import discs
from jimt.statistics.nuclei_matching import match_nuclei
from jimt.statistics.predicted_nuclei import nuclei_of_maps


def drawn(centres, shape=(160, 200), *, radius=8.0):
    """A probability that is highest at the centre: discs, blurred as a network gives them."""
    y, x = (np.arange(side // 4) * 4 + 1.5 for side in shape)
    probability = np.zeros((len(y), len(x)))
    for cy, cx in centres:
        distance = np.hypot(y[:, None] - cy, x[None] - cx)
        probability = np.maximum(probability, 0.9 * np.exp(-0.5 * (distance / (radius / 2)) ** 2))
    return probability


def test_nuclei_that_lie_apart_are_found_each_once_within_a_place_of_its_centre_and_of_its_kind():
    rng = np.random.default_rng(0)
    grid = np.array([(y, x) for y in range(16, 150, 24) for x in range(16, 190, 24)], float)
    centres = grid + rng.uniform(-3, 3, grid.shape)
    dead = rng.random(len(centres)) < 0.3
    found = nuclei_of_maps(drawn(centres[dead]), drawn(centres[~dead]))
    assert len(found) == len(centres)
    ours, theirs = match_nuclei(found[["y", "x"]].to_numpy(), centres, radius=4.0)
    assert len(ours) == len(centres)
    np.testing.assert_array_equal(found["dead"].to_numpy()[ours], dead[theirs])


@pytest.mark.parametrize(("highest", "n"), [(0.29, 0), (0.35, 1)])
def test_what_is_not_likely_enough_is_no_nucleus(highest, n):
    live = np.zeros((20, 20))
    live[10, 10] = highest
    assert len(nuclei_of_maps(np.zeros((20, 20)), live)) == n
    # that it is one of the two is what counts
    assert len(nuclei_of_maps(live / 2, live / 2)) == n


def test_a_nucleus_at_the_edge_counts_and_the_likelier_kind_is_its_kind():
    dead, live = np.zeros((2, 12, 12))
    dead[0, 0], live[0, 0] = 0.5, 0.4
    dead[11, 11], live[11, 11] = 0.2, 0.6
    found = nuclei_of_maps(dead, live)
    assert sorted(found.itertuples(index=False, name=None)) == [(1.5, 1.5, True), (45.5, 45.5, False)]


def test_maps_that_say_nothing_have_no_nuclei():
    for value in (0.0, 0.05):
        found = nuclei_of_maps(np.full((9, 9), value), np.zeros((9, 9)))
        assert found.columns.tolist() == ["y", "x", "dead"]
        assert len(found) == 0


def test_a_turned_field_has_its_nuclei_turned():
    rng = np.random.default_rng(1)
    dead, live = rng.random((2, 40, 40)) ** 4 / 2
    upright = nuclei_of_maps(dead, live)
    turned = nuclei_of_maps(np.rot90(dead), np.rot90(live))
    expected = {(159 - x, y, kind) for y, x, kind in upright.itertuples(index=False, name=None)}
    assert set(turned.itertuples(index=False, name=None)) == expected
    assert len(upright) > 20


def test_the_disc_that_a_nucleus_is_learned_as_is_found_as_one():
    (row,) = nuclei_of_maps(discs(np.array([[61.5, 81.5]]), (160, 200), radius=8.0), np.zeros((40, 50))).to_numpy()
    assert abs(row[0] - 61.5) <= 8
    assert abs(row[1] - 81.5) <= 8
    assert row[2]
