"""Fields beside the PI that was predicted from bright-field and the PI that was measured, with their nuclei."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from jimt.figures.style import COLOURS, MARKERS, hide, image_axes, new_axes, shortened, styled
from jimt.statistics.value_text import NO_VALUE
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

_SIDE: Final = 1.9  # inches, of a square field
_HIGHEST: Final = 1.25  # times its width: a field that is higher is drawn narrower, so that rows stay alike
_HEADING, _TITLE, _FOOT = 0.16, 0.29, 0.3  # inches: a line, two lines, the legend
_NUCLEUS: Final = (
    26.0  # pixels, the diameter that a true nucleus is marked with, within what can be seen and told apart
)
_SMALLEST, _LARGEST = 3.0, 7.5  # points
_NO_DATA: Final[Any] = {"facecolor": "#D9D9D9", "edgecolor": "#8C8C8C", "hatch": "//////", "linewidth": 0}
_BARS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True)
class MarkedNuclei:
    """Nuclei, or cells, of one field.

    Attributes:
        centres: y and x in pixels of bright-field, shape ``(n, 2)``.
        dead: Which are dead, shape ``(n,)``.
    """

    centres: NDArray[np.floating]
    dead: NDArray[np.bool_]


@dataclass(frozen=True)
class StainField:
    """One field and its maps.

    Attributes:
        name: Its raw_image_id.
        chosen_as: Why it is shown, such as ``worst of jan23``; empty where nothing is to be said.
        brightfield: 8 bits, shape ``(height, width)``.
        predicted: Logarithm to base 2 of predicted PI over background, a pixel for each square of ``stride`` pixels,
            shape ``(map_height, map_width)``; NaN is no data.
        true: Likewise of measured PI.
        correlation: Pearson's r of both; NaN where there is none.
        predicted_dead_share: 0 to 1; NaN where there is none.
        true_dead_share: Likewise.
        predicted_nuclei: None where they are not to be drawn.
        true_nuclei: Likewise.
    """

    name: str
    chosen_as: str
    brightfield: NDArray[np.uint8]
    predicted: NDArray[np.floating]
    true: NDArray[np.floating]
    correlation: float
    predicted_dead_share: float
    true_dead_share: float
    predicted_nuclei: MarkedNuclei | None = None
    true_nuclei: MarkedNuclei | None = None


@styled
def draw_stain_fields(
    fields: Sequence[StainField], *, stride: int, limits: tuple[float, float], pixel_size: float | None
) -> Figure:
    """A row for each field: bright-field, predicted and measured PI on one scale, and nuclei where there are any.

    A nucleus is marked by the shape of its class, wide and hollow where it is true, small and filled where it is
    predicted: a filled mark within a hollow one of its shape is a nucleus that was found.

    Args:
        fields: At least one; they may differ in size.
        stride: Side of the square of bright-field that a pixel of the maps stands for, pixels.
        limits: Logarithm to base 2 of PI over background that is drawn darkest and brightest.
        pixel_size: Micrometres, for the scale bar; None where it is not known, and the bar is in pixels.
    """
    marks = any(field.predicted_nuclei is not None or field.true_nuclei is not None for field in fields)
    headings = ["bright-field", "predicted PI", "measured PI", *["dead and live nuclei"] * marks]
    heights = [_HEADING]
    for field in fields:
        heights += [_TITLE, _SIDE * min(_HIGHEST, _aspect(field))]
    legend = _legend_of_nuclei() * marks + [Patch(label="no data", **_NO_DATA)] * _any_no_data(fields)
    figure, grid = new_axes(
        _SIDE * len(headings) + 0.85,
        sum(heights) + 0.06 * len(heights) + _FOOT * bool(legend),
        len(heights),
        len(headings),
        height_ratios=heights,
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, hspace=0)  # type: ignore[union-attr, call-arg]
    hide(grid.flat)
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.text(0.5, 0, heading, ha="center", va="bottom", fontsize=8.5)
    bar_length = _scale_bar(fields, pixel_size)
    drawn: Any = None
    for title, row, field in zip(grid[1::2], grid[2::2], fields, strict=True):
        # wider than the panel below it, which would else be moved
        title[0].text(0, 0, _title(field), va="bottom", fontsize=7.5, linespacing=1.25, in_layout=False)
        _draw_brightfield(row[0], field)
        _draw_scale_bar(row[0], field, bar_length, pixel_size)
        for axes, values in ((row[1], field.predicted), (row[2], field.true)):
            drawn = _draw_map(axes, values, field, stride=stride, limits=limits)
        if marks:
            _draw_brightfield(row[3], field)
            for nuclei, is_true in ((field.true_nuclei, True), (field.predicted_nuclei, False)):
                if nuclei is not None:
                    _draw_nuclei(row[3], nuclei, _points_a_pixel(field), is_true=is_true)
    _draw_colour_bar(figure, drawn, grid[2::2], fields, limits)
    if legend:
        figure.legend(handles=legend, loc="outside lower left", ncols=len(legend), handletextpad=0.4, columnspacing=1.2)
    return figure


def _aspect(field: StainField) -> float:
    height, width = field.brightfield.shape
    return float(height / width)


def _any_no_data(fields: Sequence[StainField]) -> bool:
    return any(np.isnan(values).any() for field in fields for values in (field.predicted, field.true))


def _title(field: StainField) -> str:
    r, predicted, true = (
        NO_VALUE if np.isnan(value) else f"{value:.2f}"
        for value in (field.correlation, field.predicted_dead_share, field.true_dead_share)
    )
    first = shortened(field.name, length=56)
    if field.chosen_as:
        first = f"{shortened(field.chosen_as, length=40)}: {first}"
    return f"{first}\nr {r}; dead share {predicted} predicted, {true} true"


def _fit(axes: Axes, field: StainField) -> None:
    height, width = field.brightfield.shape
    image_axes(axes).set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _draw_brightfield(axes: Axes, field: StainField) -> None:
    axes.imshow(field.brightfield, vmin=0, vmax=255)
    _fit(axes, field)


def _draw_map(
    axes: Axes, values: NDArray[np.floating], field: StainField, *, stride: int, limits: tuple[float, float]
) -> AxesImage:
    height, width = values.shape
    extent = (-0.5, width * stride - 0.5, height * stride - 0.5, -0.5)
    axes.patch.set(**_NO_DATA)  # what has no value is transparent
    drawn = axes.imshow(np.ma.masked_invalid(values), cmap="magma", vmin=limits[0], vmax=limits[1], extent=extent)
    _fit(axes, field)
    return drawn


def _points_a_pixel(field: StainField) -> float:
    height, width = field.brightfield.shape
    return float(72 * _SIDE * min(1 / width, _HIGHEST / height))


def _draw_nuclei(axes: Axes, nuclei: MarkedNuclei, points_a_pixel: float, *, is_true: bool) -> None:
    diameter = float(np.clip(_NUCLEUS * points_a_pixel, _SMALLEST, _LARGEST))
    line = diameter / _LARGEST
    outline = [withStroke(linewidth=1.9 * line, foreground="white")]
    for label, chosen in ((LIVE, ~nuclei.dead), (DEAD, nuclei.dead)):
        y, x = nuclei.centres[chosen].T
        colour, marker = COLOURS[label], MARKERS[label]
        if is_true:
            axes.scatter(
                x, y, s=diameter**2, marker=marker, facecolors="none", edgecolors=colour, linewidths=line,
                path_effects=outline, zorder=3,
            )  # fmt: skip
        else:
            axes.scatter(
                x, y, s=(diameter / 2) ** 2, marker=marker, c=colour, edgecolors="white", linewidths=line / 3, zorder=4
            )


def _scale_bar(fields: Sequence[StainField], pixel_size: float | None) -> int:
    """A round length for all fields, at most two fifths of the narrowest: micrometres, or pixels."""
    width = min(field.brightfield.shape[1] for field in fields) * (1.0 if pixel_size is None else pixel_size)
    return max((bar for bar in _BARS if bar <= 0.4 * width), default=_BARS[0])


def _draw_scale_bar(axes: Axes, field: StainField, length: int, pixel_size: float | None) -> None:
    height, width = field.brightfield.shape
    unit, size = ("px", 1.0) if pixel_size is None else ("µm", pixel_size)
    place, low = np.array([0, length / size]) + 0.05 * width, 0.94 * height
    outline = [withStroke(linewidth=3.6, foreground="white")]
    axes.plot(place, [low, low], color="black", linewidth=2, solid_capstyle="butt", path_effects=outline)
    axes.annotate(
        f"{length} {unit}", (place[0], low), (0, 4.5), textcoords="offset points", fontsize=6.5,
        path_effects=[withStroke(linewidth=2.2, foreground="white")],
    )  # fmt: skip


def _draw_colour_bar(
    figure: Figure, drawn: AxesImage, grid: Any, fields: Sequence[StainField], limits: tuple[float, float]
) -> None:
    values = np.concatenate([image[np.isfinite(image)] for field in fields for image in (field.predicted, field.true)])
    below, above = bool((values < limits[0]).any()), bool((values > limits[1]).any())
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = figure.colorbar(
        drawn,
        ax=grid.ravel().tolist(),
        panchor=False,  # a narrow field stays below its heading
        pad=0.01,
        extend=extend[below, above],
        shrink=min(1.0, 2 / len(grid)),
        aspect=22,
    )
    whole = np.arange(np.ceil(limits[0]), np.floor(limits[1]) + 1)
    bar.set_ticks(whole.tolist(), labels=[f"{2**tick:g}" for tick in whole])
    bar.minorticks_off()
    bar.set_label("PI over background")


def _legend_of_nuclei() -> list[Line2D]:
    handles = []
    for label in (DEAD, LIVE):
        for words, size, filled in (("true", 6.0, False), ("predicted", 3.5, True)):
            handles.append(
                Line2D(
                    [],
                    [],
                    linestyle="",
                    marker=MARKERS[label],
                    markersize=size,
                    markeredgecolor=COLOURS[label],
                    markerfacecolor=COLOURS[label] if filled else "none",
                    label=f"{LABEL_NAMES[label]}, {words}",
                )
            )
    return handles
