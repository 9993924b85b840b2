"""Names of fields: each unlike all others of a command, and as a file of any system may be called."""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jimt.config.patterns import composed, without_suffix
from jimt.prediction.answers import Source

_LONGEST: Final = 100  # characters of a file's name without what is added to it; and bytes, of which systems take 255
_MOST_BYTES: Final = 150
_DIGEST: Final = re.compile(r".*-[0-9a-f]{10}", re.DOTALL)
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """By which texts are sorted as a person sorts them, numbers by their value.

    >>> sorted(["s10", "s9", "S1"], key=natural_key)
    ['S1', 's9', 's10']
    """
    parts = re.split(r"(\d+)", text.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def unique_names(names: Sequence[str], paths: Sequence[Path], additions: Sequence[str]) -> list[str]:
    """Names told apart by as many of their folders as it takes; in one folder by the suffix, or by a number.

    Each depends only on the files of the same name, and on none of any other. Names that differ in the case of letters
    alone count as the same, since files are called by them.

    >>> unique_names(["A01", "A01", "B01"], [Path("/x/1/A01.tif"), Path("/x/2/A01.tif"), Path("/x/B01.tif")], [""] * 3)
    ['1/A01', '2/A01', 'B01']

    Args:
        names: As the pattern reads them, or paths below the folder that was named, without suffix.
        paths: Of their files, absolute.
        additions: What tells several fields of one file apart, at the end of each name.
    """
    own = _apart(names, paths, additions)
    found = [composed(name + addition) for name, addition in zip(own, additions, strict=True)]
    n_folders = 0
    longer = list(range(len(found)))
    while longer := sorted(set(_alike(found)) & set(longer)):
        n_folders += 1
        for place in list(longer):
            name = _with_folders(own[place], paths[place], n_folders)
            if name is None:
                longer.remove(place)
            else:
                found[place] = composed(name + additions[place])
    return _numbered(found)


def _with_folders(name: str, path: Path, n: int) -> str | None:
    """A name with so many more of the folders above its file; None where there are no more."""
    folders, own = path.parent.as_posix().split("/"), name.split("/")[:-1]
    above = folders[: -len(own)] if own and folders[-len(own) :] == own else folders
    return None if n > len(above) else "/".join([*above[len(above) - n :], name])


def _apart(names: Sequence[str], paths: Sequence[Path], additions: Sequence[str]) -> list[str]:
    """Names of which no folder can tell apart those of one folder."""
    found = list(names)
    whole = [f"{path.parent}/{name}{addition}" for name, path, addition in zip(names, paths, additions, strict=True)]
    keys = [composed(name).casefold() for name in whole]
    taken = set(keys)
    places: dict[str, list[int]] = {}
    for place in _alike(whole):
        places.setdefault(keys[place], []).append(place)
    for key, those in places.items():
        suffixes = [paths[place].name[len(without_suffix(paths[place].name)) :] for place in those]
        longer = {suffix.casefold() for suffix in suffixes}
        if len(longer) == len(those) and not {key + suffix for suffix in longer} & taken:
            more = suffixes
        else:
            numbers = (f"~{n}" for n in itertools.count(2) if f"{key}~{n}" not in taken)
            more = ["", *itertools.islice(numbers, len(those) - 1)]
        for place, text in zip(those, more, strict=True):
            found[place] += text
            taken.add(key + text.casefold())
    return found


def _alike(names: Sequence[str]) -> list[int]:
    """Places of those that another is called like."""
    counts = Counter(composed(name).casefold() for name in names)
    return [place for place, name in enumerate(names) if counts[composed(name).casefold()] > 1]


def _numbered(names: list[str]) -> list[str]:
    """Names of which those that are still alike bear a number, from 2 on."""
    taken = {name.casefold() for name in names}
    seen: set[str] = set()
    for place, name in enumerate(names):
        number = 1
        while name.casefold() in seen or (number > 1 and name.casefold() in taken):
            number += 1
            name = f"{names[place]}~{number}"
        seen.add(name.casefold())
        names[place] = name
    return names


def file_stem(source: Source) -> str:
    """The name of a source as a file may be called on any system, without suffix; as unique as the source's own.

    Letters, digits, ``_``, ``.`` and ``-`` stay. Where anything was changed a digest of the name is added, so that no
    two are called the same, also where capitals make no difference.

    >>> from jimt.prediction.answers import Source
    >>> def stem(name): return file_stem(Source(0, Path("a.tif"), name))
    >>> stem("A01_s3"), stem("plate 1/A01")
    ('A01_s3', 'plate_1_A01-89f631d9e7')
    """
    name = composed(source.name)
    plain = re.sub(r"[^\w.-]", "_", name)
    if _RESERVED.fullmatch(plain) or plain.startswith((".", "-")) or not plain:
        plain = f"_{plain}"
    plain = plain.rstrip(".")
    short = plain[:_LONGEST]
    while len(short.encode()) > _MOST_BYTES:
        short = short[:-1]
    if short == name and not _DIGEST.fullmatch(name):
        return short
    return f"{short.rstrip('.')}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
