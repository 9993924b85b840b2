"""Finds raw images by their names: pairs of files, stacks of both channels, or published patches.

A pattern (``config/patterns.py``) reads the raw image, the group and, for pairs, the channel in the path below the data
set's folder.
"""

import re
from pathlib import Path
from typing import Final

from jimt.config.patterns import CHANNEL, composed, parse_pattern
from jimt.curation.file_names import NamedFile, name_key, read_names
from jimt.curation.listing import Listing
from jimt.curation.raw_images import Finding, RawImage
from jimt.errors import InputError
from jimt.vocabulary import CHANNELS, DEAD, LIVE, Split


def leave_out(listing: Listing, root: Path, *, pattern: str) -> Listing:
    """A folder without the files that are left out on purpose.

    Raises:
        InputError: If the pattern is none, or leaves out every image.
    """
    of_others = parse_pattern(pattern, setting="dataset.leave_out")
    images = [path for path in listing.images if of_others.read(path.relative_to(root).as_posix()) is None]
    if not images:
        raise InputError(
            f"dataset.leave_out={pattern} leaves out every image in {root}",
            advice="mend it",
            remedies=("dataset.leave_out=null",),
        )
    foreign = {
        name: [file for file in files if of_others.read(file) is None] for name, files in listing.foreign.items()
    }
    return Listing(images, {name: files for name, files in foreign.items() if files}, listing.links)


def find_pairs(
    files: list[Path],
    root: Path,
    *,
    pattern: str,
    brightfield: str,
    fluorescence: str,
    nuclei: str | None = None,
    live_stain: str | None = None,
    group: list[str] | None = None,
) -> Finding:
    """Pair bright-field and fluorescence files by ``raw_image_id``, and files of further channels where asked for.

    Raises:
        InputError: If the pattern matches nothing, or no file of one of the channels.
    """
    asked = {"brightfield": brightfield, "fluorescence": fluorescence, "nuclei": nuclei, "live_stain": live_stain}
    words = {name: composed(word) for name, word in asked.items() if word is not None}
    finding = Finding(n_files=len(files), used_channels={word: CHANNELS[name] for name, word in words.items()})
    channels: dict[str, dict[str, list[Path]]] = {word: {} for word in words.values()}
    groups: dict[str, set[str]] = {}
    for one in read_names(files, root, finding, pattern=pattern, group=group, needs=(CHANNEL,)):
        assert one.channel is not None
        assert one.group is not None
        finding.channels[one.channel] += 1
        if one.channel in channels:
            channels[one.channel].setdefault(one.raw_image_id, []).append(one.path)
            groups.setdefault(one.raw_image_id, set()).add(one.group)
    for name, word in words.items():
        if not channels[word]:
            seen = ", ".join(sorted(finding.channels))
            raise InputError(
                f"no image in {root} has the channel {word}, and dataset.pattern reads the channels {seen}",
                remedies=(f"dataset.{name}=WORD",),
            )
    alike: dict[tuple[str, ...], list[str]] = {}
    for raw_image_id in sorted(groups):
        alike.setdefault(name_key(raw_image_id), []).append(raw_image_id)
    for raw_image_id in sorted(groups):
        reason = None
        for word in words.values():
            paths = channels[word].get(raw_image_id, [])
            if not paths:
                alike_names = [other for other in alike[name_key(raw_image_id)] if other in channels[word]]
                reason = (
                    f"its {word} image is missing, and {alike_names[0]} has one: give both files one name"
                    if alike_names
                    else f"its {word} image is missing: copy it there, or remove its partner"
                )
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
        its_files = {name: channels[word][raw_image_id][0] for name, word in words.items()}
        finding.images.append(
            RawImage(
                raw_image_id,
                next(iter(groups[raw_image_id])),
                its_files["brightfield"],
                its_files["fluorescence"],
                nuclei=its_files.get("nuclei"),
                live_stain=its_files.get("live_stain"),
            )
        )
    return finding


