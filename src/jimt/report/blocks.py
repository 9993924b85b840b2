"""What a report is made of: figures, tables, texts, and the parts that could not be made with their reason."""

import base64
import functools
import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from matplotlib.figure import Figure

from jimt.errors import InputError
from jimt.figures.style import DPI, png, save

_SHOWN_DPI = 96
_PAGE_DPI = 150  # of a figure in the page: a quarter of the pixels that its file has
_QUALITY = 82  # of WebP: a tenth of a PNG's size where a figure holds photographs
_WEBP_LIMIT = 16383  # pixels along a side, by the format
_CLASS = ' class="{}"'
_BESIDE = 3  # columns of numbers with an interval that fit the page beside each other


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Attributes:
        name: Of its files, without suffix.
        title: In a few words.
        caption: What is drawn, how it is read, which figure of the paper it repeats.
        figure: Matplotlib's.
    """

    name: str
    title: str
    caption: str
    figure: Figure

    @functools.cached_property
    def picture(self) -> str:
        """The figure, finer than it is shown, as the data of an address."""
        return _as_address(png(self.figure))

    def keep(self, picture: str) -> None:
        """Take what ``drawn`` gave for the picture: drawing takes longest."""
        self.__dict__["picture"] = picture

    def html(self) -> str:
        """The figure with its picture in it."""
        width = round(self.figure.get_figwidth() * _SHOWN_DPI)
        return (
            f'<figure id="{self.name}"><img src="{self.picture}" width="{width}" alt="{html.escape(self.title)}">'
            f"<figcaption><b>{html.escape(self.title)}.</b> {html.escape(self.caption)}</figcaption></figure>"
        )


def drawn(figure: Figure, folder: Path, name: str) -> str:
    """Write ``NAME.png`` and ``NAME.svg``; returns the figure for the page, as ``Drawing.picture``."""
    return _as_address(save(figure, folder, name))


def _as_address(picture: bytes) -> str:
    """A figure's PNG at the page's resolution, as PNG or WebP, whichever is smaller."""
    fine = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert fine is not None
    pixels = cv2.resize(fine, None, fx=_PAGE_DPI / DPI, fy=_PAGE_DPI / DPI, interpolation=cv2.INTER_AREA)
    kind, data = "png", cv2.imencode(".png", pixels)[1].tobytes()
    if max(pixels.shape) <= _WEBP_LIMIT:
        webp = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1].tobytes()
        if len(webp) < len(data):
            kind, data = "webp", webp
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: In a few words.
        header: Names of the columns.
        rows: Cells as text; a column of numbers, but the first, stands on the right.
        caption: How it is read.
        quoted: Numbers of rows that quote the paper.
        groups_rows: Whether a first cell that is that of the row above is left out.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    quoted: Sequence[int] = ()
    groups_rows: bool = False

    def html(self) -> str:
        """The table."""
        numbers = [column > 0 and _is_numeric(row[column] for row in self.rows) for column in range(len(self.header))]
        head = "".join(
            f"<th{_CLASS.format('number') if right else ''}>{html.escape(name)}</th>"
            for name, right in zip(self.header, numbers, strict=True)
        )
        with_interval = [any(" (" in row[column] for row in self.rows) for column in range(len(self.header))]
        is_wide = sum(a and b for a, b in zip(numbers, with_interval, strict=True)) > _BESIDE
        body, before = "", ""
        for number, row in enumerate(self.rows):
            row = ["" if self.groups_rows and row[0] == before else row[0], *row[1:]]
            before = row[0] or before
            cells = "".join(
                _number_cell(cell) if right else f"<td>{html.escape(cell)}</td>"
                for cell, right in zip(row, numbers, strict=True)
            )
            body += f"<tr{_CLASS.format('paper') if number in self.quoted else ''}>{cells}</tr>"
        caption = f" {html.escape(self.caption)}" if self.caption else ""
        return (
            f'<div class="table"><div class="caption"><b>{html.escape(self.title)}.</b>{caption}</div>'
            f"<table{_CLASS.format('stacked') if is_wide else ''}><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )


def _number_cell(cell: str) -> str:
    """A number, and its interval beside it, or in a wide table below it; neither of them is broken.

    >>> _number_cell("0.5 (0.4 to 0.6)")
    '<td class="number value"><span>0.5</span> <span>(0.4 to 0.6)</span></td>'
    """
    value, bracket, interval = html.escape(cell).partition(" (")
    if not bracket:
        return f"<td{_CLASS.format('number')}>{value}</td>"
    return f"<td{_CLASS.format('number value')}><span>{value}</span> <span>({interval}</span></td>"


def _is_numeric(cells: Iterable[str]) -> bool:
    filled = [cell.replace(" to ", "") for cell in cells if cell not in ("", "-")]
    return bool(filled) and not any(letter.isalpha() for cell in filled for letter in cell)


@dataclass(frozen=True)
class Text:
    """A paragraph, and a command that does what it says."""

    text: str
    is_warning: bool = False
    command: str | None = None

    def html(self) -> str:
        """The paragraph."""
        command = f"<pre><code>{html.escape(self.command)}</code></pre>" if self.command else ""
        return f"<p{_CLASS.format('warning') if self.is_warning else ''}>{html.escape(self.text)}</p>{command}"


@dataclass(frozen=True)
class Missing:
    """A part that could not be made."""

    what: str
    reason: str

    def html(self) -> str:
        """What is missing, and why."""
        return f'<p class="missing"><b>{html.escape(self.what)}</b> is not here: {html.escape(self.reason)}</p>'


@dataclass(frozen=True)
class Html:
    """Ready-made HTML, such as an interactive figure; ``head`` goes to the page's head, each but once."""

    content: str = field(repr=False)
    head: Sequence[str] = field(default=(), repr=False)

    def html(self) -> str:
        """As it is."""
        return self.content


Made = TypeVar("Made")
Block = Drawing | Table | Text | Missing | Html


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: list[Block] = field(default_factory=list)


def attempted(what: str, make: Callable[[], Made]) -> Made | Missing:
    """What a function makes; where it cannot, what is missing and why."""
    try:
        return make()
    except InputError as error:
        return Missing(what, str(error))


def attempt(what: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, up to the first that cannot be made; in its place, what is missing and why."""
    try:
        yield from blocks
    except InputError as error:
        yield Missing(what, str(error))
