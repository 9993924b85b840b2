"""The yardstick: labels and models held against nuclei that were counted, of experiments never trained on.

First how well labels on each scale agree with counted nuclei, then out-of-fold scores of a frozen network and of
``experiment=frozen_tiles``, trained on labels on two of these scales: whether they tell dead cells from living ones
within an experiment and within a field, and how far the dead share of a field is from the counted one. Each for
several ratios of PI over background from which a nucleus counts as dead. Overrides may follow, such as
backbone.weights=FILE:

    python benchmarks/yardstick.py

One line of Markdown for each row of the tables in docs/results.md. The first table's last line is the scale that the
other experiments would choose, for each experiment left out.
"""

import argparse
import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir

from jimt.config.hydra_schema import to_dataclasses
from jimt.config.own_configs import CONF
from jimt.curation.audit import label_audit
from jimt.curation.counted_cells import count_cells, field_truth, read_cells
from jimt.curation.folds import folds_of
from jimt.curation.manifest import Curated, open_curated
from jimt.data.preparation import prepare
from jimt.evaluation.counted import counted_metrics
from jimt.evaluation.field_shares import field_shares, share_metrics
from jimt.evaluation.scores import read_scores
from jimt.statistics.value_text import number_text, value_text
from jimt.system.files import ALL_CROSSVAL_SCORES
from jimt.training.crossval import cross_validate

SCALES = ("log_background_ratio", "positive_area", "positive_nuclei")
TRAINED_ON = ("log_background_ratio", "positive_area")
MODELS = {
    "frozen tiles": ("experiment=frozen_tiles",),
    "frozen ResNet-18": ("method=linear_probe", "backbone=resnet18"),
}
RATIOS = (2.0, 1.5, 3.0)
CONFIDENCE = 0.95
METRICS = ("auroc", "auroc_within_groups", "auroc_within_raw_images")
CHOOSES = "auroc_within_groups"


def configured(*overrides: str) -> Any:
    """A cross-validation's config."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_dataclasses(compose("crossval", overrides=["run_dir=none", *overrides]))


def with_cells(curated: Curated, table: Path, ratio: float | None) -> tuple[Curated, pd.DataFrame]:
    """The data set with the cells of a table, dead above a ratio of PI; None for the table's own verdict."""
    cells = read_cells(table)
    if ratio is not None:
        cells["dead"] = pd.read_csv(table)["pi_ratio"].to_numpy() > ratio
    fields = pd.read_parquet(curated.folder / "fields.parquet")
    counts = count_cells(cells, curated.manifest, fields, size=int(curated.summary["patch_size"]), move=False)
    of_fields = field_truth(counts.kept)
    by_field = {row.raw_image_id: (int(row.n_cells), int(row.n_dead)) for row in of_fields.itertuples()}
    summary = curated.summary | {"cells": curated.summary["cells"] | {"by_field": by_field}}
    manifest = curated.manifest.assign(n_cells=counts.n_cells, n_dead=counts.n_dead)
    return dataclasses.replace(curated, manifest=manifest, summary=summary), counts.kept


def chosen_scales(curated: dict[str, Curated], cells: pd.DataFrame, dead_share: float) -> Counter[str]:
    """How often each scale is the best by the nuclei of all experiments but one."""
    groups = next(iter(curated.values())).manifest["group"].unique()
    chosen: Counter[str] = Counter()
    for left_out in groups:
        found = {}
        for scale, data in curated.items():
            rest = data.manifest[data.manifest["group"] != left_out]
            audit = label_audit(rest, cells, dead_share=dead_share, confidence=CONFIDENCE)
            found[scale] = audit["metrics"][CHOOSES]["value"]
        chosen[max(found, key=lambda scale: found[scale])] += 1
    return chosen


def measures(table: pd.DataFrame, curated: Curated) -> list[str]:
    """Cells of a row: areas under the ROC curve, then the error of the dead share of fields."""
    counted = table.drop(columns=["n_cells", "n_dead"], errors="ignore").merge(
        curated.manifest[["field", "y", "x", "n_cells", "n_dead"]], on=["field", "y", "x"], validate="1:1"
    )
    found = counted_metrics(counted, curated, confidence=CONFIDENCE, seed=0)
    fields = field_shares(table, curated)
    assert found is not None
    assert fields is not None
    shares = share_metrics(fields, confidence=CONFIDENCE)
    areas = [value_text(found["metrics"][name]["value"], found["metrics"][name]["interval_groups"]) for name in METRICS]
    errors = [shares[name]["mae"] for name in ("calibrated", "uncalibrated", "constant")]
    rank = number_text(shares["calibrated"]["spearman"]["value"])
    return [*areas, value_text(errors[0]["value"], errors[0]["interval_groups"]), rank] + [
        number_text(error["value"]) for error in errors[1:]
    ]


