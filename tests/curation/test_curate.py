import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from conftest import MIXTURE, small_field, write_pair
from jimt.curation import read_stage
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated, read_manifest
from jimt.curation.store import cut_patches
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE

pytestmark = pytest.mark.stack


def no_features(field, places) -> np.ndarray:
    raise AssertionError("the empty filter is off")


def run(config, embed=no_features) -> Path:
    return curate(*config, embed=embed, console=Console(quiet=True))


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_manifest_has_one_row_for_each_patch_and_names_why_patches_are_left_out(small, prepare_config):
    curated = open_curated(run(prepare_config(*small)))
    manifest = curated.manifest
    assert len(manifest) == 12 * 5 * 4
    # columns of 64 px at 0, 32, 64, 96, 128: the cells change at 96, so two are live, two dead, one in between
    assert curated.summary["counts"]["live"] == 12 * 4 * 2
    assert curated.summary["counts"]["dead"] == 12 * 4 * 2
    assert (manifest["excluded"] == "ambiguous").sum() == 12 * 4
    assert (manifest["excluded"].isna() == manifest["split"].notna()).all()


def test_mean_fluorescence_is_that_of_the_raw_image(small, small_pairs, prepare_config):
    import tifffile

    manifest = open_curated(run(prepare_config(*small))).manifest
    for row in manifest.sample(20, random_state=0).itertuples():
        raw = tifffile.imread(small_pairs / f"{row.raw_image_id}--PI.tif")
        assert row.mean_fluorescence == raw[row.y : row.y + 64, row.x : row.x + 64].mean()


def test_a_patch_is_a_view_of_the_8_bit_field(small, small_pairs, prepare_config):
    import tifffile

    curated = open_curated(run(prepare_config(*small)))
    row = curated.manifest.iloc[37]
    raw = tifffile.imread(small_pairs / f"{row.raw_image_id}--Trans.tif")[row.y : row.y + 64, row.x : row.x + 64]
    patch = curated.store.field(row.field)[row.y : row.y + 64, row.x : row.x + 64]
    np.testing.assert_array_equal(patch, np.rint(raw / 4095 * 255))  # dataset no_treatment: 12 bits


def test_the_table_row_counts_what_the_splits_hold(small, prepare_config):
    curated = open_curated(run(prepare_config(*small)))
    used = curated.manifest.dropna(subset="split")
    for split, counts in curated.summary["counts"]["splits"].items():
        rows = used[used["split"] == split]
        assert counts["live"] == (rows["label"] == LIVE).sum()
        assert counts["dead"] == (rows["label"] == DEAD).sum()
        assert counts["live"] > 0
        assert counts["dead"] > 0


def test_the_same_curation_again_does_nothing(small, prepare_config, monkeypatch):
    folder = run(prepare_config(*small))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(read_stage, "read_field", no_features)
    assert run(prepare_config(*small)) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("change", ["config", "file"])
def test_another_config_or_another_file_is_another_curation(small, small_pairs, prepare_config, change):
    folder = run(prepare_config(*small))
    before = open_curated(folder).summary["fingerprint"]
    if change == "file":
        write_pair(small_pairs, "--W00001--P00001--Z00000--T00000", small_field(np.random.default_rng(9)))
    run(prepare_config(*small, *(["curation.label.live_below=310"] if change == "config" else [])))
    assert open_curated(folder).summary["fingerprint"] != before


@pytest.mark.parametrize(
    ("setting", "values"), [("precision", ("32-true", "bf16-mixed")), ("features", ("patches", "field"))]
)
def test_what_the_empty_filter_s_features_are_is_part_of_what_identifies_a_curation(
    small, prepare_config, setting, values
):
    summaries = [
        open_curated(run(prepare_config(*small, f"curation.empty_filter.{setting}={value}"))).summary
        for value in values
    ]
    assert summaries[0]["fingerprint"] != summaries[1]["fingerprint"]
    assert summaries[1]["config"]["curation"]["empty_filter"][setting] == values[1]


def test_parallel_processes_give_the_same_manifest(small, prepare_config):
    one = read_manifest(run(prepare_config(*small)) / "manifest.parquet")
    several = prepare_config(*small, "curation.n_jobs=2", "curation.output_root=elsewhere")
    pd.testing.assert_frame_equal(read_manifest(run(several) / "manifest.parquet"), one)


