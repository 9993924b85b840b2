"""Settings of wells: what was done to each, on which day it was imaged, and which condition is the control."""

from dataclasses import dataclass
from typing import Final

from jimt.config.checks import Settings, check
from jimt.config.patterns import CHANNEL, parse_pattern
from jimt.errors import InputError, as_list_typed

CONDITION: Final = "condition"
DAY: Final = "day"
"""Placeholders or named groups that tell them, where ``dataset.conditions`` names no others."""


@dataclass
class ConditionsConfig(Settings, section="dataset.conditions"):
    """What was done to each well and on which day it was imaged: stained areas are told by both, against a control."""

    control: str | None
    """The condition that all others are held against; null where nothing is to be."""
    table: str | None
    """CSV of what was done to each well: ``well,condition``, and ``day`` where names of files do not tell it."""
    condition: list[str] | None
    """Placeholders or named groups of the pattern that tell the condition; null: ``condition``, or the table."""
    day: str | None
    """The one that tells the day, a number; null: ``day``, where the pattern has it."""
    well: list[str] | None
    """Those that tell the well, over which intervals are; null: the group."""


def check_conditions(conditions: ConditionsConfig, *, layout: str, pattern: str | None) -> None:
    """Refuse conditions that nothing tells, and what tells them where nothing is held against a control.

    Raises:
        InputError: If the names they are read from are none of the pattern's, or there are none.
    """
    given = [name for name in ("table", "condition", "day", "well") if getattr(conditions, name) is not None]
    if conditions.control is None:
        if given:
            raise InputError(
                f"dataset.conditions.{given[0]} is without effect, since no condition is the control",
                remedies=(
                    "dataset.conditions.control=WORD",
                    " ".join(f"dataset.conditions.{name}=null" for name in given),
                ),
            )
        return
    if layout == "patches" or pattern is None:
        raise InputError(
            "dataset.conditions.control is without effect for published patches, which have no fluorescence images",
            remedies=(" ".join(f"dataset.conditions.{name}=null" for name in ("control", *given)),),
        )
    names = [name for name in parse_pattern(pattern, setting="dataset.pattern").names if name != CHANNEL]
    for setting in ("condition", "day", "well"):
        value = getattr(conditions, setting)
        chosen = [value] if isinstance(value, str) else value
        known = chosen is None or (len(chosen) > 0 and set(chosen) <= set(names))
        check(f"dataset.conditions.{setting}", value, known, f"names of dataset.pattern ({', '.join(names)})")
    if conditions.table is not None and conditions.condition is not None:
        raise InputError(
            "dataset.conditions.table and dataset.conditions.condition both tell the condition of a well",
            remedies=("dataset.conditions.table=null", "dataset.conditions.condition=null"),
        )
    if conditions.table is None and conditions.condition is None and CONDITION not in names:
        raise InputError(
            "dataset.conditions has a control and nothing that tells the condition of a well, and dataset.pattern "
            f"reads no {CONDITION}",
            remedies=(
                "dataset.conditions.table=FILE",
                *(as_list_typed("dataset.conditions.condition", [name]) for name in names),
            ),
        )
