"""What all figures share: one colour a class everywhere, told apart also without colour vision; sizes; saving."""

import functools
import io
import itertools
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from jimt.system.files import write_whole
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

# Okabe and Ito (2008): told apart under the common kinds of colour blindness, and in grey by their lightness
COLOURS: Final = {LIVE: "#0072B2", DEAD: "#D55E00", AMBIGUOUS: "#999999"}
"""Of live, dead and discarded patches, in figures and in the report."""
MARKERS: Final = {LIVE: "o", DEAD: "^", AMBIGUOUS: "."}
MODEL_COLOURS: Final = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B6914")
GROUP_COLOURS: Final = ("#009E73", "#CC79A7", "#000000", "#8B6914", "#7F3C8D", "#8FA51B")
"""Of groups: none that could be taken for live or dead."""
LINE_STYLES: Final = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
SCORE_COLOURS: Final = LinearSegmentedColormap.from_list(
    "dead to live", [(0, COLOURS[DEAD]), (0.5, "#F2F2F2"), (1, COLOURS[LIVE])]
)
"""From P(live) = 0 to 1; near 0.5 it is nearly white."""

_STYLE: Final[Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "figure.dpi": 150,
    "image.cmap": "gray",
    "text.parse_math": False,  # a $ in a file's name is a $
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "jimt",  # the same figure is the same file
    "image.interpolation": "nearest",
}
DPI: Final = 300
"""Of a figure's PNG, and of what is drawn as pixels in its SVG: what journals ask for."""
MANY_POINTS: Final = 2000
"""Beyond so many, points are drawn as pixels in an SVG too: a file of 50,000 circles opens in no editor."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def styled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Draw in jimt's style, whatever the notebook or program around it has set."""

    @functools.wraps(function)
    def draw(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with mpl.rc_context(_STYLE):
            return function(*args, **kwargs)

    return draw


def png(figure: Figure) -> bytes:
    """A figure as PNG, the same bytes each time; its parts are laid out now and stay where they are."""
    out = io.BytesIO()
    with mpl.rc_context(_STYLE):
        quickly = {"compress_level": 3}  # a third of the time of 6, and 3 % larger
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=quickly)
        figure.set_layout_engine("none")  # what comes next need not measure every text again
    return out.getvalue()


def pixels_of(figure: Figure) -> NDArray[np.uint8]:
    """A figure as pixels for a screen, shape ``(height, width, 3)``."""
    with mpl.rc_context(_STYLE):
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
    return np.array(canvas.buffer_rgba(), np.uint8)[..., :3]


def save(figure: Figure, folder: Path, name: str) -> bytes:
    """Write ``NAME.png`` and ``NAME.svg``, each whole, the same bytes each time; returns those of the PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    picture, drawing = png(figure), io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(drawing, format="svg", dpi=DPI, metadata={"Date": None, "Creator": None})
    write_whole(folder / f"{name}.png", picture)
    write_whole(folder / f"{name}.svg", drawing.getbuffer())
    return picture


def new_axes(width: float, height: float, rows: int = 1, columns: int = 1, **layout: Any) -> tuple[Figure, Any]:
    """A figure of a size in inches, whose parts make room for each other, and its axes by row and column.

    Args:
        width: Inches.
        height: Inches.
        rows: Of axes.
        columns: Likewise.
        layout: As ``Figure.subplots`` takes it.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def grid_shape(n: int, *, columns: int) -> tuple[int, int]:
    """Rows and columns of so many panels.

    >>> grid_shape(5, columns=3), grid_shape(2, columns=3)
    ((2, 3), (1, 2))
    """
    columns = min(n, columns)
    return -(-n // columns), columns


def hide(axes: Iterable[Axes]) -> None:
    """Leave places of a grid empty, as long as no image is put there."""
    for each in axes:
        each.set_axis_off()


def image_axes(axes: Axes) -> Axes:
    """No ticks and no frame: what is drawn is an image."""
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    return axes


def framed(axes: Axes, colour: str, *, width: float = 2.0) -> None:
    """A frame in a class's colour around an image."""
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linewidth=width)


def draw_patch(axes: Axes, patch: NDArray[np.uint8], colour: str) -> None:
    """Draw bright-field in a frame of a class's colour."""
    framed(image_axes(axes), colour)
    axes.imshow(patch, vmin=0, vmax=255)


def fluorescence_range(images: NDArray[np.floating]) -> tuple[float, float]:
    """Grey values that are drawn black and white, the same for all images that are compared; NaN is no data."""
    low, high = np.nanpercentile(images, [1, 99.7])
    return float(low), float(max(high, low + 1e-6 * max(1.0, abs(low))))


def draw_fluorescence(axes: Axes, image: NDArray[np.floating], limits: tuple[float, float]) -> AxesImage:
    """Draw PI so that faint cells can be seen beside bright ones: the shade grows as the square root."""
    return axes.imshow(image, cmap="magma", norm=PowerNorm(0.5, *limits, clip=True))


def fluorescence_bar(figure: Figure, drawn: AxesImage, axes: Any, *, label: str, shrink: float) -> None:
    """The colour bar of what ``draw_fluorescence`` drew, with ticks at even distances."""
    bar = figure.colorbar(drawn, ax=axes, shrink=shrink, pad=0.02, aspect=25, label=label)
    low, high = (float(limit) for limit in drawn.get_clim() if limit is not None)
    ticks = low + (high - low) * np.array([0, 1 / 16, 1 / 4, 9 / 16, 1])
    bar.set_ticks(ticks.tolist(), labels=[f"{tick:.3g}" if high < 100 else f"{tick:,.0f}" for tick in ticks])
    bar.minorticks_off()


def shortened(text: str, *, length: int = 28) -> str:
    """A name cut in its middle, where its beginning and end tell more."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def wrapped(text: str, *, width: int) -> str:
    """A name on two lines, where it is long."""
    lines = textwrap.wrap(text, width) or [""]
    return "\n".join(lines[:1] + [shortened(" ".join(lines[1:]), length=width)] * (len(lines) > 1))


def drawable(text: str) -> str:
    """A name with ``?`` for letters that the figures' font has not, which matplotlib would warn of.

    >>> drawable("MCF7 µ, 日本")
    'MCF7 µ, ??'
    """
    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(letter if ord(letter) in known or letter == "\n" else "?" for letter in text)


def told_apart(names: Sequence[str]) -> list[str]:
    """Names without the end that all of them share, such as ``--Z00000--T00000``; never less than whole words."""
    if len(set(names)) < 2:
        return list(names)
    shared = itertools.takewhile(
        lambda letters: len(set(letters)) == 1, zip(*(name[::-1] for name in names), strict=False)
    )
    end = "".join(letters[0] for letters in shared)[::-1]
    separators = [place for place, letter in enumerate(end) if not letter.isalnum()]
    if not separators:
        return list(names)
    n_shared = len(end) - separators[0]
    kept = [name[: len(name) - n_shared] for name in names]
    return kept if all(kept) else list(names)
