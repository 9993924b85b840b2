"""The empty filter of a run: what prediction says of a field is what its curation has said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

import jimt
from conftest import SMALL, TINY_PROBE, composed_train, small_field, write_pair
from jimt.curation.curate import curate
from jimt.data.preparation import late_embed
from jimt.training.run import train


@pytest.fixture(scope="module", params=["patches", "field"])
def run(request, tmp_path_factory) -> tuple[str, Path]:
    """A run behind a filter with either kind of features; the upper left of each field is bare."""
    folder = tmp_path_factory.mktemp("filtered")
    rng, rows = np.random.default_rng(3), []
    for well in range(1, 13):
        name = f"--W{well:05d}--P00001--Z00000--T00000"
        brightfield, fluorescence = small_field(rng, height=128)
        brightfield[:96, :96] = rng.normal(2000, 5, (96, 96))
        write_pair(folder / "raw", name, (brightfield, fluorescence))
        rows += [(name, y, x, "bare" if x < 64 and y < 64 else "cells") for y in (0, 64) for x in (0, 128)]
    pd.DataFrame(rows, columns=["raw_image_id", "y", "x", "label"]).to_csv(folder / "hand.csv", index=False)
    of_filter = {"enabled": "true", "fit_on": "[no_treatment]", "backbone": "test_resnet.r160_in1k"}
    of_filter |= {"weights": "random", "regularisation": "1", "features": request.param}
    overrides = [
        "dataset=no_treatment",
        f"dataset.root={folder / 'raw'}",
        f"curation.output_root={folder / 'curated'}",
        *(given for given in SMALL if "empty_filter" not in given),
        "curation.split.val=5",
        "curation.split.test=5",
        f"dataset.empty_labels={folder / 'hand.csv'}",
        "dataset.empty_word=bare",
        "dataset.not_empty_word=cells",
        *(f"curation.empty_filter.{name}={value}" for name, value in of_filter.items()),
    ]
    config = composed_train(*overrides, *TINY_PROBE, f"run_dir={folder / 'run'}")
    embed = late_embed(config.curation.empty_filter, size=config.curation.patches.size)
    curate(config.dataset, config.curation, embed=embed, console=Console(quiet=True))
    train(config)
    return request.param, folder


def test_prediction_takes_those_patches_for_empty_that_the_curation_did(run):
    features, folder = run
    model, curated = jimt.load(folder / "run"), jimt.open_curated("no_treatment", root=folder / "curated")
    assert model.checkpoint.empty_filter.features == features == curated.summary["empty_filter"]["features"]
    by_field = curated.manifest.set_index(["y", "x"]).groupby("raw_image_id")
    for name in sorted(by_field.groups)[::5]:
        scores = model.scores(tifffile.imread(folder / f"raw/{name}--Trans.tif"), stride=32).set_index(["y", "x"])
        expected = by_field.get_group(name)["empty"]
        assert 0 < expected.sum() < len(expected)
        assert scores["empty"].loc[expected.index].astype(bool).tolist() == expected.astype(bool).tolist()
