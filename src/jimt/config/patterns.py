"""How the path of an image tells its raw image, its group and its channel: placeholders, or a regular expression.

``{plate}/{well}_s{field}_{channel}.tif`` reads ``P1/A01_s3_PI.tif``; ``*`` stands for any text and ``**/`` for any
folders. A pattern that begins with ``^`` or holds ``(?P<`` is a regular expression with named groups instead. Either
way names are compared in Unicode's composed form, since a Mac may write an umlaut as two characters, and the case of
the file's suffix never matters.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from jimt.errors import InputError

CHANNEL: Final = "channel"
GROUP: Final = "group"
RAW_IMAGE_ID: Final = "raw_image_id"
ABOVE_A_FIELD: Final = ("experiment", "plate", "well")
"""What makes the group where neither the pattern nor ``dataset.group`` says it: never the field, nor its time."""

TIMES: Final = ("time", "timepoint")
"""What tells the time of a position that is imaged again and again."""

_ELEMENT: Final = re.compile(r"\{(?P<inside>[^{}]*)\}|(?P<folders>\*\*/)|(?P<star>\*)|(?P<text>[^{}*]+)")
_PLACEHOLDER: Final = re.compile(r"(?P<name>[A-Za-z]\w*)(?::(?P<kind>[dw]))?")
_KINDS: Final = {None: "[^/]", "d": "[0-9]", "w": r"[^\W_]"}
_SUFFIX: Final = re.compile(r"(?:\.ome)?\.(?:tiff?|png|jpe?g|nd2|czi|lif)$", re.IGNORECASE)
_HOW: Final = "{name} reads any text without a slash, {name:d} digits, {name:w} letters and digits"


def composed(text: str) -> str:
    r"""Unicode's composed form (NFC), in which a name typed here and the same one written by a Mac are equal.

    >>> composed("u\u0308") == "\u00fc"
    True
    """
    return unicodedata.normalize("NFC", text)


def is_regular_expression(pattern: str) -> bool:
    """Whether a pattern is one, and not a text with placeholders."""
    return pattern.startswith("^") or "(?P<" in pattern


@dataclass(frozen=True)
class Reading:
    """What a pattern reads in one path."""

    values: dict[str, str]
    """Of each placeholder or named group that took part."""
    raw_image_id: str | None


@dataclass(frozen=True)
class _Part:
    """An element of a pattern with placeholders: as it is written, and as expressions for a short and a long text."""

    written: str
    name: str | None
    shortest: str
    longest: str
    in_id: bool


@dataclass(frozen=True)
class Pattern:
    """How the path of an image below the data set's folder is read."""

    text: str
    setting: str
    """What it was given by, for messages."""
    names: tuple[str, ...]
    """Placeholders or named groups, in their order."""
    _expression: re.Pattern[str]
    _longest: re.Pattern[str] | None
    """Placeholders only: each text as long as can be. Where both give the same texts, there is no third reading."""
    _parts: tuple[_Part, ...]

    def read(self, path: str) -> Reading | None:
        """Read one path below the data set's folder; None where the pattern does not match it.

        Raises:
            InputError: If placeholders can read the path in two ways.
        """
        for spelling in _spellings(composed(path)):
            if self._longest is None:
                match = self._expression.search(spelling)
                if match is not None:
                    values = {name: value for name, value in match.groupdict().items() if value is not None}
                    return Reading(values, values.get(RAW_IMAGE_ID))
                continue
            seen = self._seen(spelling)
            match, other = self._expression.fullmatch(seen), self._longest.fullmatch(seen)
            if match is None or other is None:
                continue
            if match.groups() != other.groups():
                self._refuse(path, match.groupdict(), other.groupdict())
            values = match.groupdict()
            return Reading(values, values.get(RAW_IMAGE_ID) or self._filled_in(match))
        return None

    def explain(self, path: str) -> str:
        """Where placeholders stop reading a path that they do not match; empty for a regular expression."""
        seen = self._seen(next(_spellings(composed(path))))
        for n in range(len(self._parts) - 1, -1, -1):
            match = re.match("".join(part.shortest for part in self._parts[:n]), seen)
            if match is None:
                continue
            expected = self._parts[n].written
            last = self._parts[n - 1] if n else None
            if last is not None and last.shortest.startswith("(?P<"):  # a text that nothing ends
                return f": {expected} is expected after {last.written} in {seen[match.start(match.re.groups) :]}"
            return f": {expected} is expected where {seen[match.end() :] or 'nothing'} comes"
        return ""

    def _seen(self, path: str) -> str:
        return path if _SUFFIX.search(self.text) or self.text.endswith("*") else _SUFFIX.sub("", path)

    def _refuse(self, path: str, one: dict[str, str], other: dict[str, str]) -> None:
        name = next((name for name in one if one[name] != other[name]), None)
        how = "its * as different texts" if name is None else f"{{{name}}} as {one[name]} or as {other[name]}"
        raise InputError(f"{self.setting}={self.text} can read {path} in two ways, {how}", advice=f"say more; {_HOW}")

    def _filled_in(self, match: re.Match[str]) -> str:
        """The pattern with the texts it read, without channel and suffix: the raw image's name."""
        texts = iter(match.groups())
        named: set[str] = set()
        pieces = []
        for part in self._parts:
            if part.name is not None and part.name in named:
                text = match[part.name]
            elif part.shortest.startswith("("):
                text = next(texts)
                named |= {part.name} if part.name is not None else set()
            else:
                text = part.written
            pieces.append("\0" if part.name == CHANNEL else text if part.in_id else "")
        whole = _SUFFIX.sub("", "".join(pieces))
        if self._parts[0].written == "*":
            whole = whole.lstrip("-_. ")
        whole = re.sub(r"(^|/)\0[-_. /]*", r"\1", whole)
        return re.sub(r"[-_. ]*\0", "", whole).rstrip("-_. /")


