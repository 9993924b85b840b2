"""What a data set's folder holds: links followed, loops cut, and what other programs must export named."""

import os
from pathlib import Path

import pytest

from jimt.curation.finding import find_stacks, leave_out
from jimt.curation.found import describe_finding
from jimt.curation.listing import Listing, list_files
from jimt.errors import InputError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(root: Path) -> tuple[list[str], Listing]:
    listing = list_files(root, advice="copy them there", remedies=("dataset.root=FOLDER",))
    return [path.relative_to(root).as_posix() for path in listing.images], listing


def test_folders_and_files_behind_links_are_listed_under_the_names_of_the_links(tmp_path):
    touch(tmp_path / "disk", "plate/day 1/a.tif", "plate/b.tif", "c.tif")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/linked").symlink_to(tmp_path / "disk/plate")
    (tmp_path / "raw/own.tif").symlink_to(tmp_path / "disk/c.tif")
    (tmp_path / "whole").symlink_to("raw")
    names = ["linked/b.tif", "linked/day 1/a.tif", "own.tif"]
    assert listed(tmp_path / "raw")[0] == names
    assert listed(tmp_path / "whole")[0] == names  # the folder itself may be a link


def test_loops_are_cut_and_a_folder_with_several_names_is_read_once(tmp_path):
    root = tmp_path / "raw"
    touch(root, "plates/1/a.tif", "plates/2/b.tif")
    touch(tmp_path, "elsewhere/c.tif")
    (root / "plates/1/self").symlink_to(".")
    (root / "plates/1/up").symlink_to("../..")
    (root / "above").symlink_to(tmp_path)
    (root / "by_date").symlink_to("plates/2")
    (root / "far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(root)
    (root / "far too").symlink_to(tmp_path / "elsewhere")
    names, listing = listed(root)
    # by hand: three files, each under its own name, or that of the first link that leads to it
    assert names == ["far/c.tif", "plates/1/a.tif", "plates/2/b.tif"]
    assert sorted(listing.links) == [
        f"above leads to {tmp_path}, which holds this folder",
        "by_date leads to plates/2, which is read already",
        "far too leads to far, which is read already",
        "far/back leads to the folder itself, which is read already",
        "plates/1/self leads to plates/1, which is read already",
        "plates/1/up leads to the folder itself, which is read already",
    ]


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    touch(tmp_path, "a.tif")
    (tmp_path / "disk").symlink_to("/media/not mounted")
    (tmp_path / "b.tif").symlink_to("gone.tif")
    names, listing = listed(tmp_path)
    assert names == ["a.tif", "b.tif"]  # the second is refused by name when it is read
    assert listing.links == ["disk leads to /media/not mounted, which is not there"]
    (tmp_path / "a.tif").unlink()
    (tmp_path / "b.tif").unlink()
    with pytest.raises(
        InputError, match="image; disk leads to /media/not mounted, which is not there: copy them there"
    ):
        listed(tmp_path)


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
    touch(tmp_path, "a.tif", "locked/b.tif")
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"locked cannot be listed \(Permission denied\): check its permissions"):
        listed(tmp_path)


def test_a_name_that_is_no_utf_8_is_refused(tmp_path):
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/S\xfcd.tif")).touch()
    except OSError:
        pytest.skip("this disk takes names in UTF-8 alone")
    with pytest.raises(InputError, match=r"the name '.*S\\udcfcd.tif' is no text in UTF-8: rename the file or folder"):
        listed(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "a.nd2",
            "2 Nikon ND2 files, for example a.nd2: export them as grey TIFF of 16 bits, unscaled: each field in two",
        ),
        ("a.czi", "2 Zeiss CZI files, for example a.czi: export them as grey TIFF"),
        ("a.LIF", "2 Leica LIF files, for example a.LIF: export them as grey TIFF"),
        (
            "a.jpg",
            "2 JPEG files, for example a.jpg: export them as grey TIFF of 16 bits, unscaled, from the microscope's",
        ),
        ("a.zip", "2 ZIP files, for example a.zip: unpack them"),
    ],
)
def test_what_is_found_in_place_of_images_is_named_with_what_to_export_it_as(tmp_path, name, said):
    touch(tmp_path, name, f"sub/{name}", "notes.txt")
    with pytest.raises(InputError) as told:
        listed(tmp_path)
    assert str(told.value).startswith(f"{tmp_path} holds no TIFF or PNG image, but {said}")


def test_several_formats_are_all_named_and_a_zarr_is_one_of_them(tmp_path):
    touch(tmp_path, "a.nd2", "b.ome.zarr/0/0.0", "b.ome.zarr/thumbnail.png")
    with pytest.raises(InputError, match="but 1 Nikon ND2 file, .* and 1 OME-Zarr file, for example b.ome.zarr"):
        listed(tmp_path)


def test_files_of_other_formats_beside_images_are_not_passed_over_in_silence(tmp_path):
    touch(tmp_path, "w1_a.tif", "w1_b.tif", "w2.czi", "thumbs/w1_a.jpg")
    pattern = r"(?P<raw_image_id>(?P<group>w\d)_\w)"
    _, listing = listed(tmp_path)
    finding = find_stacks(listing.images, tmp_path, pattern=pattern)
    finding.listing = listing
    jpeg, czi = describe_finding(finding)
    assert czi.startswith("WARNING, READ THIS FIRST: not read: 1 Zeiss CZI file, for example w2.czi: export it")
    assert "1 JPEG file, for example thumbs/w1_a.jpg" in jpeg
    kept = leave_out(listing, tmp_path, pattern="**/*.jpg")
    assert (list(kept.foreign), kept.images) == (["Zeiss CZI"], listing.images)
    with pytest.raises(InputError, match=r"dataset.leave_out=\*\*/\* leaves out every image in .*: mend it"):
        leave_out(listing, tmp_path, pattern="**/*")
