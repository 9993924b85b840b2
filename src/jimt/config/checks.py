"""Checks of single values, each with the sentence that a user sees."""

import re

from jimt.errors import InputError


def check(field: str, value: object, ok: bool, allowed: str) -> None:
    """Raise an ``InputError`` that says what a setting takes, unless its value is ok."""
    if not ok:
        raise InputError(f"{field}={value} is not allowed", advice=f"it takes {allowed}")


def check_confidence(setting: str, value: float) -> None:
    """Raise an ``InputError`` if no interval can have this coverage, named by the setting or flag that gave it."""
    check(setting, value, 0.5 <= value < 1, "0.5 to below 1")


def is_name(name: str) -> bool:
    """Whether a data set may be called so: a folder and files bear its name."""
    return re.fullmatch(r"[\w-]+(\.[\w-]+)*", name) is not None


def one_of(field: str, value: str, choices: tuple[str, ...]) -> None:
    """Likewise of a setting that takes one of several words."""
    check(field, value, value in choices, "one of " + ", ".join(choices))
