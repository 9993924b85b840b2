"""Reads the jobs of a sweep back from the folders that Hydra and the trainings left."""

import json
import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from jimt.sweeps.table import FAILED, FINISHED, UNFINISHED, Job

VALIDATION_FILE = "val_metrics.json"
"""In a run's folder: metrics of its best checkpoint on the validation split, by name."""
FAILURE = "failed.json"
"""In the folder of a job that failed: the sentence, the traceback of what nobody foresaw, and when."""


def read_jobs(folder: Path) -> list[Job]:
    """The jobs below a sweep's folder, by data set and then in the order they were started."""
    found = sorted(path.parent.parent for path in folder.rglob(".hydra/overrides.yaml"))  # the last that Hydra writes
    overrides = {path: {str(text) for text in OmegaConf.load(path / ".hydra/overrides.yaml")} for path in found}
    common = set.intersection(*overrides.values()) if overrides else set()
    numbered = []
    for path in found:
        hydra = OmegaConf.load(path / ".hydra/hydra.yaml")
        own = [text for text in sorted(overrides[path] - common) if not re.match("(dataset|backbone)=", text)]
        numbered.append((int(OmegaConf.select(hydra, "hydra.job.num") or 0), _read_job(path, folder, own)))
    first: dict[str | None, int] = {}
    for number, job in numbered:
        first[job.dataset] = min(number, first.get(job.dataset, number))
    numbered.sort(key=lambda item: (first[item[1].dataset], str(item[1].dataset), item[0], item[1].name))
    return [job for _, job in numbered]


def _read_job(path: Path, sweep: Path, settings: list[str]) -> Job:
    config = OmegaConf.load(path / ".hydra/config.yaml")
    failure = read_json(path / FAILURE)
    metrics = read_json(path / "test_metrics.json") if (path / "finished.json").is_file() and not failure else {}
    return Job(
        name=path.relative_to(sweep).as_posix(),
        dataset=OmegaConf.select(config, "dataset.name"),
        backbone=OmegaConf.select(config, "backbone.name"),
        weights=metrics.get("weights") or OmegaConf.select(config, "backbone.weights"),
        seed=OmegaConf.select(config, "seed"),
        settings=settings,
        status=FAILED if failure else FINISHED if metrics else UNFINISHED,
        reason=failure["error"].partition("\n")[0] if failure else None,
        metrics=metrics,
        validation=read_json(path / VALIDATION_FILE) if metrics else {},
    )


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    return dict(json.loads(path.read_text())) if path.is_file() else {}
