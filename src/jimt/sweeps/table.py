"""The table of a sweep: one row a job, and under it the paper's row where the paper has one."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jimt.paper import SPLIT_COUNTS, paper_name, printed

if TYPE_CHECKING:
    from rich.console import Console

FINISHED, FAILED, UNFINISHED = "finished", "failed", "unfinished"
_SPLITS = ("train", "val", "test")
_METRICS = {"balanced_accuracy": "balanced accuracy", "auroc": "AUROC"}
_NOTHING = "-"


@dataclass(frozen=True)
class Job:
    """One job of a sweep, as its folder tells."""

    name: str
    """Its folder, below the sweep's."""
    dataset: str | None
    backbone: str | None
    weights: str | None
    seed: int | None
    settings: list[str]
    """Overrides that not all jobs of the sweep share, beside data set and backbone."""
    status: str
    reason: str | None
    """Why it failed."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """What ``test_metrics.json`` holds, of a finished job."""
    validation: dict[str, float | None] = field(default_factory=dict)
    """What ``val_metrics.json`` holds, of a finished job."""


def records(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """The jobs as ``table.json`` has them."""
    return [
        {
            "job": job.name,
            "dataset": job.dataset,
            "backbone": job.backbone,
            "weights": job.weights,
            "seed": job.seed,
            "settings": job.settings,
            "status": job.status,
            "reason": job.reason,
            "counts": job.metrics.get("split_counts"),
            "confidence": job.metrics.get("confidence"),
            **{name: job.metrics.get("metrics", {}).get(name) for name in _METRICS},
            "validation": {name: job.validation.get(name) for name in _METRICS},
            "correlation": job.metrics.get("correlation"),
            "notes": job.metrics.get("notes", []),
            "paper": _paper(job),
        }
        for job in jobs
    ]


def _paper(job: Job) -> dict[str, Any] | None:
    """What the paper has of a job's data set and backbone; None for any other."""
    if job.dataset not in SPLIT_COUNTS or job.backbone is None:
        return None
    name = paper_name(job.backbone)
    if name is None:
        return None
    result = printed(job.dataset, job.backbone)
    paper: dict[str, Any] = {"backbone": name, "weights": "ImageNet", "counts": SPLIT_COUNTS[job.dataset]}
    paper |= dict.fromkeys([*_METRICS, "correlation"])
    if result is not None:
        interval = {"interval_groups": None, "interval_patches": list(result.interval)}
        paper["balanced_accuracy"] = {"value": result.balanced_accuracy} | interval
        paper["auroc"] = {"value": result.auroc, "interval_groups": None, "interval_patches": None}
        patches = {"patches": {"r": result.correlation}}
        paper["correlation"] = {"scale": "raw"} | patches | {"raw": patches}
    return paper


