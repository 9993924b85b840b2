"""A simulated plate with doses: wells are named as on a plate, and their truth is the count of their cells."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from jimt.config.hydra_dataset import dataset_of_name
from jimt.curation.pixel_size_stage import pixel_size_of_file
from jimt.errors import InputError
from jimt.prediction.inputs import find_sources, names_of
from jimt.synthetic import DoseResponse, simulate_dataset
from jimt.synthetic.plate_plan import plan_wells

DOSES = (0.0, 1.0, 10.0, 100.0)
SMALL = {
    "n_wells": 8,
    "fields_per_well": 2,
    "height": 300,
    "width": 320,
    "dead_fraction": 0.05,
    "treated_dead_fraction": 0.95,
    "difficulty": 0.5,
    "seed": 5,
    "patch_size": 112,
    "stride": 56,
    "n_jobs": 1,
}
RESPONSE = DoseResponse(DOSES, ec50=5, hill_slope=1.5)


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    root = tmp_path_factory.mktemp("plate") / "raw"
    assert simulate_dataset(root, **SMALL, dose_response=RESPONSE)
    assert not simulate_dataset(root, **SMALL, dose_response=RESPONSE)
    return root


def test_the_truth_of_a_well_is_the_count_of_its_cells(plate):
    cells, wells = pd.read_csv(plate / "cells.csv"), pd.read_csv(plate / "well_truth.csv")
    assert wells["well"].tolist() == [f"A{n:02d}" for n in range(1, 9)]
    assert wells["dose"].tolist() == [*DOSES, *DOSES]
    for row in wells.itertuples():
        of_well = cells[cells["raw_image_id"].str.startswith(f"{row.well}--")]
        assert (row.n_cells, row.n_dead) == (len(of_well), of_well["dead"].sum())
        assert row.dead_share == pytest.approx(of_well["dead"].mean(), abs=1e-4)
    fields = pd.read_csv(plate / "field_truth.csv")
    assert len(fields) == 16
    assert fields.groupby("well")["n_dead"].sum().tolist() == wells["n_dead"].tolist()


def test_more_cells_are_dead_under_a_higher_dose(plate):
    wells = pd.read_csv(plate / "well_truth.csv")
    share = wells.groupby("dose")["n_dead"].sum() / wells.groupby("dose")["n_cells"].sum()
    assert share.is_monotonic_increasing
    assert share.iloc[0] < 0.25
    assert share.iloc[-1] > 0.75


def test_conditions_are_the_doses(plate):
    conditions = pd.read_csv(plate / "wells.csv")
    assert conditions["condition"].tolist() == ["control", "1", "10", "100"] * 2


def test_its_own_data_set_reads_the_wells(plate):
    told = names_of(dataset_of_name("synthetic_doses"))
    found = find_sources(
        [str(plate)], pattern=told.pattern, root=told.root, leave_out=None, channel=told.channel, time=None
    )
    truth = pd.read_csv(plate / "field_truth.csv")
    assert [(source.name, source.well) for source in found.sources] == list(
        truth[["raw_image_id", "well"]].itertuples(index=False, name=None)
    )
    assert {source.field for source in found.sources} == {"00001", "00002"}


def test_the_share_follows_hill_s_equation():
    plan = plan_wells(8, shares=(0.05, 0.95), dose_response=RESPONSE)
    expected = [0.05 + 0.9 * dose**1.5 / (dose**1.5 + 5**1.5) for dose in DOSES]
    assert [well.dead_fraction for well in plan[:4]] == pytest.approx(expected)


@pytest.mark.parametrize(("n_wells", "last"), [(96, "H12"), (97, "E01"), (384, "P24")])
def test_wells_fill_a_plate_row_by_row(n_wells, last):
    plan = plan_wells(n_wells, shares=(0, 1), dose_response=RESPONSE)
    assert (plan[0].name, plan[-1].name) == ("A01", last)
    assert len({well.name for well in plan}) == n_wells


def test_more_wells_than_a_plate_has_are_refused():
    with pytest.raises(InputError, match="no plate has 385 wells: simulate at most 384"):
        plan_wells(385, shares=(0, 1), dose_response=RESPONSE)


def test_a_field_does_not_depend_on_the_doses_of_other_wells(plate, tmp_path):
    other = DoseResponse((0.0, 50.0, 10.0, 1.0), ec50=5, hill_slope=1.5)
    simulate_dataset(tmp_path / "raw", **SMALL, dose_response=other)
    for name, same in [("A01--P00001", True), ("A03--P00002", True), ("A02--P00001", False)]:
        pair = [tifffile.imread(root / f"{name}--Z00000--T00000--Trans.tif") for root in (plate, tmp_path / "raw")]
        assert np.array_equal(*pair) == same


def test_files_say_their_pixel_size(plate):
    sizes = {pixel_size_of_file(path) for path in plate.glob("*.tif")}
    assert [round(size, 6) for size in sizes] == [0.3225]
    assert dataset_of_name("synthetic").pixel_size == 0.3225
