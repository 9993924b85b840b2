"""A nuclear and a live stain beside PI, on simulated fields whose cells are known."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console
from scipy import ndimage

from conftest import composed_prepare
from jimt.curation.curate import curate, find_raw_images, fingerprint_of
from jimt.curation.manifest import Curated, open_curated
from jimt.curation.store import FIELDS
from jimt.data.preparation import list_raw_images
from jimt.errors import InputError
from jimt.synthetic import simulate_dataset
from jimt.vocabulary import AMBIGUOUS, DEAD, LIVE

SIZE = 400
NUCLEUS, BODY = 11, 16  # radii, pixels
SIMULATION = {
    "n_wells": 6,
    "fields_per_well": 1,
    "height": SIZE,
    "width": SIZE,
    "dead_fraction": 0.5,
    "difficulty": 0.2,
    "seed": 3,
    "patch_size": 112,
    "stride": 56,
    "n_jobs": 1,
}
PATTERN = r"'^(?P<raw_image_id>(?P<group>W\d+--P\d+)--Z\d+--T\d+)--(?P<channel>\w+)\.tif$'"


def discs(cells: pd.DataFrame, radius: float) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), bool)
    for cell in cells.itertuples():
        mask |= (y - cell.y) ** 2 + (x - cell.x) ** 2 <= radius**2
    return mask


def imaged(mask: np.ndarray, *, times: float, seed: int) -> np.ndarray:
    """Counts of a camera, what is stained some times as bright as the background."""
    signal = 300 + 300 * (times - 1) * ndimage.gaussian_filter(mask.astype(float), 1.2)
    return np.random.default_rng(seed).poisson(signal).astype(np.uint16)


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> Path:
    """Simulated fields, with a stain of every nucleus and one of living cells."""
    root = tmp_path_factory.mktemp("stains") / "raw"
    simulate_dataset(root, **SIMULATION)
    cells = pd.read_csv(root / "cells.csv")
    for number, path in enumerate(sorted(root.glob("*--Trans.tif"))):
        name = path.name.removesuffix("--Trans.tif")
        here = cells[cells["raw_image_id"] == name]
        tifffile.imwrite(root / f"{name}--Hoechst.tif", imaged(discs(here, NUCLEUS), times=8, seed=number))
        living = discs(here[here["dead"] == 0], BODY)
        # positive from 1.5 times the background on, which is half of the way to the stain
        tifffile.imwrite(root / f"{name}--Calcein.tif", imaged(living, times=2, seed=number + 100))
    return root


def given(root: Path) -> list[str]:
    return [
        "dataset=synthetic",
        f"dataset.root={root}",
        f"dataset.cells={root / 'cells.csv'}",
        f"dataset.pattern={PATTERN}",
        "dataset.empty_labels=null",
        "curation.empty_filter.enabled=false",
        "curation.nuclei.min_area=250",
        "curation.patches.size=112",
        "curation.patches.stride=56",
        "curation.n_jobs=1",
    ]


BOTH = ["dataset.nuclei=Hoechst", "dataset.live_stain=Calcein"]


def curated(*overrides: str) -> Curated:
    return open_curated(curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True)))


@pytest.fixture(scope="module")
def opened(plate, tmp_path_factory) -> Curated:
    out = tmp_path_factory.mktemp("curated")
    scale = ["curation.label.scale=nuclei", "curation.label.dead_share=0.5"]
    return curated(*given(plate), *BOTH, *scale, f"curation.output_root={out}")


def fields_of(curation: Curated) -> pd.DataFrame:
    return pd.read_parquet(curation.folder / FIELDS).set_index("raw_image_id")


def test_the_nuclei_of_each_field_are_its_cells_and_the_pi_positive_ones_the_dead(plate, opened):
    cells = pd.read_csv(plate / "cells.csv").groupby("raw_image_id")["dead"].agg(["size", "sum"])
    fields = fields_of(opened).join(cells)
    assert (fields["size"] > 20).all()
    assert (fields["n_nuclei"] - fields["size"]).abs().max() <= 0.1 * fields["size"].max()  # those cut by the edge
    assert fields["n_nuclei"].sum() == pytest.approx(fields["size"].sum(), rel=0.08)
    assert fields["n_positive_nuclei"].sum() == pytest.approx(fields["sum"].sum(), rel=0.12)


def test_patches_hold_the_nuclei_that_were_counted_in_them(opened):
    manifest = opened.manifest
    assert np.corrcoef(manifest["n_nuclei"], manifest["n_cells"])[0, 1] > 0.9
    assert np.corrcoef(manifest["n_positive_nuclei"], manifest["n_dead"])[0, 1] > 0.9
    assert (manifest["n_positive_nuclei"] <= manifest["n_nuclei"]).all()


def test_labels_by_nuclei_are_of_their_share_and_a_patch_without_one_has_none(opened):
    manifest = opened.manifest
    filled = manifest[manifest["n_nuclei"] > 0]
    np.testing.assert_allclose(filled["label_value"], filled["n_positive_nuclei"] / filled["n_nuclei"])
    low, high = opened.thresholds["live_below"], opened.thresholds["dead_above"]
    assert 0 < low <= high < 1
    assert (filled.loc[filled["label_value"] < low, "label"] == LIVE).all()
    assert (filled.loc[filled["label_value"] > high, "label"] == DEAD).all()
    bare = manifest[manifest["n_nuclei"] == 0]
    assert len(bare) > 0
    assert bare["label_value"].isna().all()
    assert (bare["label"] == AMBIGUOUS).all()
    assert bare["split"].isna().all()


def test_labels_by_nuclei_agree_with_cells_that_are_known(opened):
    audit = opened.summary["label_audit"]
    assert audit["metrics"]["auroc"]["value"] > 0.95
    assert audit["kappa"] > 0.8


def test_the_area_of_the_live_stain_is_that_of_living_cells(plate, opened):
    cells = pd.read_csv(plate / "cells.csv")
    found = fields_of(opened)["live_stain_area"]
    assert found.dtype == np.float64
    for name, share in found.items():
        living = cells[(cells["raw_image_id"] == name) & (cells["dead"] == 0)]
        assert share == pytest.approx(discs(living, BODY).mean(), rel=0.1)


def test_without_these_stains_a_curation_has_none_of_their_columns_and_the_same_labels(plate, opened, tmp_path):
    words = ["curation.label.scale=log_background_ratio", "curation.label.n_sigma=0.5"]
    without = curated(*given(plate), *words, f"curation.output_root={tmp_path / 'without'}")
    beside = curated(*given(plate), *BOTH, *words, f"curation.output_root={tmp_path / 'beside'}")
    assert not {"n_nuclei", "n_positive_nuclei"} & set(without.manifest)
    assert not {"n_nuclei", "live_stain_area"} & set(fields_of(without))
    pd.testing.assert_frame_equal(without.manifest, beside.manifest[list(without.manifest)])
    assert without.thresholds == beside.thresholds
    assert without.summary["nuclei"] is None
    pd.testing.assert_frame_equal(
        beside.manifest[["n_nuclei", "n_positive_nuclei"]], opened.manifest[["n_nuclei", "n_positive_nuclei"]]
    )


@pytest.fixture
def copy(plate, tmp_path) -> Path:
    return Path(shutil.copytree(plate, tmp_path / "raw"))


FIRST = "W00001--P00001--Z00000--T00000"


def test_a_raw_image_without_the_stain_that_was_asked_for_is_a_bad_one(copy):
    (copy / f"{FIRST}--Hoechst.tif").unlink()
    with pytest.raises(InputError) as told:
        curated(*given(copy), *BOTH)
    assert f"{FIRST}: its Hoechst image is missing: copy it there, or remove its partner" in str(told.value)
    skipping = curated(*given(copy), *BOTH, "curation.label.scale=nuclei", "curation.on_bad_image=skip")
    assert list(skipping.summary["bad_images"]) == [FIRST]
    assert len(fields_of(skipping)) == 5
    dataset, curation = composed_prepare(*given(copy), "dataset.live_stain=Calcein")
    assert not find_raw_images(dataset, curation, copy).bad


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda image: image[:, :-8], f"bright-field is {SIZE} x {SIZE} px and nuclear stain {SIZE - 8} x {SIZE} ("),
        (lambda image: np.zeros_like(image), "nuclear stain is constant (every pixel 0): acquire or export it again"),
        (lambda image: np.stack([image] * 2), "its nuclear stain image W00001--P00001--Z00000--T00000--Hoechst.tif "),
    ],
)
def test_an_image_of_a_stain_that_does_not_fit_is_refused_by_name(copy, change, said):
    path = copy / f"{FIRST}--Hoechst.tif"
    tifffile.imwrite(path, change(tifffile.imread(path)), photometric="minisblack")
    with pytest.raises(InputError) as told:
        curated(*given(copy), *BOTH)
    assert f"{FIRST}--Trans.tif: " in str(told.value)
    assert said.removesuffix(" (") in str(told.value)


@pytest.mark.parametrize("channel", ["Hoechst", "Calcein"])
def test_another_image_of_a_stain_is_another_curation(copy, channel):
    def fingerprint(*overrides: str) -> str:
        dataset, curation = composed_prepare(*given(copy), *overrides)
        return fingerprint_of(dataset, curation, find_raw_images(dataset, curation, copy), None, {})

    first, without = fingerprint(*BOTH), fingerprint()
    assert len({first, without, fingerprint(BOTH[0]), fingerprint(BOTH[1])}) == 4
    path = copy / f"{FIRST}--{channel}.tif"
    tifffile.imwrite(path, tifffile.imread(path)[::-1])
    assert fingerprint(*BOTH) != first
    assert fingerprint() == without


def test_a_dry_run_names_the_channels_and_lists_their_files(plate, capsys):
    list_raw_images(*composed_prepare(*given(plate), *BOTH))
    lines = capsys.readouterr().out.splitlines()
    files = [f"{FIRST}--{channel}.tif" for channel in ("Trans", "PI", "Hoechst", "Calcein")]
    assert f"{FIRST}  [group W00001--P00001]  {' + '.join(files)}" in lines
    assert (
        "channels: Trans is bright-field, PI is fluorescence, Hoechst is nuclear stain, Calcein is live stain" in lines
    )
    assert not any("not used" in line for line in lines)


def test_a_stack_of_all_channels_gives_what_single_files_give(plate, opened, tmp_path, capsys):
    for path in sorted(plate.glob("*--Trans.tif")):
        name = path.name.removesuffix("--Trans.tif")
        channels = ("Hoechst", "Trans", "Calcein", "PI")
        stack = np.stack([tifffile.imread(plate / f"{name}--{channel}.tif") for channel in channels])
        (tmp_path / "raw").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "raw" / f"{name}.tif", stack, photometric="minisblack")
    words = [
        *(word for word in given(tmp_path / "raw") if "pattern" not in word and "cells" not in word),
        "dataset.cells=null",
        "dataset.layout=stack",
        r"dataset.pattern='^(?P<raw_image_id>(?P<group>W\d+--P\d+)--Z\d+--T\d+)\.tif$'",
        "dataset.brightfield_index=1",
        "dataset.fluorescence_index=3",
        "dataset.nuclei_index=0",
        "dataset.live_stain_index=2",
        "curation.label.scale=nuclei",
    ]
    list_raw_images(*composed_prepare(*words))
    line = "channels: 1 is bright-field, 3 is fluorescence, 0 is nuclear stain, 2 is live stain"
    assert line in capsys.readouterr().out.splitlines()
    found = curated(*words, f"curation.output_root={tmp_path}")
    measured = ["n_nuclei", "n_positive_nuclei", "live_stain_area", "pi_area"]
    pd.testing.assert_frame_equal(fields_of(found)[measured], fields_of(opened)[measured])
    with pytest.raises(InputError, match="has 4 channels, so no channel 4 .*dataset.nuclei_index=null"):
        curated(*(word for word in words if "nuclei_index" not in word), "dataset.nuclei_index=4")
