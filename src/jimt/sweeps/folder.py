"""Reads the jobs of a sweep back from the folders that Hydra and the trainings left."""

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from jimt.sweeps.table import FAILED, FINISHED, UNFINISHED, Job
from jimt.system.files import FAILURE, METRICS_FILE, VALIDATION_FILE, read_json
from jimt.system.files import FINISHED as FINISHED_FILE


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
    failure = _read_if_there(path / FAILURE)
    metrics = _read_if_there(path / METRICS_FILE) if (path / FINISHED_FILE).is_file() and not failure else {}
    return Job(
        name=path.relative_to(sweep).as_posix(),
        dataset=OmegaConf.select(config, "dataset.name"),
        backbone=OmegaConf.select(config, "backbone.name"),
        weights=metrics.get("weights") or OmegaConf.select(config, "backbone.weights"),
        seed=OmegaConf.select(config, "seed"),
        settings=settings,
        status=FAILED if failure else FINISHED if metrics else UNFINISHED,
        reason=failure["reason"] if failure else None,
        metrics=metrics,
        validation=_read_if_there(path / VALIDATION_FILE) if metrics else {},
    )


def _read_if_there(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    return read_json(path) if path.is_file() else {}
