"""What the store keeps of a field, and what becomes of it when the writing is cut off."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from jimt.curation.copies import pixel_digest
from jimt.curation.field_writer import FieldWriter, write_fields
from jimt.curation.further_channels import FurtherChannels
from jimt.curation.raw_images import RawImage
from jimt.curation.reading import FieldPatches, Spool
from jimt.curation.saturation import Saturation
from jimt.curation.store import FIELDS, FLUORESCENCE, NO_DATA, PIXELS, FieldStore
from jimt.errors import InputError

KINDS = (np.uint8, np.uint16, np.float32)


def drawn(number: int, kind: type) -> tuple[NDArray[np.uint8], NDArray[np.generic], NDArray[np.bool_]]:
    """Bright-field, fluorescence and no-data of a field; every second one has no pixel without data."""
    rng = np.random.default_rng(number)
    shape = (5 + number, 7)
    counts = rng.integers(0, 256, shape).astype(kind) * kind(1.5 if kind is np.float32 else 1)
    no_data = rng.random(shape) < 0.2 if number % 2 else np.zeros(shape, bool)
    return rng.integers(0, 256, shape, np.uint8), counts, no_data


def read(writer: FieldWriter, number: int, kind: type) -> FieldPatches:
    """What ``read_field`` answers, with a field that is told by its number; each third left in a file."""
    pixels, counts, no_data = drawn(number, kind)
    parts = [pixels, counts, *[np.packbits(no_data)] * bool(no_data.any())]
    if number % 3 == 0:
        path = writer.spool / str(number)
        path.write_bytes(b"".join(part.tobytes() for part in parts))
        left = Spool(path, tuple(part.nbytes for part in parts))
    return FieldPatches(
        raw=RawImage(f"field {number}", "group", writer.root / f"{number}.tif", None),
        pixels=left if number % 3 == 0 else tuple(parts),
        fluorescence_type=np.dtype(kind).name,
        height=pixels.shape[0],
        width=pixels.shape[1],
        y=np.zeros(1, np.int32),
        x=np.zeros(1, np.int32),
        no_data=np.zeros(1),
        mean_fluorescence=np.ones(1),
        positive=None,
        pi_area=number / 10,
        background=float(number),
        digests=(pixel_digest(pixels), pixel_digest(counts)),
        bits=(),
        exchanged=False,
        saturation=Saturation(0.0, np.nan),
        evidence=None,
        further=FurtherChannels(),
    )


def written(folder: Path, kind: type, *, n_fields: int = 4, commits: bool = True) -> None:
    with FieldWriter(folder, root=folder.parent / "raw") as writer:
        for number in range(writer.n_images, n_fields):
            writer.add(read(writer, number, kind))
            if commits:
                writer.commit()
        if commits:
            write_fields(folder, writer.finish()[1])


def check(folder: Path, kind: type, n_fields: int = 4) -> None:
    store = FieldStore(folder)
    assert len(store) == n_fields
    for number in range(n_fields):
        pixels, counts, no_data = drawn(number, kind)
        assert store.fluorescence(number).dtype == kind
        np.testing.assert_array_equal(store.field(number), pixels)
        np.testing.assert_array_equal(store.fluorescence(number), counts)
        np.testing.assert_array_equal(store.no_data(number), no_data)
        assert store.background(number) == number


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_is_read_as_it_was_measured(tmp_path, kind):
    written(tmp_path / "store", kind)
    check(tmp_path / "store", kind)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_beyond_the_last_commit_is_written_again(tmp_path, kind):
    folder = tmp_path / "store"
    with FieldWriter(folder, root=tmp_path / "raw") as writer:
        for number in range(3):
            writer.add(read(writer, number, kind))
            if number == 1:
                writer.commit()
    written(folder, kind)
    check(folder, kind)


@pytest.mark.parametrize("name", [PIXELS, FLUORESCENCE, NO_DATA])
def test_a_file_that_lost_what_was_committed_is_written_anew(tmp_path, name):
    folder = tmp_path / "store"
    with FieldWriter(folder, root=tmp_path / "raw") as writer:
        for number in range(3):
            writer.add(read(writer, number, np.uint16))
        writer.commit()
    (folder / name).write_bytes(b"")
    with FieldWriter(folder, root=tmp_path / "raw") as writer:
        assert writer.n_images == 0
    written(folder, np.uint16)
    check(folder, np.uint16)


@pytest.mark.parametrize("name", [PIXELS, FLUORESCENCE, NO_DATA])
def test_a_store_that_was_cut_short_is_refused(tmp_path, name):
    folder = tmp_path / "store"
    written(folder, np.uint16)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{name} holds \d+ bytes in place of \d+: delete .* and curate again"):
        FieldStore(folder)


def test_a_store_without_fluorescence_is_of_an_older_curation(tmp_path):
    folder = tmp_path / "store"
    written(folder, np.uint16)
    fields = pd.read_parquet(folder / FIELDS)
    fields.drop(columns=["fluorescence_offset", "fluorescence_type", "no_data_offset"]).to_parquet(folder / FIELDS)
    with pytest.raises(InputError, match=r"lacks the column fluorescence_offset, .*: delete .* and curate again"):
        FieldStore(folder)
