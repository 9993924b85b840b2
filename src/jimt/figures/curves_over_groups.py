"""What stained fields of a new experiment, and further training groups, buy."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jimt.figures.style import LINE_STYLES, new_axes, styled

_TRUTHS: Final = {"counted": "against counted cells", "pi": "against PI"}
_KINDS: Final = {
    "adapted": ("adapted", "#009E73", "o"),
    "before": ("as it was, the same fields", "#000000", "s"),
    "mean of the stained": ("mean share of the stained fields", "#8B6914", "D"),
}
_BESIDE: Final = 0.09
"""By how much intervals of a kind are drawn beside those of another."""


@styled
def draw_adaptation(rows: Sequence[dict[str, Any]]) -> Figure:
    """Error of the dead share by the number of stained fields, a panel for each truth.

    Args:
        rows: Of ``adaptation_curve.json``.
    """
    truths = [truth for truth in _TRUTHS if any(row["truth"] == truth for row in rows)]
    figure, (panels,) = new_axes(3.3 * len(truths) + 0.4, 3.8, 1, len(truths), sharey=True)
    for axes, truth in zip(panels, truths, strict=True):
        shown = [row for row in rows if row["truth"] == truth]
        for number, (kind, (label, colour, marker)) in enumerate(_KINDS.items()):
            places = [place + (number - 1) * _BESIDE for place in range(len(shown))]
            estimates = [(row[kind]["value"], row[kind]["interval"]) for row in shown]
            _draw(axes, places, estimates, label=label, colour=colour, marker=marker, style=LINE_STYLES[number])
        ticks = [f"{row['stained']}\n{row['groups']} groups" for row in shown]
        axes.set_xticks(range(len(shown)), labels=ticks)
        axes.set(
            title=_TRUTHS[truth], xlabel="stained fields of a group", xlim=(-0.5, len(shown) - 0.5), ylim=(0, None)
        )
    panels[0].set_ylabel("error of the dead share")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(truths))
    return figure


@styled
def draw_learning(rows: Sequence[dict[str, Any]], panels: dict[str, str]) -> Figure:
    """Measures by the number of groups that were trained on, a panel for each.

    Args:
        rows: Of ``learning_curve.json``.
        panels: Measures that are shown, with what stands at their axis.
    """
    figure, (each,) = new_axes(2.7 * len(panels) + 0.4, 3.2, 1, len(panels))
    for axes, (name, label) in zip(each, panels.items(), strict=True):
        shown = [row for row in rows if row[name]["value"] is not None]
        estimates = [(row[name]["value"], row[name]["interval"]) for row in shown]
        places = [row["groups"] for row in shown]
        _draw(axes, places, estimates, label=label, colour="#009E73", marker="o", style="-")
        axes.set_xscale("log", base=2)
        axes.set_xticks([row["groups"] for row in rows], labels=[f"{row['groups']:.3g}" for row in rows])
        axes.minorticks_off()
        is_area = name.startswith("auroc")
        axes.set(xlabel="groups trained on", ylabel=label, ylim=(None, 1) if is_area else (0, None))
        if is_area:
            axes.axhline(0.5, color="0.6", linestyle=":", linewidth=0.8)
    return figure


def _draw(
    axes: Axes,
    places: Sequence[float],
    estimates: Sequence[tuple[float, tuple[float, float] | None]],
    *,
    label: str,
    colour: str,
    marker: str,
    style: Any,
) -> None:
    """Values with their intervals, joined by a line."""
    axes.plot(
        places,
        [value for value, _ in estimates],
        color=colour,
        marker=marker,
        markersize=4.5,
        linestyle=style,
        linewidth=1.2,
        label=label,
        clip_on=False,
        zorder=3,
    )
    for place, (_, interval) in zip(places, estimates, strict=True):
        if interval is not None:
            axes.plot([place, place], interval, color=colour, linewidth=1, alpha=0.6)