def without_suffix(path: str) -> str:
    """A path without what its file ends in, where that is the suffix of an image.

    >>> without_suffix("P1/A01_s3.ome.tif"), without_suffix("notes.v2")
    ('P1/A01_s3', 'notes.v2')
    """
    return _SUFFIX.sub("", path)


def _spellings(path: str) -> Iterator[str]:
    """A path with its suffix in each case that a pattern may ask for, the usual one first."""
    match = _SUFFIX.search(path)
    if match is None:
        yield path
        return
    stem, suffix = path[: match.start()], match[0]
    yield from dict.fromkeys(stem + spelt for spelt in (suffix.lower(), suffix, suffix.upper(), suffix.title()))


def parse_pattern(text: str, *, setting: str) -> Pattern:
    """Understand a pattern.

    Args:
        text: Placeholders, or a regular expression with named groups.
        setting: The setting it comes from, for the message.

    Raises:
        InputError: If it is neither.
    """
    text = composed(text)
    if is_regular_expression(text):
        try:
            expression = re.compile(text)
        except re.error as error:
            raise InputError(f"{setting} is not a regular expression", advice=f"{error}") from error
        return Pattern(text, setting, tuple(expression.groupindex), expression, None, ())
    parts: list[_Part] = []
    position = 0
    for element in _ELEMENT.finditer(text):
        if element.start() != position:
            break
        position = element.end()
        parts.append(_part(element, {part.name for part in parts}, setting=setting, text=text))
    if position != len(text):
        raise InputError(f"{setting}={text} holds a brace that belongs to no placeholder", advice=_HOW)
    shortest, longest = ("".join(getattr(part, form) for part in parts) for form in ("shortest", "longest"))
    names = tuple(dict.fromkeys(part.name for part in parts if part.name is not None))
    return Pattern(text, setting, names, re.compile(shortest), re.compile(longest), tuple(parts))


def _part(element: re.Match[str], before: set[str | None], *, setting: str, text: str) -> _Part:
    written = element[0]
    if element["text"] is not None:
        return _Part(written, None, re.escape(written), re.escape(written), True)
    if element["star"] is not None:
        return _Part(written, None, "([^/]*?)", "([^/]*)", False)
    if element["folders"] is not None:
        return _Part(written, None, "((?:[^/]+/)*?)", "((?:[^/]+/)*)", True)
    placeholder = _PLACEHOLDER.fullmatch(element["inside"])
    if placeholder is None:
        raise InputError(f"{setting}={text} holds {written}, which is no placeholder", advice=_HOW)
    name, one = placeholder["name"], _KINDS[placeholder["kind"]]
    if name in before:  # the same text again
        return _Part(written, name, f"(?P={name})", f"(?P={name})", True)
    return _Part(written, name, f"(?P<{name}>{one}+?)", f"(?P<{name}>{one}+)", True)


def group_names(pattern: Pattern, chosen: list[str] | None) -> tuple[str, ...]:
    """Which placeholders or named groups make the group, in their order; none where nothing says it.

    >>> group_names(parse_pattern("{plate}/{well}_s{field}_{channel}.tif", setting="dataset.pattern"), None)
    ('plate', 'well')
    """
    if chosen is not None:
        return tuple(chosen)
    if GROUP in pattern.names:
        return (GROUP,)
    if is_regular_expression(pattern.text):
        return ()
    return tuple(name for name in pattern.names if name in ABOVE_A_FIELD)
