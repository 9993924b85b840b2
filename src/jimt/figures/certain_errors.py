"""Error rate as the most uncertain patches are left out."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from jimt.figures.style import LINE_STYLES, MODEL_COLOURS, new_axes, styled, wrapped
from jimt.statistics.risk_coverage import COVERAGES, RiskCoverage


@styled
def risk_coverage_curves(models: Mapping[str, tuple[RiskCoverage, str]]) -> Figure:
    """Error rate against coverage, with bands over groups; a dot where uncertain patches are left out.

    Args:
        models: By name, the curve and what the legend says of it.
    """
    n_lines = sum(2 + words.count("\n") for _, words in models.values()) + 4
    figure, ((axes, beside),) = new_axes(6.9, max(3.9, 0.17 * n_lines), 1, 2, width_ratios=[4.2, 2.4])
    beside.set_axis_off()
    for number, (name, (found, words)) in enumerate(models.items()):
        colour = MODEL_COLOURS[number % len(MODEL_COLOURS)]
        style = LINE_STYLES[number // len(MODEL_COLOURS) % len(LINE_STYLES)]
        if found.band is not None:
            axes.fill_between(COVERAGES, *found.band, color=colour, alpha=0.15, linewidth=0)
        label = f"{wrapped(name, width=32)}\n{words}" if words else wrapped(name, width=32)
        axes.plot(COVERAGES, found.errors, linewidth=1.6, color=colour, linestyle=style, label=label)
        axes.axhline(found.errors[-1], color=colour, linestyle=":", linewidth=0.8)
        if found.certain is not None:
            axes.plot(*found.certain, "o", color=colour, markersize=5)
    axes.plot([], [], "o", color="0.4", markersize=5, label="uncertain patches left out")
    axes.plot([], [], color="0.4", linestyle=":", linewidth=0.8, label="left out at random")
    axes.set(xlabel="patches called, the most certain first (coverage)", ylabel="share of these called wrongly (risk)")
    axes.set(xlim=(0, 1.01), ylim=(0, None))
    beside.legend(*axes.get_legend_handles_labels(), loc="center left", labelspacing=0.9, borderaxespad=0)
    return figure