@pytest.mark.parametrize("method", ["full_range", "bit_depth", "percentile_image", "percentile_dataset"])
def test_every_8_bit_scaling_is_stored_with_the_data(small, prepare_config, method):
    curated = open_curated(run(prepare_config(*small, f"curation.scaling.method={method}")))
    scaling = curated.summary["scaling"]
    assert scaling["method"] == method
    field = curated.store.field(0)
    if method == "full_range":
        assert field.max() <= 4095 / 65535 * 255 + 1
    if method == "percentile_image":
        assert field.min() == 0
        assert field.max() == 255
    assert (scaling["low"] is not None) == (method == "percentile_dataset")


def test_cut_offs_of_another_data_set_label_a_treated_one(small, prepare_config, tmp_path):
    treated = tmp_path / "treated"
    rng = np.random.default_rng(1)
    for well in range(1, 7):
        write_pair(treated, f"--W{well:05d}--P00001--Z00000--T00000", small_field(rng))
    doxo = ["dataset=doxo", f"dataset.root={treated}", *small[2:], *MIXTURE]
    with pytest.raises(InputError, match="run jimt prepare dataset=no_treatment"):
        run(prepare_config(*doxo))
    reference = open_curated(run(prepare_config(*small, *MIXTURE))).thresholds
    thresholds = open_curated(run(prepare_config(*doxo))).thresholds
    assert thresholds["live_below"] == reference["live_below"]
    assert thresholds["dead_above"] == reference["dead_above"]
    assert thresholds["source"] == "fitted on no_treatment"
    with pytest.raises(InputError, match="give curation.label.*, or run jimt prepare dataset=no_treatment"):
        run(prepare_config(*doxo, "curation.label.scale=background_subtracted"))


def test_debris_is_left_out_of_the_fit_with_a_warning_and_still_labelled(small, small_pairs, prepare_config, capsys):
    brightfield, fluorescence = small_field(np.random.default_rng(3))
    fluorescence[:32, -32:] = 4095  # a quarter of one patch of 240
    write_pair(small_pairs, "--W00001--P00001--Z00000--T00000", (brightfield, fluorescence))
    config = prepare_config(*small, *MIXTURE)
    thresholds = open_curated(curate(*config, embed=no_features, console=Console(width=300))).thresholds
    assert "WARNING: 1 of 240 patches took no part in the fit of the mixture" in capsys.readouterr().out
    assert (thresholds["n_left_out"], thresholds["n_patches"]) == (1, 239)
    assert thresholds["fitted_to"] < 700
    manifest = read_manifest(Path("data/curated/no_treatment/manifest.parquet"))
    assert manifest.loc[manifest["mean_fluorescence"].idxmax(), "label"] == DEAD
    given = prepare_config(*small, *MIXTURE, "curation.label.fit_range=[0,5000]")
    assert open_curated(run(given)).thresholds["n_left_out"] == 0


def test_a_range_to_fit_on_is_refused_where_another_data_set_is_fitted_on(small, prepare_config):
    run(prepare_config(*small, *MIXTURE))
    doxo = ["dataset=doxo", *small[1:], *MIXTURE, "curation.label.fit_range=[0,5000]"]
    with pytest.raises(
        InputError, match="fit_range is without effect for doxo.* or give curation.label.fit_range=null"
    ):
        run(prepare_config(*doxo))


def test_cut_offs_that_were_given_label_another_data_set(small, prepare_config):
    run(prepare_config(*small))
    thresholds = open_curated(run(prepare_config("dataset=doxo", *small[1:], *MIXTURE))).thresholds
    assert (thresholds["live_below"], thresholds["dead_above"]) == (300, 450)


def test_fixed_cut_offs_replace_the_mixture(small, prepare_config):
    curated = open_curated(run(prepare_config(*small, "curation.label.dead_above=300")))
    assert curated.thresholds["source"] == "given in the config"
    assert not (curated.manifest["excluded"] == "ambiguous").any()