def measured(curated: Curated, folds: Any) -> pd.DataFrame:
    """Patches scored by their own label value: what no bright-field model of these labels can be better than."""
    groups = curated.manifest["group"].astype(str)  # patches between the thresholds, too
    rows = curated.manifest.assign(fold=pd.Series(folds).groupby(groups).transform("max"))
    rows = rows[rows["label_value"].notna() & (rows["fold"] >= 0)]
    value = rows["label_value"].to_numpy(float)
    share = value**2 if curated.thresholds["scale"] == "positive_area" else (value - value.min()) / np.ptp(value)
    return rows.assign(score=1 - share).reset_index(drop=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS, help="fewer, for a quick try")
    parser.add_argument("--folder", type=Path, default=Path("runs/yardstick"), help="of the cross-validations")
    options = parser.parse_args()
    dataset = [] if any(each.startswith("dataset=") for each in options.overrides) else ["dataset=mcf7"]
    common = [*dataset, "curation.empty_filter.enabled=false", *options.overrides]
    dead_share = configured(*common).curation.label.dead_share
    curated: dict[str, Curated] = {}
    configs: dict[tuple[str, str], Any] = {}
    for scale in SCALES:
        where = [f"curation.label.scale={scale}", f"curation.output_root={options.folder / scale / 'curated'}"]
        for model in options.models if scale in TRAINED_ON else ():
            folder = options.folder / scale / model.replace(" ", "_")
            configs[scale, model] = configured(*MODELS[model], *common, *where, f"run_dir={folder}")
        config = configured(*common, *where)
        curated[scale] = open_curated(prepare(config.dataset, config.curation))
    table = Path(config.dataset.cells)
    ratios = RATIOS if "pi_ratio" in pd.read_csv(table) else (None,)
    for config in configs.values():
        cross_validate(config)
    print("\n| labels | dead above | AUROC | within experiments | within fields | kappa |\n|---|---|---|---|---|---|")
    for ratio in ratios:
        seen = {scale: with_cells(data, table, ratio) for scale, data in curated.items()}
        for scale, (data, cells) in seen.items():
            audit = label_audit(data.manifest, cells, dead_share=dead_share, confidence=CONFIDENCE)
            found = [audit["metrics"][name] for name in METRICS]
            areas = [value_text(each["value"], each["interval_groups"]) for each in found]
            line(scale, _dead_above(ratio), *areas, number_text(audit["kappa"]))
        chosen = chosen_scales({scale: data for scale, (data, _) in seen.items()}, cells, dead_share)
        told = ", ".join(f"{scale} {times} times" for scale, times in chosen.most_common())
        line("chosen by the other experiments", _dead_above(ratio), told, "", "", "")
    header = ["scores", "trained on", "dead above", "AUROC", "within experiments", "within fields"]
    header += ["dead share of fields, error", "Spearman", "not calibrated", "a constant"]
    print()
    line(*header)
    print("|" + "---|" * len(header))
    for ratio in ratios:
        for scale in SCALES:
            data, _ = with_cells(curated[scale], table, ratio)
            folds = folds_of(data.manifest, n_folds=config.crossval.n_folds)
            line("measured", scale, _dead_above(ratio), *measures(measured(data, folds), data))
        for (scale, model), config in configs.items():
            data, _ = with_cells(curated[scale], table, ratio)
            scored = read_scores(Path(config.run_dir) / ALL_CROSSVAL_SCORES)
            line(model, scale, _dead_above(ratio), *measures(scored, data))


def line(*cells: str) -> None:
    """A line of a table in Markdown."""
    print(f"| {' | '.join(cells)} |", flush=True)


def _dead_above(ratio: float | None) -> str:
    return "as counted" if ratio is None else f"{ratio:g}"


if __name__ == "__main__":
    main()
