"""How sensitive a result is to the thresholds of its labels: ``jimt label-sensitivity RUN``, with no training."""

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from jimt.config.checks import check_confidence
from jimt.errors import InputError, in_one_sentence, writing
from jimt.evaluation.scores import read_scores
from jimt.statistics.metrics import headline_metrics
from jimt.statistics.threshold_sensitivity import N_SIGMAS, QUANTILES, LabelSensitivity, label_sensitivity
from jimt.statistics.value_text import NO_VALUE, interval_text, number_text, value_text
from jimt.system.files import write_json, write_whole
from jimt.system.run_folders import refuse_several
from jimt.system.screen import print_whole, table_of

_SOURCES = (("scores_with_ambiguous.csv", "crossval.json"), ("test_scores_with_ambiguous.csv", "test_metrics.json"))


def of_run(folder: Path, *, confidence: float) -> LabelSensitivity:
    """Label sensitivity of a run's or a cross-validation's saved scores.

    Args:
        folder: Of the run or cross-validation.
        confidence: Coverage wanted, such as 0.95.

    Raises:
        InputError: If the folder holds no saved scores, its labels come from class folders, or no interval can have
            that coverage.
    """
    check_confidence("confidence", confidence)
    for scores_file, metrics_file in _SOURCES:
        if (folder / scores_file).is_file() and (folder / metrics_file).is_file():
            table = read_scores(folder / scores_file)
            thresholds: dict[str, Any] = json.loads((folder / metrics_file).read_text(encoding="utf-8"))["thresholds"]
            break
    else:
        refuse_several(folder)
        raise InputError(
            f"{folder} holds no {_SOURCES[1][0]}",
            advice="give a finished run",
            remedies=(f"jimt evaluate {shlex.quote(str(folder))}",),
        )
    if thresholds.get("live_below") is None:
        raise InputError(f"the labels of {folder} come from class folders, so there are no thresholds to move")
    return label_sensitivity(
        table["score"].to_numpy(np.float64),
        table["label_value"].to_numpy(np.float64),
        table["group"].to_numpy(object) if table["group"].notna().all() else None,
        live_below=thresholds["live_below"],
        dead_above=thresholds["dead_above"],
        n_sigmas=N_SIGMAS,
        quantiles=QUANTILES,
        confidence=confidence,
        **{key: thresholds.get(key) for key in ("live_mean", "live_sd", "dead_mean", "dead_sd")},
    )


def _header() -> list[str]:
    return ["labels", "live", "dead", "out", *(metric.words for metric in headline_metrics())]


def _rows(result: LabelSensitivity) -> list[list[str]]:
    """The tables of thresholds and of the band in one, as text."""
    named = [(f"{row['n_sigma']:g} sigma", row) for row in result.by_n_sigma.to_dict("records")]
    named += [("midway", row) for row in result.with_band.to_dict("records")]
    rows = []
    for name, row in named:
        cells = [NO_VALUE if pd.isna(row[key]) else str(row[key]) for key in ("live", "dead", "discarded")]
        for metric in headline_metrics():
            ends = (row[f"{metric.name}_low"], row[f"{metric.name}_high"])
            cells.append(value_text(row[metric.name], None if pd.isna(ends[0]) else ends))
        if all(pd.isna(row[metric.name]) for metric in headline_metrics()):
            cells[3] = str(row["reason"])
        rows.append([name, *cells])
    return rows


def as_markdown(result: LabelSensitivity) -> str:
    """The tables of thresholds and of the band as one Markdown table."""
    header = _header()
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *_rows(result))) + "\n"


@in_one_sentence()
def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt label-sensitivity``."""
    parser = argparse.ArgumentParser(
        prog="jimt label-sensitivity",
        description="Test saved scores again on other thresholds, on the discarded band, and on fluorescence itself.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's or a cross-validation's folder")
    parser.add_argument("--confidence", type=float, default=0.95, help="coverage of the intervals, 0.5 to below 1")
    options = parser.parse_args(arguments)
    result = of_run(options.run, confidence=options.confidence)
    with writing(options.run, advice="copy the folder to where you may write"):
        write_json(options.run / "label_sensitivity.json", result.as_dict())
        write_whole(options.run / "label_sensitivity.csv", result.by_n_sigma.to_csv(index=False))
        write_whole(options.run / "label_sensitivity.md", as_markdown(result))
    console = Console()
    print_whole(table_of("The same scores under other labels", _header(), _rows(result)), console)
    console.print("out: left out, between the thresholds; midway: one threshold between the two", highlight=False)
    areas = result.by_threshold["auroc"].dropna()
    if result.spearman_rho is not None and result.concordance is not None and len(areas):
        console.print(
            f"against the continuous fluorescence of all {result.n_patches} patches: AUROC "
            f"{interval_text((areas.min(), areas.max()))} over thresholds from the 5th to the 95th percentile, "
            f"Spearman rho {number_text(result.spearman_rho)}, concordance {number_text(result.concordance)}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"tables are in {options.run}", highlight=False, markup=False, soft_wrap=True)
