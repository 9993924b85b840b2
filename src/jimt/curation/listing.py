"""What a data set's folder holds: images, links to other folders, and what another program must export first."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jimt.errors import InputError

IMAGE_SUFFIXES: Final = (".tif", ".tiff", ".png")
_JPEG = "JPEG"
_FOREIGN: Final = {
    ".nd2": "Nikon ND2",
    ".czi": "Zeiss CZI",
    ".zvi": "Zeiss ZVI",
    ".lsm": "Zeiss LSM",
    ".lif": "Leica LIF",
    ".lof": "Leica LOF",
    ".xlef": "Leica XLEF",
    ".oib": "Olympus OIB",
    ".oif": "Olympus OIF",
    ".oir": "Olympus OIR",
    ".vsi": "Olympus VSI",
    ".ims": "Imaris IMS",
    ".dv": "DeltaVision DV",
    ".stk": "MetaMorph STK",
    ".sld": "SlideBook SLD",
    ".flex": "Opera FLEX",
    ".c01": "Cellomics C01",
    ".zarr": "OME-Zarr",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".btf": "BigTIFF .btf",
    ".tf8": "BigTIFF .tf8",
    ".tf2": "BigTIFF .tf2",
    ".dng": "DNG",
    ".bmp": "BMP",
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jp2": "JPEG 2000",
    ".webp": "WebP",
    ".zip": "ZIP",
    ".z01": "split ZIP",
    ".7z": "7z",
    ".rar": "RAR",
    ".tar": "TAR",
    ".gz": "gzip",
}
_ARCHIVES: Final = {"ZIP", "split ZIP", "7z", "RAR", "TAR", "gzip"}


@dataclass
class Listing:
    """What lies below a data set's folder, hidden names left out; paths are below that folder."""

    images: list[Path] = field(default_factory=list)
    """TIFF and PNG files, sorted."""
    foreign: dict[str, list[str]] = field(default_factory=dict)
    """By format: files that jimt does not read and another program can export."""
    links: list[str] = field(default_factory=list)
    """Links that were not followed, each with the reason."""


def list_files(root: Path, *, advice: str, remedies: tuple[str, ...]) -> Listing:
    """All files below ``root``, in folders that are links too; a folder with several names is read once.

    Args:
        root: The data set's folder.
        advice: How to get the images, in words.
        remedies: Likewise, what to type.

    Raises:
        InputError: If the folder is absent, cannot be listed or holds no image; then it says what it holds instead.
    """
    if not root.is_dir():
        raise InputError(f"{root} is missing", advice=advice, remedies=remedies)
    listing = Listing()
    for path in sorted(files_below(root, links=listing.links)):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            _check_name(path)
            listing.images.append(path)
        elif suffix in _FOREIGN:
            listing.foreign.setdefault(_FOREIGN[suffix], []).append(path.relative_to(root).as_posix())
        elif path.is_symlink() and not path.exists():
            listing.links.append(f"{path.relative_to(root).as_posix()} leads to {path.readlink()}, which is not there")
    if not listing.images:
        if listing.foreign:
            found = " and ".join(_count(name, names) for name, names in sorted(listing.foreign.items()))
            how = [_how_to_export(name, names) for name, names in sorted(listing.foreign.items())]
            raise InputError(f"{root} holds no TIFF or PNG image, but {found}", advice=" and ".join(dict.fromkeys(how)))
        of_links = "".join(f"; {reason}" for reason in listing.links[:3])
        raise InputError(f"{root} holds no TIFF or PNG image{of_links}", advice=advice, remedies=remedies)
    return listing


def describe_foreign(name: str, files: list[str]) -> str:
    """How many files of a format there are, one of them, and what to export them as.

    >>> describe_foreign("ZIP", ["a.zip"])
    '1 ZIP file, for example a.zip: unpack it'
    """
    return f"{_count(name, files)}: {_how_to_export(name, files)}"


def _count(name: str, files: list[str]) -> str:
    return f"{len(files)} {name} file{'s' * (len(files) != 1)}, for example {files[0]}"


def _how_to_export(name: str, files: list[str]) -> str:
    them = "it" if len(files) == 1 else "them"
    if name in _ARCHIVES:
        return f"unpack {them}"
    lost = ", from the microscope's own files, since JPEG has changed the grey values" if name == _JPEG else ""
    return (
        f"export {them} as grey TIFF of 16 bits, unscaled{lost}: each field in two files (layout/pairs) or "
        "both channels in one (layout/stack), for example by Bio-Formats in Fiji"
    )


def format_name(path: Path) -> str | None:
    """What a file of another program is by its suffix; None of one that ``list_files`` takes, or that is not known."""
    return _FOREIGN.get(path.suffix.lower())


def files_below(root: Path, *, links: list[str]) -> Iterator[Path]:
    """Files below ``root``: first those in its own folders, then those behind links, each folder once.

    Args:
        root: A folder.
        links: Those that were not followed are added to it, each with the reason.

    Raises:
        InputError: If a folder cannot be listed.
    """
    read: dict[Path, Path] = {}  # the folder itself: the name it was read under
    to_read = [root]
    while to_read:
        link = to_read.pop(0)
        target = link.resolve()
        name = link.relative_to(root).as_posix()
        if target in read:
            where = "the folder itself" if read[target] == root else read[target].relative_to(root).as_posix()
            links.append(f"{name} leads to {where}, which is read already")
            continue
        if link != root and root.resolve().is_relative_to(target):
            links.append(f"{name} leads to {target}, which holds this folder")
            continue
        further: list[Path] = []
        for folder, subfolders, files in os.walk(link, onerror=_refuse):
            here = Path(folder)
            read[here.resolve()] = here
            kept = []
            for subfolder in sorted(subfolders):
                path = here / subfolder
                if subfolder.startswith("."):
                    continue
                if path.suffix.lower() == ".zarr":
                    yield path
                elif path.is_symlink():
                    further.append(path)
                elif path.resolve() not in read:
                    kept.append(subfolder)
            subfolders[:] = kept
            yield from (here / file for file in files if not file.startswith("."))
        to_read += further


def _check_name(path: Path) -> None:
    """Refuse a name that no table can hold: an old disk or archive may have it in another encoding than UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the name {path.as_posix()!a} is no text in UTF-8", advice="rename the file or folder"
        ) from error


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be listed ({error.strerror})", advice="check its permissions") from error
