"""What is behind the page on which the cells of whole fields are clicked, live or dead."""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from jimt.annotation.cell_table import CellTable, Spot
from jimt.annotation.patch_order import spread_order
from jimt.annotation.patch_pool import png, refuse_names, shown_stain, unit_of
from jimt.annotation.server import SenselessError, number_in
from jimt.curation.manifest import Curated
from jimt.curation.store import read_field_names
from jimt.errors import InputError

Offered = Callable[[int], dict[Spot, bool]]
"""Cells of a field, by its number in the store, that are offered for correction."""
_SEED: Final = 0
_BY_EYE: Final = "Click every cell of the field, live or dead, then press Enter."
_CORRECTED: Final = (
    "Each field begins with the nuclei that the model predicts. Correct them until every cell is marked, live or dead, "
    "then press Enter."
)


class CellPage:
    """Answers the page.

    Args:
        title: Above it.
        curated: The data set.
        table: Of the cells.
        offered: Cells that a field begins with; None for none.
    """

    def __init__(self, title: str, curated: Curated, table: CellTable, offered: Offered | None) -> None:
        names = read_field_names(curated.folder)
        refuse_names(names["raw_image_id"].to_numpy(object))
        self._groups = unit_of(names)
        self._names = names["raw_image_id"].astype(str).tolist()
        self._order = spread_order(self._groups, seed=_SEED).tolist()
        self._title, self._store, self._table, self._offered = title, curated.store, table, offered
        self._pixel_size = curated.summary["pixel_size"]["um"]
        self._at: dict[object, int] = {}
        self._done: dict[object, list[tuple[Spot, bool | None]]] = {}

    def hello(self, tab: object) -> list[dict[str, Any]]:
        """What the page needs to draw itself."""
        return [
            {
                "kind": "hello",
                "title": self._title,
                "question": _BY_EYE if self._offered is None else _CORRECTED,
                "hasStain": True,
                "pixelSize": self._pixel_size,
                "file": str(self._table.path),
                "note": None,
            },
            self._state(),
        ]

    def answer(self, tab: object, message: dict[str, Any]) -> list[dict[str, Any]]:
        """Answer a tab: the ``next`` field, or the one ``back``; ``put``, ``remove``, ``undo``, ``counted``."""
        kind = message.get("kind")
        if kind in ("next", "back"):
            kept = number_in(message, "kept", below=len(self._names)) if "kept" in message else None
            return self._move(tab, 1 if kind == "next" else -1, kept=kept)
        if tab not in self._at or self._names[self._at[tab]] != message.get("name"):
            raise SenselessError
        try:
            return self._change(tab, str(kind), message)
        except InputError as error:
            return [{"kind": "refused", "why": str(error)}]

    def picture(self, kind: str, number: int) -> bytes:
        """A field's bright-field or PI."""
        if number >= len(self._names):
            raise IndexError(number)
        if kind == "field":
            return png(np.asarray(self._store.field(number)))
        if kind == "stain":
            return png(shown_stain(self._store, number))
        raise KeyError(kind)

    def close(self, tab: object) -> None:
        """Let others have the field that the tab was at."""
        self._at.pop(tab, None)
        self._done.pop(tab, None)

    def _move(self, tab: object, step: int, kept: int | None) -> list[dict[str, Any]]:
        """Go to the next field that is not counted yet, or back to the one before, whatever it is.

        Args:
            tab: Which.
            step: 1 or -1.
            kept: The field that the tab has shown and wants again, after its connection was lost.
        """
        others = {number for other, number in self._at.items() if other is not tab}
        free = [number for number in self._order if number not in others]
        to_do = [number for number in free if not self._table.of(self._names[number]).is_counted]
        here = self._at.get(tab)
        if kept is not None and kept in free:
            number = kept
        elif step < 0 and here is not None:
            number = free[max(0, free.index(here) - 1)]
        else:
            after = [number for number in to_do if here is None or self._order.index(number) > self._order.index(here)]
            if not (after or to_do):
                return [{"kind": "note", "note": "Every field is counted."}]
            number = (after or to_do)[0]
        self._at[tab], self._done[tab] = number, []
        name = self._names[number]
        try:
            if not self._table.of(name).is_opened:
                self._table.open(name, {} if self._offered is None else self._offered(number))
        except InputError as error:
            return [self._field(number), {"kind": "refused", "why": str(error)}]
        return [self._field(number)]

    def _change(self, tab: object, kind: str, message: dict[str, Any]) -> list[dict[str, Any]]:
        number, done = self._at[tab], self._done[tab]
        name = self._names[number]
        cells = self._table.of(name).cells
        if kind == "counted":
            self._table.count(name)
            return [{"kind": "counted", "n": len(cells)}, self._state(), *self._move(tab, 1, kept=None)]
        if kind == "undo":
            if not done:
                return [{"kind": "note", "note": "There is nothing to take back in this field."}]
            self._set(name, *done[-1])
            done.pop()
        elif kind in ("put", "remove"):
            spot = self._spot(number, message)
            before = cells.get(spot)
            self._set(name, spot, None if kind == "remove" else message.get("dead") is True)
            done.append((spot, before))
        else:
            raise SenselessError
        return [self._field(number), self._state()]

    def _set(self, name: str, spot: Spot, dead: bool | None) -> None:
        if dead is None:
            self._table.remove(name, spot)
        else:
            self._table.add(name, spot, dead=dead)

    def _spot(self, number: int, message: dict[str, Any]) -> Spot:
        found = []
        for key, length in zip(("y", "x"), self._store.field(number).shape, strict=True):
            value = message.get(key)
            if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value < length:
                raise SenselessError
            found.append(min(round(float(value), 1), length - 0.1))
        return found[0], found[1]

    def _field(self, number: int) -> dict[str, Any]:
        name = self._names[number]
        known = self._table.of(name)
        return {
            "kind": "field",
            "number": number,
            "name": name,
            "group": str(self._groups[number]),
            "cells": [[y, x, dead] for (y, x), dead in known.cells.items()],
            "isCounted": known.is_counted,
        }

    def _state(self) -> dict[str, Any]:
        counted = [found for found in self._table.fields.values() if found.is_counted]
        cells = [dead for found in counted for dead in found.cells.values()]
        return {
            "kind": "state",
            "counts": [
                ["fields counted", len(counted)],
                ["fields in all", len(self._names)],
                ["live cells counted", cells.count(False)],
                ["dead cells counted", cells.count(True)],
            ],
        }
