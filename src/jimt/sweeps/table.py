"""Rows of a sweep's table, read from what its jobs left, beside the paper's; and what to know before comparing them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from jimt.evaluation.counted import counted_in_words
from jimt.evaluation.field_shares import share_in_words
from jimt.paper import SPLIT_COUNTS, paper_name, printed
from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import percent_text
from jimt.sweeps.sweep import FAILED, FINISHED, UNFINISHED
from jimt.system import files

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a tenth of the time: each job that ends reads those of all


def read_jobs(folder: Path) -> list[dict[str, Any]]:
    """Rows of the jobs below a sweep's folder, by data set and then in the order they were started."""
    found = sorted(path.parent.parent for path in folder.rglob(".hydra/overrides.yaml"))  # the last that Hydra writes
    overrides = {path: {str(text) for text in _read_yaml(path / ".hydra/overrides.yaml")} for path in found}
    common = set.intersection(*overrides.values()) if overrides else set()
    numbered = []
    for path in found:
        number = _read_yaml(path / ".hydra/hydra.yaml")["hydra"]["job"].get("num")
        own = [text for text in sorted(overrides[path] - common) if not re.match("(dataset|backbone)=", text)]
        numbered.append((number if isinstance(number, int) else 0, _read_job(path, folder, own)))
    first: dict[str | None, int] = {}
    for number, row in numbered:
        first[row["dataset"]] = min(number, first.get(row["dataset"], number))
    numbered.sort(key=lambda job: (first[job[1]["dataset"]], str(job[1]["dataset"]), job[0], job[1]["job"]))
    return [row for _, row in numbered]


def _read_job(path: Path, sweep: Path, settings: list[str]) -> dict[str, Any]:
    config = OmegaConf.create(_read_yaml(path / ".hydra/config.yaml"))
    failure = _read_if_there(path / files.FAILURE)
    metrics = _read_if_there(path / files.METRICS_FILE) if (path / files.FINISHED).is_file() and not failure else {}
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
        validation=_read_if_there(path / files.VALIDATION_FILE) if metrics else {},
    )


def _read_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)


def _read_if_there(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    return files.read_json(path) if path.is_file() else {}


def row_of(
    job: str,
    *,
    dataset: str | None,
    backbone: str | None,
    weights: str | None,
    weights_from: str,
    seed: int | None,
    settings: list[str],
    status: str,
    reason: str | None,
    metrics: dict[str, Any],
    validation: dict[str, float | None],
) -> dict[str, Any]:
    """A job as ``table.json`` has it.

    Args:
        job: Its folder, below the sweep's.
        dataset: Its data set.
        backbone: Its network, by timm's name.
        weights: Where the pretrained weights came from, in a line.
        weights_from: The same in a word, as ``backbone.weights`` has it: ``hub``, ``packaged``, ``random`` or ``file``.
        seed: Of the training.
        settings: Overrides that not all jobs of the sweep share, beside data set and backbone.
        status: ``finished``, ``failed`` or ``unfinished``.
        reason: Why it failed.
        metrics: What ``test_metrics.json`` holds, of a finished job.
        validation: What ``val_metrics.json`` holds, of a finished job.
    """
    return {
        "job": job,
        "dataset": dataset,
        "backbone": backbone,
        "weights": weights,
        "weights_from": weights_from,
        "seed": seed,
        "settings": settings,
        "status": status,
        "reason": reason,
        "counts": metrics.get("split_counts"),
        "confidence": metrics.get("confidence"),
        **{name: metrics.get("metrics", {}).get(name) for name in METRICS},
        "validation": {name: validation.get(name) for name in METRICS},
        "correlation": metrics.get("correlation"),
        **{name: metrics.get(name) for name in ("counted", "dead_share", "baselines")},
        "notes": metrics.get("notes", []),
        "paper": _paper(dataset, backbone),
    }


def _paper(dataset: str | None, backbone: str | None) -> dict[str, Any] | None:
    """What the paper has of a job's data set and backbone; None for any other."""
    name = paper_name(backbone or "")
    if dataset not in SPLIT_COUNTS or backbone is None or name is None:
        return None
    result = printed(dataset, backbone)
    paper: dict[str, Any] = {"backbone": name, "weights": "ImageNet", "counts": SPLIT_COUNTS[dataset]}
    for metric in METRICS:
        found = None if result is None else result.metric(metric)
        paper[metric] = None
        if found is not None:
            paper[metric] = {"value": found[0], "interval_groups": None, "interval_patches": found[1]}
    paper["correlation"] = None
    if result is not None:
        over_patches = {"patches": {"r": result.correlation}}
        paper["correlation"] = {"scale": "raw"} | over_patches | {"raw": over_patches}
    return paper


def notes(table: Sequence[dict[str, Any]]) -> list[str]:
    """What a reader must know before comparing rows."""
    lines = [f"{row['job']} {row['status']}: {row['reason']}" for row in table if row["status"] == FAILED]
    jobs_by_note: dict[str, list[str]] = {}
    for row in table:
        for note in row["notes"]:
            jobs_by_note.setdefault(note, []).append(row["job"])
    for told, words in (("counted", counted_in_words), ("dead_share", share_in_words)):
        lines += [f"{row['job']}: {words(row[told])}" for row in table if row[told] is not None]
    n_finished = len([row for row in table if row["status"] == FINISHED])
    for note, names in jobs_by_note.items():
        told = "all jobs" if 1 < len(names) == n_finished else ", ".join(names)
        lines.append(f"{told}: {note}")
    if n_finished > 1:
        lines.append(
            "validation and test stand side by side: choose a row by validation; whoever chooses by test has fitted to "
            "the test split, and its best value is too high"
        )
    if confidences := {percent_text(row["confidence"]) for row in table if row["confidence"] is not None}:
        lines.append(
            f"confidence intervals ({', '.join(sorted(confidences))}): over groups (whole raw images, wells or "
            "experiments), and, as the paper's, over patches, which are not independent"
        )
    with_paper = [row for row in table if row["paper"] is not None]
    if with_paper:
        lines.append(
            "paper: Pattarone et al. 2021, Table 1, Results and Fig. 4; it prints numbers of Inception-v3 alone, those "
            "of the other two backbones only as curves and matrices"
        )
    if any(row["dataset"] == "no_treatment" for row in with_paper):
        lines.append("paper: test live and dead of no_treatment stand in Table 1 the other way round, by mistake")
    if any(row["weights"] == "random" for row in with_paper):
        lines.append("paper: its networks started from ImageNet weights, so rows of random weights do not compare")
    return lines