@pytest.mark.parametrize("scale", ["background_subtracted", "log_background_ratio"])
def test_background_correction_makes_fields_of_different_gain_comparable(small, small_pairs, prepare_config, scale):
    import tifffile

    for path in sorted(small_pairs.glob("--W0000[135]*--PI.tif")):  # half the wells: ten times the light
        tifffile.imwrite(
            path,
            (
                tifffile.imread(path).astype(int) * (10 if scale.startswith("log") else 1)
                + (0 if scale.startswith("log") else 2000)
            ).astype(np.uint16),
        )
    # means of 224 (live), 387 (both) and 550 (dead) over a background of about 215
    middle = 260 if scale == "background_subtracted" else np.log(480 / 215)
    cut_offs = [f"curation.label.live_below={middle}", f"curation.label.dead_above={middle}"]
    config = prepare_config(*small, f"curation.label.scale={scale}", "dataset.bit_depth=16", *cut_offs)
    counts = open_curated(run(config)).summary["counts"]
    assert (counts["live"], counts["dead"]) == (12 * 4 * 3, 12 * 4 * 2)


def contrast(field, places: np.ndarray) -> np.ndarray:
    patches = cut_patches(field, places, size=64)
    return np.log(patches.std((1, 2)) + 1)[:, None].astype(np.float32)


@pytest.fixture
def bare_corners(small_pairs, tmp_path) -> list[str]:
    """The upper left 96 x 96 px of every second position hold no cells; hand labels know that of wells 1 to 4."""
    rng = np.random.default_rng(5)
    rows = [("image that is not here", 0, 0, "bare")]
    for well in range(1, 7):
        name = f"--W{well:05d}--P00002--Z00000--T00000"
        brightfield, fluorescence = small_field(rng)
        brightfield[:96, :96] = rng.normal(2000, 5, (96, 96))
        write_pair(small_pairs, name, (brightfield, fluorescence))
        if well <= 4:
            rows += [(name, y, x, "bare" if x < 64 else "cells") for y in (0, 32) for x in (0, 32, 96, 128)]
            rows += [(name, 96, x, "cells") for x in (0, 32)]
    labels = tmp_path / "hand.csv"
    pd.DataFrame(rows, columns=["raw_image_id", "y", "x", "label"]).to_csv(labels, index=False)
    words = ["dataset.empty_word=bare", "dataset.not_empty_word=cells"]
    own = "curation.empty_filter.fit_on=[no_treatment]"
    return ["curation.empty_filter.enabled=true", own, f"dataset.empty_labels={labels}", *words]


def test_hand_labels_train_a_filter_that_drops_bare_patches_of_other_images(small, bare_corners, prepare_config):
    config = prepare_config(*small, *bare_corners, "curation.empty_filter.regularisation=1")
    curated = open_curated(run(config, contrast))
    report = curated.summary["empty_filter"]
    assert report["n_labelled"] == 4 * 10
    assert report["n_empty"] == 4 * 4
    assert report["n_absent"] == 1
    assert report["n_folds"] == 4  # of five wanted: four images hold bare patches
    assert report["f1"] == 1
    manifest = curated.manifest
    bare = manifest["raw_image_id"].str.contains("P00002") & (manifest["y"] <= 32) & (manifest["x"] <= 32)
    assert bare.sum() == 6 * 4
    assert (manifest["empty"] == bare).all()
    assert ((manifest["empty_score"] > 0) == manifest["empty"]).all()
    assert manifest.loc[bare, "label"].isna().all()
    assert (manifest.loc[bare, "excluded"] == "empty").all()


