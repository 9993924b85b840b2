"""Each model on each data set's test split: ``jimt transfer RUN RUN``.

What a model learned on untreated cells, tested on treated ones, and back; never on a raw image of its own training.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jimt.curation.copies import DIGESTS
from jimt.curation.manifest import Curated
from jimt.curation.store import read_field_names
from jimt.errors import InputError, writing
from jimt.evaluation.reported_metrics import test_metrics
from jimt.evaluation.scores import score_test_split, training_data, without_adapted
from jimt.statistics.metrics import headline_metrics, terminal_columns
from jimt.statistics.value_text import NO_VALUE, interval_text, number_text, value_text
from jimt.system.files import write_json, write_whole
from jimt.system.locks import make_folder, unmake_folders
from jimt.system.run_folders import find_checkpoint
from jimt.system.screen import print_whole
from jimt.vocabulary import AMBIGUOUS, Split

if TYPE_CHECKING:
    from jimt.models.predictor import Predictor

_FILES = "transfer"


@dataclass(frozen=True)
class _Model:
    """A run: its model and the data it was trained on."""

    folder: Path
    predictor: "Predictor"
    curated: Curated

    @property
    def name(self) -> str:
        return f"{self.predictor.checkpoint.network.name} on {self.curated.summary['dataset']}"


def transfer(runs: list[Path], *, whole: bool = False, accelerator: str | None = None) -> list[dict[str, Any]]:
    """Score every run's model on the test split of every run's data set.

    Patches of a raw image or a group that the model was trained or validated on are left out: raw images are the same
    if they have one name below one folder, or share the pixels of a channel as the files hold them, whatever the files'
    names, encoding and 8-bit scaling.

    Args:
        runs: Folders of finished runs.
        whole: Test on every labelled patch of another data set, of which none was trained on, not on its test split
            alone; on its own data set a model is always tested on the test split.
        accelerator: ``cpu`` or ``gpu``; None for each training's.

    Returns:
        One entry a model and data set: names, counts, patches left out, metrics as in ``test_metrics.json`` (None where
        nothing is left to test on).

    Raises:
        InputError: If a run or its data set is absent or damaged.
    """
    from jimt.models.predictor import open_predictor  # late: torch

    models = []
    for run in runs:
        checkpoint, folder = find_checkpoint(run)
        predictor = open_predictor(run, accelerator=accelerator)
        models.append(_Model(folder, predictor, training_data(predictor.checkpoint.record, None, checkpoint)))
    data = {model.curated.folder.resolve(): model.curated for model in models}
    entries = []
    for model in models:
        _check_scaling(model, list(data.values()))
        for curated in data.values():
            kept, n_left_out = _without_training(model, curated, whole=whole)
            entry: dict[str, Any] = {
                "run": str(model.folder),
                "backbone": model.predictor.checkpoint.network.name,
                "weights": model.predictor.checkpoint.record.weights,
                "trained_on": model.curated.summary["dataset"],
                "tested_on": curated.summary["dataset"],
                "n_left_out": n_left_out,
                "metrics": None,
            }
            if (kept.manifest["split"] == Split.TEST.value).any():
                table, record = score_test_split(model.predictor, kept), model.predictor.checkpoint.record
                metrics = test_metrics(
                    table[table["label"] != AMBIGUOUS],
                    record,
                    dataset=entry["tested_on"],
                    confidence=record.confidence,
                    scale=kept.thresholds["scale"],
                    checkpoint=Path("best.ckpt"),
                    sample="the test split",
                )
                entry |= {key: metrics[key] for key in ("metrics", "counts", "correlation", "notes", "confidence")}
            entries.append(entry)
    return entries


def _check_scaling(model: _Model, data: list[Curated]) -> None:
    """Raise unless the data sets are cut as the model expects: another patch size or 8-bit scaling is another input."""
    takes = model.predictor.checkpoint.input
    for curated in data:
        summary = curated.summary
        for setting, here, there in (
            ("curation.patches.size", takes.patch_size, summary["patch_size"]),
            # percentiles of a whole data set are that data set's own
            ("curation.scaling.method", takes.scaling["method"], summary["scaling"]["method"]),
        ):
            if here != there:
                raise InputError(
                    f"{model.name} expects {setting}={here} and {curated.summary['dataset']} has {there}",
                    advice="curate both data sets in one way and train again",
                )


def _without_training(model: _Model, curated: Curated, *, whole: bool) -> tuple[Curated, int]:
    """A data set without test patches of raw images or groups of a model's training, and how many those were."""
    own = model.curated
    if own.folder.resolve() == curated.folder.resolve():
        return own, 0
    manifest = without_adapted(curated, model.predictor.checkpoint.record, trained_on=False).manifest
    if whole:
        manifest = manifest.assign(split=manifest["split"].mask(manifest["split"].notna(), Split.TEST.value))
    seen = own.manifest[own.manifest["split"].isin([Split.TRAIN.value, Split.VAL.value])]
    own_digests, digests = (read_field_names(each.folder)[list(DIGESTS)] for each in (own, curated))
    pixels = set(own_digests.loc[seen["field"].unique()].stack().dropna())  # of either channel
    leaked = manifest["field"].isin(digests.index[digests.isin(pixels).any(axis=1)])
    leaked |= manifest["group"].isin(set(manifest.loc[leaked, "group"].dropna()))
    roots = [Path(each.summary["root"]) for each in (own, curated)]
    if roots[0].resolve() == roots[1].resolve():
        for column in ("raw_image_id", "group"):
            leaked |= manifest[column].isin(set(seen[column].dropna()))
    test = manifest["split"] == Split.TEST.value
    split = manifest["split"].mask(leaked & test)
    return replace(curated, manifest=manifest.assign(split=split)), int((leaked & test).sum())