def find_stacks(files: list[Path], root: Path, *, pattern: str, group: list[str] | None = None) -> Finding:
    """One multi-channel file for each raw image.

    Raises:
        InputError: If the pattern matches nothing.
    """
    finding = Finding(n_files=len(files))
    by_id: dict[str, list[NamedFile]] = {}
    for one in read_names(files, root, finding, pattern=pattern, group=group, needs=()):
        by_id.setdefault(one.raw_image_id, []).append(one)
    channels = {one.channel for found in by_id.values() for one in found if one.channel is not None}
    if all(len({one.channel for one in found}) == len(found) > 1 for found in by_id.values()):
        raise InputError(
            f"dataset.layout=stack takes one file for each raw image, and the files in {root} differ in their channel "
            f"alone ({', '.join(sorted(channels))})",
            remedies=("dataset.layout=pairs",),
        )
    for raw_image_id, found in sorted(by_id.items()):
        if len(found) > 1:
            names = ", ".join(one.path.relative_to(root).as_posix() for one in found)
            finding.bad[raw_image_id] = (
                f"{len(found)} files have this raw_image_id ({names}): "
                "remove all but one, or let dataset.pattern tell them apart"
            )
        else:
            finding.images.append(RawImage(raw_image_id, found[0].group, found[0].path, None))
    return finding


_SPLIT_FOLDER: Final = re.compile(
    r"(?P<split>train(ing)?|val(id(ation)?)?|test(ing)?)([\W_]*(set|split|data|images|patches))?(?P<rest>([\W\d_].*)?)"
)
"""Names of a split's folder in small letters: ``training``, ``valid``, ``test_set``; ``rest`` is of a doubtful one."""


def find_patches(
    files: list[Path],
    root: Path,
    *,
    pattern: str | None,
    live_folder: str,
    dead_folder: str,
    keep_folders: bool,
    group: list[str] | None = None,
) -> Finding:
    """Published patches: the class is the name of the folder, the split that of the folder above, where there is one.

    Both are known however they are written: ``Test/LIVE`` is ``test/live``, ``Validation`` and ``val_set`` are ``val``.
    A split folder may hold folders of its own, such as one for each plate, above the class folders.

    Without a pattern nothing is known of the raw image: each patch then stands for itself and ``group`` is None.

    Raises:
        InputError: If no file lies in a class folder, the pattern matches nothing, or a folder may be that of a split.
    """
    labels = _label_of_folder(files, live_folder=live_folder, dead_folder=dead_folder)
    finding = Finding(n_files=len(files))
    in_folders = [path for path in files if path.parent.name in labels]
    finding.unmatched = [path.relative_to(root).as_posix() for path in files if path.parent.name not in labels]
    if not in_folders:
        raise InputError(
            f"{root} has no image in a folder named {live_folder} or {dead_folder}",
            remedies=("dataset.live_folder=WORD dataset.dead_folder=WORD",),
        )
    if pattern is not None:
        named = read_names(in_folders, root, finding, pattern=pattern, group=group, needs=())
    else:
        names = {path: composed(path.relative_to(root).with_suffix("").as_posix()) for path in in_folders}
        named = [NamedFile(path, name, None, None) for path, name in names.items()]
    for one in named:
        path = one.path
        split = _split_of_folders(path.parent.parent, root) if keep_folders else None
        finding.images.append(RawImage(one.raw_image_id, one.group, path, None, labels[path.parent.name], split))
    n_split = sum(image.split is not None for image in finding.images)
    if 0 < n_split < len(finding.images):
        raise InputError(
            f"{len(finding.images) - n_split} of {len(finding.images)} patches in {root} lie outside the "
            "folders train, val and test",
            advice="move them there",
            remedies=("curation.split.keep_folders=false",),
        )
    return finding


def _label_of_folder(files: list[Path], *, live_folder: str, dead_folder: str) -> dict[str, int]:
    """The class that each folder's name means; capitals make no difference, unless they alone tell the two apart."""
    known = {composed(live_folder): LIVE, composed(dead_folder): DEAD}
    folded = {name.casefold(): label for name, label in known.items()}
    labels = {}
    for name in {path.parent.name for path in files}:
        label = known.get(composed(name))
        if label is None and len(folded) == len(known):
            label = folded.get(composed(name).casefold())
        if label is not None:
            labels[name] = label
    return labels


def _split_of_folders(folder: Path, root: Path) -> Split | None:
    """The split that the innermost folder of such a name below ``root`` means; None where none has one.

    Raises:
        InputError: If a folder begins with the name of a split, such as ``test2``, and is not known to be one.
    """
    for part in reversed(folder.relative_to(root).parts):
        named = _SPLIT_FOLDER.fullmatch(composed(part).strip().casefold())
        if named is None:
            continue
        split = next(split for split in Split if named["split"].startswith(split))
        if named["rest"]:
            raise InputError(
                f"the folder {part} in {root} may hold published patches of the split {split}, or of none",
                advice=f"name it {split}, or otherwise",
                remedies=("curation.split.keep_folders=false",),
            )
        return split
    return None
