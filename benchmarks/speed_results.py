"""What was measured, as a page and as one picture."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from speed_measuring import Row

from jimt.figures.style import LINE_STYLES, MODEL_COLOURS, png, styled

MET, MISSED = "#009E73", "#D55E00"


def write_markdown(path: Path, machine: Mapping[str, str], rows: Sequence[Row]) -> None:
    """The page: a table of all rows, and the machine."""
    told = ", ".join(f"{name} {value}" for name, value in machine.items())
    lines = [
        "# What is as fast as the machine allows, and what is not",
        "",
        "Written by `make bench` (rows 1 to 11) and `make bench-long` (rows 12 to 14). A ratio is the median of",
        "repeats in which both sides took turns, in brackets the smallest, the largest and their number; without",
        "brackets it was measured once. What profiles say, and the floors of what is out of reach, stand in",
        "[README.md](README.md).",
        "",
        f"{told}.",
        "",
        "![Ratios, as shares of what is wanted](results.png)",
        "",
        f"{sum(row.is_met is True for row in rows)} of {sum(row.is_met is not None for row in rows)} ratios are as "
        "wanted. What is wanted was set down before anything was measured; above it is better where it says >=, below",
        "it where it says <=.",
        "",
        "| row | what | against | ratio | wanted | measured |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        spread = f" ({min(row.ratios):.3g} to {max(row.ratios):.3g}; {len(row.ratios)})" if len(row.ratios) > 1 else ""
        mark = "**" if row.is_met else ""
        note = f"; {row.note}" if row.note else ""
        cells = [
            str(row.number),
            row.what,
            row.against,
            f"{mark}{row.ratio:.3g}{mark}{spread}",
            f"{row.target}{missed(row)}",
            row.values + note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    path.write_text(
        "\n".join([*lines, "", "Bold: as wanted. A command of row 6 is given eight fields of 672 x 560 px.", ""]),
        encoding="utf-8",
    )


def missed(row: Row) -> str:
    """Whether a row misses what is wanted, and whether some of its repeats do not."""
    if row.is_met is not False:
        return ""
    some = any(replace(row, ratios=(ratio,)).is_met for ratio in row.ratios)
    return ", missed, not in every repeat" if some else ", missed"


@styled
def draw(path: Path, rows: Sequence[Row]) -> None:
    """How far each row is on the way to what is wanted, on one logarithmic axis; 1 is there."""
    wanted = sorted((row for row in rows if row.target), key=lambda row: row.number)
    curves = [row for row in wanted if row.curve]
    heights = [0.27 * len(wanted) + 1.0, 3.2][: 1 + bool(curves)]
    figure = Figure(figsize=(10.0, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]  # each as wide as it needs
    axes = parts[0].subplots()
    if curves:
        draw_growth(parts[1].subplots(), curves)
    for y, row in enumerate(wanted):
        how, bound = row.target.split()
        reached = [ratio / float(bound) if how == ">=" else float(bound) / ratio for ratio in row.ratios]
        median = row.ratio / float(bound) if how == ">=" else float(bound) / row.ratio
        colour = MET if row.is_met else MISSED
        axes.plot([min(reached), max(reached)], [y, y], color=colour, linewidth=2, solid_capstyle="round")
        axes.plot(median, y, marker="o" if row.is_met else "X", color=colour, markersize=6)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    n_of = Counter(row.what for row in wanted)
    labels = [f"{row.number}  {row.what}{f', against {row.against}' * (n_of[row.what] > 1)}" for row in wanted]
    axes.set_yticks(range(len(wanted)), labels)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylim(len(wanted) - 0.5, -0.5)
    axes.set_xlabel("reached, over what is wanted\n(bars: all repeats; right of the line: as wanted)")
    path.write_bytes(png(figure))


def draw_growth(axes: Axes, rows: Sequence[Row]) -> None:
    """Seconds against size, both logarithmic: a line as steep as the dotted ones grows as fast as the size."""
    for row, colour, style in zip(rows, itertools.cycle(MODEL_COLOURS), itertools.cycle(LINE_STYLES)):
        sizes, seconds = zip(*row.curve, strict=True)
        label = f"{row.what.split(', 1, 4')[0]}: exponent {row.ratio:.2f}"
        axes.plot(sizes, seconds, marker="o", color=colour, linestyle=style, label=label)
    axes.set(xscale="log", yscale="log")
    low, high = axes.get_ylim()
    sizes = np.array([rows[0].curve[0][0], rows[0].curve[-1][0]])
    for start in 10.0 ** np.arange(np.floor(np.log10(low)) - 2, np.log10(high)):
        axes.plot(sizes, start * sizes, color="#BBBBBB", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_ylim(low, high)
    decades = 10.0 ** np.arange(np.ceil(np.log10(low)), np.log10(high))
    axes.set_yticks(decades, [f"{decade:g}" for decade in decades])
    ticks = [size for size, _ in rows[0].curve]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(0.85 * ticks[0], ticks[-1] / 0.85)
    axes.minorticks_off()
    axes.set_xlabel("size, times the smallest (dotted: time that grows as the size does)")
    axes.set_ylabel("median time, s")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