def notes(table: Sequence[dict[str, Any]]) -> list[str]:
    """What a reader must know before comparing rows."""
    lines = [f"{row['job']} {row['status']}: {row['reason']}" for row in table if row["status"] == FAILED]
    of: dict[str, list[str]] = {}
    for row in table:
        for note in row["notes"]:
            of.setdefault(note, []).append(row["job"])
    everywhere = len([row for row in table if row["status"] == FINISHED])
    lines += [
        f"{'all jobs' if 1 < len(names) == everywhere else ', '.join(names)}: {note}" for note, names in of.items()
    ]
    if everywhere > 1:
        lines.append(
            "validation and test stand side by side: choose a row by validation; whoever chooses by test has fitted to "
            "the test split, and its best value is too high"
        )
    confidences = {f"{100 * row['confidence']:g} %" for row in table if row["confidence"] is not None}
    if confidences:
        lines.append(
            f"intervals ({', '.join(sorted(confidences))}): over groups (whole raw images, wells or experiments), and, "
            "as the paper's, over patches, which are not independent"
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


def as_markdown(table: Sequence[dict[str, Any]]) -> str:
    """``table.md``."""
    lines = [_markdown_line(columns) for columns in _rows(table)]
    lines.insert(1, _markdown_line(["---"] * len(_HEADER)))
    return "\n".join([*lines, "", *(f"- {_one_line(note)}" for note in notes(table))]).rstrip() + "\n"


_HEADER = [
    "job",
    "data set",
    "backbone",
    "weights",
    "settings",
    "status",
    *(f"{name}, validation" for name in _METRICS.values()),
    *(f"{split} live/dead" for split in _SPLITS),
    *(f"{name}{of}" for name in _METRICS.values() for of in ("", " over groups", " over patches")),
    "r of score and PI as labelled",
    "r of score and PI in raw counts",
]


def _rows(table: Sequence[dict[str, Any]]) -> list[list[str]]:
    rows = [_HEADER]
    for row in table:
        status = row["status"] if row["reason"] is None else f"{row['status']}: {row['reason']}"
        rows.append(
            [row["job"], *_names(row), " ".join(row["settings"]), status, *validation_of(row), *numbers_of(row)]
        )
        if row["paper"] is not None:
            paper = row["paper"]
            rows.append(
                [
                    "(paper)",
                    row["dataset"],
                    paper["backbone"],
                    paper["weights"],
                    "",
                    "",
                    *validation_of(paper),
                    *numbers_of(paper),
                ]
            )
    return rows


def _names(row: dict[str, Any]) -> list[str]:
    return [row[key] or _NOTHING for key in ("dataset", "backbone", "weights")]


def validation_of(row: dict[str, Any]) -> list[str]:
    """Each metric on the validation split, which the paper's rows do not have."""
    return [_number(row.get("validation", {}).get(name)) for name in _METRICS]


def numbers_of(row: dict[str, Any]) -> list[str]:
    """Patches of each split; each metric with its intervals over groups and over patches; both of Pearson's r."""
    cells = [_count(row, split) for split in _SPLITS]
    for name in _METRICS:
        values = row[name] or {}
        cells.append(_number(values.get("value")))
        cells += [_interval(values.get(key)) for key in ("interval_groups", "interval_patches")]
    return [*cells, _number(_r(row)), _number(_r(row, raw=True))]


def _count(row: dict[str, Any], split: str) -> str:
    part = (row["counts"] or {}).get(split)
    return _NOTHING if part is None else f"{part['live']:,}/{part['dead']:,}"


def _r(row: dict[str, Any], *, raw: bool = False) -> float | None:
    """Pearson's r over patches: of score and fluorescence on the scale of the labels, or in raw counts."""
    correlation = row["correlation"] or {}
    r: float | None = ((correlation.get("raw") if raw else correlation) or {}).get("patches", {}).get("r")
    return r


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def _interval(value: Sequence[float] | None) -> str:
    return _NOTHING if value is None else f"{value[0]:.3f} to {value[1]:.3f}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _markdown_line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_one_line(cell).replace("|", r"\|") for cell in cells) + " |"


def as_csv(table: Sequence[dict[str, Any]]) -> str:
    """``table.csv``: a number a cell, a column for each setting that is varied, the paper's in columns of their own."""
    out = io.StringIO()
    flat = [_flat(row) for row in table]
    names = list(dict.fromkeys(key for row in flat for key in row))
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    names = ("job", "dataset", "backbone", "weights", "seed", "status", "reason")
    cells = {name: row[name] for name in names}
    for setting in row["settings"]:
        key, _, value = setting.partition("=")
        if key.lstrip("+") not in cells:  # the seed has its column already
            cells[key.lstrip("+")] = value
    cells |= {f"val_{name}": row["validation"][name] for name in _METRICS}
    for prefix, of in (("", row), ("paper_", row["paper"] or dict.fromkeys(["counts", *_METRICS, "correlation"]))):
        for split in _SPLITS:
            for label in ("live", "dead"):
                cells[f"{prefix}{split}_{label}"] = ((of["counts"] or {}).get(split) or {}).get(label)
        for name in _METRICS:
            values = of[name] or {}
            cells[f"{prefix}{name}"] = values.get("value")
            for over in ("groups", "patches"):
                low, high = values.get(f"interval_{over}") or (None, None)
                cells |= {f"{prefix}{name}_{over}_low": low, f"{prefix}{name}_{over}_high": high}
        cells |= {f"{prefix}pearson_r": _r(of), f"{prefix}pearson_r_raw": _r(of, raw=True)}
    return cells


def print_table(table: Sequence[dict[str, Any]], console: "Console") -> None:
    """The table for a terminal of 80 columns: several lines a job, and what all jobs share in a line above it."""
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    from jimt.system.screen import print_whole

    shared = _shared(table)
    for what, text in shared.items():
        of_all = " of all jobs" if len(table) > 1 else ""
        console.print(f"{what}{of_all}: {text}", highlight=False, markup=False, soft_wrap=True)
    out = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    told = ["job", *(name for name in _TOLD if name not in shared)]
    out.add_column("\n".join(told))
    if _PATCHES not in shared:
        out.add_column("patches\nlive/dead", justify="right")
    for name in ("bal. accuracy", "AUROC"):
        out.add_column(f"{name}\nover groups\nover patches\nvalidation", justify="right")
    out.add_column("r of PI\nlabelled\nraw", justify="right")
    for row in table:
        of_job = [text for name, text in _told(row).items() if name not in shared]
        # a folder that is named by its data set and backbone says nothing more
        named = [] if of_job and row["job"].startswith(f"{row['dataset']}/") else [row["job"]]
        lines = [*named, *of_job, *row["settings"]]
        lines += [] if row["status"] == FINISHED else [row["status"]]
        style = {FAILED: "bold red", UNFINISHED: "yellow"}.get(row["status"])
        cells = _cells(row, with_patches=_PATCHES not in shared)
        out.add_row(escape("\n".join(lines)), *cells, style=style, end_section=row["paper"] is None)
        if (paper := row["paper"]) is not None:
            name = f"paper\n{paper['backbone']}\n{paper['weights']} weights"
            out.add_row(name, *_cells(paper, with_patches=_PATCHES not in shared), style="dim", end_section=True)
    print_whole(out, console)
    for note in notes(table):
        console.print(note, highlight=False, markup=False, soft_wrap=True)


_PATCHES = "patches"
_TOLD = ("data set", "backbone", "weights")


def _told(row: dict[str, Any]) -> dict[str, str]:
    """What a job was made of; of its weights their source alone, since the backbone's name tells the rest."""
    dataset, backbone, weights = _names(row)
    source = weights.partition(":")[0]
    source = {"packaged": "package"}.get(source, source)
    known = source in ("hub", "package", "random", "file", _NOTHING)
    return dict(zip(_TOLD, (dataset, backbone, f"weights {source if known else 'file'}"), strict=True))


def _shared(table: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What is the same of all jobs, and need not stand in each row."""
    shared = {}
    for name in _TOLD:
        texts = {_told(row)[name] for row in table}
        if len(texts) == 1:
            whole = {row[name.replace(" ", "")] for row in table}
            shared[name] = str(whole.pop()) if len(whole) == 1 else texts.pop().removeprefix("weights ")
    counts = {", ".join(f"{split} {_count(row, split)}" for split in _SPLITS) for row in table if row["counts"]}
    if len(counts) == 1 and all(row["paper"] is None for row in table):
        shared[_PATCHES] = f"{counts.pop()} (live/dead)"
    return shared


def _cells(row: dict[str, Any], *, with_patches: bool) -> list[str]:
    """The numbers of a row, several lines a cell."""
    counts = "\n".join(f"{split} {_count(row, split)}" for split in _SPLITS) if row["counts"] else _NOTHING
    numbers = [text.replace(" to ", "-") for text in numbers_of(row)[len(_SPLITS) :]]
    accuracy, auroc = validation_of(row)
    columns = ([*numbers[:3], accuracy], [*numbers[3:6], auroc], numbers[6:])
    return [*([counts] if with_patches else []), *("\n".join(lines) for lines in columns)]
