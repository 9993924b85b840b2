"""What is behind the page that shows one patch after another: what comes next, and how far it has come."""

from dataclasses import dataclass
from typing import Any, Final

from jimt.annotation.label_table import LabelTable
from jimt.annotation.modes import Choice
from jimt.annotation.patch_pool import PatchPool
from jimt.annotation.running_filter import EVERY, OF_EACH, Progress
from jimt.annotation.server import SenselessError, number_in
from jimt.annotation.session import Offer, Session
from jimt.errors import InputError
from jimt.statistics.value_text import value_text

_MOST_AHEAD: Final = 32  # patches that a tab may ask for at once


@dataclass(frozen=True)
class Words:
    """What the page says of itself.

    Attributes:
        title: Above it.
        question: What is to be told of each patch.
        choices: The answers.
        is_blind: Whether neither PI nor the name of the raw image is shown: a name may tell the treatment.
        pixel_size: Micrometres; None where it is not known.
    """

    title: str
    question: str
    choices: tuple[Choice, ...]
    is_blind: bool
    pixel_size: float | None


class PatchPage:
    """Answers the page.

    Args:
        words: What it says of itself.
        pool: The patches.
        table: Of the labels.
        session: Who is shown what.
        progress: The latest of the filter; None where there is none.
    """

    def __init__(
        self,
        words: Words,
        pool: PatchPool,
        table: LabelTable,
        session: Session,
        progress: "Any | None",
    ) -> None:
        self._words, self._pool, self._table, self._session, self._progress = words, pool, table, session, progress

    def hello(self, tab: object) -> list[dict[str, Any]]:
        """What the page needs to draw itself."""
        words = self._words
        return [
            {
                "kind": "hello",
                "title": words.title,
                "question": words.question,
                "choices": [{"key": each.key, "word": each.word, "shown": each.shown} for each in words.choices],
                "hasStain": not words.is_blind,
                "pixelSize": words.pixel_size,
                "size": self._pool.size,
                "file": str(self._table.path),
                "note": self._note(),
            },
            self.state(),
        ]

    def answer(self, tab: object, message: dict[str, Any]) -> list[dict[str, Any]]:
        """Answer a tab: ``more`` patches, a ``label``, an ``undo``."""
        kind = message.get("kind")
        try:
            if kind == "more":
                return self._more(tab, message)
            if kind == "label":
                return self._label(tab, message)
            if kind == "undo":
                return self._undo(tab)
        except InputError as error:
            return [{"kind": "refused", "why": str(error)}]
        raise SenselessError

    def picture(self, kind: str, number: int) -> bytes:
        """A patch's bright-field or PI."""
        if kind == "patch":
            return self._pool.picture(number)
        if kind == "stain" and not self._words.is_blind:
            return self._pool.stain(number)
        raise KeyError(kind)

    def close(self, tab: object) -> None:
        """Let others have what the tab was shown."""
        self._session.release(tab)

    def state(self) -> dict[str, Any]:
        """Counts, and what there is to say of the filter."""
        counts = self._session.counts([choice.word for choice in self._words.choices])
        return {
            "kind": "state",
            "counts": [counts[choice.word] for choice in self._words.choices],
            "total": len(self._pool),
            "filter": [] if self._progress is None else filter_lines(self._progress()),
            "enough": self._progress is not None and self._progress().is_enough,
        }

    def _more(self, tab: object, message: dict[str, Any]) -> list[dict[str, Any]]:
        kept = message.get("kept", [])
        if not isinstance(kept, list) or len(kept) > len(self._pool):
            raise SenselessError
        numbers = [number_in({"n": number}, "n", below=len(self._pool)) for number in kept]
        n = number_in(message, "n", below=_MOST_AHEAD + 1)
        offers, gone = self._session.offer(tab, n, kept=numbers)
        return [{"kind": "patches", "patches": [self._shown(offer) for offer in offers], "gone": gone}]

    def _label(self, tab: object, message: dict[str, Any]) -> list[dict[str, Any]]:
        number = number_in(message, "patch", below=len(self._pool))
        word = message.get("word")
        if word not in [choice.word for choice in self._words.choices]:
            raise SenselessError
        called, told = self._session.label(tab, number, str(word))
        return [{"kind": "saved", "patch": number, "word": called, "note": told}, self.state()]

    def _undo(self, tab: object) -> list[dict[str, Any]]:
        undone = self._session.undo(tab)
        if undone is None:
            return [{"kind": "note", "note": "There is no label to take back."}]
        return [{"kind": "undone", "patch": self._shown(undone[0]), "word": undone[1]}, self.state()]

    def _shown(self, offer: Offer) -> dict[str, Any]:
        name, y, x = self._pool.places[offer.number]
        return {
            "number": offer.number,
            "of": None if self._words.is_blind else [name, str(self._pool.groups[offer.number]), y, x],
            "chosenBy": offer.chosen_by,
        }

    def _note(self) -> str | None:
        row, n = self._table.cut_row, self._session.n_elsewhere
        told = [f"The last row of the file was incomplete and was removed: {row}"] if row else []
        if n:
            told.append(f"{n:,} labels of the file are of no patch that can be shown here, and stay as they are.")
        return " ".join(told) or None


def filter_lines(progress: Progress) -> list[str]:
    """What to say of the filter that the labels teach, a sentence each."""
    if progress.failed is not None:
        return [f"No filter can be fitted, so patches come as a spread: {progress.failed}"]
    if not progress.n_fitted:
        return [
            f"No filter yet: it is fitted from {EVERY} labels on, when both kinds are among them. Features of "
            f"{progress.n_features:,} patches are computed."
        ]
    if not progress.n_measured:
        lines = [
            f"The filter was fitted on {progress.n_fitted} labels. F1 cannot be measured: it needs labels of both "
            "kinds from two groups or more."
        ]
    elif progress.f1.value is None:
        lines = [
            f"F1 cannot be measured yet, after {progress.n_fitted} labels: none of the {progress.n_measured} patches "
            "that were drawn at random is empty, or called so."
        ]
    else:
        lines = [
            f"F1 of empty patches: {value_text(progress.f1.value, progress.f1.interval)}, cross-validated by group, "
            f"after {progress.n_fitted} labels, on the {progress.n_measured} of them that were drawn at random."
        ]
        if progress.f1.interval is None:
            lines.append("Too few groups, or too few errors, for an interval.")
    if progress.agreement is not None:
        lines.append(f"The last fits agree with a kappa of {progress.agreement:.3f}.")
    if progress.is_enough:
        lines.append("More labels will hardly change the filter: you can stop.")
    elif progress.agreement is not None and progress.agreement >= 0.99:
        lines.append(f"It needs at least {OF_EACH} patches of both kinds.")
    return lines
