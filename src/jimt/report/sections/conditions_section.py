"""Percentage of area with PI by condition and day, against the control (paper: Results, first paragraph)."""

from collections.abc import Iterator

from jimt.curation.condition_tables import AREA_WORDS, table_header, table_notes, table_rows, table_title
from jimt.curation.manifest import Curated
from jimt.figures.stained_areas import areas_by_condition
from jimt.report.blocks import Block, Drawing, Table, Text
from jimt.statistics.condition_areas import ConditionArea
from jimt.statistics.value_text import percent_text


def condition_blocks(curated: Curated) -> Iterator[Block]:
    """A table and a figure for each area that was measured; nothing where no condition is the control."""
    conditions = curated.summary.get("conditions")  # a curation of before has none
    if conditions is None:
        return
    control, covered = conditions["control"], percent_text(conditions["confidence"])
    for warning in conditions["warnings"]:
        yield Text(f"{warning}.", is_warning=True)
    for column, found in conditions["areas"].items():
        rows = [ConditionArea(**row) for row in found]
        notes = "".join(f" {note}." for note in table_notes(conditions, column=column))
        by_day = "day by day " if any(row.day is not None for row in rows) else ""
        yield Table(
            f"{AREA_WORDS[column]} by condition",
            [name.replace("\n", " ") for name in table_header(conditions, column=column)],
            table_rows(conditions, column=column),
            "Per cent of a field's area; a well counts once, with the mean of its fields. Intervals are over wells; "
            f"that of a difference to {control} is Welch's, each of its own comparison alone.{notes}",
        )
        yield Drawing(
            f"{column}_by_condition",
            table_title(column),
            f"Left: circles are wells, diamonds the means of wells with their {covered} intervals. Right: what a "
            f"condition has more than {control} {by_day}(Welch); dotted: no difference.",
            areas_by_condition(rows, control=control, words=table_title(column), confidence=conditions["confidence"]),
        )
