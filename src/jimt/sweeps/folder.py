"""Reads the jobs of a sweep back from the folders that Hydra and the trainings left."""

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from jimt.sweeps.table import FAILED, FINISHED, UNFINISHED, row_of
from jimt.system.files import FAILURE, METRICS_FILE, VALIDATION_FILE, read_json
from jimt.system.files import FINISHED as FINISHED_FILE


def read_jobs(folder: Path) -> list[dict[str, Any]]:
    """Rows of the jobs below a sweep's folder, by data set and then in the order they were started."""
    found = sorted(path.parent.parent for path in folder.rglob(".hydra/overrides.yaml"))  # the last that Hydra writes
    overrides = {path: {str(text) for text in OmegaConf.load(path / ".hydra/overrides.yaml")} for path in found}
    common = set.intersection(*overrides.values()) if overrides else set()
    numbered = []
    for path in found:
        hydra = OmegaConf.load(path / ".hydra/hydra.yaml")
        own = [text for text in sorted(overrides[path] - common) if not re.match("(dataset|backbone)=", text)]
        numbered.append((int(OmegaConf.select(hydra, "hydra.job.num") or 0), _read_job(path, folder, own)))
    first: dict[str | None, int] = {}
    for number, row in numbered:
        first[row["dataset"]] = min(number, first.get(row["dataset"], number))
    numbered.sort(key=lambda job: (first[job[1]["dataset"]], str(job[1]["dataset"]), job[0], job[1]["job"]))
    return [row for _, row in numbered]


def _read_job(path: Path, sweep: Path, settings: list[str]) -> dict[str, Any]:
    config = OmegaConf.load(path / ".hydra/config.yaml")
    failure = _read_if_there(path / FAILURE)
    metrics = _read_if_there(path / METRICS_FILE) if (path / FINISHED_FILE).is_file() and not failure else {}
    weights = OmegaConf.select(config, "backbone.weights")
    return row_of(
        path.relative_to(sweep).as_posix(),
        dataset=OmegaConf.select(config, "dataset.name"),
        backbone=OmegaConf.select(config, "backbone.name"),
        weights=metrics.get("weights") or weights,
        weights_from=weights if weights in ("hub", "packaged", "random") else "file",
        seed=OmegaConf.select(config, "seed"),
        settings=settings,
        status=FAILED if failure else FINISHED if metrics else UNFINISHED,
        reason=failure.get("reason"),
        metrics=metrics,
        validation=_read_if_there(path / VALIDATION_FILE) if metrics else {},
    )


def _read_if_there(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    return read_json(path) if path.is_file() else {}
