"""Which bits of 16 carry the signal: a data set is read as what it is, or refused with the setting that fits.

The oracle is the same data set stored plainly, and arithmetic on its pixels by NumPy.
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from rich.console import Console

from conftest import SMALL, composed_prepare, small_field, write_pair
from jimt.curation import read_stage
from jimt.curation.curate import curate
from jimt.curation.images import read_page
from jimt.curation.manifest import open_curated, read_json, read_manifest
from jimt.curation.payload import UsedBits, check_bits, payload, unused_bits, used_bits
from jimt.errors import InputError

FIRST = "--W00001--P00001--Z00000--T00000"


@pytest.fixture(scope="module")
def composed():
    return composed_prepare("dataset=no_treatment", *SMALL)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Six wells of one field."""
    return write_fields(tmp_path / "raw")


def write_fields(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for well in range(1, 7):
        write_pair(root, f"--W{well:05d}--P00001--Z00000--T00000", small_field(rng, height=96))
    return root


@pytest.fixture
def config(composed, pairs):
    """The config of ``prepare.py``, 12 bits, with settings such as ``dataset.bit_depth=16``."""

    def make(*settings: str, **curation: object):
        changes = {key.removeprefix("dataset."): int(value) for key, value in (text.split("=") for text in settings)}
        return (
            dataclasses.replace(composed[0], root=str(pairs), **changes),
            dataclasses.replace(composed[1], **curation),
        )

    return make


@pytest.fixture(scope="module")
def reference(composed, tmp_path_factory) -> Path:
    """The curation of the pairs as they are written at first."""
    folder = tmp_path_factory.mktemp("reference")
    dataset = dataclasses.replace(composed[0], root=str(write_fields(folder / "raw")))
    return run((dataset, dataclasses.replace(composed[1], output_root=str(folder / "curated"))))


def run(config, console: Console | None = None) -> Path:
    return curate(*config, embed=None, console=console or Console(quiet=True))


def manifest_of(folder: Path) -> pd.DataFrame:
    return read_manifest(folder / "manifest.parquet")


def same(folder: Path, reference: Path) -> None:
    """Patches, labels, splits and 8-bit fields are the same."""
    pd.testing.assert_frame_equal(manifest_of(folder), manifest_of(reference))
    assert (folder / "fields.u8").read_bytes() == (reference / "fields.u8").read_bytes()


def told(config) -> str:
    with pytest.raises(InputError) as caught:
        run(config)
    return str(caught.value)


def rewrite(root: Path, change: Callable[[np.ndarray], np.ndarray], pattern: str = "*.tif") -> None:
    files = sorted(root.glob(pattern))
    assert files
    for path in files:
        tifffile.imwrite(path, change(tifffile.imread(path)), photometric="minisblack")


def remedy(sentence: str) -> str:
    """The setting that a sentence names."""
    (found,) = re.findall(r"give (dataset\.bit_\w+=\d+)", sentence)
    return found


# ---- read as the plain file


STORED = {
    "32768 added": lambda v: v + np.uint16(32768),
    "32768 taken off, signed": lambda v: (v.astype(np.int32) - 32768).astype(np.int16),
    "signed, never negative": lambda v: v.astype(np.int16),
    "all high bits set": lambda v: v | np.uint16(0xF000),
}


@pytest.mark.parametrize("way", STORED)
def test_bits_that_are_the_same_in_every_pixel_are_an_offset(pairs, config, reference, way):
    rewrite(pairs, STORED[way])
    folder = run(config())
    same(folder, reference)
    offsets = {"signed, never negative": 0, "all high bits set": 0xF000}
    assert read_json(folder / "summary.json")["masked_offset"] == offsets.get(way, 32768)


def test_an_offset_is_taken_off_everywhere_and_told(pairs, config, capsys):
    # by both passes over the files, by every process, and in the store
    two_passes = dataclasses.replace(config()[1].scaling, method="percentile_dataset")
    plain = run(config(scaling=two_passes, output_root="plain"))
    before = {path.name: tifffile.imread(path) for path in pairs.glob("*PI.tif")}
    rewrite(pairs, STORED["32768 added"])
    folder = run(config(scaling=two_passes, n_jobs=2), Console())
    assert "32,768 is added to every pixel of every file, and was taken off" in capsys.readouterr().out
    assert read_json(folder / "summary.json")["scaling"] == read_json(plain / "summary.json")["scaling"]
    same(folder, plain)
    np.testing.assert_array_equal(open_curated(folder).store.fluorescence(0), before[f"{FIRST}--PI.tif"])


def test_a_border_of_zeros_beside_an_offset_is_no_data(pairs, config):
    def pad(image: np.ndarray) -> np.ndarray:
        image[:24] = 0
        return image

    rewrite(pairs, pad)
    plain = run(config(output_root="plain"))
    rewrite(pairs, lambda v: np.where(v == 0, 0, v + 32768).astype(np.uint16))
    folder = run(config())
    same(folder, plain)
    assert (manifest_of(folder)["excluded"] == "no_data").sum() == 6 * 5


def test_the_payload_of_a_stack_and_of_a_published_patch_is_masked_too(pairs, config, reference, tmp_path):
    stacks, patches = tmp_path / "stacks", tmp_path / "patches"
    stacks.mkdir()
    trans = sorted(pairs.glob("*Trans.tif"))
    for number, path in enumerate(trans):
        pair = [tifffile.imread(path), tifffile.imread(str(path).replace("Trans", "PI"))]
        tifffile.imwrite(stacks / f"well{number:02d}.tif", np.stack(pair) + np.uint16(32768), photometric="minisblack")
        for name, crop in (("live", pair[0][-64:, -64:]), ("dead", pair[0][:64, :64])):
            (patches / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(patches / name / f"{number}.tif", crop + np.uint16(32768))
    dataset, curation = config()
    stack = {"layout": "stack", "name": "stacked", "pattern": r"(?P<group>(?P<raw_image_id>well\d+))"}
    folder = run((dataclasses.replace(dataset, root=str(stacks), **stack), curation))
    assert (manifest_of(folder)["mean_fluorescence"] == manifest_of(reference)["mean_fluorescence"]).all()
    crops = {"layout": "patches", "name": "cropped", "pattern": None}
    folder = run((dataclasses.replace(dataset, root=str(patches), **crops), curation))
    field = open_curated(folder).store.field(0)
    np.testing.assert_array_equal(field, np.rint(tifffile.imread(trans[0])[:64, :64] / 4095 * 255))


@pytest.mark.parametrize(
    ("method", "mended"),
    [
        ("bit_depth", {"dataset.bit_depth=12": {}}),
        ("bit_depth", {"dataset.bit_depth=16": {"method": "percentile_dataset"}}),
        ("full_range", {"dataset.bit_depth=12": {"method": "bit_depth"}}),
    ],
)
def test_few_grey_levels_are_said_with_the_settings_that_give_more(config, capsys, method, mended):
    scaling = dataclasses.replace(config()[1].scaling, method=method)
    folder = run(config("dataset.bit_depth=16", scaling=scaling, output_root="few"), Console(width=500))
    told = capsys.readouterr().out
    assert len(np.unique(open_curated(folder).store.field(0))) <= 16
    assert "WARNING: no bright-field pixel uses the upper 4 of 16 bits, so 16 of 256 grey levels are left" in told
    ((depth, change),) = mended.items()
    setting = depth if "method" not in change else f"curation.scaling.method={change['method']}"
    assert setting in told
    folder = run(config(depth, scaling=dataclasses.replace(scaling, **change), output_root="many"), Console(width=500))
    assert "grey levels" not in capsys.readouterr().out
    assert len(np.unique(open_curated(folder).store.field(0))) > 100


def test_a_bright_field_in_the_lower_half_of_its_range_is_no_few_grey_levels(config, reference):
    assert read_json(reference / "summary.json")["unused_bits"] == 0
    bits = [UsedBits(f"{n}.tif", "bright-field", "16-bit", set_in_any, 0) for n, set_in_any in enumerate((3, 0x1FF))]
    dark = UsedBits("pi.tif", "fluorescence", "16-bit", 0xFFFF, 0)
    offset = [dataclasses.replace(each, set_in_any=each.set_in_any | 0x8000, set_in_all=0x8000) for each in bits]
    assert [unused_bits(images, range_bits=12, bit_shift=0) for images in (bits, [*bits, dark], offset)] == [3, 3, 3]
    assert unused_bits([dark], range_bits=12, bit_shift=0) == 0


# ---- refused, with what fits


def test_more_bits_than_the_setting_are_refused_with_those_that_fit(pairs, config):
    rewrite(pairs, lambda v: v * np.uint16(3), "*Trans.tif")  # counts up to 12285: 14 bits
    sentence = told(config())
    assert f"dataset.bit_depth=12 does not fit 6 of 12 images, for example {FIRST}--Trans.tif (" in sentence
    assert remedy(sentence) == "dataset.bit_depth=14"
    field = open_curated(run(config(remedy(sentence)))).store.field(0)
    np.testing.assert_array_equal(field, np.rint(tifffile.imread(pairs / f"{FIRST}--Trans.tif") / 16383 * 255))


def test_bright_images_that_do_not_fit_are_not_skipped(pairs, config, tmp_path):
    def with_a_dead_cell(image: np.ndarray) -> np.ndarray:
        image[3:9, 150:156] = 9000
        return image

    rewrite(pairs, with_a_dead_cell, f"{FIRST}--PI.tif")
    sentence = told(config(on_bad_image="skip"))
    assert f"1 of 12 images, for example {FIRST}--PI.tif" in sentence
    assert remedy(sentence) == "dataset.bit_depth=14"
    assert not list((tmp_path / "data/curated").rglob("*"))
    means = manifest_of(run(config(remedy(sentence))))["mean_fluorescence"]
    assert means[4] == tifffile.imread(pairs / f"{FIRST}--PI.tif")[:64, 128:].mean()


@pytest.mark.parametrize("names", [f"{FIRST}--Trans.tif", "*--Trans.tif"])
def test_an_image_all_of_whose_pixels_share_a_bit_by_chance_keeps_it(pairs, config, names):
    # 14-bit camera: this exposure lies between 4096 and 8191 everywhere, the others do not
    rewrite(pairs, lambda v: np.clip(v, 0, 4000) + np.uint16(4096), names)
    sentence = told(config())
    assert remedy(sentence) == "dataset.bit_depth=13"
    field = open_curated(run(config(remedy(sentence)))).store.field(0)
    np.testing.assert_array_equal(field, np.rint(tifffile.imread(pairs / f"{FIRST}--Trans.tif") / 8191 * 255))


@pytest.mark.parametrize("bit_depth", [12, 16])
def test_an_offset_in_some_images_alone_is_refused(pairs, config, bit_depth):
    rewrite(pairs, STORED["32768 added"], "*W0000[12]*PI.tif")
    sentence = told(config(f"dataset.bit_depth={bit_depth}"))
    assert sentence == (
        f"32768 is added to every pixel of 2 of 12 images, for example {FIRST}--PI.tif, and not of {FIRST}--Trans.tif: "
        "export all in one way, or remove these"
    )
    for path in pairs.glob("*W0000[12]*"):
        path.unlink()
    run(config(f"dataset.bit_depth={bit_depth}"))


@pytest.mark.parametrize("way", ["32768 added", "32768 taken off, signed"])
def test_an_offset_among_16_bits_is_refused_with_the_bits_that_mask_it(pairs, config, reference, way):
    rewrite(pairs, STORED[way])
    sentence = told(config("dataset.bit_depth=16"))
    assert sentence.startswith("every pixel has 32768 added (signed counts stored as unsigned ones), for example")
    same(run(config(remedy(sentence))), reference)


def test_16_bit_bright_field_above_half_of_the_range_is_no_offset(pairs, config):
    rewrite(pairs, lambda v: v * np.uint16(7) + np.uint16(33000), "*Trans.tif")
    assert read_json(run(config("dataset.bit_depth=16")) / "summary.json")["masked_offset"] == 0


def test_counts_in_the_upper_bits_are_refused_with_the_shift_that_fits(pairs, config, reference):
    rewrite(pairs, lambda v: v << np.uint16(4))  # PI of live cells, 224, is 3584: within 12 bits
    sentence = told(config())
    assert "every pixel is a multiple of 16, so the counts stand in the upper bits" in sentence
    assert remedy(sentence) == "dataset.bit_shift=4"
    same(run(config(remedy(sentence))), reference)


def test_a_shift_that_does_not_fit_is_refused(config, reference):
    sentence = told(config("dataset.bit_shift=4"))
    assert sentence.startswith("dataset.bit_shift=4 does not fit 12 of 12 images")
    same(run(config(remedy(sentence))), reference)
    with pytest.raises(InputError, match="dataset.bit_shift=5 is not allowed: it takes 0 to 4"):
        config("dataset.bit_shift=5")


@pytest.mark.parametrize("bit_depth", [12, 16])
def test_negative_pixels_are_refused(pairs, config, bit_depth):
    rewrite(pairs, lambda v: v.astype(np.int16) - np.int16(500), "*PI.tif")  # background taken off
    sentence = told(config(f"dataset.bit_depth={bit_depth}", on_bad_image="skip"))
    assert sentence.startswith(f"signed pixels are negative in 6 of 12 images, for example {FIRST}--PI.tif: ")


def test_fluorescence_of_two_types_is_refused(pairs, config):
    rewrite(pairs, lambda v: (v // 16).astype(np.uint8), f"{FIRST}--PI.tif")
    assert told(config()).startswith(f"the fluorescence is 8-bit in {FIRST}--PI.tif and 16-bit in --W00002")


def test_what_an_interrupted_run_has_read_is_judged_with_the_rest(pairs, config, monkeypatch):
    monkeypatch.setattr(read_stage, "_COMMIT_SECONDS", 0.0)
    rewrite(pairs, lambda v: v * np.uint16(3), f"{FIRST}--*.tif")  # read before the interruption
    real = read_stage.FieldWriter.add

    def add(writer, result):
        if writer.n_images == 3:
            raise KeyboardInterrupt
        real(writer, result)

    monkeypatch.setattr(read_stage.FieldWriter, "add", add)
    with pytest.raises(KeyboardInterrupt):
        run(config())
    monkeypatch.setattr(read_stage.FieldWriter, "add", real)
    assert remedy(told(config())) == "dataset.bit_depth=14"


# ---- arrays


def test_other_types_than_16_bits_are_not_touched():
    for image in (np.array([[1, 255]], np.uint8), np.array([[0.5, 70000.0]], np.float32)):
        assert payload(image, bit_depth=8, bit_shift=0) is image
        bits = used_bits(image, file="a", channel="bright-field")
        assert check_bits([bits], bit_depth=8, bit_shift=0) == 0


@pytest.mark.parametrize("n_bits", range(9, 16))
def test_any_camera_is_read_or_told_its_bits(n_bits):
    rng = np.random.default_rng(n_bits)
    image = rng.integers(0, 1 << n_bits, (50, 50)).astype(np.uint16)
    image[0, :2] = 0, (1 << n_bits) - 1
    for stored in (image, image + np.uint16(32768)):
        bits = [used_bits(stored, file="a.tif", channel=channel) for channel in ("bright-field", "fluorescence")]
        for bit_depth in range(8, n_bits):
            with pytest.raises(
                InputError,
                match=f"dataset.bit_depth={bit_depth} does not fit 2 of 2 .* give dataset.bit_depth={n_bits}$",
            ):
                check_bits(bits, bit_depth=bit_depth, bit_shift=0)
        for bit_depth in range(n_bits, 16):
            assert check_bits(bits, bit_depth=bit_depth, bit_shift=0) == (0 if stored is image else 32768)
            np.testing.assert_array_equal(payload(stored, bit_depth=bit_depth, bit_shift=0), image)


def test_an_image_of_zeros_says_nothing_about_bits():
    zeros = used_bits(np.zeros((5, 5), np.uint16), file="zeros.tif", channel="fluorescence")
    other = UsedBits("a.tif", "fluorescence", "16-bit", 0x8FFF, 0x8000)
    assert check_bits([zeros, other], bit_depth=12, bit_shift=0) == 32768
    assert check_bits([zeros], bit_depth=16, bit_shift=0) == 0


def test_no_real_field_is_taken_for_one_with_an_offset(real_data):
    files = sorted((real_data / "mcf7").glob("brightfield/*.tif"))[::7]
    bits = [
        used_bits(read_page(Path(str(path).replace("brightfield", name))), file=path.name, channel=channel)
        for path in files
        for name, channel in (("brightfield", "bright-field"), ("pi", "fluorescence"))
    ]
    assert check_bits(bits, bit_depth=16, bit_shift=0) == 0
