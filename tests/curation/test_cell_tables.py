"""Where cells lie: the tables of counted cells and of all nuclei that a curation leaves."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console
from scipy import ndimage
from scipy.spatial import cKDTree

from conftest import composed_prepare
from jimt.curation import cell_tables, read_stage
from jimt.curation.cell_tables import CELLS, NUCLEI, TYPES, join_tables, placed_cells, placed_nuclei
from jimt.curation.curate import curate
from jimt.curation.field_writer import FieldWriter
from jimt.curation.manifest import Curated, open_curated
from jimt.curation.nuclei import Nuclei, NucleiSettings, find_nuclei
from jimt.curation.positive import count_inside
from jimt.curation.shift import find_shift, shift_evidence
from jimt.curation.store import FIELDS
from jimt.errors import InputError

HEIGHT, WIDTH, RADIUS = 240, 300, 10
WELLS = 6
SHIFT = (5, -4)  # by which the stains lie further down and right than bright-field, where a test shifts them


def cells_of_field(rng: np.random.Generator) -> pd.DataFrame:
    """Cells that do not touch, half of them dead."""
    rows, columns = np.arange(24, HEIGHT - 24, 34), np.arange(24, WIDTH - 24, 34)
    grid = np.array([(y, x) for y in rows for x in columns])
    places = grid[rng.permutation(len(grid))[:24]] + rng.integers(-4, 5, (24, 2))
    return pd.DataFrame({"y": places[:, 0], "x": places[:, 1], "dead": np.arange(24) % 2})


def discs(cells: pd.DataFrame) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.any([(y - cell.y) ** 2 + (x - cell.x) ** 2 <= RADIUS**2 for cell in cells.itertuples()], axis=0)


def stained(cells: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(300 + 2100 * ndimage.gaussian_filter(discs(cells).astype(float), 1.2)).astype(np.uint16)


def write_plate(root: Path, *, shift: tuple[int, int] = (0, 0)) -> pd.DataFrame:
    """Fields whose nuclei are seen in bright-field, too; returns their cells, placed as on bright-field."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    cells = []
    for well in range(1, WELLS + 1):
        name, here = f"W{well}--P1", cells_of_field(rng)
        brightfield = rng.normal(1000, 60, (HEIGHT, WIDTH)) - 500 * ndimage.gaussian_filter(
            discs(here).astype(float), 1
        )
        tifffile.imwrite(root / f"{name}--Trans.tif", brightfield.clip(1, 4000).astype(np.uint16))
        for channel, those in (("PI", here[here["dead"] == 1]), ("Hoechst", here)):
            tifffile.imwrite(root / f"{name}--{channel}.tif", np.roll(stained(those, rng), shift, (0, 1)))
        cells.append(here.assign(raw_image_id=name))
    return pd.concat(cells, ignore_index=True)


def given(root: Path, *overrides: str) -> list[str]:
    return [
        "dataset=synthetic",
        f"dataset.root={root}",
        r"dataset.pattern='^(?P<raw_image_id>(?P<group>W\d+)--P\d+)--(?P<channel>\w+)\.tif$'",
        "dataset.empty_labels=null",
        "dataset.nuclei=Hoechst",
        "curation.empty_filter.enabled=false",
        "curation.nuclei.min_area=150",
        "curation.label.scale=nuclei",
        "curation.label.dead_share=0.5",
        "curation.patches.size=112",
        "curation.patches.stride=56",
        "curation.n_jobs=1",
        *overrides,
    ]


def curated(*overrides: str) -> Curated:
    return open_curated(curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True)))


@pytest.fixture(scope="module")
def plate(tmp_path_factory) -> tuple[Path, pd.DataFrame]:
    """A plate whose first five fields of six were counted."""
    root = tmp_path_factory.mktemp("plate") / "raw"
    cells = write_plate(root)
    counted = cells[cells["raw_image_id"] != f"W{WELLS}--P1"]
    counted.sample(frac=1, random_state=0).to_csv(root / "cells.csv", index=False)
    return root, cells


@pytest.fixture(scope="module")
def opened(plate, tmp_path_factory) -> Curated:
    root, _ = plate
    out = tmp_path_factory.mktemp("curated")
    return curated(*given(root, f"dataset.cells={root / 'cells.csv'}", f"curation.output_root={out}"))


