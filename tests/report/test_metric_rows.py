"""Metrics of a test as rows, and why they have no interval."""

import pytest

from jimt.report.metric_rows import metric_rows, without_interval
from jimt.statistics.metrics import METRICS

FEW, ONE_CLASS = "2 groups, fewer than 5", "2 groups hold dead patches"


def of(**notes: str | None) -> dict[str, object]:
    """Metrics of which those with a note have no interval."""
    found = {
        name: {
            "value": 0.5,
            "interval_groups": None if note else [0.4, 0.6],
            "interval_patches": [0.45, 0.55],
            "note": note,
        }
        for name, note in notes.items()
    }
    return {"metrics": found}


def test_a_reason_that_all_metrics_share_is_told_once_and_not_in_the_rows() -> None:
    metrics = of(auroc=FEW, balanced_accuracy=FEW, brier=FEW)
    assert without_interval(metrics, METRICS) == f" No interval over groups: {FEW}."
    rows = metric_rows(metrics)
    assert len(rows) == 3
    assert all(cells[1:] == ["0.500", "-", "0.450 to 0.550"] for cells in rows)


@pytest.mark.parametrize("noted", ["auroc", "balanced_accuracy"])
def test_a_reason_of_one_metric_names_it(noted: str) -> None:
    metrics = of(**{name: ONE_CLASS if name == noted else None for name in ("auroc", "balanced_accuracy")})
    assert without_interval(metrics, METRICS) == f" No interval over groups of {METRICS[noted].words}: {ONE_CLASS}."


def test_two_reasons_are_two_sentences_in_whatever_order_metrics_come() -> None:
    notes = {"auroc": FEW, "balanced_accuracy": ONE_CLASS, "brier": FEW}
    told = {without_interval(of(**dict(each)), METRICS) for each in (notes.items(), reversed(notes.items()))}
    (sentences,) = told
    assert sentences.count(FEW) == sentences.count(ONE_CLASS) == 1
    assert f"of {METRICS['auroc'].words}, {METRICS['brier'].words}: {FEW}" in sentences


def test_metrics_with_intervals_and_those_not_asked_for_are_not_told_of() -> None:
    assert not without_interval(of(auroc=None, brier=None), METRICS)
    assert not without_interval(of(auroc=None, brier=FEW), ["auroc"])
