"""Find raw images by their names.

Three layouts: ``pairs`` (bright-field and fluorescence in two files), ``stack`` (both in one multi-channel file) and
``patches`` (already cropped, in class folders). A regular expression on the path below the data set's folder reads
``raw_image_id``, ``group`` and, for pairs, ``channel`` as named groups.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE, Split

IMAGE_SUFFIXES = (".tif", ".tiff", ".png")


@dataclass(frozen=True)
class RawImage:
    """The files of one raw image, or one published patch."""

    raw_image_id: str
    group: str | None
    """None where nothing tells which raw image a published patch was cut from."""
    brightfield: Path
    fluorescence: Path | None
    label: int | None = None
    split: Split | None = None


@dataclass
class Finding:
    """What a data set's folder holds."""

    images: list[RawImage] = field(default_factory=list)
    bad: dict[str, str] = field(default_factory=dict)
    """Path below the data set's folder (or raw_image_id) to the reason it cannot be used."""
    n_ignored: int = 0
    """Image files whose path the regular expression does not match, or which are of another channel."""


def list_image_files(root: Path, *, how_to_get: str) -> list[Path]:
    """All TIFF and PNG files below ``root``, sorted, hidden ones left out.

    Raises:
        InputError: If the folder is absent or holds no image.
    """
    if not root.is_dir():
        raise InputError(f"{root} is missing: {how_to_get}")
    files = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )
    if not files:
        raise InputError(f"{root} holds no TIFF or PNG image: {how_to_get}")
    return files


def _match(
    files: Iterable[Path], root: Path, pattern: str, *, required: tuple[str, ...]
) -> tuple[list[tuple[Path, re.Match[str]]], int]:
    expression = re.compile(pattern)
    matches = []
    n_ignored = 0
    for path in files:
        match = expression.search(path.relative_to(root).as_posix())
        if match is None:
            n_ignored += 1
            continue
        for name in required:
            if match[name] is None:  # an optional group that took no part
                raise InputError(
                    f"dataset.pattern reads no {name} in {path.relative_to(root).as_posix()}: "
                    f"let the named group {name} take part in every match"
                )
        matches.append((path, match))
    if not matches:
        example = next(iter(files)).relative_to(root).as_posix()
        raise InputError(
            f"dataset.pattern matches none of the {n_ignored} images in {root}, for example {example}: mend the pattern"
        )
    return matches, n_ignored


def find_pairs(files: list[Path], root: Path, *, pattern: str, brightfield: str, fluorescence: str) -> Finding:
    """Pair bright-field and fluorescence files by ``raw_image_id``.

    Raises:
        InputError: If the pattern matches nothing, or no file of one of the two channels.
    """
    finding = Finding()
    required = ("raw_image_id", "group", "channel")
    matches, finding.n_ignored = _match(files, root, pattern, required=required)
    channels: dict[str, dict[str, list[Path]]] = {brightfield: {}, fluorescence: {}}
    groups: dict[str, set[str]] = {}
    others: set[str] = set()
    for path, match in matches:
        channel, raw_image_id = match["channel"], match["raw_image_id"]
        if channel not in channels:
            others.add(channel)
            finding.n_ignored += 1
            continue
        channels[channel].setdefault(raw_image_id, []).append(path)
        groups.setdefault(raw_image_id, set()).add(match["group"])
    for word, name in ((brightfield, "brightfield"), (fluorescence, "fluorescence")):
        if not channels[word]:
            seen = ", ".join(sorted(others | {key for key, found in channels.items() if found}))
            raise InputError(
                f"no image in {root} has the channel {word}: dataset.pattern reads the channels {seen}; "
                f"set dataset.{name} to the right one"
            )
    for raw_image_id in sorted(groups):
        reason = None
        for word in (brightfield, fluorescence):
            paths = channels[word].get(raw_image_id, [])
            if not paths:
                reason = f"its {word} image is missing: copy it there, or remove its partner"
            elif len(paths) > 1:
                names = ", ".join(path.relative_to(root).as_posix() for path in paths)
                reason = (
                    f"{len(paths)} {word} images have this raw_image_id ({names}): "
                    "remove all but one, or let dataset.pattern tell them apart"
                )
        if len(groups[raw_image_id]) > 1:
            reason = (
                f"its files give different groups ({', '.join(sorted(groups[raw_image_id]))}): mend dataset.pattern"
            )
        if reason is not None:
            finding.bad[raw_image_id] = reason
            continue
        finding.images.append(
            RawImage(
                raw_image_id,
                next(iter(groups[raw_image_id])),
                channels[brightfield][raw_image_id][0],
                channels[fluorescence][raw_image_id][0],
            )
        )
    return finding


def find_stacks(files: list[Path], root: Path, *, pattern: str) -> Finding:
    """One multi-channel file for each raw image.

    Raises:
        InputError: If the pattern matches nothing.
    """
    finding = Finding()
    matches, finding.n_ignored = _match(files, root, pattern, required=("raw_image_id", "group"))
    by_id: dict[str, list[tuple[Path, str]]] = {}
    for path, match in matches:
        by_id.setdefault(match["raw_image_id"], []).append((path, match["group"]))
    for raw_image_id, found in sorted(by_id.items()):
        if len(found) > 1:
            names = ", ".join(path.relative_to(root).as_posix() for path, _ in found)
            finding.bad[raw_image_id] = (
                f"{len(found)} files have this raw_image_id ({names}): "
                "remove all but one, or let dataset.pattern tell them apart"
            )
        else:
            finding.images.append(RawImage(raw_image_id, found[0][1], found[0][0], None))
    return finding


def find_patches(
    files: list[Path], root: Path, *, pattern: str | None, live_folder: str, dead_folder: str, keep_folders: bool
) -> Finding:
    """Published patches: the class is the name of the folder, the split that of the folder above, where there is one.

    Without a pattern nothing is known of the raw image: each patch then stands for itself and ``group`` is None.

    Raises:
        InputError: If no file lies in a class folder, or the pattern matches nothing.
    """
    labels = {live_folder: LIVE, dead_folder: DEAD}
    finding = Finding()
    in_folders = [path for path in files if path.parent.name in labels]
    finding.n_ignored = len(files) - len(in_folders)
    if not in_folders:
        raise InputError(
            f"{root} has no image in a folder named {live_folder} or {dead_folder}: "
            "set dataset.live_folder and dataset.dead_folder"
        )
    matches: dict[Path, re.Match[str]] = {}
    if pattern is not None:
        matched, n_unmatched = _match(in_folders, root, pattern, required=("raw_image_id",))
        matches = dict(matched)
        finding.n_ignored += n_unmatched
    for path in in_folders:
        if pattern is not None and path not in matches:
            continue
        name = path.relative_to(root).with_suffix("").as_posix()
        match = matches.get(path)
        groups = match.groupdict() if match is not None else {}
        raw_image_id = groups.get("raw_image_id") or name
        group = groups.get("group") or groups.get("raw_image_id")
        above = path.parent.parent.name
        split = Split(above) if keep_folders and path.parent.parent != root and above in set(Split) else None
        finding.images.append(RawImage(raw_image_id, group, path, None, labels[path.parent.name], split))
    n_split = sum(image.split is not None for image in finding.images)
    if 0 < n_split < len(finding.images):
        raise InputError(
            f"{len(finding.images) - n_split} of {len(finding.images)} patches in {root} lie outside "
            "the folders train, val and test: move them there, or split anew with curation.split.keep_folders=false"
        )
    return finding
