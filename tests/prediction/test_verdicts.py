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


@pytest.mark.parametrize(
    ("predicted", "true", "verdict"),
    [
        ([0.02, 0.31, 0.62, 0.88], [0.0, 0.3, 0.6, 0.9], "trust"),
        ([0.3, 0.5, 0.7, 0.9], [0.0, 0.1, 0.2, 0.4], "adapt"),
        ([0.05, 0.05, 0.05, 0.05], [0.0, 0.1, 0.02, 0.08], "train anew"),  # close, as one share for all is
        ([0.02, 0.01, 0.03, 0.0], [0.0, 0.0, 0.0, 0.0], "unknown"),
        ([0.31], [0.3], "unknown"),
        ([None], [0.3], "unknown"),
    ],
)
def test_a_model_is_trusted_where_it_says_more_than_one_share_for_all_fields(predicted, true, verdict):
    none = pd.DataFrame({"number": [], "score": [], "label": []})
    found = agreement_with_pi(rows(predicted, true), none)
    assert found["verdict"] == verdict
    assert found["sentence"].startswith(verdict)


def test_fields_without_cells_are_not_said_to_be_unlike_the_training():
    of: Any = dataclasses.make_dataclass("Asked", [("include_flagged", bool)])(False)
    without = rows([None, None], [None, None])
    checkpoint: Any = None

    def headline(those: list[FieldRow]) -> list[str]:
        return Results(of, checkpoint, those, [], pd.DataFrame(), None).headline()

    assert headline(without) == ["No field has cells that a dead share could be taken of", UNCHECKED]
    flagged = [dataclasses.replace(row, dead_share=0.2, flags=("unlike",)) for row in without]
    assert headline(flagged) == ["No field has a dead share that is to be trusted", UNCHECKED]
