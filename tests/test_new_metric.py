"""A metric that is added to the table of metrics stands everywhere, with nothing else touched."""

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import accuracy_score

from jimt.evaluation import reported_metrics, transfer
from jimt.evaluation.compare import compare
from jimt.report.metric_rows import metric_rows
from jimt.report.sections.metrics_section import metric_blocks
from jimt.report.study import Model, Options
from jimt.search.space import search_direction
from jimt.statistics.metrics import METRICS, Metric
from jimt.statistics.threshold_sensitivity import label_sensitivity
from jimt.statistics.weighted_patches import ratio
from jimt.sweeps.sweep import FINISHED
from jimt.sweeps.table import row_of
from jimt.sweeps.table_files import as_csv, as_markdown
from jimt.sweeps.terminal import print_table
from jimt.training.loggers.lightning_loggers import metric_values
from jimt.vocabulary import DEAD, LIVE

RECORD = SimpleNamespace(settings={"backbone.name": "resnet18"}, weights="random", seed=0)


@pytest.fixture(autouse=True)
def _accuracy(monkeypatch):
    metric = Metric(
        "accuracy",
        "plain accuracy",
        lambda patches: ratio(patches.live_right + patches.dead_right, patches.live + patches.dead),
        classes=(LIVE, DEAD),
        is_proportion=True,
        column="plain acc.",
        is_objective=True,
    )
    monkeypatch.setitem(METRICS, metric.name, metric)


def scored(seed: int = 0) -> pd.DataFrame:
    """What ``test_scores.csv`` of 240 patches in 24 groups holds."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 240)
    groups = [f"W{row // 10:02}" for row in range(240)]
    places = {"raw_image_id": groups, "group": groups, "file": "a.tif", "y": np.arange(240) % 10 * 112, "x": 0}
    scores = 1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.5)))
    return pd.DataFrame(
        places | {"label": labels, "mean_fluorescence": 300 - scores, "label_value": 300 - scores, "score": scores}
    )


def measured() -> dict:
    """What ``test_metrics.json`` holds of them."""
    return reported_metrics.test_metrics(
        scored(),
        RECORD,
        dataset="wells",
        confidence=0.95,
        scale="raw",
        checkpoint=Path("best.ckpt"),
        sample="the test split",
    )


def printed(show) -> str:
    screen = io.StringIO()
    show(Console(file=screen, width=200))
    return screen.getvalue()


def test_it_is_measured_and_printed_and_logged():
    metrics = measured()
    table = scored()
    found = metrics["metrics"]["accuracy"]
    assert found["value"] == pytest.approx(accuracy_score(table["label"], table["score"] > 0.5))
    assert found["interval_groups"][0] < found["value"] < found["interval_groups"][1]
    assert found["interval_patches"] is not None
    shown = printed(
        lambda console: console.print(reported_metrics.metrics_table(metrics["metrics"], confidence=0.95, title="Test"))
    )
    assert f"{found['value']:.3f}" in next(line for line in shown.splitlines() if "plain accuracy" in line)
    assert metric_values(metrics)["test/accuracy"] == found["value"]


def test_it_is_in_the_report_and_the_model_card(tmp_path):
    metrics = measured()
    (tmp_path / "test_metrics.json").write_text(json.dumps(metrics))
    (table, *_) = metric_blocks([Model("resnet18", tmp_path, (tmp_path / "checkpoints/best.ckpt",), Options())])
    value = f"{metrics['metrics']['accuracy']['value']:.3f}"
    assert ["resnet18", "plain accuracy", value] in [row[:3] for row in table.rows]
    assert ["plain accuracy", value] in [row[:2] for row in metric_rows(metrics)]


def test_it_is_in_the_table_of_a_sweep():
    metrics = measured()
    row = row_of(
        "0",
        dataset="wells",
        backbone="resnet18",
        weights="random",
        weights_from="random",
        seed=0,
        settings=[],
        status=FINISHED,
        reason=None,
        metrics=metrics,
        validation={"accuracy": 0.875},
    )
    table = [row]
    value = metrics["metrics"]["accuracy"]["value"]
    assert table[0]["accuracy"]["value"] == value
    (row,) = csv.DictReader(io.StringIO(as_csv(table)))
    assert (float(row["accuracy"]), float(row["val_accuracy"])) == (value, 0.875)
    header, _, cells = (
        [cell.strip() for cell in line[1:-1].split(" | ")] for line in as_markdown(table).splitlines()[:3]
    )
    assert cells[header.index("plain accuracy")] == f"{value:.3f}"
    assert "plain acc." in printed(lambda console: print_table(table, console))


def test_it_is_compared_and_transferred_and_tested_on_other_labels(tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        (tmp_path / name).mkdir()
        labels = scored()["label"]
        scored(seed).assign(label=labels).to_csv(tmp_path / name / "test_scores.csv", index=False)
    result = compare(tmp_path / "one", tmp_path / "two", confidence=0.95)
    assert result["accuracy"]["difference"] == result["accuracy"]["second"] - result["accuracy"]["first"]
    entry = {"backbone": "resnet18", "model": "wells", "tested_on": "wells"} | measured()
    assert "plain accuracy" in transfer.as_markdown([entry])
    table = scored()
    given = dict.fromkeys(("live_mean", "live_sd", "dead_mean", "dead_sd"))
    found = label_sensitivity(
        *(table[name].to_numpy(float) for name in ("score", "label_value")),
        table["group"].to_numpy(object),
        **given,
        live_below=299.4,
        dead_above=299.6,
        n_sigmas=[1.0],
        quantiles=[0.5],
        confidence=0.95,
    )
    assert {"accuracy", "accuracy_low", "accuracy_high"} <= set(found.with_band)


def test_a_search_may_go_by_it():
    assert search_direction("val/accuracy") == "maximize"
