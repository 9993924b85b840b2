import numpy as np
import pytest
import tifffile
from rich.console import Console

from conftest import small_field, write_pair
from jimt.curation.curate import curate
from jimt.curation.field_fluorescence import fluorescence_patches, fluorescence_tiles
from jimt.curation.manifest import open_curated
from jimt.errors import InputError

NAME = "--W00001--P00001--Z00000--T00000"
SCALES = {
    "raw": ((300, 450), lambda pi, background: pi),
    "background_subtracted": ((80, 250), lambda pi, background: pi - background),
    "log_background_ratio": ((0.4, 0.8), lambda pi, background: pi / background),
}
"""Thresholds that the small fields can be labelled by, and fluorescence in the unit of each scale."""


@pytest.fixture
def opened(small, small_pairs, prepare_config):
    """Curates with a first field of one's own; its tiles are those of field 0."""

    def opened(pair, scale="raw"):
        write_pair(small_pairs, NAME, pair)
        thresholds = zip(("live_below", "dead_above"), SCALES[scale][0], strict=True)
        labels = [f"curation.label.scale={scale}", *(f"curation.label.{name}={value}" for name, value in thresholds)]
        return open_curated(curate(*prepare_config(*small, *labels), embed=None, console=Console(quiet=True)))

    return opened


def test_a_tile_is_the_mean_of_its_own_pixels(opened):
    pair = small_field(np.random.default_rng(0))
    tiles = fluorescence_tiles(opened(pair), [0], tile=16)[0]
    assert tiles.label_value.shape == (160 // 16, 192 // 16)
    assert tiles.label_value[3, 5] == pytest.approx(pair[1][48:64, 80:96].mean())
    assert (tiles.valid == 1).all()


def test_tiles_of_a_ratio_are_over_the_background_of_their_field(opened):
    pair = small_field(np.random.default_rng(0))
    tiles = fluorescence_tiles(opened(pair, "log_background_ratio"), [0], tile=32)[0]
    background = np.percentile(pair[1], 10)
    assert tiles.label_value[0, 0] == pytest.approx(np.log(pair[1][:32, :32].mean() / background), abs=0.01)


def test_pixels_without_data_count_for_nothing(opened):
    brightfield, fluorescence = small_field(np.random.default_rng(0))
    brightfield[:, :40], fluorescence[:, :40] = 0, 0  # the border of an aligned field
    tiles = fluorescence_tiles(opened((brightfield, fluorescence)), [0], tile=16)[0]
    assert tiles.valid[0, 1] == 0
    assert tiles.valid[0, 2] == pytest.approx(0.5)
    assert tiles.label_value[0, 2] == pytest.approx(fluorescence[:16, 40:48].mean())


@pytest.mark.parametrize("scale", SCALES)
def test_fluorescence_that_is_drawn_has_no_value_where_there_is_no_data(opened, scale):
    brightfield, fluorescence = small_field(np.random.default_rng(0))
    brightfield[:, :40] = 0  # padding of bright-field alone
    curated = opened((brightfield, fluorescence), scale)
    rows = curated.manifest[(curated.manifest["raw_image_id"] == NAME) & (curated.manifest["y"] == 32)]
    found = fluorescence_patches(curated, rows)
    expected = SCALES[scale][1](fluorescence.astype(float), np.percentile(fluorescence[:, 40:], 10))
    expected[:, :40] = np.nan
    for row, pixels in zip(rows.itertuples(), found, strict=True):
        np.testing.assert_allclose(pixels, expected[32:96, row.x : row.x + 64], rtol=1e-5)


def test_patches_come_in_the_order_of_the_rows(opened):
    curated = opened(small_field(np.random.default_rng(0)))
    rows = curated.manifest.sample(30, random_state=0)
    for pixels, value in zip(fluorescence_patches(curated, rows), rows["mean_fluorescence"], strict=True):
        assert pixels.mean() == pytest.approx(value)


def test_published_patches_have_no_tiles(opened, tmp_path, prepare_config):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label in ("live", "dead"):
            folder = tmp_path / "patches" / split / label
            folder.mkdir(parents=True)
            tifffile.imwrite(folder / "a.tif", rng.integers(50, 200, (64, 64), np.uint8))
    config = prepare_config(
        "dataset=no_treatment", f"dataset.root={tmp_path / 'patches'}", "dataset.layout=patches",
        "dataset.pattern=null", "curation.patches.size=64", "curation.empty_filter.enabled=false",
    )  # fmt: skip
    curated = open_curated(curate(*config, embed=None, console=Console(quiet=True)))
    assert curated.store.field(0).shape == (64, 64)
    assert not curated.store.no_data(0).any()
    with pytest.raises(InputError, match="no_treatment holds published patches, which have no fluorescence images"):
        fluorescence_tiles(curated, [0], tile=16)


def test_channels_of_a_stack_are_read_by_their_index(tmp_path, prepare_config):
    rng = np.random.default_rng(0)
    (tmp_path / "raw").mkdir()
    fields = {f"W{well}_a": small_field(rng) for well in range(4)}
    for name, (brightfield, fluorescence) in fields.items():
        tifffile.imwrite(tmp_path / "raw" / f"{name}.tif", np.stack([fluorescence, brightfield]))
    config = prepare_config(
        "dataset=no_treatment",
        f"dataset.root={tmp_path / 'raw'}",
        "dataset.layout=stack",
        "dataset.pattern='^(?P<raw_image_id>(?P<group>W\\d)_.*)\\.tif$'",
        "dataset.brightfield_index=1",
        "dataset.fluorescence_index=0",
        "curation.patches.size=64",
        "curation.patches.stride=32",
        "curation.label.live_below=300",
        "curation.label.dead_above=450",
    )
    curated = open_curated(curate(*config, embed=None, console=Console(quiet=True)))
    for number, (_, fluorescence) in enumerate(fields.values()):
        np.testing.assert_array_equal(curated.store.fluorescence(number), fluorescence)
