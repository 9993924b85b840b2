"""The rows of a sweep's table, one a job with the paper's numbers beside it, and what to know before comparing them."""

from collections.abc import Sequence
from typing import Any

from jimt.paper import SPLIT_COUNTS, paper_name, printed
from jimt.statistics.metrics import METRICS
from jimt.statistics.value_text import percent_text

FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"


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
            value, interval = found
            patches = None if interval is None else list(interval)
            paper[metric] = {"value": value, "interval_groups": None, "interval_patches": patches}
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
    n_finished = len([row for row in table if row["status"] == FINISHED])
    for note, names in jobs_by_note.items():
        told = "all jobs" if 1 < len(names) == n_finished else ", ".join(names)
        lines.append(f"{told}: {note}")
    if n_finished > 1:
        lines.append(
            "validation and test stand side by side: choose a row by validation; whoever chooses by test has fitted to "
            "the test split, and its best value is too high"
        )
    confidences = {percent_text(row["confidence"]) for row in table if row["confidence"] is not None}
    if confidences:
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
