"""What death changes in an image that is followed over time, and how often the interval of an onset holds.

Run from the repository: ``python benchmarks/time_series.py``
"""

import argparse
import dataclasses

import numpy as np

from jimt.statistics.image_quality import MEASURES, measure_image
from jimt.statistics.intervals import t_interval_of_mean
from jimt.statistics.onset import HELD, onset_with_range
from jimt.synthetic.microscope import draw_well, simulate_field

SIDE = 448
DIFFICULTY = 0.3


def measured(seed: int, *, dead: float, blur: float) -> tuple[float, float]:
    """Sharpness and brightness of the same cells, so many of them dead, blurred so many times as widely."""
    well = draw_well(np.random.default_rng(seed), difficulty=DIFFICULTY)
    field = simulate_field(
        np.random.default_rng(seed),
        height=SIDE,
        width=SIDE,
        dead_fraction=dead,
        bare_fraction=0.05,
        unfocused_fraction=0.0,
        difficulty=DIFFICULTY,
        well=dataclasses.replace(well, focus=well.focus * blur),
    )
    image = (field.brightfield // 256).astype(np.uint8)
    sharpness = np.exp(measure_image(image, image > 0)[list(MEASURES).index("focus")])
    return float(sharpness), float(field.brightfield.mean())


def coverage(n_wells: int, *, n_positions: int, seed: int) -> float:
    """Share of wells whose interval of the onset holds the time at which they pass a dead share of 0.5."""
    rng, times = np.random.default_rng(seed), np.arange(0, 49, 4.0)
    held = 0
    for _ in range(n_wells):
        middle, spread = rng.uniform(12, 36), rng.uniform(2, 6)
        scatter = rng.normal(0, 0.5, (n_positions, 1)) + rng.normal(0, 0.3, (n_positions, len(times)))
        shares = 1 / (1 + np.exp(-(times - middle) / spread - scatter))
        ends = [t_interval_of_mean(values, confidence=0.95) for values in shares.T]
        found = onset_with_range(times.tolist(), shares.mean(0).tolist(), ends, threshold=0.5, held=HELD)
        first, last = found.earliest, found.latest
        held += (first is None or first < middle) and (last is None or middle <= last)
    return held / n_wells


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=6, help="simulated fields")
    parser.add_argument("--wells", type=int, default=400, help="simulated wells for each number of positions")
    given = parser.parse_args()
    kinds = {"nearly all cells die": (0.95, 1.0), "the blur is 1.5 times as wide": (0.05, 1.5), "twice": (0.05, 2.0)}
    changes: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for seed in range(given.fields):
        before = measured(seed, dead=0.05, blur=1.0)
        for kind, (dead, blur) in kinds.items():
            after = measured(seed, dead=dead, blur=blur)
            changes[kind].append((after[0] / before[0] - 1, after[1] / before[1] - 1))
    for kind, those in changes.items():
        sharpness, brightness = (sorted(100 * change for change in part) for part in zip(*those, strict=True))
        print(
            f"{kind}: sharpness {sharpness[0]:+.0f} to {sharpness[-1]:+.0f} %, "
            f"brightness {brightness[0]:+.0f} to {brightness[-1]:+.0f} %"
        )
    for n_positions in (2, 3, 5):
        share = coverage(given.wells, n_positions=n_positions, seed=1)
        print(f"{n_positions} positions: the interval of the onset holds in {100 * share:.1f} % of {given.wells} wells")


if __name__ == "__main__":
    main()