def by_place(table: pd.DataFrame) -> list[tuple[float, ...]]:
    return sorted(table[["field", "y", "x", "dead"]].itertuples(index=False, name=None))


def numbered(cells: pd.DataFrame, curation: Curated) -> pd.DataFrame:
    """Cells with the number of their field, read off the manifest."""
    numbers = curation.manifest.drop_duplicates("raw_image_id").set_index("raw_image_id")["field"]
    return cells.assign(field=cells["raw_image_id"].map(numbers.to_dict()))


def test_counted_cells_are_kept_where_they_lie_and_fields_that_were_not_counted_have_none(plate, opened):
    kept = opened.cells()
    assert kept.dtypes.to_dict() == {name: np.dtype(kind) for name, kind in TYPES.items()}
    expected = numbered(plate[1], opened)
    assert by_place(kept) == by_place(expected[expected["raw_image_id"] != f"W{WELLS}--P1"])
    assert (np.diff(kept["field"]) >= 0).all()
    assert opened.manifest["n_cells"].notna().any()
    assert kept["field"].nunique() == WELLS - 1


def test_all_nuclei_are_kept_where_they_lie_with_those_that_are_pi_positive(plate, opened):
    nuclei, cells = opened.nuclei(), numbered(plate[1], opened)
    assert nuclei.dtypes.to_dict() == {name: np.dtype(kind) for name, kind in TYPES.items()}
    assert (np.diff(nuclei["field"]) >= 0).all()
    assert nuclei["field"].unique().tolist() == list(range(WELLS))
    for field, found in nuclei.groupby("field"):
        true = cells[cells["field"] == field]
        distance, nearest = cKDTree(true[["y", "x"]]).query(found[["y", "x"]])
        assert sorted(nearest) == list(range(len(true)))
        assert distance.max() < 1.5
        assert (true["dead"].to_numpy()[nearest] == found["dead"]).all()


def test_the_nuclei_of_a_patch_are_those_of_the_table_inside_it(opened):
    manifest, nuclei = opened.manifest, opened.nuclei()
    for field, rows in manifest.groupby("field"):
        here = nuclei[nuclei["field"] == field]
        y, x = rows["y"].to_numpy(np.int32), rows["x"].to_numpy(np.int32)
        for table, column in ((here, "n_nuclei"), (here[here["dead"]], "n_positive_nuclei")):
            counts = count_inside(table[["y", "x"]].to_numpy(np.float64), y, x, size=112)
            assert counts.tolist() == rows[column].tolist()


def test_a_data_set_without_counted_cells_or_a_nuclear_stain_has_no_table(plate, tmp_path):
    words = [word for word in given(plate[0]) if not word.startswith(("dataset.nuclei", "curation.label"))]
    words += ["dataset.cells=null", "curation.label.scale=positive_area"]
    without = curated(*words, f"curation.output_root={tmp_path}")
    assert without.cells() is None
    assert without.nuclei() is None
    assert not {CELLS, NUCLEI} & {path.name for path in without.folder.iterdir()}


def test_where_channels_are_aligned_nuclei_lie_as_on_bright_field_and_cells_counted_there_stay(tmp_path):
    cells = write_plate(tmp_path / "raw", shift=SHIFT)
    cells.to_csv(tmp_path / "cells.csv", index=False)
    for align, expected in ((False, SHIFT), (True, (0, 0))):
        words = given(tmp_path / "raw", f"dataset.cells={tmp_path / 'cells.csv'}", f"curation.align={align}")
        found = curated(*words, f"curation.output_root={tmp_path / str(align)}")
        counted = numbered(cells, found)
        assert by_place(found.cells()) == by_place(counted)
        nuclei = found.nuclei()
        for field, true in counted.groupby("field"):
            here = nuclei.loc[nuclei["field"] == field, ["y", "x"]].to_numpy()
            distance, nearest = cKDTree(here).query(true[["y", "x"]], distance_upper_bound=12)
            near = np.isfinite(distance)
            assert near.mean() > 0.9
            offset = np.median(here[nearest[near]] - true[["y", "x"]].to_numpy()[near], axis=0)
            assert offset == pytest.approx(expected, abs=1)


