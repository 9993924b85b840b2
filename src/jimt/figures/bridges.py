"""What separates data sets, and what matching and stained fields bring a model on another one."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jimt.figures.style import drawable, new_axes, shortened, styled

_GREEN: Final = "#009E73"
_MEASURES: Final = {
    "auroc": "AUROC",
    "auroc_within_groups": "AUROC within groups",
    "share_error": "error of the dead share",
}
_ROW: Final = 0.24  # inches, of a value with its interval
_KINDS: Final = {"adapted": "adapted to {n} fields", "mean of the stained": "mean of {n} fields"}


@styled
def draw_transfer(result: dict[str, Any]) -> Figure:
    """A row of panels for each model and other data set.

    Args:
        result: What ``transfer.json`` holds.
    """
    bridges = result["bridges"]
    heights = [_ROW * max(8, len(_rows(bridge))) + 0.9 for bridge in bridges]
    figure, panels = new_axes(10.5, sum(heights), len(bridges), 1 + len(_MEASURES), height_ratios=heights)
    for bridge, (apart, *others) in zip(bridges, panels, strict=True):
        _draw_differences(apart, bridge, result["differences"])
        rows = _rows(bridge)
        for axes, (measure, label) in zip(others, _MEASURES.items(), strict=True):
            _draw_rows(axes, rows, measure, label, named=measure == "auroc")
    return figure


def _draw_differences(axes: Axes, bridge: dict[str, Any], pairs: Sequence[dict[str, Any]]) -> None:
    names = {bridge["trained_on"], bridge["tested_on"]}
    (pair,) = (pair for pair in pairs if {pair["first"], pair["second"]} == names)
    shown = [each for each in pair["measures"] if each["separation"] is not None]
    for place, each in enumerate(shown):
        _draw(axes, place, each["separation"]["area"], each["separation"]["interval"], is_filled=True)
    axes.axvline(0.5, color="0.6", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(shown)), labels=[each["words"].partition(",")[0] for each in shown])
    axes.set(ylim=(max(len(shown), 2) - 0.5, -0.5), xlim=(0.45, 1.03), xlabel="AUROC of telling apart")
    one, other = (drawable(shortened(bridge[key])) for key in ("model", "tested_on"))
    axes.set_title(f"trained on {one}\ntested on {other}")


def _rows(bridge: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What is drawn one below the other: name, and the value and interval of each measure."""
    rows = []
    for row in bridge["matching"] or []:
        if row["reason"] is None:
            name = "as it is" if row["matched"] == "nothing" else row["matched"].replace("_", " ")
            rows.append((name, {measure: row[measure] for measure in _MEASURES}))
    adapted = bridge["adaptation"]
    if adapted is not None:
        if not rows:
            rows.append(("as it is", {"share_error": adapted["before"]}))
        for kind, words in _KINDS.items():
            rows.append((words.format(n=adapted["stained"]), {"share_error": adapted[kind]}))
    return rows


def _draw_rows(
    axes: Axes, rows: Sequence[tuple[str, dict[str, Any]]], measure: str, label: str, *, named: bool
) -> None:
    for place, (_, found) in enumerate(rows):
        one = found.get(measure)
        if one is not None and one["value"] is not None:
            _draw(axes, place, one["value"], one["interval"], is_filled=place > 0)
    if rows and (first := rows[0][1].get(measure)) is not None and first["value"] is not None:
        axes.axvline(first["value"], color="0.6", linestyle=":", linewidth=0.8)
    axes.set_yticks(range(len(rows)), labels=[name for name, _ in rows] if named else [])
    axes.set(ylim=(max(len(rows), 2) - 0.5, -0.5), xlabel=label)
    if measure == "share_error":
        axes.set_xlim(0, None)
    else:
        axes.axvline(0.5, color="0.6", linestyle=":", linewidth=0.8)
        axes.set_xlim(min(0.45, axes.get_xlim()[0]), 1.03)


def _draw(axes: Axes, place: float, value: float, interval: tuple[float, float] | None, *, is_filled: bool) -> None:
    """A value with its interval; an open circle is of the images as they are."""
    if interval is not None:
        axes.plot(interval, [place, place], color=_GREEN, linewidth=1.2)
    axes.plot(
        [value],
        [place],
        "o",
        color=_GREEN,
        markerfacecolor=_GREEN if is_filled else "white",
        markersize=5,
        clip_on=False,
    )