def test_hand_labels_that_train_nothing_are_told_apart(small, bare_corners, prepare_config, tmp_path, capsys):
    path = tmp_path / "hand.csv"
    labels = pd.read_csv(path)
    name = "--W00001--P00002--Z00000--T00000"
    more = [(name, 5, 0, "cells"), (name, 32, 7, "cells"), (name, 160, 0, "cells"), ("elsewhere", 5, 5, "cells")]
    labels = pd.concat([labels, pd.DataFrame(more, columns=labels.columns)])
    labels.to_csv(path, index=False)
    image = tifffile.imread(next((tmp_path / "raw").glob(f"{name}--PI.tif")))
    image[:64] = 0  # no data in eight hand-labelled patches
    tifffile.imwrite(tmp_path / "raw" / f"{name}--PI.tif", image)
    config = prepare_config(*small, *bare_corners, "curation.empty_filter.regularisation=1")
    folder = curate(*config, embed=contrast, console=Console(width=400))
    report = open_curated(folder).summary["empty_filter"]
    assert (report["n_off_grid"], report["n_absent"], report["n_left_out"]) == (3, 2, 8)
    assert report["n_labelled"] == len(labels) - 3 - 2 - 8
    told = capsys.readouterr().out
    assert f"WARNING: 3 hand labels are passed over, since no patch begins there, for example {name} y=5 x=0: " in told
    assert "hand labels of raw images that are not here, passed over: 2" in told


def test_a_filter_that_calls_every_patch_empty_is_an_error(small, bare_corners, prepare_config, monkeypatch):
    monkeypatch.setattr("jimt.curation.filter_stage.empty_scores", lambda pipeline, features: np.ones(len(features)))
    with pytest.raises(InputError, match="every patch is empty.*curation.empty_filter.enabled=false"):
        run(prepare_config(*small, *bare_corners), contrast)


def test_hand_labels_of_another_data_set_are_an_error(small, bare_corners, prepare_config):
    dataset, curation = prepare_config(*small, *bare_corners)
    labels = pd.read_csv(dataset.empty_labels)
    labels.assign(raw_image_id="another " + labels["raw_image_id"]).to_csv(dataset.empty_labels, index=False)
    with pytest.raises(InputError, match="none of the 41 hand labels .* is of a patch of this data set"):
        run((dataset, curation), contrast)


def test_without_hand_labels_the_summary_says_loudly_that_everything_passed(small, prepare_config, capsys):
    config = prepare_config(*small, "curation.empty_filter.enabled=true")
    folder = curate(*config, embed=no_features, console=Console(width=200))
    assert open_curated(folder).summary["empty_filter"] == {"status": "no labels"}
    assert "WARNING: no hand labels" in capsys.readouterr().out


def test_patches_with_too_much_no_data_are_marked_and_counted(small, small_pairs, prepare_config):
    brightfield, fluorescence = small_field(np.random.default_rng(3))
    brightfield[:, :20] = fluorescence[:, :20] = 0  # 20 of 64 columns of the leftmost patches
    write_pair(small_pairs, "--W00001--P00001--Z00000--T00000", (brightfield, fluorescence))
    curated = open_curated(run(prepare_config(*small)))
    assert curated.summary["counts"]["excluded"]["no_data"] == 4
    marked = curated.manifest[curated.manifest["excluded"] == "no_data"]
    assert (marked["x"] == 0).all()
    np.testing.assert_allclose(marked["no_data"], 20 / 64)
    assert marked["split"].isna().all()


@pytest.mark.parametrize("padded", ["both channels", "fluorescence alone", "bright-field alone"])
def test_mean_fluorescence_and_background_are_of_pixels_that_hold_data(small, small_pairs, prepare_config, padded):
    name = "--W00001--P00001--Z00000--T00000"
    brightfield, fluorescence = small_field(np.random.default_rng(3))
    expected = fluorescence.astype(float)
    expected[:, :20] = np.nan
    if padded != "fluorescence alone":
        brightfield[:, :20] = 0
    if padded != "bright-field alone":
        fluorescence[:, :20] = 0
    write_pair(small_pairs, name, (brightfield, fluorescence))
    scale = [
        "curation.label.scale=background_subtracted",
        "curation.label.live_below=50",
        "curation.label.dead_above=250",
    ]
    curated = open_curated(run(prepare_config(*small, *scale, "curation.patches.max_no_data=0.5")))
    rows = curated.manifest[curated.manifest["raw_image_id"] == name]
    means = np.array([np.nanmean(expected[y : y + 64, x : x + 64]) for y, x in zip(rows["y"], rows["x"], strict=True)])
    np.testing.assert_allclose(rows["mean_fluorescence"], means, rtol=1e-12)
    np.testing.assert_allclose(rows["label_value"], means - np.nanpercentile(expected, 10), rtol=1e-9)
    np.testing.assert_allclose(rows["no_data"], np.where(rows["x"] == 0, 20 / 64, 0))


