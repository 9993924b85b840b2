"""Folders that are there whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jimt.errors import InputError, writing


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that is there whole or not at all: its files are written aside.

    Raises:
        InputError: If it holds something, or cannot be written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already", advice="delete it", remedies=("--out FOLDER",))
    with writing(out, advice="give another folder"):
        out.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            yield aside
            if out.exists():
                out.rmdir()
            aside.chmod(0o755)
            aside.replace(out)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