def as_frame(entries: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a model and data set, to be written as CSV."""
    rows = []
    for entry in entries:
        row = {key: entry[key] for key in ("backbone", "weights", "trained_on", "tested_on", "n_left_out", "run")}
        if entry["metrics"] is not None:
            row |= {
                "live": entry["counts"]["live"],
                "dead": entry["counts"]["dead"],
                "groups": entry["counts"]["groups"],
            }
            for name, values in entry["metrics"].items():
                low, high = values["interval_groups"] or (None, None)
                row |= {name: values["value"], f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def _table(entries: list[dict[str, Any]]) -> Table:
    table = Table(
        title="Each model on each data set",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in ("model\ntrained on", "tested on"):
        table.add_column(column)
    columns = terminal_columns()
    headings = ["\n".join(f"{metric.terminal_column}\nover groups" for metric in metrics) for metrics in columns]
    for column in ("live/dead\ngroups", *headings):
        table.add_column(column, justify="right")
    for entry in entries:
        model, trained_on, tested_on = _names(entry)
        counts, groups = _counts(entry)
        found = dict(zip(headline_metrics(), _values(entry), strict=True))
        values = (
            "\n".join(f"{number_text(found[metric][0])}\n{interval_text(found[metric][1])}" for metric in metrics)
            for metrics in columns
        )
        cells = (f"{model}\n{trained_on}", tested_on, f"{counts}\n{groups}", *values)
        table.add_row(*(escape(cell) for cell in cells), end_section=True)
    return table


def _names(entry: dict[str, Any]) -> tuple[str, str, str]:
    backbone: str = entry["backbone"]
    return backbone.partition(".")[0], entry["trained_on"], entry["tested_on"]


def _counts(entry: dict[str, Any]) -> tuple[str, str]:
    """Live and dead patches that were tested on, and their groups."""
    if entry["metrics"] is None:
        return "none left", NO_VALUE
    counts = entry["counts"]
    return f"{counts['live']}/{counts['dead']}", NO_VALUE if counts["groups"] is None else str(counts["groups"])


def _values(entry: dict[str, Any]) -> list[tuple[float | None, tuple[float, float] | None]]:
    """Each metric with its interval over groups."""
    rows = [(entry["metrics"] or {}).get(metric.name, {}) for metric in headline_metrics()]
    return [(row.get("value"), row.get("interval_groups")) for row in rows]


def as_markdown(entries: list[dict[str, Any]]) -> str:
    """The matrix as a Markdown table."""
    header = ["model", "trained on", "tested on", "live/dead", "groups", *(each.words for each in headline_metrics())]
    rows = [[*_names(entry), *_counts(entry), *(value_text(*value) for value in _values(entry))] for entry in entries]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt transfer``."""
    parser = argparse.ArgumentParser(
        prog="jimt transfer", description="Test each run's model on each run's test split."
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs")
    parser.add_argument(
        "--whole", action="store_true", help="test on all of another data set, not on its test split alone"
    )
    parser.add_argument("--out", type=Path, default=Path(), help="where transfer.csv, .md and .json go")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")
    options = parser.parse_args(arguments)
    made: list[Path] = []
    try:
        made = make_folder(options.out)  # before an hour of scoring
        entries = transfer(options.runs, whole=options.whole, accelerator=options.accelerator)
        with writing(options.out, advice="give another folder"):
            write_whole(options.out / f"{_FILES}.csv", as_frame(entries).to_csv(index=False))
            write_whole(options.out / f"{_FILES}.md", as_markdown(entries))
            write_json(options.out / f"{_FILES}.json", entries)
    except InputError as error:
        unmake_folders(made)
        sys.exit(f"error: {error}")
    console = Console()
    print_whole(_table(entries), console)
    if left_out := sum(entry["n_left_out"] for entry in entries):
        console.print(
            f"{left_out} test patches were left out: their raw image or group was trained on", highlight=False
        )
    console.print(f"tables are in {options.out.resolve()}", highlight=False, markup=False, soft_wrap=True)
