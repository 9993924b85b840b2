"""Metrics of a test as rows, and why they have no interval."""

import numpy as np
import pytest

from jimt.report.metric_rows import metric_rows, without_interval
from jimt.statistics.estimates import estimates
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
    assert without_interval(metrics, METRICS) == f" No interval over groups for {METRICS[noted].words}: {ONE_CLASS}."


def test_two_reasons_are_two_sentences_in_whatever_order_metrics_come() -> None:
    notes = {"auroc": FEW, "balanced_accuracy": ONE_CLASS, "brier": FEW}
    told = {without_interval(of(**dict(each)), METRICS) for each in (notes.items(), reversed(notes.items()))}
    (sentences,) = told
    assert sentences.count(FEW) == sentences.count(ONE_CLASS) == 1
    assert f"for {METRICS['auroc'].words}, {METRICS['brier'].words}: {FEW}" in sentences


def test_a_metric_that_cannot_be_had_is_said_to_have_no_value() -> None:
    labels, scores = np.ones(12, np.int64), np.linspace(0.3, 0.9, 12)  # live patches alone
    groups = np.repeat(np.array(list("abcdef"), object), 2)
    names = "auroc", "recall_live"
    found = estimates(labels, scores, groups, names=names, confidence=0.95, seed=0)
    metrics = {
        name: {
            "value": None if np.isnan(each.value) else each.value,
            "interval_groups": each.interval_groups,
            "note": each.note,
        }
        for name, each in found.items()
    }
    assert without_interval({"metrics": metrics}, names) == " No value for AUROC: a class it needs is absent."


def test_metrics_with_intervals_and_those_not_asked_for_are_not_told_of() -> None:
    assert not without_interval(of(auroc=None, brier=None), METRICS)
    assert not without_interval(of(auroc=None, brier=FEW), ["auroc"])
