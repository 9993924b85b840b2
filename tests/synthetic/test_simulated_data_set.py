"""A simulated data set: its patches as a curation meets them, and its files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from sklearn.mixture import GaussianMixture

from forked import Forked
from jimt.errors import InputError
from jimt.synthetic import simulate_dataset, writer

PATCH = 224
STRIDE = 112
SMALL = {
    "n_wells": 1,
    "fields_per_well": 2,
    "height": 240,
    "width": 250,
    "dead_fraction": 0.5,
    "difficulty": 0.5,
    "seed": 0,
    "patch_size": 112,
    "stride": 56,
    "n_jobs": 1,
}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """Three wells of three fields as the analysis would meet them: the patches and their raw mean PI."""
    root = tmp_path_factory.mktemp("plate") / "raw"
    settings = {"height": 560, "width": 672, "patch_size": PATCH, "stride": STRIDE}
    simulate_dataset(root, **(SMALL | settings | {"n_wells": 3, "fields_per_well": 3}))
    return root, measured(root)


def measured(root: Path) -> pd.DataFrame:
    truth = pd.read_csv(root / "truth.csv")
    pi = {name: tifffile.imread(root / f"{name}--PI.tif") for name in truth["raw_image_id"].unique()}
    truth["mean_pi"] = [
        pi[row.raw_image_id][row.y : row.y + PATCH, row.x : row.x + PATCH].mean() for row in truth.itertuples()
    ]
    return truth


def cut_offs(mean_pi: pd.Series):
    mixture = GaussianMixture(2, random_state=0).fit(mean_pi.to_numpy()[:, None])
    low, high = np.argsort(mixture.means_[:, 0])
    sd = np.sqrt(mixture.covariances_[:, 0, 0])
    return mixture.means_[low, 0] + sd[low], mixture.means_[high, 0] - sd[high]


def test_mean_fluorescence_of_patches_has_two_modes(plate):
    _, truth = plate
    live_below, dead_above = cut_offs(truth["mean_pi"])
    assert live_below < dead_above
    between = truth["mean_pi"].between(live_below, dead_above).mean()
    assert 0.05 < between < 0.3
    live, dead = truth[truth["mean_pi"] < live_below], truth[truth["mean_pi"] > dead_above]
    assert min(len(live), len(dead)) > len(truth) / 5
    assert live["mean_pi"].mean() == pytest.approx(224, abs=60)  # the paper's live and dead patches
    assert dead["mean_pi"].mean() == pytest.approx(550, abs=154)
    assert live["live_fraction"].median() > 0.8
    assert dead["live_fraction"].median() < 0.4


def test_most_fields_hold_live_and_dead_patches(plate):
    _, truth = plate
    live_below, dead_above = cut_offs(truth["mean_pi"])
    by_field = truth.groupby("raw_image_id")["mean_pi"]
    assert np.mean((by_field.min() < live_below) & (by_field.max() > dead_above)) > 0.7


def test_a_strong_treatment_leaves_mostly_dead_patches(plate, tmp_path):
    _, untreated = plate
    live_below, dead_above = cut_offs(untreated["mean_pi"])
    settings = {"height": 560, "width": 672, "patch_size": PATCH, "stride": STRIDE, "dead_fraction": 0.85}
    simulate_dataset(tmp_path / "treated", **(SMALL | settings))
    mean_pi = measured(tmp_path / "treated")["mean_pi"]
    assert np.mean(mean_pi > dead_above) > 0.5
    assert np.mean(mean_pi < live_below) < 0.3


def test_the_truth_has_one_row_per_patch(plate):
    _, truth = plate
    assert len(truth) == 9 * 4 * 5  # fields x (560 - 224) / 112 + 1 rows x (672 - 224) / 112 + 1 columns
    assert not truth.duplicated(["raw_image_id", "y", "x"]).any()
    counted = truth[truth["n_live"] + truth["n_dead"] > 0]
    np.testing.assert_allclose(counted["live_fraction"], counted["n_live"] / (counted["n_live"] + counted["n_dead"]))
    # 224 px hold 18.5 cells of a triangular lattice with a pitch of 56 px
    full = truth[truth["cell_cover"] == 1]
    assert (full["n_live"] + full["n_dead"]).mean() == pytest.approx(18.5, abs=2)


def test_empty_patches_are_labelled_only_in_clear_cases(plate):
    root, truth = plate
    labels = pd.read_csv(root / "empty_patch_labels.csv")
    assert list(labels.columns) == ["raw_image_id", "y", "x", "label"]
    assert set(labels["label"]) == {"with_cells", "without_cells"}
    assert labels["label"].value_counts().min() >= 10
    assert len(labels) <= 200
    known = labels.merge(truth, on=["raw_image_id", "y", "x"], validate="one_to_one")
    assert len(known) == len(labels)
    without = known[known["label"] == "without_cells"]
    assert ((without["cell_cover"] <= 0.05) | (without["defocus"] >= 8)).all()
    held = known[known["label"] == "with_cells"]
    assert (held["cell_cover"] >= 0.6).all()
    assert (held["defocus"] <= 4).all()


def test_the_cells_of_a_field_are_those_that_its_patches_count(tmp_path):
    simulate_dataset(tmp_path / "raw", **SMALL)
    cells, truth = (pd.read_csv(tmp_path / "raw" / name) for name in ("cells.csv", "truth.csv"))
    for row in truth.itertuples():
        y, x = cells["y"] - row.y, cells["x"] - row.x
        here = cells[(cells["raw_image_id"] == row.raw_image_id) & y.between(0, 112) & x.between(0, 112)]
        assert abs(len(here) - row.n_live - row.n_dead) <= 1  # centres are rounded to a tenth of a pixel
        assert abs(here["dead"].sum() - row.n_dead) <= 1


def test_a_data_set_is_named_as_a_scanr_names_it(tmp_path):
    assert simulate_dataset(tmp_path / "raw", **SMALL)
    pairs = [f"W00001--P{p:05d}--Z00000--T00000--{channel}.tif" for p in (1, 2) for channel in ("PI", "Trans")]
    tables = ["cells.csv", "empty_patch_labels.csv", "simulation.json", "truth.csv"]
    assert sorted(files(tmp_path / "raw")) == [*pairs, *tables]
    with tifffile.TiffFile(tmp_path / "raw" / pairs[0]) as tiff:
        assert (tiff.pages[0].shape, tiff.pages[0].dtype, tiff.pages[0].compression) == ((240, 250), np.uint16, 1)
    assert set(pd.read_csv(tmp_path / "raw" / "truth.csv")["raw_image_id"]) == {
        f"W00001--P{p:05d}--Z00000--T00000" for p in (1, 2)
    }


def test_the_same_seed_gives_the_same_images(tmp_path):
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        simulate_dataset(tmp_path / name, **(SMALL | {"seed": seed}))
    assert files(tmp_path / "one") == files(tmp_path / "again")
    one, other = files(tmp_path / "one"), files(tmp_path / "other")
    assert all(one[name] != other[name] for name in one if name.endswith(".tif"))


def test_a_field_does_not_depend_on_other_fields_or_processes(tmp_path):
    simulate_dataset(tmp_path / "few", **SMALL)
    simulate_dataset(tmp_path / "many", **(SMALL | {"n_wells": 2, "fields_per_well": 3, "n_jobs": 2}))
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    images = [name for name in few if name.endswith(".tif")]
    assert len(images) == 4
    assert all(few[name] == many[name] for name in images)


def test_no_two_fields_are_alike(tmp_path):
    simulate_dataset(tmp_path / "raw", **(SMALL | {"n_wells": 2}))
    images = [content for name, content in files(tmp_path / "raw").items() if name.endswith(".tif")]
    assert len(images) == len(set(images)) == 8


def test_a_finished_data_set_is_not_made_again(tmp_path):
    assert simulate_dataset(tmp_path / "raw", **SMALL)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").iterdir()}
    assert not simulate_dataset(tmp_path / "raw", **(SMALL | {"n_jobs": 2}))
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").iterdir()}


def test_another_simulation_is_never_overwritten(tmp_path):
    simulate_dataset(tmp_path / "raw", **SMALL)
    before = files(tmp_path / "raw")
    with pytest.raises(InputError, match="holds another simulation: delete it or choose another folder"):
        simulate_dataset(tmp_path / "raw", **(SMALL | {"seed": 1}))
    assert files(tmp_path / "raw") == before


def test_a_damaged_data_set_is_reported(tmp_path):
    simulate_dataset(tmp_path / "raw", **SMALL)
    lost = tmp_path / "raw" / "W00001--P00002--Z00000--T00000--PI.tif"
    lost.unlink()
    with pytest.raises(InputError, match=rf"has lost {lost.name} \(1 of 7 files\): delete it or choose another"):
        simulate_dataset(tmp_path / "raw", **SMALL)
    (tmp_path / "raw" / "simulation.json").write_text("{")
    with pytest.raises(InputError, match="simulation.json is damaged: delete the folder or choose another one"):
        simulate_dataset(tmp_path / "raw", **SMALL)


@pytest.mark.parametrize("folder", ["raw", "raw.partial"])
def test_foreign_files_are_never_touched(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "thesis.txt").write_text("irreplaceable")
    with pytest.raises(InputError, match="holds files that are not a simulation"):
        simulate_dataset(tmp_path / "raw", **SMALL)
    assert files(tmp_path / folder) == {"thesis.txt": b"irreplaceable"}


def test_a_file_in_place_of_the_folder_is_reported(tmp_path):
    (tmp_path / "raw").write_text("a file")
    with pytest.raises(InputError, match="delete it or choose another folder"):
        simulate_dataset(tmp_path / "raw", **SMALL)
    assert (tmp_path / "raw").read_text() == "a file"


def test_an_interrupted_simulation_leaves_no_data_set(tmp_path, monkeypatch):
    def stop_at_the_second(folder, *, position, **settings):
        if position == 2:
            raise KeyboardInterrupt
        return write_field(folder, position=position, **settings)

    write_field = writer._write_field
    with monkeypatch.context() as patched:
        patched.setattr(writer, "_write_field", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            simulate_dataset(tmp_path / "raw", **SMALL)
    assert not (tmp_path / "raw").exists()
    assert len(list((tmp_path / "raw.partial").iterdir())) == 2  # the first pair got as far as this
    assert simulate_dataset(tmp_path / "raw", **SMALL)
    simulate_dataset(tmp_path / "undisturbed", **SMALL)
    assert files(tmp_path / "raw") == files(tmp_path / "undisturbed")
    assert not (tmp_path / "raw.partial").exists()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "raw").mkdir()
    assert simulate_dataset(tmp_path / "raw", **SMALL)


def test_the_parameters_are_written_beside_the_images(tmp_path):
    simulate_dataset(tmp_path / "raw", **SMALL)
    written = json.loads((tmp_path / "raw" / "simulation.json").read_text())
    asked = {name: value for name, value in SMALL.items() if name != "n_jobs"}  # does not change the images
    assert {name: written[name] for name in asked} == asked
    assert "n_jobs" not in written


def test_processes_that_simulate_one_folder_at_a_time_take_turns():
    words = ["curation.empty_filter.enabled=false", "curation.n_jobs=1"]
    words += ["dataset.simulation.n_wells=3", "dataset.simulation.fields_per_well=2"]
    running = [Forked("prepare.py", *words) for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum("simulated 6 raw image pairs" in output for output in outputs) == 1


def test_processes_that_have_simulated_write_into_another_working_directory_when_it_changes(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        simulate_dataset(Path("raw"), **SMALL | {"n_jobs": 2})
    assert files(tmp_path / "one/raw") == files(tmp_path / "two/raw")


def test_a_treatment_of_every_second_well_kills_there_and_changes_no_other_well(tmp_path):
    simulate_dataset(tmp_path / "plain", **(SMALL | {"n_wells": 4, "dead_fraction": 0.1}))
    plate = SMALL | {"n_wells": 4, "dead_fraction": 0.1, "treated_dead_fraction": 0.9}
    simulate_dataset(tmp_path / "plate", **plate)
    plain, treated = files(tmp_path / "plain"), files(tmp_path / "plate")
    assert set(treated) - set(plain) == {"wells.csv"}
    for name in plain:
        if name.startswith("W"):
            assert (plain[name] == treated[name]) == (int(name[1:6]) % 2 == 1)
    wells = pd.read_csv(tmp_path / "plate/wells.csv")
    assert wells["condition"].tolist() == ["control", "treated"] * 2
    cells = pd.read_csv(tmp_path / "plate/cells.csv")
    dead = cells.groupby(cells["raw_image_id"].str[:6])["dead"].mean()
    assert dead[wells["well"][wells["condition"] == "control"]].max() < 0.4
    assert dead[wells["well"][wells["condition"] == "treated"]].min() > 0.6
    assert not simulate_dataset(tmp_path / "plate", **plate)
    (tmp_path / "plate/wells.csv").unlink()
    with pytest.raises(InputError, match=r"has lost wells\.csv"):
        simulate_dataset(tmp_path / "plate", **plate)
    with pytest.raises(InputError, match="holds another simulation"):
        simulate_dataset(tmp_path / "plate", **(plate | {"treated_dead_fraction": None}))
