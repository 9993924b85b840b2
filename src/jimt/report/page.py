"""Writes a report: one HTML file that loads nothing, and the figures beside it."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

import jimt
from jimt.figures.style import COLOURS
from jimt.report.blocks import Drawing, Html, Section
from jimt.report.progress import part
from jimt.system.files import write_whole
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE


def render(sections: Sequence[Section], *, title: str, subtitle: str) -> str:
    """The page as one HTML text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jimt.report", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    head = dict.fromkeys(
        piece for section in sections for block in section.blocks if isinstance(block, Html) for piece in block.head
    )
    return environment.get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        sections=[section for section in sections if section.blocks],
        head=list(head),
        version=jimt.__version__,
        live=COLOURS[LIVE],
        dead=COLOURS[DEAD],
        discarded=COLOURS[AMBIGUOUS],
    )


def write_page(path: Path, sections: Sequence[Section], *, title: str, subtitle: str) -> int:
    """Write the page and, into ``figures/`` beside it, each figure as PNG and SVG; returns the number of figures."""
    drawings = [block for section in sections for block in section.blocks if isinstance(block, Drawing)]
    names = [drawing.name for drawing in drawings]
    assert len(set(names)) == len(names), f"two figures of one name: {sorted(names)}"
    folder = path.parent / "figures"
    for number, drawing in enumerate(drawings, 1):
        with part(f"figure {number} of {len(drawings)}, {drawing.name}"):
            drawing.save(folder)
    for old in [*folder.glob("*.png"), *folder.glob("*.svg")]:  # of a report before this one
        if old.stem not in names:
            old.unlink()
    write_whole(path, render(sections, title=title, subtitle=subtitle))
    return len(drawings)
