"""What settings take, and the sentence that a user sees where a value is another."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Final

from jimt.errors import InputError


def check(field: str, value: object, ok: bool, allowed: str) -> None:
    """Raise an ``InputError`` that says what a setting takes, unless its value is ok."""
    if not ok:
        raise InputError(f"{field}={value} is not allowed", advice=f"it takes {allowed}")


def check_confidence(setting: str, value: float) -> None:
    """Raise an ``InputError`` if no interval can have this coverage, named by the setting or flag that gave it."""
    check(setting, value, 0.5 <= value < 1, "0.5 to below 1")


def takes(allowed: str, holds: Callable[[Any], bool]) -> dict[str, Any]:
    """Metadata of a dataclass' field: which values it may have, null aside.

    Args:
        allowed: In words.
        holds: Whether a value is one of them.
    """
    return {"allowed": allowed, "holds": holds}


def one_of(*choices: str) -> dict[str, Any]:
    """Likewise of a setting that takes one of several words."""
    return takes("one of " + ", ".join(choices), lambda value: value in choices)


class Settings:
    """A section of the config: a dataclass whose values are checked, when it is made, by what its fields take."""

    _prefix: ClassVar[str]

    def __init_subclass__(cls, section: str = "") -> None:
        """Name the section, such as ``curation.patches``; nothing for the whole config of a command."""
        cls._prefix = f"{section}." if section else ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # what derives from this is a dataclass
            value = getattr(self, field.name)
            if field.metadata and value is not None:
                check(self._prefix + field.name, value, field.metadata["holds"](value), field.metadata["allowed"])

    def check_rises(self, low: str, high: str) -> None:
        """Refuse a setting that is not above another of the same section."""
        least, value = getattr(self, low), getattr(self, high)
        check(self._prefix + high, value, value > least, f"more than {self._prefix}{low}={least:g}")


def is_name(name: str) -> bool:
    """Whether a data set may be called so: a folder and files bear its name and some words more."""
    return len(name.encode()) <= 200 and re.fullmatch(r"[\w-]+(\.[\w-]+)*", name) is not None


NAME: Final = takes("a name of at most 200 letters, digits, dots, _ and -", is_name)
FOLDER: Final = takes(
    "folders whose names have at most 255 bytes",
    lambda folder: all(len(part.encode()) <= 255 for part in Path(folder).parts),
)
ONE_OR_MORE: Final = takes("1 or more", lambda value: value >= 1)
NULL_OR_ONE_OR_MORE: Final = takes("null, or 1 or more", lambda value: value >= 1)
TWO_OR_MORE: Final = takes("2 or more", lambda value: value >= 2)
NOT_NEGATIVE: Final = takes("0 or more", lambda value: value >= 0)
POSITIVE: Final = takes("more than 0", lambda value: value > 0)
SHARE: Final = takes("0 to 1", lambda value: 0 <= value <= 1)
SHARE_BELOW_ONE: Final = takes("0 to below 1", lambda value: 0 <= value < 1)
SEED: Final = takes("0 to 4294967295", lambda value: 0 <= value < 2**32)
PIXEL_SIZES: Final = (0.02, 20.0)
"""Micrometres that a pixel of a microscope may be: from a 100x objective on a camera of small pixels, with room to
spare, to a scanner of whole plates. The dots per inch of screens and printers (72 to 1,200) are 21 um and more."""
PIXEL_SIZE: Final = takes(
    f"micrometres, {PIXEL_SIZES[0]:g} to {PIXEL_SIZES[1]:g}", lambda um: PIXEL_SIZES[0] <= um <= PIXEL_SIZES[1]
)
