"""Checks of single values, each with the sentence that a user sees."""

import re
from pathlib import Path
from typing import Final

from jimt.errors import InputError


def check(field: str, value: object, ok: bool, allowed: str) -> None:
    """Raise an ``InputError`` that says what a setting takes, unless its value is ok."""
    if not ok:
        raise InputError(f"{field}={value} is not allowed", advice=f"it takes {allowed}")


def check_confidence(setting: str, value: float) -> None:
    """Raise an ``InputError`` if no interval can have this coverage, named by the setting or flag that gave it."""
    check(setting, value, 0.5 <= value < 1, "0.5 to below 1")


def check_folder(field: str, value: str) -> None:
    """Raise an ``InputError`` if no file system can have a folder of this path."""
    longest = max((len(part.encode()) for part in Path(value).parts), default=0)
    check(field, value, longest <= 255, "folders whose names have at most 255 bytes")


NAME: Final = "a name of at most 200 letters, digits, dots, _ and -"


def is_name(name: str) -> bool:
    """Whether a data set may be called so, as ``NAME`` says: a folder and files bear its name and some words more."""
    return len(name.encode()) <= 200 and re.fullmatch(r"[\w-]+(\.[\w-]+)*", name) is not None


def one_of(field: str, value: str, choices: tuple[str, ...]) -> None:
    """Likewise of a setting that takes one of several words."""
    check(field, value, value in choices, "one of " + ", ".join(choices))
