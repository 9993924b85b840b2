"""What there is to judge, and the words and keys of each judgement."""

from dataclasses import dataclass
from typing import Any, Final

from jimt.config.patterns import composed
from jimt.curation.hand_labels import UNDONE, UNSURE
from jimt.errors import InputError

MODES: Final = ("empty", "audit", "cells")
LIVE_WORD: Final = "live"
DEAD_WORD: Final = "dead"
MIXED_WORD: Final = "mixed"


@dataclass(frozen=True)
class Choice:
    """One of the answers that can be given.

    Attributes:
        key: That gives it.
        word: That stands in the table.
        shown: What it is called on the page.
    """

    key: str
    word: str
    shown: str


def choices_of(mode: str, dataset: dict[str, Any]) -> tuple[Choice, ...]:
    """The answers of a mode that judges patches.

    Args:
        mode: ``empty`` or ``audit``.
        dataset: Settings of the data set, as ``summary.json`` has them.

    Raises:
        InputError: If the data set's words are those that jimt needs for itself.
    """
    unsure = Choice("u", UNSURE, "unsure")
    if mode == "audit":
        return (
            Choice("l", LIVE_WORD, "live"),
            Choice("d", DEAD_WORD, "dead"),
            Choice("m", MIXED_WORD, "mixed"),
            unsure,
        )
    empty, cells = (composed(str(dataset[name])) for name in ("empty_word", "not_empty_word"))
    if {empty, cells} & {UNSURE, UNDONE}:
        raise InputError(
            f"the data set calls patches {empty} or {cells}, and a table of labels needs {UNSURE} and {UNDONE} for "
            "what is neither",
            advice="choose other words in its settings, and curate again",
        )
    return Choice("e", empty, "empty"), Choice("c", cells, "cells"), unsure
