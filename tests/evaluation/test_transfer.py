"""Each model on each test split, never on a raw image or a group of its own training."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console
from sklearn.metrics import roc_auc_score

from conftest import TINY_PROBE, UNEVEN, composed_train, uneven_field, write_pair
from jimt.curation.manifest import open_curated
from jimt.curation.store import read_field_names
from jimt.errors import InputError
from jimt.evaluation.score_matrix import as_frame, as_markdown, as_table
from jimt.evaluation.scores import score_test_split
from jimt.evaluation.transfer import main, transfer
from jimt.system.screen import print_whole
from jimt.training.run import train

# the linear layer alone is fitted: a model in a second
QUICK = [*TINY_PROBE, "trainer.eval_batch_size=64"]
WELL = "--W{:05d}--P00001--Z00000--T00000"


def trained(folder: Path, name: str, root: Path, *overrides: str) -> Path:
    """A run on the raw images of a folder, curated under a name of their own."""
    run = folder / "runs" / name
    where = ["dataset=no_treatment", f"dataset.name={name}", f"dataset.root={root}"]
    train(
        composed_train(
            *where, f"curation.output_root={folder / 'curated'}", *UNEVEN, *QUICK, f"run_dir={run}", *overrides
        )
    )
    return run


def scores(runs: list[Path], *, whole: bool = False) -> list[dict]:
    """The entries of each model and data set, with as little beside them as can be."""
    found = transfer(runs, whole=whole, match=False, n_stained=1, n_draws=2, seed=0, accelerator=None)
    return found["scores"]


def manifest_of(folder: Path, name: str) -> pd.DataFrame:
    return open_curated(folder / "curated" / name).manifest


def groups_of(manifest: pd.DataFrame, *splits: str) -> set[str]:
    return set(manifest.loc[manifest["split"].isin(splits), "group"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Raw images: twelve wells, twelve others, and a copy of the first twelve, renumbered, under another root."""
    folder = tmp_path_factory.mktemp("treatments")
    rng = np.random.default_rng(0)
    for well in range(1, 13):
        pair = uneven_field(rng)
        write_pair(folder / "plain", WELL.format(well), pair)
        write_pair(folder / "renumbered", WELL.format(1 + well % 12), pair)
        write_pair(folder / "treated", WELL.format(well), uneven_field(rng))
    return folder


@pytest.fixture(scope="module")
def plain(folder):
    return trained(folder, "plain", folder / "plain")


@pytest.fixture(scope="module")
def treated(folder):
    return trained(folder, "treated", folder / "treated")


@pytest.fixture(scope="module")
def matrix(plain, treated):
    return scores([plain, treated])


def entry(matrix: list[dict], trained_on: str, tested_on: str) -> dict:
    (found,) = (e for e in matrix if (e["trained_on"], e["tested_on"]) == (trained_on, tested_on))
    return found


def test_on_its_own_data_a_model_has_the_metrics_of_its_run(matrix, plain, treated):
    assert len(matrix) == 4
    for run in (plain, treated):
        own = json.loads((run / "test_metrics.json").read_text())
        found = json.loads(json.dumps(entry(matrix, run.name, run.name)))
        assert found["metrics"] == own["metrics"]
        assert found["counts"] == own["counts"]
        assert found["n_left_out"] == 0


def test_on_other_raw_images_nothing_is_left_out_though_their_names_are_the_same(matrix, folder):
    for one, other in (("plain", "treated"), ("treated", "plain")):
        found = entry(matrix, one, other)
        assert found["n_left_out"] == 0
        assert found["counts"]["patches"] == (manifest_of(folder, other)["split"] == "test").sum() == 45
        assert found["metrics"] != entry(matrix, other, other)["metrics"]


def test_the_values_are_of_this_models_scores_on_that_data_set(folder, plain, treated, matrix, monkeypatch):
    kept = []
    score = score_test_split
    monkeypatch.setattr(
        "jimt.evaluation.transfer.score_test_split", lambda *a, **o: kept.append(score(*a, **o)) or kept[-1]
    )
    again = scores([plain, treated])
    assert [e["metrics"] for e in again] == [e["metrics"] for e in matrix]
    for found, table in zip(again, kept, strict=True):
        assert found["metrics"]["auroc"]["value"] == pytest.approx(roc_auc_score(table["label"], table["score"]))
        assert set(table["group"]) == groups_of(manifest_of(folder, found["tested_on"]), "test")


def test_another_data_set_can_be_tested_on_whole_and_ones_own_never(folder, plain, treated, matrix):
    whole = scores([plain, treated], whole=True)
    assert entry(whole, "plain", "treated")["counts"]["patches"] == 180
    for name in ("plain", "treated"):
        assert entry(whole, name, name)["metrics"] == entry(matrix, name, name)["metrics"]


# ---- raw images that two data sets share


