"""What a change of the images gains, on small tables whose answer is known, and how it is said."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from jimt.evaluation.matching_gains import Variant, gains
from jimt.evaluation.share_errors import TrueShares
from jimt.evaluation.transfer_words import in_words
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE


def table(n_groups: int, *, labels: tuple[int, ...] = (LIVE, LIVE, DEAD, DEAD, AMBIGUOUS)) -> pd.DataFrame:
    """A field for each group, of five patches."""
    rows = [
        {"field": group, "raw_image_id": f"f{group}", "group": f"g{group}", "label": label}
        for group in range(n_groups)
        for label in labels
    ]
    return pd.DataFrame(rows)


def answers(rows: pd.DataFrame, *, skill: float, seed: int = 0) -> Variant:
    noise = np.random.default_rng(seed).normal(0, 1, len(rows))
    scores = 1 / (1 + np.exp(-(noise + skill * np.select([rows["label"] == LIVE, rows["label"] == DEAD], [1, -1], 0))))
    return Variant(scores, 1 - pd.Series(scores).groupby(rows["field"].to_numpy()).mean())


def truth(rows: pd.DataFrame) -> TrueShares:
    return TrueShares("pi", pd.DataFrame({"pi": 0.5}, index=sorted(set(rows["field"]))))


def test_values_and_gains_are_those_of_scikit_learn_and_of_arithmetic():
    rows = table(12)
    before, after = answers(rows, skill=0.3), answers(rows, skill=2.0, seed=1)
    first, found = gains(rows, before, [after], truth(rows), confidence=0.95)
    known = (rows["label"] != AMBIGUOUS).to_numpy()
    areas = [roc_auc_score(rows["label"][known], each.scores[known]) for each in (before, after)]
    assert first["auroc"]["value"] == pytest.approx(areas[0])
    assert found["auroc"]["value"] == pytest.approx(areas[1])
    assert found["auroc"]["gain"] == pytest.approx(areas[1] - areas[0])
    errors = [(each.shares - 0.5).abs().mean() for each in (before, after)]
    assert found["share_error"]["gain"] == pytest.approx(errors[1] - errors[0])
    assert found["auroc"]["gain_interval"][0] > 0
    assert found["auroc"]["beyond_chance"]
    assert (found["live"], found["dead"], found["groups"], found["fields"]) == (24, 24, 12, 12)


def test_a_gain_by_chance_is_seldom_told_though_several_are_looked_at():
    told = []
    for seed in range(60):
        rows = table(10)
        variants = [answers(rows, skill=1.0, seed=6 * seed + k) for k in range(6)]
        _, *found = gains(rows, variants[0], variants[1:], None, confidence=0.95)
        told.append(any(each["auroc"]["beyond_chance"] for each in found))
    assert np.mean(told) <= 0.15


def test_where_one_class_is_left_there_is_no_area_and_errors_of_shares_stay():
    rows = table(6, labels=(LIVE, LIVE, AMBIGUOUS))
    first, found = gains(rows, answers(rows, skill=1), [answers(rows, skill=1, seed=2)], truth(rows), confidence=0.95)
    assert found["auroc"] == dict.fromkeys(("value", "interval", "gain", "gain_interval")) | {"beyond_chance": False}
    assert first["share_error"]["value"] > 0
    assert found["share_error"]["gain_interval"] is not None


@pytest.mark.parametrize("n_groups", [1, 2])
def test_too_few_groups_give_values_without_intervals(n_groups):
    rows = table(n_groups)
    _, found = gains(rows, answers(rows, skill=1), [answers(rows, skill=2)], truth(rows), confidence=0.95)
    for measure in ("auroc", "auroc_within_groups", "share_error"):
        assert found[measure]["value"] is not None
        assert (found[measure]["gain_interval"], found[measure]["beyond_chance"]) == (None, False)


def test_patches_of_unknown_groups_give_values_alone_and_published_ones_no_shares():
    rows = table(5).assign(group=None)
    _, found = gains(rows, answers(rows, skill=1), [answers(rows, skill=2)], None, confidence=0.95)
    assert found["auroc"]["value"] is not None
    assert (found["auroc"]["interval"], found["share_error"]["value"]) == (None, None)
    within = found["auroc_within_groups"]  # all patches together are no group
    assert (within["value"], within["gain"], within["gain_interval"]) == (None, None, None)


def test_a_part_of_the_fields_is_held_against_all_of_them():
    rows = table(8)
    before = answers(rows, skill=1)
    kept = (rows["field"] < 5).to_numpy()
    _, found = gains(rows, before, [Variant(before.scores, before.shares, kept)], truth(rows), confidence=0.95)
    assert (found["groups"], found["fields"]) == (5, 5)
    part = kept & (rows["label"] != AMBIGUOUS).to_numpy()
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(rows["label"][part], before.scores[part]))


# ---- in words


def value(number, interval=None, gain=None, gain_interval=None, told=False) -> dict:
    return {
        "value": number,
        "interval": interval,
        "gain": gain,
        "gain_interval": gain_interval,
        "beyond_chance": told,
    }


def result(*, contrast: dict, adapted: dict, separation: dict | None = None) -> dict:
    """Of a model of A on B."""
    level = value(0.8), value(0.7), value(0.2)
    names = ("auroc", "auroc_within_groups", "share_error")
    rows = [
        {"matched": "nothing", "reason": None, **dict(zip(names, level, strict=True))},
        {"matched": "contrast", "reason": None, **dict(zip(names, (contrast, *level[1:]), strict=True))},
        {"matched": "pixel_size", "reason": "the pixel size of B is not known: set dataset.pixel_size"},
    ]
    measures = [
        {"name": "contrast", "first": {"value": 0.1}, "second": {"value": 0.2}, "separation": separation, "note": ""}
    ]
    return {
        "scores": [{"trained_on": "A"}, {"trained_on": "B"}],
        "differences": [{"first": "A", "second": "B", "measures": measures}],
        "bridges": [
            {
                "model": "A",
                "trained_on": "A",
                "tested_on": "B",
                "matching": rows,
                "adaptation": adapted,
                "no_adaptation": None,
                "share_of": "patches",
            }
        ],
    }


def stained(gain, beside) -> dict:
    levels = {kind: {"value": number} for kind, number in (("before", 0.3), ("adapted", 0.2))}
    told = {"adapted - before": gain, "adapted - mean of the stained": beside}
    differences = {name: {"value": -0.1, "interval": interval} for name, interval in told.items()}
    return {"stained": 2, **levels, **differences}


APART = {"area": 0.95, "interval": (0.8, 0.99), "beyond_chance": True}


def test_what_helps_is_said_with_what_it_gains():
    told = in_words(
        result(
            contrast=value(0.9, None, 0.1, (0.05, 0.15), True),
            adapted=stained((-0.15, -0.05), (-0.2, -0.02)),
            separation=APART,
        )
    )
    assert told == [
        "Images of A and B are told apart by contrast (0.1 against 0.2, AUROC 0.950).",
        "Of B, the model of A does better once images are matched in contrast (AUROC +0.100 (+0.050 to +0.150)). Not "
        "matched: pixel size, since the pixel size of B is not known: set dataset.pixel_size.",
        "2 stained fields of B mend the dead shares of the model of A: their error goes from 0.300 to 0.200 (-0.100 "
        "(-0.150 to -0.050)), nearer than the mean share of the stained fields alone (-0.100 (-0.200 to -0.020)).",
    ]


def test_what_cannot_be_told_from_chance_is_said_so():
    apart = {"area": 0.6, "interval": (0.4, 0.8), "beyond_chance": False}
    told = in_words(
        result(
            contrast=value(0.82, None, 0.02, (-0.05, 0.09)),
            adapted=stained((-0.15, 0.05), (-0.2, 0.02)),
            separation=apart,
        )
    )
    assert told[0] == "Nothing that was measured tells images of A and B apart by more than chance."
    assert told[1].startswith("No matching of images of B mends what the model of A says by more than chance. Not")
    assert "do not mend the dead shares of the model of A by more than chance" in told[2]
    assert "no nearer, by more than chance, than the mean share" in told[2]


def test_so_few_groups_that_nothing_can_be_told_are_said():
    apart = {"area": 1.0, "interval": None, "beyond_chance": False}
    told = in_words(result(contrast=value(0.9, None, 0.1), adapted=stained(None, None), separation=apart))
    assert told[0] == "Whether the images of A and B differ, so few groups cannot tell."
    assert told[1].startswith("Whether matching images of B mends what the model of A says, so few groups cannot tell.")
    assert told[2].startswith("Whether 2 stained fields of B mend the dead shares of the model of A, so few groups")


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((-0.15, -0.05), "1 stained field of B mends the dead shares"),
        ((0.05, 0.15), "1 stained field of B spoils the dead shares"),
        ((-0.15, 0.05), "1 stained field of B does not mend the dead shares"),
        (None, "Whether 1 stained field of B mends the dead shares"),
    ],
)
def test_a_single_stained_field_is_one(gain, said):
    told = in_words(
        result(contrast=value(0.8, None, 0.0), adapted=stained(gain, None) | {"stained": 1}, separation=APART)
    )
    assert told[2].startswith(said)


def test_what_makes_it_worse_and_one_class_alone_are_said():
    found = result(
        contrast=value(0.7, None, -0.1, (-0.15, -0.05), True),
        adapted=stained((0.05, 0.15), (0.02, 0.2)),
        separation=APART,
    )
    found["bridges"][0]["matching"][0]["auroc"] = value(None)
    told = in_words(found)
    assert told[1].startswith("What is tested of B is of one class, so there is no AUROC.")
    assert "It does worse once they are matched in contrast (AUROC -0.100 (-0.150 to -0.050))." in told[1]
    assert "spoil the dead shares" in told[2]
    assert "farther off than the mean share" in told[2]