def test_a_patch_of_nothing_but_padding_is_no_data_whatever_share_is_allowed(small, small_pairs, prepare_config):
    brightfield, fluorescence = small_field(np.random.default_rng(3))
    brightfield[:, :64] = fluorescence[:, :64] = 0
    write_pair(small_pairs, "--W00001--P00001--Z00000--T00000", (brightfield, fluorescence))
    manifest = open_curated(run(prepare_config(*small, "curation.patches.max_no_data=1.0"))).manifest
    marked = manifest[manifest["excluded"] == "no_data"]
    assert len(marked) == 4
    assert (marked["x"] == 0).all()
    assert marked["mean_fluorescence"].isna().all()


def test_fields_of_different_sizes_share_one_store(small, small_pairs, prepare_config):
    rng = np.random.default_rng(4)
    write_pair(small_pairs, "--W00001--P00001--Z00000--T00000", small_field(rng, width=256, height=96))
    curated = open_curated(run(prepare_config(*small)))
    assert curated.store.field(0).shape == (96, 256)
    assert curated.store.field(1).shape == (160, 192)
    assert len(curated.manifest) == 7 * 2 + 11 * 20


def test_results_never_go_into_the_raw_data(small, small_pairs, prepare_config):
    with pytest.raises(InputError, match="lies in the raw data's folder"):
        run(prepare_config(*small, f"curation.output_root={small_pairs / 'curated'}"))


def test_what_a_data_set_of_a_longer_name_has_left_is_not_removed(small, prepare_config, tmp_path):
    curated = tmp_path / "data/curated"
    others = [f".no_treatment.b.{'0' * 12}.partial", ".no_treatment.hand_labels.partial"]
    own = f".no_treatment.{'0' * 12}.partial"
    for name in (*others, own):
        (curated / name).mkdir(parents=True)
    run(prepare_config(*small))
    assert {path.name for path in curated.glob(".*.partial")} == set(others)


def test_published_patches_enter_the_same_manifest(prepare_config, tmp_path):
    import cv2

    root = tmp_path / "published"
    rng = np.random.default_rng(0)
    for split, images in (("train", (1, 2, 3)), ("val", (4,)), ("test", (5,))):
        for label in ("live", "dead"):
            (root / split / label).mkdir(parents=True)
            for image in images:
                for patch in range(2):
                    path = root / split / label / f"raw{image}_{patch}.png"
                    cv2.imwrite(str(path), rng.integers(0, 256, (64, 64), np.uint8))
    base = prepare_config("dataset=no_treatment", f"dataset.root={root}", *SMALL_PATCHES)
    base[0].layout, base[0].pattern, base[0].name = "patches", None, "published"
    unknown = open_curated(run(base))
    assert unknown.summary["group_known"] is False
    assert unknown.manifest["y"].isna().all()
    assert unknown.manifest["mean_fluorescence"].isna().all()
    assert unknown.summary["counts"]["splits"]["train"] == {"live": 6, "dead": 6, "raw_images": 12, "groups": 0}
    base[0].pattern = r"(?P<raw_image_id>raw\d+)_\d"
    known = open_curated(run(base))
    assert known.summary["group_known"] is True
    assert known.summary["n_raw_images"] == 5
    (root / "test/live/raw1_7.png").write_bytes((root / "train/live/raw1_0.png").read_bytes())
    with pytest.raises(InputError, match="raw1 in test and train.*curation.split.keep_folders=false"):
        run(base)
    base[1].split.keep_folders = False
    manifest = open_curated(run(base)).manifest
    assert manifest.groupby("raw_image_id", observed=True)["split"].nunique().max() == 1


SMALL_PATCHES = ["curation.patches.size=64", "curation.n_jobs=1"]


def test_the_effective_values_are_printed_and_stored(small, prepare_config, capsys):
    config = prepare_config(*small, "curation.label.n_sigma=1.25")
    folder = curate(*config, embed=no_features, console=Console(width=200))
    assert "n_sigma=1.25" in capsys.readouterr().out
    stored = json.loads((folder / "summary.json").read_text())["config"]
    assert stored["curation"]["label"]["n_sigma"] == 1.25
