"""Refuses a pattern that does not tell what its layout needs."""

from jimt.config.patterns import CHANNEL, GROUP, RAW_IMAGE_ID, group_names, is_regular_expression, parse_pattern
from jimt.errors import InputError, as_list_typed


def check_pattern(text: str, *, layout: str, group: list[str] | None) -> None:
    """Refuse a pattern that does not tell what its layout needs.

    Raises:
        InputError: If it does not; the message says how to write it.
    """
    pattern = parse_pattern(text, setting="dataset.pattern")
    is_regular = is_regular_expression(text)

    def shown(name: str) -> str:
        return f"(?P<{name}>...) around" if is_regular else f"{{{name}}} for"

    missing = [CHANNEL] if layout == "pairs" and CHANNEL not in pattern.names else []
    if group is not None:
        unknown = [name for name in group if name not in pattern.names or name == CHANNEL]
        if unknown or not group:
            there = ", ".join(name for name in pattern.names if name != CHANNEL)
            raise InputError(
                f"dataset.group={group} is not allowed", advice=f"it takes names of dataset.pattern ({there})"
            )
        if GROUP in pattern.names:
            raise InputError(
                "dataset.pattern reads a group, so dataset.group is without effect", remedies=("dataset.group=null",)
            )
    elif not group_names(pattern, None) and layout != "patches":
        if not is_regular and not missing:
            names = [name for name in pattern.names if name != CHANNEL]
            raise InputError(
                f"dataset.pattern={text} does not tell which of {', '.join(names)} a split may not divide",
                remedies=tuple(as_list_typed("dataset.group", [name]) for name in names),
            )
        missing.insert(0, GROUP)
    # the name of a published patch tells more than its raw image
    if RAW_IMAGE_ID not in pattern.names and (is_regular or layout == "patches"):
        missing.insert(0, RAW_IMAGE_ID)
    if missing:
        what = "named group" if is_regular else "placeholder"
        raise InputError(
            f"dataset.pattern lacks the {what} {', '.join(missing)}",
            advice=f"write {shown(missing[0])} the part of the path that tells it",
        )
