"""What a test reads back from a drawn figure, and the arrays that figures are drawn from."""

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from jimt.statistics.curves import Curve

RNG = np.random.default_rng(0)
BRIGHTFIELD = RNG.integers(0, 256, (12, 16, 16)).astype(np.uint8)
FLUORESCENCE = RNG.normal(500, 60, (12, 16, 16))
CURVE = Curve(np.array([0.0, 0.1, 1.0]), np.array([0.0, 0.8, 1.0]), None, 0)


def title_of(axes) -> str:
    return axes.get_title(loc="left") or axes.get_title()


def offsets(points: PathCollection) -> np.ndarray:
    return np.asarray(points.get_offsets())


def scattered(axes) -> list[PathCollection]:
    """The kinds of points that are there."""
    return [each for each in axes.collections if isinstance(each, PathCollection) and len(offsets(each))]


def points_of(axes) -> list[tuple[str, np.ndarray]]:
    """The colour and the places of each kind of points."""
    return [(colour_of(points.get_facecolor()[0]), offsets(points)) for points in scattered(axes)]


def colour_of(colour) -> str:
    return to_hex(colour).upper()


def frame_of(axes) -> str:
    return colour_of(axes.spines["left"].get_edgecolor())


def legend_of(owner) -> list[str]:
    legend = owner.legends[0] if hasattr(owner, "legends") and owner.legends else owner.get_legend()
    return [text.get_text() for text in legend.get_texts()]


def with_images(figure) -> list:
    return [axes for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]