def test_raw_images_of_the_training_are_left_out_where_two_data_sets_share_a_folder(folder, plain):
    # another seed of the split: other wells are tested, most of which the first model was trained on
    other = trained(folder, "plain_again", folder / "plain", "curation.seed=1")
    seen = groups_of(manifest_of(folder, "plain"), "train", "val")
    tested = groups_of(manifest_of(folder, "plain_again"), "test")
    assert tested & seen
    assert tested - seen
    found = entry(scores([plain, other]), "plain", "plain_again")
    assert found["n_left_out"] == 15 * len(tested & seen)
    assert found["counts"]["patches"] == 15 * len(tested - seen)
    assert found["counts"]["groups"] == len(tested - seen)
    found = entry(scores([plain, other], whole=True), "plain", "plain_again")
    assert found["counts"]["groups"] == 12 - len(seen)


def test_the_same_pixels_are_left_out_under_another_name_and_root(folder, plain):
    copy = trained(folder, "renumbered", folder / "renumbered", "curation.seed=1")
    named = {WELL.format(well)[2:16]: WELL.format(1 + well % 12)[2:16] for well in range(1, 13)}
    seen = {named[group] for group in groups_of(manifest_of(folder, "plain"), "train", "val")}
    tested = groups_of(manifest_of(folder, "renumbered"), "test")
    assert tested & seen
    assert tested - seen
    found = entry(scores([plain, copy]), "plain", "renumbered")
    assert found["n_left_out"] == 15 * len(tested & seen)
    assert found["counts"]["groups"] == len(tested - seen)


def test_the_same_files_are_known_whatever_8_bit_scaling_and_encoding_make_of_them(folder, tmp_path):
    # the wells that the second data set has beside those of the first are brighter, so that its own percentiles differ
    rng = np.random.default_rng(7)
    for well in range(1, 13):
        for channel in ("Trans", "PI"):
            name = f"{WELL.format(well)}--{channel}.tif"
            (tmp_path / "more").mkdir(exist_ok=True)
            tifffile.imwrite(tmp_path / "more" / name, tifffile.imread(folder / "plain" / name), compression="zlib")
        brightfield, fluorescence = uneven_field(rng)
        write_pair(tmp_path / "more", WELL.format(100 + well), (np.minimum(brightfield * 2, 4095), fluorescence))
    scaling = "curation.scaling.method=percentile_dataset"
    first = trained(tmp_path, "first", folder / "plain", scaling)
    more = trained(tmp_path, "more", tmp_path / "more", scaling, "curation.seed=1")
    ranges = [open_curated(tmp_path / "curated" / name).summary["scaling"] for name in ("first", "more")]
    assert ranges[0]["high"] != ranges[1]["high"]
    seen = groups_of(manifest_of(tmp_path, "first"), "train", "val")
    tested = groups_of(manifest_of(tmp_path, "more"), "train", "val", "test")
    assert len(tested) == 24
    found = entry(scores([first, more], whole=True), "first", "more")
    assert found["n_left_out"] == 15 * len(seen) > 0
    assert found["counts"]["groups"] == 24 - len(seen)


def test_a_curation_that_does_not_name_its_pixels_is_refused_with_what_mends_it(folder, plain, treated, tmp_path):
    shutil.copytree(folder, tmp_path / "old")
    old = tmp_path / "old/curated/treated"
    path = old / "fields.parquet"
    whole = pd.read_parquet(path)
    whole.drop(columns=["brightfield_digest"]).to_parquet(path)
    with pytest.raises(InputError, match="lacks the column brightfield_digest: delete .*treated and curate again"):
        read_field_names(old)
    whole.to_parquet(path)
    assert len(read_field_names(old)) == 12


def test_a_new_image_of_a_group_that_was_trained_on_is_left_out_too(folder, tmp_path):
    # each well once more, a later time: of each group one image is known by its pixels and one is new
    rng = np.random.default_rng(5)
    for well in range(1, 13):
        for channel in ("Trans", "PI"):
            name = f"{WELL.format(well)}--{channel}.tif"
            (tmp_path / "later").mkdir(exist_ok=True)
            shutil.copy(folder / "plain" / name, tmp_path / "later" / name)
        write_pair(tmp_path / "later", WELL.format(well).replace("T00000", "T00001"), uneven_field(rng))
    run = trained(tmp_path, "plain", folder / "plain")
    later = trained(tmp_path, "later", tmp_path / "later", "curation.seed=1")
    seen = groups_of(manifest_of(tmp_path, "plain"), "train", "val")
    tested = groups_of(manifest_of(tmp_path, "later"), "test")
    assert tested & seen
    found = entry(scores([run, later]), "plain", "later")
    assert found["n_left_out"] == 30 * len(tested & seen)


