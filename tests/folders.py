"""Folders of files that hold nothing, for what their names tell."""

from pathlib import Path

from jimt.curation.listing import list_files


def touch(root: Path, *names: str) -> list[Path]:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return list_files(root, advice="copy them there", remedies=("dataset.root=FOLDER",)).images
