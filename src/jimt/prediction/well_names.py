"""Names of wells, each in one form however it is written."""

import re
from typing import Final

_WELL: Final = re.compile(r"\s*([A-Za-z]|A[A-Fa-f]|a[A-Fa-f])[\s_-]*(?=\d{1,3}\s*$)0*([1-9]\d?)\s*")
"""At most three digits: a ScanR counts wells, whatever the plate, as W00001."""
_COLUMNS: Final = 48  # of a plate of 1,536 wells, whose last row is AF


def canonical_well(text: str) -> str | None:
    """A well as its row's letters and two digits; None where the text names none.

    >>> [canonical_well(text) for text in ("A1", "a01", "A-01", "b 012", "AB7", "af48")]
    ['A01', 'A01', 'A01', 'B12', 'AB07', 'AF48']
    >>> [canonical_well(text) for text in ("A0", "A49", "AG1", "W00001", "1A", "control", "")]
    [None, None, None, None, None, None, None]
    """
    match = _WELL.fullmatch(text)
    if match is None or int(match[2]) > _COLUMNS:
        return None
    return f"{match[1].upper()}{int(match[2]):02d}"
