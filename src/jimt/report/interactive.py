"""Test patches as points that show their patch under the mouse, drawn by Bokeh with nothing to be loaded."""

import functools
from typing import Any

import numpy as np
import pandas as pd
from bokeh.embed import components
from bokeh.layouts import gridplot
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.models.annotations import Title
from bokeh.plotting import figure
from bokeh.resources import Resources
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from jimt.figures.style import COLOURS, GROUP_COLOURS, SCORE_COLOURS
from jimt.report.blocks import Html
from jimt.report.thumbnails import SIDE, sheet
from jimt.vocabulary import DEAD, LABEL_NAMES, LIVE

_SIZE = 340
_MARKERS = {LIVE: "circle", DEAD: "triangle"}
_GROUP_MARKERS = ("square", "diamond", "inverted_triangle", "plus", "star", "hex")
_FEW = 800
_TOOLTIP = """
<div style="display:flex;gap:8px;font:12px sans-serif;max-width:330px">
  <div class="thumbnail" style="flex:none;width:SIDEpx;height:SIDEpx;background-image:var(--NAME);
    background-position:@at"></div>
  <div>@label, P(live) @score{0.000}<br>raw image @image<br>y @y, x @x<br>group @group<br>mean PI @pi{0,0.0}</div>
</div>
"""


@functools.cache
def bokeh_script() -> str:
    """Bokeh's own script, to stand in the page's head."""
    return str(Resources(mode="inline", components=["bokeh"]).render_js())


def linked_scatter(
    name: str, rows: pd.DataFrame, coordinates: NDArray[np.floating], thumbnails: NDArray[np.uint8]
) -> Html:
    """Four linked plots: the embedding by truth, by prediction and by group, and score against mean fluorescence.

    Patches that are chosen in one (with the box or the lasso) are chosen in all.

    Args:
        name: Of the sheet of thumbnails, one a page; letters, digits and ``_``.
        rows: Of ``test_scores.csv``.
        coordinates: Of t-SNE, shape ``(n, 2)``.
        thumbnails: Of the same patches, shape ``(n, 64, 64)``.
    """
    pictures = sheet(thumbnails)
    labels, scores = rows["label"].to_numpy(int), rows["score"].to_numpy(float)
    groups = rows["group"].fillna("not known").astype(str)
    _, number = np.unique(groups, return_inverse=True)
    source = ColumnDataSource(
        {
            "tsne_1": coordinates[:, 0],
            "tsne_2": coordinates[:, 1],
            "score": scores,
            "pi": rows["mean_fluorescence"].to_numpy(float),
            "label": [LABEL_NAMES[label] for label in labels],
            "image": rows["raw_image_id"].astype(str).tolist(),
            "group": groups.tolist(),
            "y": [_place(value) for value in rows["y"]],
            "x": [_place(value) for value in rows["x"]],
            "at": [f"-{x}px -{y}px" for x, y in zip(pictures.x, pictures.y, strict=True)],
            "marker": [_MARKERS[label] for label in labels],
            "group_marker": [_GROUP_MARKERS[i // len(GROUP_COLOURS) % len(_GROUP_MARKERS)] for i in number],
            "truth": [COLOURS[label] for label in labels],
            "prediction": [to_hex(SCORE_COLOURS(score)) for score in scores],
            "by_group": [GROUP_COLOURS[i % len(GROUP_COLOURS)] for i in number],
        }
    )
    plots: list[Any] = []
    titles = {
        "truth": "truth: live blue circles, dead orange triangles",
        "prediction": "P(live): blue live, white unsure, orange dead",
        "by_group": "group",
    }
    for colour, title in titles.items():
        ranges = {} if not plots else {"x_range": plots[0].x_range, "y_range": plots[0].y_range}
        plots.append(_plot(source, "tsne_1", "tsne_2", colour, title, name, len(rows), **ranges))
        plots[-1].xaxis.visible = plots[-1].yaxis.visible = False
        plots[-1].grid.visible = False
    known = rows["mean_fluorescence"].dropna().to_numpy(float)
    if len(known):
        axis = {"x_axis_type": "log"} if known.min() > 0 and known.max() > 30 * known.min() else {}
        plots.append(_plot(source, "pi", "score", "truth", "score against mean PI", name, len(rows), **axis))
        plots[-1].xaxis.axis_label, plots[-1].yaxis.axis_label = "mean PI fluorescence (raw counts)", "P(live)"
    script, div = components(gridplot(plots, ncols=2, toolbar_location="right", toolbar_options={"logo": None}))
    style = f"<style>:root{{--{name}:url({pictures.data_uri})}}</style>"
    return Html(f'<div class="interactive" id="interactive_{name}">{div}{script}</div>', (bokeh_script(), style))


def _place(value: Any) -> str:
    return "-" if pd.isna(value) else f"{int(value)}"


def _plot(
    source: ColumnDataSource, x: str, y: str, colour: str, title: str, name: str, n: int, **ranges: Any
) -> figure:
    plot = figure(
        width=_SIZE, height=_SIZE, title=title, tools="pan,wheel_zoom,box_select,lasso_select,reset", **ranges
    )
    points = plot.scatter(
        x,
        y,
        source=source,
        marker="group_marker" if colour == "by_group" else "marker",
        size=7 if n <= _FEW else 5,
        fill_color=colour,
        line_color="#555555" if colour == "prediction" else None,
        line_width=0.4,
        fill_alpha=0.85,
        nonselection_fill_alpha=0.12,
        nonselection_line_alpha=0.12,
    )
    plot.add_tools(
        HoverTool(
            renderers=[points],
            tooltips=_TOOLTIP.replace("NAME", name).replace("SIDE", str(SIDE)),
            attachment="horizontal",
        )
    )
    assert isinstance(plot.title, Title)
    plot.title.text_font_size = "11px"
    return plot
