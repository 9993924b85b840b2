"""Features of the empty filter from each patch against those from each field: F1, verdicts and time.

    python benchmarks/empty_filter.py

The hand labels of ``mcf7`` train the filter on either kind. F1 is cross-validated by experiment, under five divisions
into folds; the time is that of processors, for all patches of all fields.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from jimt.curation.empty_filter import empty_scores, fit_empty_filter
from jimt.curation.patches import Scaling, patch_origins
from jimt.data.fields import RawFields
from jimt.networks.backbones import FeatureExtractor

SIZE, STRIDE = 224, 112
SEEDS = (42, 1, 2, 3, 4)
FILTERS = (1e-3, 3e-4)
"""Of ``curation.empty_filter.regularisation``: the default, and a stronger penalty."""


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    folder = Path(os.environ["JIMT_DATA"]) / "mcf7"
    labels = pd.read_csv(folder / "empty_patch_labels.csv")
    names = sorted(labels["raw_image_id"].unique())
    images = [tifffile.imread(folder / "brightfield" / f"{name}.tif") for name in names]
    scaling = Scaling("percentile_image", 16, 0.1, 99.9, None, None)
    fields = RawFields(images, scaling=scaling, bit_depth=16, bit_shift=0)
    places = np.array(
        [
            (number, *corner)
            for number, image in enumerate(images)
            for corner in zip(*patch_origins(*image.shape, size=SIZE, stride=STRIDE), strict=True)
        ],
        np.int64,
    )
    row_of = {place: row for row, place in enumerate(map(tuple, places.tolist()))}
    number_of = {name: number for number, name in enumerate(names)}
    rows = [row_of[number_of[name], y, x] for name, y, x in labels[["raw_image_id", "y", "x"]].itertuples(index=False)]
    raw_image_ids = labels["raw_image_id"].to_numpy(str)
    groups = np.array([name.split("__")[0] for name in raw_image_ids])
    empty = (labels["label"] == "without_target_cells").to_numpy()
    verdicts: dict[float, np.ndarray] = {}
    for features in ("patches", "field"):
        for precision in ("32-true", "bf16-mixed"):
            extract = FeatureExtractor(
                "tf_efficientnet_lite0", "packaged", device="cpu", batch_size=32, precision=precision
            )
            start = time.process_time()
            found = extract.of_places(fields.field, places, size=SIZE, whole=features == "field")
            print(f"{features}, {precision}: {time.process_time() - start:.1f} s of processors")
            for regularisation in FILTERS:
                fitted = [
                    fit_empty_filter(
                        found[rows],
                        empty,
                        raw_image_ids,
                        groups,
                        kernel="linear",
                        regularisation=regularisation,
                        n_folds=5,
                        seed=seed,
                    )
                    for seed in SEEDS
                ]
                f1 = [report.f1 for _, report, _ in fitted if report.f1 is not None]
                told = empty_scores(fitted[0][0], found) > 0
                equal = np.mean(told == verdicts.setdefault(regularisation, told))
                print(
                    f"  regularisation {regularisation:g}: F1 {np.mean(f1):.3f} ({min(f1):.3f} to {max(f1):.3f}), "
                    f"{told.sum()} of {len(told)} empty, {100 * equal:.1f} % of verdicts as of patches in float32"
                )


if __name__ == "__main__":
    main()
