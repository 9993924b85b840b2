"""Raw images that hold the same pixels, however their files are named and encoded.

An image that stands twice in a data set under two names can be trained on under one and tested on under the other.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xxhash
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from jimt.curation.images import Image
from jimt.vocabulary import LABEL_NAMES

DIGESTS = ("brightfield_digest", "fluorescence_digest")
"""Columns of the table of fields: which pixels each channel holds; null of a published patch without fluorescence."""
_LARGEST = float(np.iinfo(np.uint16).max)


def pixel_digest(image: Image) -> str | None:
    """Identify an image by its size and grey values, the same for 8 bits, 16 bits and whole floating-point numbers.

    128 bits of xxHash, in a thirtieth of the time of SHA-256: nobody forges raw images, and that any two of a million
    agree by chance has a probability of 1.5e-27.

    Args:
        image: As ``images.py`` reads it, before it is scaled.

    Returns:
        The digest; None of a blank image, which is like every other blank one without being a copy of it.

    >>> counts = np.arange(6, dtype=np.uint8).reshape(2, 3)
    >>> pixel_digest(counts) == pixel_digest(counts.astype(np.float32)) != pixel_digest(counts.reshape(3, 2))
    True
    """
    low, high = image.min(), image.max()
    if low == high:
        return None
    if image.dtype == np.uint8:
        image = image.astype(np.uint16)
    elif image.dtype.kind == "f" and low >= 0 and high <= _LARGEST:
        whole = image.astype(np.uint16)
        image = whole if np.array_equal(whole, image) else image
    digest = xxhash.xxh3_128(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Copies:
    """Raw images, or published patches, that share the pixels of a channel.

    Attributes:
        leaking: Number of each field that is to be left out, or looked at by the user, to the reason: another field
            that is no part of its group, or not labelled as it is, holds the same pixels.
        within_group: File of each other field that repeats one of its own group, to the file that it repeats.
    """

    leaking: dict[int, str]
    within_group: dict[str, str]


def find_copies(fields: pd.DataFrame) -> Copies:
    """Find the fields that share the pixels of a channel with another one.

    Those of one group are harmless to splits, and are told. Of others those of the group that holds most of the copies
    may stay, of two such groups those of the first by name, and whatever shares no pixels with them; where labels
    differ none may, since none can be believed.

    Args:
        fields: A row a field: ``file``, ``group`` (null where not known), ``label`` (null unless it was published) and
            the columns of ``DIGESTS``.
    """
    leaking: dict[int, str] = {}
    within_group: dict[str, str] = {}
    of_field = fields[list(DIGESTS)].to_numpy()
    for alike in _sets(fields):
        if fields["label"].iloc[alike].nunique() > 1:
            for number, label in zip(alike, fields["label"].iloc[alike], strict=True):
                other = next(n for n in alike if fields["label"].iloc[n] != label)
                leaking[int(number)] = (
                    f"has the pixels of {fields['file'].iloc[other]} and is {LABEL_NAMES[int(label)]} where that is "
                    f"{LABEL_NAMES[int(fields['label'].iloc[other])]}: remove the wrong one"
                )
            continue
        holder: dict[str, int] = {}  # of each digest, the first field that holds it and stays
        for number in _largest_group_first(fields, alike):
            digests = [digest for digest in of_field[number] if pd.notna(digest)]
            others = [holder[digest] for digest in digests if digest in holder]
            foreign = [other for other in others if _group(fields, other) != _group(fields, number)]
            if foreign:
                leaking[number] = _reason(fields.iloc[[foreign[0], number]])
                continue
            if others:
                within_group[fields["file"].iloc[number]] = fields["file"].iloc[others[0]]
            holder |= {digest: number for digest in digests if digest not in holder}
    return Copies(leaking, within_group)


def _group(fields: pd.DataFrame, number: int) -> str | int:
    """A field's group; where it is not known, the field stands for itself."""
    group = fields["group"].iloc[number]
    return number if pd.isna(group) else str(group)


def _largest_group_first(fields: pd.DataFrame, alike: NDArray[np.intp]) -> list[int]:
    """Numbers of fields, those of the group with most of them first; of groups with as many, the first."""
    groups = [_group(fields, int(number)) for number in alike]
    n_fields, place = Counter(groups), {group: rank for rank, group in reversed([*enumerate(groups)])}
    order = sorted(zip(groups, alike, strict=True), key=lambda one: (-n_fields[one[0]], place[one[0]]))
    return [int(number) for _, number in order]


def _sets(fields: pd.DataFrame) -> list[NDArray[np.intp]]:
    """Numbers of the fields of each set that is held together by shared pixels, in rising order."""
    digests = fields[list(DIGESTS)].reset_index(drop=True).melt(ignore_index=False).dropna()["value"]
    shared = digests[digests.duplicated(keep=False)]
    if not len(shared):
        return []
    numbers = shared.index.to_numpy()
    codes = len(fields) + pd.factorize(shared)[0]  # a node a field, a node a digest, an edge where a field has it
    n_nodes = int(codes.max()) + 1
    edges = coo_array((np.ones(len(codes)), (numbers, codes)), shape=(n_nodes, n_nodes))
    of_field = connected_components(edges, directed=False)[1][: len(fields)]
    concerned = np.unique(numbers)
    parts = [concerned[of_field[concerned] == part] for part in np.unique(of_field[concerned])]
    return [part for part in parts if len(part) > 1]  # a pair whose two channels are equal is one field


def _reason(pair: pd.DataFrame) -> str:
    """Why the second of two fields that share pixels cannot stay beside the first."""
    (first, _), (group, own_group) = pair["file"], pair["group"]
    same = [name.partition("_")[0] for name in DIGESTS if pair[name].notna().all() and pair[name].nunique() == 1]
    what = {"brightfield": "bright-field pixels", "fluorescence": "fluorescence pixels"}
    words = " and ".join(what[name] for name in same) or "pixels"  # of one in the other channel
    if pd.isna(group) or pd.isna(own_group):
        return f"has the {words} of {first}, so a split could hold one on either side: remove one of the two"
    return (
        f"has the {words} of {first}, which is of group {group} and not {own_group}, so a split could hold one on "
        "either side: remove one of the two, or let dataset.pattern give both one group"
    )