def test_where_nothing_is_left_no_metric_is_given(folder, plain, tmp_path):
    # the test images of the second data set are those that the first was trained on
    manifest = manifest_of(folder, "plain")
    trained_on = manifest[manifest["split"] == "train"]["raw_image_id"].unique()
    for raw_image_id in trained_on:
        for channel in ("Trans", "PI"):
            (tmp_path / "raw").mkdir(exist_ok=True)
            shutil.copy(folder / "plain" / f"{raw_image_id}--{channel}.tif", tmp_path / "raw")
    run = trained(tmp_path, "subset", tmp_path / "raw")
    found = entry(scores([plain, run]), "plain", "subset")
    assert found["metrics"] is None
    assert found["n_left_out"] == (manifest_of(tmp_path, "subset")["split"] == "test").sum() > 0
    assert "none left" in as_markdown([found])
    assert len(as_frame([found])) == 1


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("curation.scaling.method=percentile_image", "curation.scaling.method"),
        ("curation.patches.size=48", "curation.patches.size"),
    ],
)
def test_patches_made_another_way_are_not_compared(folder, plain, tmp_path, override, key):
    other = trained(tmp_path, "other", folder / "treated", override)
    with pytest.raises(InputError, match=f"plain expects {key}=.* and other has .*: curate both data sets in one way"):
        scores([plain, other])


# ---- the command


def test_the_command_writes_the_matrix_three_times_and_prints_it(plain, treated, matrix, tmp_path, capsys):
    main([str(plain), str(treated), "--no-matching", "--out", str(tmp_path / "out")])
    out = capsys.readouterr().out
    assert "Each model on each data set" in out
    assert json.loads((tmp_path / "out/transfer.json").read_text())["scores"] == json.loads(json.dumps(matrix))
    table = pd.read_csv(tmp_path / "out/transfer.csv")
    assert table[["trained_on", "tested_on"]].values.tolist() == [
        [one, other] for one in ("plain", "treated") for other in ("plain", "treated")
    ]
    assert table["auroc"].tolist() == pytest.approx([e["metrics"]["auroc"]["value"] for e in matrix])
    lines = (tmp_path / "out/transfer.md").read_text().splitlines()
    assert len(lines) == 2 + 4
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_a_run_that_is_missing_is_said_in_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit, match="error: .*nothing is missing: give a run's folder or a checkpoint"):
        main([str(tmp_path / "nothing")])


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_the_table_of_long_names_fits_a_terminal_whole(columns):
    value = {"value": 0.897, "interval_groups": [0.811, 0.946]}
    measured = {
        "metrics": {"auroc": value, "balanced_accuracy": value},
        "counts": {"live": 10893, "dead": 979, "groups": 12},
    }
    names = {"backbone": "tf_efficientnet_lite0.in1k", "model": "no_treatment", "trained_on": "no_treatment"}
    entries = [names | {"tested_on": "no_treatment"} | measured, names | {"tested_on": "doxo", "metrics": None}]
    screen = io.StringIO()
    print_whole(as_table(entries), Console(file=screen, width=columns))
    lines = screen.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines]
    assert ["tf_efficientnet_lite0", "no_treatment", "10893/979", "0.897", "0.897"] in rows
    assert ["no_treatment", "12", *["0.811", "to", "0.946"] * 2] in rows
    assert ["tf_efficientnet_lite0", "doxo", "none", "left", "-", "-"] in rows


def test_a_run_that_is_given_twice_differs_in_nothing_from_itself(plain, treated):
    with pytest.raises(InputError, match="best.ckpt is given twice, and differs in nothing from itself: give each run"):
        scores([plain, treated, plain / "checkpoints/best.ckpt"])


def test_two_curations_of_one_name_are_not_told_apart(folder, plain, tmp_path):
    other = trained(tmp_path, "plain", folder / "treated")
    with pytest.raises(InputError, match="are two curations of one data set, plain, .*: curate one of them under"):
        scores([plain, other])


def test_a_run_whose_data_are_gone_is_said_without_a_flag_that_the_command_has_not(folder, treated, tmp_path):
    run = trained(tmp_path, "gone", folder / "plain")
    shutil.rmtree(tmp_path / "curated/gone")
    with pytest.raises(InputError) as caught:
        scores([run, treated])
    assert str(caught.value) == f"{tmp_path / 'curated/gone'} is missing: curate it again"


def test_a_folder_for_the_tables_that_cannot_be_made_is_refused_before_anything_is_scored(tmp_path):
    (tmp_path / "afile").touch()
    with pytest.raises(SystemExit) as told:
        main([str(tmp_path / "no_run"), "--out", str(tmp_path / "afile/x")])
    assert str(told.value.code).startswith(f"error: {tmp_path / 'afile/x'} cannot be written (Not a directory): name a")
    with pytest.raises(SystemExit, match="no_run"):
        main([str(tmp_path / "no_run"), "--out", str(tmp_path / "tables")])
    assert not (tmp_path / "tables").exists()
