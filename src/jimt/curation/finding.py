"""Finds raw images by their names, as pairs of files or as stacks of both channels.

A pattern (``config/patterns.py``) reads the raw image, the group and, for pairs, the channel in the path below the data
set's folder.
"""

from pathlib import Path

from jimt.config.patterns import CHANNEL, composed, parse_pattern
from jimt.curation.file_names import NamedFile, name_key, read_names
from jimt.curation.listing import Listing
from jimt.curation.raw_images import Finding, RawImage
from jimt.errors import InputError


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
    group: list[str] | None = None,
) -> Finding:
    """Pair bright-field and fluorescence files by ``raw_image_id``.

    Raises:
        InputError: If the pattern matches nothing, or no file of one of the two channels.
    """
    brightfield, fluorescence = composed(brightfield), composed(fluorescence)
    finding = Finding(n_files=len(files), used_channels=(brightfield, fluorescence))
    channels: dict[str, dict[str, list[Path]]] = {brightfield: {}, fluorescence: {}}
    groups: dict[str, set[str]] = {}
    for one in read_names(files, root, finding, pattern=pattern, group=group, needs=(CHANNEL,)):
        assert one.channel is not None
        assert one.group is not None
        finding.channels[one.channel] += 1
        if one.channel in channels:
            channels[one.channel].setdefault(one.raw_image_id, []).append(one.path)
            groups.setdefault(one.raw_image_id, set()).add(one.group)
    for word, name in ((brightfield, "brightfield"), (fluorescence, "fluorescence")):
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
        for word in (brightfield, fluorescence):
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
        finding.images.append(
            RawImage(
                raw_image_id,
                next(iter(groups[raw_image_id])),
                channels[brightfield][raw_image_id][0],
                channels[fluorescence][raw_image_id][0],
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
