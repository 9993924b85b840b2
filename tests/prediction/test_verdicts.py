"""What is said of a prediction as a whole: nothing is to be trusted that a constant could have said."""

import dataclasses
from typing import Any

import pandas as pd
import pytest

from jimt.prediction.answers import FieldRow
from jimt.prediction.pi_agreement import agreement_with_pi
from jimt.prediction.results import Results

UNCHECKED = "Not checked against a stain: what is not flagged is not proven right"


def rows(predicted: list[float | None], true: list[float | None]) -> list[FieldRow]:
    return [
        FieldRow(n, f"{n}.tif", f"{n}", None, f"A{n + 1:02d}", None, None, share_of="patches", dead_share=p, pi_share=t)
        for n, (p, t) in enumerate(zip(predicted, true, strict=True))
    ]


NONE = pd.DataFrame({"number": [], "score": [], "label": []})


@pytest.mark.parametrize(
    ("predicted", "true", "verdict"),
    [
        ([0.02, 0.31, 0.62, 0.88], [0.0, 0.3, 0.6, 0.9], "trust"),
        ([0.3, 0.5, 0.7, 0.9], [0.0, 0.1, 0.2, 0.4], "adapt"),
        ([0.8, 0.85, 0.9, 0.95, 1.0], [0.0, 0.2, 0.4, 0.6, 0.8], "adapt"),
        ([0.09, 0.1, 0.12, 0.17], [0.0, 0.01, 0.05, 0.12], "adapt"),  # close, and closer on another scale
        # in order, Spearman's rho 0.8, and one share for all would be nearer whatever the scale
        ([0.9, 0.94, 0.91, 0.96, 0.95], [0.1, 0.3, 0.15, 0.2, 0.25], "train anew"),
        ([1.0, 0.8, 0.6, 0.4, 0.2, 0.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0], "train anew"),  # upside down
        ([0.5, 0.5, 0.5, 0.5], [0.0, 0.3, 0.6, 1.0], "train anew"),
        ([0.05, 0.05, 0.05, 0.05], [0.0, 0.1, 0.02, 0.08], "unknown"),  # close, as one share for all is
        ([0.02, 0.01, 0.03, 0.0], [0.0, 0.0, 0.0, 0.0], "unknown"),
        ([0.6, 0.7, 0.9], [0.0, 0.1, 0.2], "unknown"),  # of three the order is right by chance once in six times
        ([0.31], [0.3], "unknown"),
        ([0.9], [0.3], "unknown"),
        ([None], [0.3], "unknown"),
    ],
)
def test_a_model_is_trusted_where_it_says_more_than_one_share_for_all_fields(predicted, true, verdict):
    found = agreement_with_pi(rows(predicted, true), NONE)
    assert found["verdict"] == verdict
    assert found["sentence"].startswith(f"{verdict}: ")
    assert "nan" not in found["sentence"]


def test_where_shares_are_far_off_no_sentence_lets_them_be_used():
    few = agreement_with_pi(rows([0.9, 0.8], [0.1, 0.2]), NONE)["sentence"]
    assert "use none of them" in few
    assert "fewer than 4 wells do not tell whether adapting would do" in few


@pytest.mark.parametrize(
    ("within", "verdict"),
    [((0.1, 0.3, 0.7, 0.9), "adapt"), ((0.1, 0.7, 0.3, 0.9), "adapt"), ((0.9, 0.3, 0.7, 0.1), "train anew")],
)
def test_patches_of_one_field_in_the_right_order_are_worth_adapting_and_those_of_several_are_not(within, verdict):
    """Shares in no order, of a model that is sure of life in some fields and of death in others."""
    of = rows([0.9, 0.1, 0.9, 0.1, 0.9, 0.1], [0.1, 0.8, 0.3, 0.7, 0.2, 0.5])
    patches = pd.DataFrame(
        [
            {"number": row.number, "score": (1 - row.dead_share + score) / 2, "label": label}  # type: ignore[operator]
            for row in of
            for score, label in zip(within, (0, 0, 1, 1), strict=True)
        ]
    )
    found = agreement_with_pi(of, patches)
    assert found["verdict"] == verdict
    # between fields alone: every patch of a field has one label
    between = patches.assign(label=[int(row.pi_share < 0.4) for row in of for _ in within])
    between["score"] = between["label"] * 0.5 + 0.25
    of_fields = agreement_with_pi(of, between)
    assert of_fields["patches"]["auroc"]["value"] == 1
    assert of_fields["verdict"] == "train anew"


def test_fields_without_cells_are_not_said_to_be_unlike_the_training():
    of: Any = dataclasses.make_dataclass("Asked", [("include_flagged", bool)])(False)
    without = rows([None, None], [None, None])
    checkpoint: Any = None

    def headline(those: list[FieldRow]) -> list[str]:
        return Results(of, checkpoint, those, [], pd.DataFrame(), None).headline()

    assert headline(without) == ["No field has cells that a dead share could be taken of", UNCHECKED]
    flagged = [dataclasses.replace(row, dead_share=0.2, flags=("unlike",)) for row in without]
    assert headline(flagged) == ["No field has a dead share that is to be trusted", UNCHECKED]
