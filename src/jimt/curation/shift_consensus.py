"""Which shift of fluorescence against bright-field each field has, by what its group and the data set agree on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.curation.raw_images import RawImage
from jimt.curation.shift import SMALL, Evidence, Shift, find_shift, is_large
from jimt.errors import ways_out

_LOOKED_AT: Final = 100
"""Fields whose channels are compared, evenly spread; more would tell little, and it takes half as long as reading."""
_OF_ITS_OWN: Final = 3
"""Fields of a group, from which on it may have a shift of its own: a nucleus need not lie in the middle of its cell."""
_TOLD, _NAMED = 3, 3  # shifts, and groups of each, that a warning names


def with_shift_sought(images: Sequence[RawImage]) -> list[RawImage]:
    """The same raw images, those marked whose channels are compared: all of few, and some of many."""
    n = min(len(images), _LOOKED_AT)
    sought = {i * len(images) // n for i in range(n)}
    return [replace(raw, seeks_shift=number in sought) for number, raw in enumerate(images)]


def shifts_of_fields(evidence: Evidence, groups: NDArray[np.object_]) -> list[Shift | None]:
    """The shift of each field: its group's where that differs from what all fields agree on; None where nothing tells.

    Args:
        evidence: Of each field, shape ``(n_fields, 2, 33, 33)``; zeros of one that was not looked at.
        groups: Of each field, shape ``(n_fields,)``.
    """
    names = np.array([str(group) for group in groups], object)
    of_all = find_shift(evidence)
    of_groups = {name: _of_group(evidence[names == name], of_all) for name in dict.fromkeys(names)}
    return [of_groups[name] for name in names]


def _of_group(evidence: Evidence, of_all: Shift | None) -> Shift | None:
    own = find_shift(evidence) if evidence.any((1, 2, 3)).sum() >= _OF_ITS_OWN else None
    if own is None or (of_all is not None and max(abs(own.y - of_all.y), abs(own.x - of_all.x)) < SMALL):
        return of_all
    return own


def shift_summary(fields: pd.DataFrame, *, aligned: bool) -> dict[str, Any]:
    """What ``summary.json`` says of the channels' shifts.

    Args:
        fields: ``group``, ``shift_y`` and ``shift_x`` of each field, in pixels.
        aligned: Whether they were undone.
    """
    known = fields[fields["shift_y"].notna()]
    places = known[["shift_y", "shift_x"]].to_numpy(int).tolist()
    large = [is_large(Shift(*place)) for place in places]
    of_groups = dict(zip(known["group"].astype(str), places, strict=True))
    return {
        "aligned": aligned,
        "fields_known": len(known),
        "fields_large": sum(large),
        "groups": {group: {"shift_y": y, "shift_x": x} for group, (y, x) in of_groups.items()},
    }


def describe_shift(shift: dict[str, Any], *, n_fields: int) -> list[str]:
    """What the terminal and the report say of channels that lie apart; nothing where they do not, or nothing tells.

    Args:
        shift: As ``shift_summary`` gives it.
        n_fields: Fields in all.
    """
    if shift["aligned"]:
        n_unknown = n_fields - shift["fields_known"]
        rest = f"; nothing tells how far they lie apart in {n_unknown:,}, which stay as they are" if n_unknown else ""
        return [f"PI was moved onto bright-field in {shift['fields_known']:,} of {n_fields:,} raw images{rest}"]
    if not shift["fields_large"]:
        return []
    groups: dict[str, list[str]] = {}
    for group, place in shift["groups"].items():
        found = Shift(place["shift_y"], place["shift_x"])
        if is_large(found):
            groups.setdefault(in_words(found), []).append(group)
    most_first = sorted(groups.items(), key=lambda item: -len(item[1]))
    told = [f"{words} in {_some(names)}" for words, names in most_first[:_TOLD]]
    more = f", and {len(most_first) - _TOLD} more (summary.json)" if len(most_first) > _TOLD else ""
    ways = ways_out(remedies=("curation.align=true",))
    return [
        f"WARNING: PI and bright-field lie apart in {shift['fields_large']:,} of {n_fields:,} raw images, PI "
        f"{', '.join(told)}{more}; a map of PI is off by as much, labels of patches of some hundred pixels hardly: "
        f"{ways}"
    ]


def in_words(shift: Shift) -> str:
    """Which way fluorescence lies.

    >>> in_words(Shift(7, -1))
    '7 px down and 1 px left'
    """
    ways = ((shift.y, "down", "up"), (shift.x, "right", "left"))
    return " and ".join(f"{abs(n)} px {after if n > 0 else before}" for n, after, before in ways if n) or "0 px"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"group{'s' * (len(names) > 1)} {', '.join(names[:_NAMED])}{more}"