def test_cells_counted_on_fluorescence_are_moved_with_it_and_count_as_where_no_channel_is_shifted(
    plate, opened, tmp_path
):
    write_plate(tmp_path / "raw", shift=SHIFT)
    cells = pd.read_csv(plate[0] / "cells.csv")
    cells.assign(y=cells["y"] + SHIFT[0], x=cells["x"] + SHIFT[1]).to_csv(tmp_path / "cells.csv", index=False)
    words = given(tmp_path / "raw", f"dataset.cells={tmp_path / 'cells.csv'}", "dataset.cells_on=fluorescence")
    found = curated(*words, "curation.align=true", f"curation.output_root={tmp_path / 'aligned'}")
    shifts = set(pd.read_parquet(found.folder / FIELDS)[["shift_y", "shift_x"]].itertuples(index=False, name=None))
    assert shifts == {SHIFT}
    pd.testing.assert_frame_equal(found.cells(), opened.cells())
    columns = ["raw_image_id", "y", "x", "n_cells", "n_dead"]
    pd.testing.assert_frame_equal(found.manifest[columns], opened.manifest[columns])
    as_they_are = curated(*words, f"curation.output_root={tmp_path / 'not'}")
    places = pd.read_csv(tmp_path / "cells.csv")
    assert by_place(as_they_are.cells()) == by_place(numbered(places, as_they_are))


def test_the_counted_nuclei_of_mcf7_lie_on_hoechst(real_data):
    counted = pd.read_csv(real_data / "mcf7/nuclei.csv")
    settings = NucleiSettings(smoothing=1.0, background=20.0, min_area=600, max_area=20000)
    offsets = []
    for name in sorted(counted["raw_image_id"].unique())[::9]:
        image = tifffile.imread(real_data / "mcf7/hoechst" / f"{name}.tif")
        found = find_nuclei(image, np.ones(image.shape, bool), np.zeros(image.shape, bool), settings)
        true = counted.loc[counted["raw_image_id"] == name, ["y", "x"]].to_numpy()
        distance, nearest = cKDTree(found.centres).query(true, distance_upper_bound=20)
        offsets.append(true[np.isfinite(distance)] - found.centres[nearest[np.isfinite(distance)]])
    assert np.median(np.concatenate(offsets), axis=0) == pytest.approx((0, 0), abs=1)  # bright-field lies 5 px above


def test_where_channels_are_aligned_the_counted_nuclei_of_mcf7_lie_as_on_bright_field_to_2_px(real_data, tmp_path):
    """The truth: nuclei found on Hoechst, less how far that stain itself lies from bright-field."""
    names = sorted(path.stem for path in (real_data / "mcf7/brightfield").glob("*.tif"))[::4]
    for channel in ("brightfield", "pi"):
        (tmp_path / "raw" / channel).mkdir(parents=True)
        for name in names:
            (tmp_path / "raw" / channel / f"{name}.tif").symlink_to(real_data / f"mcf7/{channel}/{name}.tif")
    words = [f"dataset.root={tmp_path / 'raw'}", f"dataset.cells={real_data / 'mcf7/nuclei.csv'}"]
    words += ["dataset=mcf7", "curation.empty_filter.enabled=false", "curation.n_jobs=1"]
    found = curated(*words, "curation.align=true", f"curation.output_root={tmp_path / 'curated'}")
    pairs = [
        [tifffile.imread(real_data / f"mcf7/{channel}/{name}.tif") for channel in ("brightfield", "hoechst")]
        for name in names
    ]
    own = find_shift(np.stack([shift_evidence(*pair, pair[0] > 0) for pair in pairs]))
    settings = NucleiSettings(smoothing=1.0, background=20.0, min_area=600, max_area=20000)
    cells, offsets = found.cells(), []
    for field, (_, hoechst) in enumerate(pairs):
        nuclei = find_nuclei(hoechst, np.ones(hoechst.shape, bool), np.zeros(hoechst.shape, bool), settings)
        here = cells.loc[cells["field"] == field, ["y", "x"]].to_numpy()
        distance, nearest = cKDTree(nuclei.centres - (own.y, own.x)).query(here, distance_upper_bound=20)
        offsets.append(here[np.isfinite(distance)] - nuclei.centres[nearest[np.isfinite(distance)]] + (own.y, own.x))
    assert np.hypot(*np.median(np.concatenate(offsets), axis=0)) <= 2  # 4 px where they are not moved


