"""The picture of the README, of the run of ``make demo``: ``python benchmarks/picture.py runs/demo``.

One field of the test split: bright-field, P(live) over it, and the PI that no network has seen. Patches overlap, so a
square of one stride is coloured by the mean score of the patches that cover it, and not at all where none was scored.
The field is the one with the most patches of its rarer class.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tifffile
from matplotlib.axes import Axes
from numpy.typing import NDArray
from omegaconf import OmegaConf

from jimt.figures.style import SCORE_COLOURS
from jimt.vocabulary import DEAD, LIVE


def most_mixed(scores: pd.DataFrame) -> str:
    """The raw image that has the most patches of its rarer class."""
    counts = pd.crosstab(scores["raw_image_id"], scores["label"])
    return str(counts[[LIVE, DEAD]].min(axis=1).idxmax())


def mean_scores(scores: pd.DataFrame, shape: tuple[int, int], *, size: int, stride: int) -> NDArray[np.float64]:
    """Mean score of the patches over each square of one stride, NaN where there are none."""
    sums, counts = np.zeros((2, shape[0] // stride, shape[1] // stride))
    for y, x, score in scores[["y", "x", "score"]].to_numpy():
        squares = np.s_[int(y) // stride : int(y + size) // stride, int(x) // stride : int(x + size) // stride]
        sums[squares] += score
        counts[squares] += 1
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def show(axes: Axes, image: NDArray[np.uint16], title: str, *, colours: str = "gray", high: float = 99.8) -> None:
    low_value, high_value = np.percentile(image, (0.2, high))
    axes.imshow(image, cmap=colours, vmin=low_value, vmax=high_value)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_axis_off()


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw a scored field of a run on simulated images.")
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path("scored_field.png"))
    options = parser.parse_args()
    config = OmegaConf.load(options.run / ".hydra" / "config.yaml")
    scores = pd.read_csv(options.run / "test_scores_with_ambiguous.csv", dtype={"raw_image_id": str})
    scores = scores[scores["raw_image_id"] == most_mixed(scores)]
    path = Path(config.dataset.root, scores["file"].iloc[0])
    brightfield = tifffile.imread(path)
    pi = tifffile.imread(path.with_name(path.name.replace(config.dataset.brightfield, config.dataset.fluorescence)))
    patches = config.curation.patches
    live = mean_scores(scores, brightfield.shape, size=patches.size, stride=patches.stride)

    figure, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    show(axes[0], brightfield, "bright-field (simulated), which the network sees")
    show(axes[1], brightfield, "P(live) of overlapping patches")
    extent = (0, live.shape[1] * patches.stride, live.shape[0] * patches.stride, 0)
    drawn = axes[1].imshow(live, cmap=SCORE_COLOURS, vmin=0, vmax=1, alpha=0.5, extent=extent, interpolation="nearest")
    show(axes[2], pi, "propidium iodide, which it does not see", colours="inferno", high=99.9)
    bar = figure.colorbar(drawn, ax=axes[1], shrink=0.9, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["dead", "unsure", "live"])
    figure.savefig(options.out, dpi=90)
    print(f"wrote {options.out}: {scores['raw_image_id'].iloc[0]}, {len(scores)} patches")


if __name__ == "__main__":
    main()
