"""The models of a sweep side by side, beside the paper's."""

from typing import Any

from jimt.report.blocks import Table
from jimt.report.study import Study
from jimt.statistics.metrics import headline_metrics
from jimt.sweeps.table import FINISHED, read_jobs
from jimt.sweeps.table_cells import correlation_cells, count_cell, metric_cells


def overview(study: Study) -> Table:
    """A row a finished job, and under it the paper's where it has one."""
    rows: list[list[str]] = []
    quoted: list[int] = []
    for row in read_jobs(study.folder):
        if row["status"] != FINISHED:
            continue
        # where weights came from stands at the end of the report
        settings = [_short(text) for text in row["settings"] if not text.startswith("backbone.weights=")]
        rows.append([str(row["dataset"]), str(row["backbone"]), " ".join(settings), *_numbers(row)])
        if row["paper"] is not None:
            quoted.append(len(rows))
            rows.append([str(row["dataset"]), f"{row['paper']['backbone']} (paper)", "", *_numbers(row["paper"])])
    columns = [name for metric in headline_metrics() for name in (metric.column, "over groups", "validation")]
    header = ["data set", "backbone", "settings", "train live/dead", "test live/dead", *columns, "r", "r, raw"]
    if not any(row[2] for row in rows):
        del header[2]
        rows = [row[:2] + row[3:] for row in rows]
    return Table(
        "All models",
        header,
        rows,
        "Each on the test split of its data set; choose by the columns of validation, since the best of many test "
        "values is too high; intervals over patches are below, beside those over groups; r is "
        "Pearson's over patches, of score and mean fluorescence on the scale of the labels, and in raw counts.",
        quoted=quoted,
        groups_rows=True,
    )


def _short(setting: str) -> str:
    """A setting without the folders of a path."""
    key, equals, value = setting.partition("=")
    return f"{key}{equals}{value.rpartition('/')[2]}"


def _numbers(row: dict[str, Any]) -> list[str]:
    cells = [count_cell(row, split) for split in ("train", "test")]
    for metric in headline_metrics():
        found = metric_cells(row, metric.name)
        cells += [found.value, found.over_groups, found.validation]
    return [*cells, *correlation_cells(row)]
