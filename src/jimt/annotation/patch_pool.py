"""The patches, or whole fields, that there are to look at: which they are, and their pictures."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jimt.annotation.label_table import Place
from jimt.annotation.patch_order import spread_order
from jimt.config.patterns import composed
from jimt.curation.manifest import Curated
from jimt.curation.store import cut_patches, places_of
from jimt.errors import InputError
from jimt.vocabulary import Excluded

MOST: Final = 20_000
"""Patches that are drawn from a larger data set: some hundred are labelled, and each costs a pass through a network."""
_SEED: Final = 0  # the same order each time: who goes on finds it as it was
_BRIGHTEST: Final = 99.9  # percentile of a field's PI that is shown white
_LEAST_RANGE: Final = (
    2.0  # times the background: of a field without a dead cell the noise is not shown as if it were PI
)


class PatchPool:
    """Patches of a curated data set, in the order of a spread over its groups.

    Args:
        curated: The data set.
        rows: Rows of its manifest to choose from.

    Attributes:
        size: Side of a patch, pixels.
        rows: Those that are in the pool, at most ``MOST``: columns of the manifest.
        groups: Group of each, where it is known, else its raw image; shape ``(n,)``.
        raw_image_ids: Likewise.
        places: Raw image, y and x of each.
        fields: Field of the store, y and x of each, shape ``(n, 3)``.

    Raises:
        InputError: If there is none, or a raw image has a name that no table can hold.
    """

    def __init__(self, curated: Curated, rows: pd.DataFrame) -> None:
        if not len(rows):
            raise InputError(f"{curated.folder.name} holds no patch to label", advice="curate it with other settings")
        self._store = curated.store
        self.size = int(curated.summary["patch_size"])
        self.groups = unit_of(rows)
        chosen = spread_order(self.groups, seed=_SEED)[:MOST]
        self.rows, self.groups = rows.iloc[chosen].reset_index(drop=True), self.groups[chosen]
        self.raw_image_ids = self.rows["raw_image_id"].to_numpy(object)
        refuse_names(self.raw_image_ids)
        columns = (self.rows[name].tolist() for name in ("raw_image_id", "y", "x"))
        self.places: list[Place] = [(name, int(y), int(x)) for name, y, x in zip(*columns, strict=True)]
        self.fields = places_of(self.rows)

    def __len__(self) -> int:
        return len(self.places)

    def patches(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Patches by their numbers in the pool, shape ``(n, size, size)``."""
        return cut_patches(self._store.field, self.fields[numbers], size=self.size)

    def picture(self, number: int) -> bytes:
        """A patch as the network sees it, 8 bit, as PNG."""
        return png(self.patches(np.array([number]))[0])

    def stain(self, number: int) -> bytes:
        """PI of a patch, from its field's background to its brightest, as PNG."""
        field, y, x = self.fields[number].tolist()
        return png(self._shown_stain(field)[y : y + self.size, x : x + self.size])

    def _shown_stain(self, field: int) -> NDArray[np.uint8]:
        return shown_stain(self._store, field)


def unit_of(rows: pd.DataFrame) -> NDArray[np.object_]:
    """Group of each row, or its raw image where its group is not known, shape ``(n,)``."""
    return rows["group"].astype(object).where(rows["group"].notna(), rows["raw_image_id"]).to_numpy(object)


def to_label(manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows of a manifest that may be labelled: all but those with too much no-data, and copies."""
    excluded = manifest["excluded"].astype(object)
    return manifest[~excluded.isin([Excluded.NO_DATA.value, Excluded.COPY.value])]


def refuse_published(curated: Curated) -> None:
    """Refuse a data set of patches that were published cut, which tell no place in a field.

    Raises:
        InputError: If it is one.
    """
    if curated.manifest["y"].isna().any():
        raise InputError(
            f"{curated.folder.name} holds published patches, which tell no place in a field",
            advice="label patches of raw images",
        )


def refuse_names(raw_image_ids: NDArray[np.object_]) -> None:
    """Refuse names that a table does not give back as they are.

    Raises:
        InputError: Naming one.
    """
    for name in sorted(set(raw_image_ids.tolist())):
        if composed(name).strip() != name or re.search(r"[\r\n\0]", name):
            raise InputError(
                f"the raw image {name!r} has a name that a table does not keep as it is",
                advice="name its files without line breaks and outer spaces, and curate again",
            )


@lru_cache(maxsize=4)
def shown_stain(store: Any, field: int) -> NDArray[np.uint8]:
    """PI of a whole field in 8 bits, from its background to its brightest, at least twice its background."""
    counts, background = store.fluorescence(field), store.background(field)
    brightest = float(np.percentile(counts[~store.no_data(field)], _BRIGHTEST))
    span = max(brightest, _LEAST_RANGE * background) - background
    scaled = (counts.astype(np.float32) - background) / max(span, 1.0)
    return np.asarray(255 * scaled.clip(0, 1), np.uint8)


def png(image: NDArray[np.uint8]) -> bytes:
    """A grey image as PNG."""
    return bytes(cv2.imencode(".png", image)[1])


def counted(words: Mapping[str, int]) -> str:
    """How many patches are called what, in words.

    >>> counted({"empty": 1, "cells": 3})
    '1 empty, 3 cells'
    """
    return ", ".join(f"{n:,} {word}" for word, n in words.items())
