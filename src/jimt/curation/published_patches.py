"""Finds published patches, whose folders tell the class and perhaps the split."""

import re
from pathlib import Path
from typing import Final

from jimt.config.patterns import composed
from jimt.curation.file_names import NamedFile, read_names
from jimt.curation.raw_images import Finding, RawImage
from jimt.errors import InputError
from jimt.vocabulary import DEAD, LIVE, Split

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
        label = labels[path.parent.name]
        finding.images.append(RawImage(one.raw_image_id, one.group, path, None, label, split))
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
