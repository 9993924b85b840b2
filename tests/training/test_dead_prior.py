"""A network that was shown more dead nuclei than there are calls as many dead as there are, once it is set back."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from jimt.statistics.predicted_nuclei import nuclei_of_maps
from jimt.training.dead_prior import set_back_dead_prior


class Predictor:
    """Maps of four fields of 16 nuclei each, with a logit of death for each, as a network would give them."""

    def __init__(self, *, too_dead: float) -> None:
        rng = np.random.default_rng(0)
        self.logits = rng.normal(too_dead, 2, (4, 16))
        self.shift = 0.0
        self.forgotten = False
        self.network = SimpleNamespace(outputs=("log_pi", "dead", "live"), shift_dead=self._shift)

    def _shift(self, logits: float) -> None:
        self.shift += logits

    def forget(self) -> None:
        self.forgotten = True

    def maps(self, fields: object, number: int) -> np.ndarray:
        dead = np.zeros((40, 40))
        live = np.zeros((40, 40))
        for nucleus, logit in enumerate(self.logits[number]):
            place = 5 + 10 * (nucleus // 4), 5 + 10 * (nucleus % 4)
            share = expit(logit + self.shift)
            dead[place], live[place] = 0.9 * share, 0.9 * (1 - share)
        return np.stack([np.zeros((40, 40)), dead, live])

    def dead(self, number: int) -> np.ndarray:
        return nuclei_of_maps(*self.maps(None, number)[1:])["dead"].to_numpy()


def data(dead: list[list[bool]], splits: list[str]) -> SimpleNamespace:
    cells = pd.DataFrame(
        [(field, d) for field, of_field in enumerate(dead) for d in of_field], columns=["field", "dead"]
    )
    manifest = pd.DataFrame({"field": range(len(splits)), "split": splits})
    return SimpleNamespace(cells=lambda: cells, nuclei=lambda: None, manifest=manifest, store=None)


@pytest.mark.parametrize("too_dead", [-3.0, 0.0, 4.0])
def test_as_many_are_called_dead_as_are_in_the_fields_it_was_trained_on_and_none_of_the_test_is_asked(too_dead):
    predictor = Predictor(too_dead=too_dead)
    before = [np.argsort(predictor.logits[field]).tolist() for field in range(4)]
    curated = data([[True] * 4 + [False] * 12] * 3 + [[True] * 16], ["train", "val", "train", "test"])
    shift = set_back_dead_prior(predictor, curated, nuclei_of="cells")
    called = np.concatenate([predictor.dead(field) for field in range(3)])
    assert abs(called.sum() - 12) <= 1  # of 48, as of those known in training and validation
    assert predictor.shift == pytest.approx(-shift)
    assert predictor.forgotten
    assert [np.argsort(predictor.logits[field]).tolist() for field in range(4)] == before


def test_nothing_is_shifted_where_no_nucleus_is_known():
    predictor = Predictor(too_dead=1.0)
    assert set_back_dead_prior(predictor, data([[]] * 4, ["train"] * 4), nuclei_of="cells") is None
    assert set_back_dead_prior(predictor, data([[]] * 4, ["train"] * 4), nuclei_of="nuclei") is None
    assert predictor.shift == 0
