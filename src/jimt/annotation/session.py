"""Who is shown which patch: each is before one tab at a time, and its label is in the table before it counts."""

from dataclasses import dataclass
from typing import Final

from jimt.annotation.filter_process import FilterProcess
from jimt.annotation.label_table import Label, LabelTable, Place
from jimt.annotation.patch_order import uncertain_order
from jimt.annotation.patch_pool import PatchPool
from jimt.annotation.running_filter import Labelled

SPREAD: Final = "spread"
UNCERTAIN: Final = "uncertain"
_ONE_IN: Final = 4
"""One in so many patches is of the spread even where the filter could choose: F1 rests on these."""


@dataclass(frozen=True)
class Offer:
    """A patch that a tab is to show, and why it was chosen."""

    number: int
    chosen_by: str


class Session:
    """The labelling of a pool by one annotator, in however many tabs.

    Args:
        pool: The patches, in the order of the spread.
        table: Of the labels.
        running: What finds the uncertain ones; None for a spread alone.
        empty: The word of an empty patch and that of one with cells; None where patches are called otherwise.
    """

    def __init__(
        self,
        pool: PatchPool,
        table: LabelTable,
        *,
        running: FilterProcess | None,
        empty: tuple[str, str] | None,
    ) -> None:
        self._pool, self._table, self._running, self._empty = pool, table, running, empty
        self._numbers = {place: number for number, place in enumerate(pool.places)}
        self._claims: dict[int, object] = {}
        self._chosen_by: dict[int, str] = {}  # of patches that were offered, also once their tab is gone
        self._given: dict[object, list[Place]] = {}
        self._n_offered = len(table.labels)

    def offer(self, tab: object, n: int, *, kept: list[int]) -> tuple[list[Offer], list[int]]:
        """Choose patches for a tab.

        Args:
            tab: Which.
            n: How many, fewer where so many are not left.
            kept: Patches that it shows already, as after its connection was lost.

        Returns:
            The patches, and those of ``kept`` that are labelled, or before another tab, by now.
        """
        gone = [number for number in kept if not self._is_free(number, tab)]
        for number in kept:
            if number not in gone and number not in self._claims:
                self._claims[number] = tab
        found: list[Offer] = []
        uncertain = self._uncertain(n)
        spread = (number for number in range(len(self._pool)) if self._is_free(number, None))
        while len(found) < n:
            uncertain = [number for number in uncertain if number not in self._claims]
            if uncertain and self._n_offered % _ONE_IN:
                offer = Offer(uncertain[0], UNCERTAIN)
            elif (drawn := next(spread, None)) is not None:
                offer = Offer(drawn, SPREAD)
            else:
                break
            self._claim(tab, offer)
            self._n_offered += 1
            found.append(offer)
        return found, gone

    def release(self, tab: object) -> None:
        """Let others have what a tab was shown and has not labelled: it was closed."""
        self._claims = {number: claim for number, claim in self._claims.items() if claim is not tab}
        self._given.pop(tab, None)

    def label(self, tab: object, number: int, word: str) -> tuple[str, str | None]:
        """Write a label.

        Returns:
            What the patch is called now, which is another word where it had been labelled meanwhile, and what another
            program had changed in the file.

        Raises:
            InputError: If it cannot be written; the patch stays before the tab.
        """
        place = self._pool.places[number]
        if place in self._table.labels:
            return self._table.labels[place].word, None
        chosen_by = self._chosen_by.get(number, SPREAD)
        try:
            told = self._table.add(place, Label(word, chosen_by))
        except KeyError:
            self._claims.pop(number, None)
            return self._table.labels[place].word, "Another program has labelled this patch."
        self._claims.pop(number, None)
        self._given.setdefault(tab, []).append(place)
        self._tell()
        return word, told

    def undo(self, tab: object) -> tuple[Offer, str] | None:
        """Take the last label of a tab back, or else the last of the file that is of no other tab.

        Returns:
            The patch, which is before the tab again, and what it was called; None where there is no label.

        Raises:
            InputError: If that cannot be written.
        """
        self._table.merged()
        others = {place for other, places in self._given.items() if other is not tab for place in places}
        own = [place for place in self._given.get(tab, []) if place in self._table.labels]
        before = [place for place in self._table.labels if place in self._numbers and place not in others]
        if not (own or before):
            return None
        place = (own or before)[-1]
        label = self._table.labels[place]
        self._table.take_back(place)
        if own:
            self._given[tab] = own[:-1]
        offer = Offer(self._numbers[place], label.chosen_by)
        self._claim(tab, offer)
        self._tell()
        return offer, label.word

    @property
    def n_elsewhere(self) -> int:
        """Labels of patches that are not in the pool, as where the data set was cut otherwise since."""
        return sum(place not in self._numbers for place in self._table.labels)

    def counts(self, words: list[str]) -> dict[str, int]:
        """How many patches are called what."""
        said = [label.word for label in self._table.labels.values()]
        return {word: said.count(word) for word in words}

    def labelled(self) -> list[Labelled]:
        """What the filter can learn from, in the order in which it was labelled."""
        if self._empty is None:
            return []
        return [
            Labelled(self._numbers[place], label.word == self._empty[0], label.chosen_by != UNCERTAIN)
            for place, label in self._table.labels.items()
            if place in self._numbers and label.word in self._empty
        ]

    def _claim(self, tab: object, offer: Offer) -> None:
        self._claims[offer.number] = tab
        self._chosen_by[offer.number] = offer.chosen_by

    def _tell(self) -> None:
        if self._running is not None:
            self._running.set_labelled(self.labelled())

    def _uncertain(self, n: int) -> list[int]:
        if self._running is None or self._running.scores is None:
            return []
        taken = {self._numbers[place] for place in self._table.labels if place in self._numbers}
        left_out = taken | self._claims.keys()
        return uncertain_order(self._running.scores, self._pool.raw_image_ids, n=n, left_out=left_out)

    def _is_free(self, number: int, tab: object | None) -> bool:
        if self._pool.places[number] in self._table.labels:
            return False
        return number not in self._claims or (tab is not None and self._claims[number] is tab)
