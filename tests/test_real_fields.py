"""The 70 real fields of MCF-7 cells, where ``JIMT_DATA`` names them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.model_selection import GroupKFold

from conftest import composed_train
from drawn import no_figures
from jimt.curation.curate import curate
from jimt.curation.folds import folds_of
from jimt.curation.manifest import open_curated
from jimt.data.preparation import late_embed
from jimt.errors import InputError
from jimt.models.predictor import Predictor, open_predictor

WITHOUT_FILTER = ["dataset=mcf7", "curation.empty_filter.enabled=false"]
BY_MEAN = ["curation.label.scale=log_background_ratio", "curation.label.tolerance=1e-3"]


def run(config):
    return curate(
        *config, embed=late_embed(config[1].empty_filter, size=config[1].patches.size), console=Console(quiet=True)
    )


@pytest.fixture
def mcf7(real_data, prepare_config, monkeypatch):
    def config(*overrides: str):
        return prepare_config(f"dataset.root={real_data / 'mcf7'}", *WITHOUT_FILTER, *overrides)

    return config


@pytest.mark.stack
def test_by_mean_pi_241_of_661_patches_are_live_and_335_dead(mcf7, real_data):
    curated = open_curated(run(mcf7(*BY_MEAN)))
    manifest = curated.manifest
    used = manifest[manifest["excluded"].isna()]
    assert len(manifest) == 661
    assert (curated.summary["counts"]["live"], curated.summary["counts"]["dead"]) == (241, 335)
    experiments = pd.read_csv(real_data / "mcf7/fields.csv").set_index("raw_image_id")["experiment"].astype(str)
    assert (manifest["group"].astype(str) == manifest["raw_image_id"].astype(str).map(experiments)).all()
    assert manifest["group"].nunique() == 19
    for split in ("val", "test"):
        assert set(used.loc[used["split"] == split, "label"]) == {0, 1}
    groups = used["group"].astype(str).to_numpy()
    folds = folds_of(used, n_folds=5)
    for fold, (_, test) in enumerate(GroupKFold(5).split(groups, groups=groups)):
        assert (folds[test] == fold).all()


def test_by_pi_positive_area_the_labels_agree_better_with_the_counted_nuclei(mcf7):
    """The field's truth: a quarter or more of a patch's nuclei above twice the background in PI."""
    audits = [open_curated(run(mcf7(*how))).summary["label_audit"] for how in ([], BY_MEAN)]
    by_area, by_mean = (
        [audit["metrics"][name]["value"] for name in ("auroc", "auroc_within_groups")] + [audit["kappa"]]
        for audit in audits
    )
    assert [(audit["patches"], audit["dead"]) for audit in audits] == [(620, 183)] * 2
    assert by_area == pytest.approx([0.937, 0.925, 0.690], abs=0.002)
    assert by_mean == pytest.approx([0.904, 0.895, 0.484], abs=0.002)


def test_raw_means_cannot_be_cut_in_two(mcf7):
    with pytest.raises(
        InputError, match="the thresholds cannot be trusted, .* or curation.label.scale=log_background_ratio"
    ):
        run(mcf7("curation.label.scale=raw"))


def test_zero_filled_borders_are_no_data(mcf7, real_data):
    import tifffile

    manifest = open_curated(run(mcf7("curation.patches.max_no_data=0.04"))).manifest
    assert (manifest["excluded"] == "no_data").sum() > 0
    for row in manifest.sample(40, random_state=0).itertuples():
        window = np.s_[row.y : row.y + 224, row.x : row.x + 224]
        pair = [tifffile.imread(real_data / f"mcf7/{name}/{row.raw_image_id}.tif") for name in ("brightfield", "pi")]
        padding = (pair[0][window] == 0) & (pair[1][window] == 0)
        assert row.no_data == pytest.approx(np.mean(padding))
        assert row.mean_fluorescence == pytest.approx(pair[1][window][~padding].mean())


@pytest.mark.slow
def test_the_empty_filter_is_learned_from_the_hand_labels_without_a_model_hub(mcf7):
    report = open_curated(run(mcf7("curation.empty_filter.enabled=true"))).summary["empty_filter"]
    assert (report["n_labelled"], report["n_empty"], report["n_absent"], report["n_folds"]) == (607, 39, 0, 5)
    assert report["f1"] > 0.6


@pytest.fixture(scope="module")
def folds(real_data, tmp_path_factory) -> Path:
    """The frozen tiles in five folds, their maps of the fields kept; tests only read it."""
    from jimt.training.crossval import cross_validate

    folder = tmp_path_factory.mktemp("folds")
    overrides = [
        "experiment=frozen_tiles",
        f"dataset.root={real_data / 'mcf7'}",
        f"curation.output_root={folder / 'curated'}",
        "curation.empty_filter.enabled=false",
        f"backbone.weights={real_data / 'weights/resnet18.safetensors'}",
        f"run_dir={folder}",
        "evaluation.orientations=1",  # features of fields are most of the time
    ]
    with pytest.MonkeyPatch.context() as patched:
        # the baseline that takes longest, and nothing here looks at
        patched.setattr(Predictor, "frozen_features", lambda *_: None)
        cross_validate(composed_train(*overrides, name="crossval"), keeps_maps=True)
    return folder


@pytest.mark.slow
def test_maps_for_dead_lie_on_pi_of_real_fields_more_than_those_of_random_networks(folds):
    from jimt.report.sections.agreement_section import N_COPIES
    from jimt.report.write import write_report

    with no_figures():
        write_report(folds, max_mapped=36, maps=folds / "maps")
    page = (folds / "report.html").read_text()
    drawn = set(re.findall(r'<figure id="(\w+)">', page))
    assert {"raw_pairs", "roc", "by_group", "by_raw_image", "worst_errors", "embedding", "grad_cam_dead"} <= drawn
    assert re.findall(r'<p class="missing"><b>(.*?)</b>', page) == ["The figures of the empty filter"]
    table = pd.read_csv(folds / "figures/agreement.csv").dropna(subset="dead_auroc")
    random = table[[f"random_{copy}_auroc" for copy in range(N_COPIES)]].mean(axis=1)
    assert len(table) > 18
    assert table["dead_auroc"].mean() - random.mean() > 0.04
    assert table["live_auroc"].mean() - random.mean() < -0.04
    by_group = (table["dead_auroc"] - random).groupby(table["group"].astype(str)).mean()
    assert (by_group > 0).mean() > 0.6


@pytest.mark.slow
def test_most_defocused_fields_are_flagged_and_most_fields_of_a_new_experiment_are_not(folds, real_data):
    import tifffile
    from scipy.ndimage import gaussian_filter

    predictor = open_predictor(folds / "fold_0")

    def flagged(image):
        told = {"colour": False, "pixel_size": 0.3112, "zoom": 1.0}
        return bool(predictor.familiarity(predictor.fields_of([image]), 0, **told).flags)

    fields = [
        tifffile.imread(path)
        for group in predictor.checkpoint.record.groups["test"]
        for path in sorted((real_data / "mcf7/brightfield").glob(f"{group}__*.tif"))
    ]
    assert len(fields) > 10
    assert np.mean([flagged(field) for field in fields]) < 0.5
    assert (
        np.mean([flagged(gaussian_filter(field.astype(np.float32), 4.0).astype(np.uint16)) for field in fields]) > 0.7
    )
