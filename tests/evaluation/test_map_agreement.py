"""Agreement of maps, field by field: by NumPy, scikit-image and counting by hand; groups count alike."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from skimage.metrics import structural_similarity

from jimt.data.stain_targets import StainTargets, TargetSettings
from jimt.evaluation.map_agreement import map_agreement, map_metrics, maps_in_words
from jimt.statistics.predicted_nuclei import nuclei_of_maps
from stains import made

OUTPUTS = ("log_pi", "positive", "dead", "live")


class Stand:
    """In place of a predictor: maps that are given, and how often they are asked for."""

    def __init__(self, maps, *, outputs=OUTPUTS, nuclei_of="cells") -> None:
        self._maps, self.asked = maps, []
        settings = {"stain.smoothing": 0.0, "stain.nuclei_of": nuclei_of}
        self.checkpoint = SimpleNamespace(
            record=SimpleNamespace(settings=settings), network=SimpleNamespace(outputs=outputs)
        )

    def maps(self, fields, number):
        self.asked.append(number)
        return {name: self._maps[number][name] for name in self.checkpoint.network.outputs}

    def nuclei(self, fields, number):
        return nuclei_of_maps(self._maps[number]["dead"], self._maps[number]["live"])

    def shares(self, fields, numbers):
        rows = [{"field": n, "share_of": "nuclei", "predicted_share": n / 10} for n in numbers]
        return pd.DataFrame(rows)


@pytest.fixture
def three(tmp_path):
    """Three fields of two groups, their maps, and counted cells in the first two."""
    rng = np.random.default_rng(0)
    no_data = [np.zeros((80, 96), bool) for _ in range(3)]
    no_data[1][:, :24] = True
    stained = [np.kron(rng.integers(90, 900, (20, 24)), np.ones((4, 4), int)) for _ in range(3)]
    cells = [
        *[(0, 4 * y + 1.5, 4 * x + 1.5, dead) for y, x, dead in ((2, 2, True), (8, 8, False), (15, 20, True))],
        (1, 41.5, 61.5, False),
    ]
    curated = made(tmp_path, stained, no_data=no_data, cells=cells, groups=["a", "a", "b"])
    maps = []
    for image in stained:
        log_pi = np.log(image[::4, ::4] / 100) + rng.normal(0, 0.3, (20, 24))
        maps.append(
            {"log_pi": log_pi, "positive": rng.random((20, 24)), "dead": np.zeros((20, 24)), "live": np.zeros((20, 24))}
        )
    maps[0]["dead"][2, 3], maps[0]["live"][9, 8], maps[0]["dead"][19, 0] = (
        0.9,
        0.8,
        0.7,
    )  # two that are, one that is not
    maps[1]["dead"][10, 15] = 0.6  # there, and not dead
    maps[2]["live"][5, 5] = 0.9  # where nothing was counted
    return curated, maps


def test_correlation_is_numpys_and_similarity_scikit_images_where_there_are_data(three):
    curated, maps = three
    table = map_agreement(Stand(maps), curated, [0, 1, 2])
    assert table[["field", "raw_image_id", "group"]].values.tolist() == [
        [0, "image 0", "a"], [1, "image 1", "a"], [2, "image 2", "b"],
    ]  # fmt: skip
    for field in range(3):
        true = np.log(np.clip(curated.store.fluorescence(field)[::4, ::4] / 100, 0.6, 20))
        first = 6 if field == 1 else 0
        pair = maps[field]["log_pi"][:, first:].ravel(), true[:, first:].ravel()
        assert table["correlation"][field] == pytest.approx(np.corrcoef(*pair)[0, 1], abs=1e-5)
    whole = structural_similarity(
        maps[0]["log_pi"], np.log(np.clip(curated.store.fluorescence(0)[::4, ::4] / 100, 0.6, 20)),
        win_size=7, data_range=np.log(20), full=True,
    )[1][3:-3, 3:-3].mean()  # fmt: skip
    assert table["similarity"][0] == pytest.approx(whole, abs=1e-4)


def test_nuclei_are_counted_by_hand(three):
    curated, maps = three
    table = map_agreement(Stand(maps), curated, [0, 1, 2])
    counts = {
        "predicted_nuclei": [3, 1, 1],
        "true_nuclei": [3, 1, np.nan],
        "matched_nuclei": [2, 1, np.nan],
        "predicted_dead_nuclei": [2, 1, 0],
        "true_dead_nuclei": [2, 0, np.nan],
        "matched_dead_nuclei": [1, 0, np.nan],
    }
    for name, expected in counts.items():
        np.testing.assert_array_equal(table[name].to_numpy(float), expected, err_msg=name)
    metrics = map_metrics(table, confidence=0.95)
    # of the two fields that were counted
    assert metrics["nuclei"] | {"spearman": None} == {
        "precision": 3 / 4, "recall": 3 / 4, "f1": 3 / 4, "predicted": 4, "true": 4, "matched": 3, "spearman": None,
    }  # fmt: skip
    assert (metrics["dead_nuclei"]["precision"], metrics["dead_nuclei"]["recall"]) == (1 / 3, 1 / 2)


def test_groups_count_alike_however_many_fields_they_have(three):
    curated, maps = three
    table = map_agreement(Stand(maps), curated, [0, 1, 2])
    metrics = map_metrics(table, confidence=0.95)
    assert (metrics["fields"], metrics["groups"]) == (3, 2)
    first, second, third = table["correlation"]
    assert metrics["correlation"]["value"] == pytest.approx(((first + second) / 2 + third) / 2)
    shuffled = map_metrics(table.sample(frac=1, random_state=1).reset_index(drop=True), confidence=0.95)
    assert shuffled["correlation"]["value"] == pytest.approx(metrics["correlation"]["value"])
    assert shuffled["nuclei"]["matched"] == metrics["nuclei"]["matched"]
    unknown = map_metrics(table.assign(group=None), confidence=0.95)
    assert unknown["groups"] == 3
    lines = maps_in_words(metrics)
    assert lines[0].startswith("predicted stain against the true one, mean over 2 groups: pixel correlation ")
    assert lines[1].startswith(
        "nuclei within 15 px of a known one: precision 0.750, recall 0.750, f1 0.750 (4 predicted,"
    )


@pytest.mark.parametrize(
    ("outputs", "compares", "counts"),
    [(("log_pi",), True, False), (("positive",), True, False), (("dead", "live"), False, True)],
)
def test_only_what_is_predicted_is_compared(three, outputs, compares, counts):
    curated, maps = three
    table = map_agreement(Stand(maps, outputs=outputs), curated, [0, 2])
    assert ("correlation" in table) == compares
    assert ("predicted_nuclei" in table) == counts
    metrics = map_metrics(table, confidence=0.95)
    assert ("correlation" in metrics) == compares
    assert ("nuclei" in metrics) == counts
    if outputs == ("positive",):
        (true,) = StainTargets(curated, TargetSettings(("positive",), None, 1.0, 0.0)).compute(0)
        assert table["correlation"][0] == pytest.approx(np.corrcoef(maps[0]["positive"].ravel(), true.ravel())[0, 1])


def test_a_field_without_a_background_is_left_out_of_the_comparison_and_no_more(three):
    curated, maps = three
    background = curated.store.background
    curated.store.background = lambda number: 0.0 if number == 1 else background(number)
    table = map_agreement(Stand(maps), curated, [0, 1, 2])
    assert table["correlation"].isna().tolist() == [False, True, False]
    assert table["similarity"].isna().tolist() == [False, True, False]
    assert table["predicted_nuclei"].tolist() == [3, 1, 1]
    value = map_metrics(table, confidence=0.95)["correlation"]["value"]
    assert value == pytest.approx((table["correlation"][0] + table["correlation"][2]) / 2)


def test_no_nuclei_anywhere_is_no_precision_and_no_error(three):
    curated, maps = three
    for one in maps:
        one["dead"], one["live"] = np.zeros((2, 20, 24))
    metrics = map_metrics(map_agreement(Stand(maps), curated, [0, 1]), confidence=0.95)
    assert metrics["nuclei"]["precision"] is None
    assert metrics["nuclei"]["recall"] == 0
    assert "precision -" in maps_in_words(metrics)[1]
    nobody = map_metrics(map_agreement(Stand(maps), curated, [2]), confidence=0.95)
    assert nobody["nuclei"]["true"] == 0
