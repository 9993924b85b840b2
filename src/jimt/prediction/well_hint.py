"""What to give as ``--pattern`` where names hold what looks like wells, and nothing was said of names."""

import itertools
import re
from collections.abc import Sequence
from typing import Final

from jimt.config.patterns import parse_pattern
from jimt.prediction.well_names import canonical_well

_WORD: Final = re.compile(r"[^\W_]+")
_WELL: Final = re.compile(r"[A-P]\d{1,2}")
"""A capital letter: of s1, t01 and z3, which are no wells, most are small, and the others lie beyond P."""
_NOT_PLAIN: Final = frozenset("{}*'")  # which a pattern, or a shell, takes for more than themselves


def well_hint(names: Sequence[str]) -> str | None:
    """A sentence with a pattern that reads a well in every name; None where names hold nothing that could be one.

    Names that are all of one well, or of which some hold none, tell nothing.

    Args:
        names: Of the images, without folders.

    >>> print(well_hint(["A1_s0.tif", "A1_s1.tif", "A2_s0.tif"]))
    names look as if they told wells, such as A1: --pattern '{well:w}_s{field}.tif' reads them (channels as {channel})
    >>> well_hint(["day1.tif", "day2.tif"]) is None
    True
    """
    if any(set(name) & _NOT_PLAIN for name in names):
        return None
    words = [list(_WORD.finditer(name)) for name in names]
    found = []
    for place in range(min(map(len, words), default=0)):
        wells = {of[place][0] for of in words}
        if len(wells) > 1 and all(_WELL.fullmatch(well) and canonical_well(well) for well in wells):
            found.append((len({well[0] for well in wells}), len(wells), -place))
    if not found:
        return None
    place = -max(found)[2]  # where most rows of a plate are told, and then most wells
    before = _common([name[: word[place].start()] for name, word in zip(names, words, strict=True)], "plate")
    after = _common([name[word[place].end() :] for name, word in zip(names, words, strict=True)], "field")
    pattern = f"{before}{{well:w}}{after}"
    readings = list(map(parse_pattern(pattern, setting="--pattern").read, names))
    if not all(reading is not None and canonical_well(reading.values["well"]) for reading in readings):
        return None
    told = f"names look as if they told wells, such as {words[0][place][0]}: --pattern '{pattern}' reads them"
    return f"{told} (channels as {{channel}})"


def _common(texts: Sequence[str], placeholder: str) -> str:
    """What begins and ends all texts, with a placeholder for what differs; no number or word is cut in two."""
    if len(set(texts)) == 1:
        return texts[0]
    begin = re.sub(r"\d+$", "", _beginning(texts))
    end = re.sub(r"^[^\W_]+", "", _beginning([text[len(begin) :][::-1] for text in texts])[::-1])
    return f"{begin}{{{placeholder}}}{end}"


def _beginning(texts: Sequence[str]) -> str:
    """That all texts have in common."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*texts, strict=False))
    return "".join(letters[0] for letters in alike)
