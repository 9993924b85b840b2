"""How all nuclei of ``mcf7`` are best found on Hoechst, chosen where the experiment it is tested on is not seen.

Settings of ``curation.nuclei`` are ranked by single nuclei alone: found ones whose centre lies in a counted one, one to
one, twice their number over all that were found and counted (Dice). For each experiment the best of the other 18 is
taken, and the share of its nuclei that is PI-positive is held against the counted ones, patch by patch:

    python benchmarks/nuclei.py

Expected, of patches that hold a counted and a found nucleus; settings are smoothing, background and min_area (four
minutes):

    chosen on 18, of the 19th    AUROC 0.968, within experiments 0.945 (615 patches)
      chosen for 19 experiments: smoothing 1, background 20, min_area 600
    1, 20, 600: Dice 0.839       AUROC 0.968, within experiments 0.945 (615 patches)
    1, 25, 500: Dice 0.822       AUROC 0.961, within experiments 0.939 (618 patches)
    1, 10, 700: Dice 0.794       AUROC 0.963, within experiments 0.931 (590 patches)
"""

import argparse
import os
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import tifffile
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from jimt.curation.no_data import no_data_mask
from jimt.curation.nuclei import NucleiSettings, find_nuclei
from jimt.curation.patches import patch_origins
from jimt.curation.positive import PositiveSettings, count_inside, positive_mask
from jimt.statistics.estimates import estimates
from jimt.vocabulary import DEAD, LIVE

POSITIVE = PositiveSettings(  # conf/curation/paper.yaml
    ratio=1.5, smoothing=2.0, radius=100, percentile=10, min_area=200, max_area=20000, count_nuclei=False
)
SIZE, STRIDE, DEAD_SHARE = 224, 112, 0.25
TRIED = [
    NucleiSettings(smoothing, background, min_area, 20000.0)
    for smoothing, background, min_area in product((1.0, 2.0), (10.0, 15.0, 20.0, 25.0), (500.0, 600.0, 700.0))
]


def matched(found: np.ndarray, cells: pd.DataFrame) -> int:
    """How many found centres lie in a counted nucleus, one to one."""
    reach = np.sqrt(cells["area_px"].to_numpy() / np.pi)
    inside = cdist(cells[["y", "x"]].to_numpy(), found) < reach[:, None]
    return int(inside[linear_sum_assignment(~inside)].sum())


def of_field(folder: Path, name: str, cells: pd.DataFrame) -> tuple[list[tuple[int, int]], list[pd.DataFrame]]:
    """For each of ``TRIED``: matched nuclei with the number of found ones, and its patches."""
    brightfield, pi, hoechst = (
        tifffile.imread(folder / channel / f"{name}.tif") for channel in ("brightfield", "pi", "hoechst")
    )
    valid = ~no_data_mask(brightfield, pi)
    positive = positive_mask(pi, valid, POSITIVE, saturated_at=65535)
    y, x = patch_origins(*hoechst.shape, size=SIZE, stride=STRIDE)
    centres, dead = cells[["y", "x"]].to_numpy(), cells["dead"].to_numpy(bool)
    counted, counted_dead = (count_inside(part, y, x, size=SIZE) for part in (centres, centres[dead]))
    agreement, patches = [], []
    for settings in TRIED:
        nuclei = find_nuclei(hoechst, valid, positive, settings)
        n, n_positive = nuclei.count(y, x, size=SIZE)
        agreement.append((matched(nuclei.centres, cells), len(nuclei.centres)))
        table = {"experiment": name.split("__")[0], "raw_image_id": name, "counted": counted, "dead": counted_dead}
        patches.append(pd.DataFrame(table | {"n": n, "positive": n_positive}))
    return agreement, patches


def tell(what: str, patches: pd.DataFrame) -> None:
    rows = patches[(patches["counted"] > 0) & (patches["n"] > 0)]
    found = estimates(
        np.where(rows["dead"] >= DEAD_SHARE * rows["counted"], DEAD, LIVE).astype(np.int64),
        -(rows["positive"] / rows["n"]).to_numpy(float),
        rows["experiment"].to_numpy(object),
        rows["raw_image_id"].to_numpy(object),
        names=("auroc", "auroc_within_groups"),
        confidence=0.95,
        seed=0,
    )
    pooled, within = (found[name].value for name in ("auroc", "auroc_within_groups"))
    print(f"    {what:<28} AUROC {pooled:.3f}, within experiments {within:.3f} ({len(rows)} patches)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("JIMT_DATA", "data")) / "mcf7")
    folder = parser.parse_args().data
    cv2.setNumThreads(1)
    by_field = dict(tuple(pd.read_csv(folder / "nuclei.csv").groupby("raw_image_id")))
    results = [of_field(folder, name, cells) for name, cells in by_field.items()]
    experiments = np.array([name.split("__")[0] for name in by_field])
    n_matched, n_found = np.array([agreement for agreement, _ in results]).transpose(2, 0, 1)
    n_counted = np.array([len(cells) for cells in by_field.values()])
    patches = [pd.concat([tables[number] for _, tables in results]) for number in range(len(TRIED))]

    def best(fields: np.ndarray) -> int:
        total = n_found[fields].sum(0) + n_counted[fields].sum()
        return int(np.argmax(2 * n_matched[fields].sum(0) / total))

    chosen = {name: best(experiments != name) for name in sorted(set(experiments))}
    unseen = [patches[number][patches[number]["experiment"] == name] for name, number in chosen.items()]
    tell("chosen on 18, of the 19th", pd.concat(unseen))
    for number in sorted(set(chosen.values())):
        settings = TRIED[number]
        words = f"smoothing {settings.smoothing:g}, background {settings.background:g}, min_area {settings.min_area:g}"
        print(f"      chosen for {list(chosen.values()).count(number)} experiments: {words}")
    every = np.array([2 * n_matched.sum(0) / (n_found.sum(0) + n_counted.sum())]).ravel()
    for number in np.argsort(-every)[[0, len(TRIED) // 2, -1]]:
        settings = TRIED[number]
        words = f"{settings.smoothing:g}, {settings.background:g}, {settings.min_area:g}"
        tell(f"{words}: Dice {every[number]:.3f}", patches[number])


if __name__ == "__main__":
    main()
