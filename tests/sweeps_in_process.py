"""A sweep in this process, with a training that takes no time."""

import json
from pathlib import Path

from jimt.data.preparation import OtherDataset

OUTSIDE = ("WORLD_SIZE", "RANK", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NAME", "SLURM_JOB_ID")
TWO = ["experiment=paper_grid", "dataset=synthetic,synthetic_treated", "backbone=resnet18", "backbone.weights=random"]
ONE = [*TWO, "dataset=synthetic"]


def measured(config, *, balanced_accuracy=0.8) -> dict:
    """What ``test_metrics.json`` of a run holds, as far as a sweep reads it."""
    return {
        "dataset": config.dataset.name,
        "backbone": config.backbone.name,
        "weights": config.backbone.weights,
        "confidence": 0.95,
        "metrics": {
            "balanced_accuracy": {
                "value": balanced_accuracy,
                "interval_groups": [0.7, 0.9],
                "interval_patches": [0.75, 0.85],
            },
            "auroc": {"value": 0.9, "interval_groups": None, "interval_patches": [0.88, 0.92]},
        },
        "split_counts": {name: {"live": 1_000, "dead": 20} for name in ("train", "val", "test")},
        "correlation": {
            "scale": "log_background_ratio",
            "patches": {"r": -0.75, "n": 2_040, "p": 0.0},
            "raw": {"patches": {"r": -0.5, "n": 2_040, "p": 0.0}},
        },
        "notes": ["the backbone started from random weights"] if config.backbone.weights == "random" else [],
    }


class Sweeping:
    """In place of ``jimt.training.run``: notes what it is asked for; ``ends`` says how which job ends."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.ends: dict[str, BaseException] = {}
        self.done: list[str] = []
        self.others: list[OtherDataset | None] = []

    def train(self, config, *, device_index=0, config_of):
        self.others.append(config_of(config.curation.label.fit_on))
        name = f"{config.dataset.name}/{config.backbone.name.partition('.')[0]}"
        self.asked.append((config, device_index))
        self.done.append(name)
        if name in self.ends:
            raise self.ends[name]
        run = Path(config.run_dir)
        (run / "test_metrics.json").write_text(json.dumps(measured(config)))
        (run / "val_metrics.json").write_text(json.dumps({"balanced_accuracy": 0.5 + config.seed / 10, "auroc": None}))
        (run / "finished.json").write_text("{}")


def table(folder="runs/paper_grid") -> list[dict]:
    return json.loads(Path(folder, "table.json").read_text())["jobs"]