def test_an_interrupted_curation_ends_with_the_nuclei_of_one_that_was_not(plate, opened, tmp_path, monkeypatch):
    monkeypatch.setattr(read_stage, "_COMMIT_SECONDS", 0.0)
    add = FieldWriter.add

    def stops(writer: FieldWriter, result: object) -> None:
        if writer.n_images == 3:
            raise KeyboardInterrupt
        add(writer, result)

    words = given(plate[0], f"curation.output_root={tmp_path}")
    monkeypatch.setattr(FieldWriter, "add", stops)
    with pytest.raises(KeyboardInterrupt):
        curated(*words)
    (partial,) = tmp_path.glob(".*.partial")
    assert len(list(partial.glob("commit-*-nuclei.parquet"))) == 3
    # as where a process was killed between the tables of a commit and the file that makes it count
    never = pd.DataFrame({"field": [0], "y": [0.0], "x": [0.0], "dead": [True]}).astype(TYPES)
    never.to_parquet(partial / "commit-000009-nuclei.parquet")
    monkeypatch.setattr(FieldWriter, "add", add)
    taken_up = curated(*words)
    pd.testing.assert_frame_equal(taken_up.nuclei(), opened.nuclei())
    assert not list(taken_up.folder.glob("commit-*"))


def test_what_was_written_of_a_commit_that_did_not_come_to_its_end_is_thrown_away(tmp_path):
    (tmp_path / "store").mkdir()
    for kind in ("rows", "nuclei"):
        (tmp_path / "store" / f"commit-000000-{kind}.parquet").write_bytes(b"of a process that was killed")
    with FieldWriter(tmp_path / "store", root=tmp_path) as writer:
        rows, fields = writer.finish()
    assert (len(rows), len(fields)) == (0, 0)
    assert not list((tmp_path / "store").glob("*.parquet"))


def test_tables_that_are_missing_or_damaged_are_refused_with_the_way_out(plate, tmp_path):
    root, _ = plate
    found = curated(*given(root, f"dataset.cells={root / 'cells.csv'}", f"curation.output_root={tmp_path}"))
    os.truncate(found.folder / NUCLEI, 100)
    with pytest.raises(InputError, match=r"nuclei\.parquet is damaged: delete .* and curate again"):
        found.nuclei()
    (found.folder / CELLS).unlink()
    with pytest.raises(InputError, match=r"cells\.parquet is missing: delete .* and curate again"):
        found.cells()


def test_fields_without_a_cell_or_nucleus_have_no_row_and_keep_the_numbers_of_the_others():
    none = Nuclei(np.zeros((0, 2)), np.zeros(0, bool), 0.0, np.nan)
    one = Nuclei(np.array([[3.0, 4.0]]), np.array([True]), 20.0, 1.0)
    table = placed_nuclei([none, one, none, one], first=7)
    assert table.to_dict("list") == {"field": [8, 10], "y": [3, 3], "x": [4, 4], "dead": [True, True]}
    assert len(placed_nuclei([none], first=0)) == 0
    fields = pd.DataFrame({"raw_image_id": ["a", "b", "c"]})
    cells = pd.DataFrame({"raw_image_id": ["c", "z", "a", "c"], "y": 1.0, "x": [1.0, 2, 3, 4], "dead": False})
    assert placed_cells(cells, fields)[["field", "x"]].to_numpy().tolist() == [[0, 3], [2, 1], [2, 4]]


@pytest.mark.parametrize("cuts", [(), (10,), (3, 10, 11, 24), (7, 7, 20), (25,)])
def test_a_joined_table_has_the_same_bytes_wherever_it_was_cut(tmp_path, monkeypatch, cuts):
    """As commits cut it, by a clock; a part without rows is of fields without nuclei."""
    monkeypatch.setattr(cell_tables, "_ROW_GROUP", 10)
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, 100, (25, 2))
    whole = pd.DataFrame(
        {"field": np.arange(25) // 4, "y": centres[:, 0], "x": centres[:, 1], "dead": centres[:, 0] > 50}
    )
    whole = whole.astype(TYPES)
    joined = []
    for name, ends in (("once", (25,)), ("cut", (*cuts, 25))):
        parts = []
        for begin, end in zip((0, *ends), ends, strict=False):
            parts.append(tmp_path / f"{name}-{len(parts)}.parquet")
            whole[begin:end].to_parquet(parts[-1], index=False)
        join_tables(parts, tmp_path / name)
        joined.append((tmp_path / name).read_bytes())
    assert joined[0] == joined[1]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "cut"), whole)
