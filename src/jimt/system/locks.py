"""One process at a time: locks of the system, which it lets go when their holder ends, however it ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from jimt.errors import InputError, writing

RUN_LOCK = ".run.lock"
"""In the folder of a run, a cross-validation or a sweep, for as long as a process works there."""

_WAY_OUT: Final = {
    "a sweep": "hydra.sweep.dir=FOLDER",
    "each job": "'hydra.sweep.subdir=${hydra:job.num}'",
    "a prediction": "--out FOLDER",
    "an annotation": "--annotator NAME",
    "an adaptation": "--out FOLDER",
}
"""The setting that gives whoever works there a folder of its own, where that is not a single training."""
_ELSEWHERE: Final = "name a folder that you may write, or mend what stands in its way"


@contextlib.contextmanager
def owner(folder: Path, *, lock_name: str = RUN_LOCK, who: str) -> Iterator[None]:
    """Be the one process that works in a folder; the folder is made where it is missing.

    Args:
        folder: Of a run, a cross-validation or a sweep.
        lock_name: File that is locked in it.
        who: What may work there once at a time, with its article: ``a training``.

    Raises:
        InputError: If another process works there, or the folder cannot be made or written.
    """
    made = make_folder(folder)
    # one object of a path in a process: a command holds the folder that its training asks for again
    lock = FileLock(folder / lock_name, is_singleton=True)
    if not _is_acquired(lock, folder, made):
        raise InputError(
            f"another process is at work in {folder}",
            advice="let it end",
            remedies=(_WAY_OUT.get(who, "hydra.run.dir=FOLDER"),),
        )
    try:
        yield
    finally:
        _release(lock)
        unmake_folders(made)


@contextlib.contextmanager
def in_turn(path: Path, *, what: str) -> Iterator[None]:
    """Wait until no other process makes something, and say so: jobs of a sweep start together, and one does the work.

    Args:
        path: What is made; the lock lies beside it, and its folder is made where it is missing.
        what: In words, for the line that says what is waited for.

    Raises:
        InputError: If its folder cannot be made or written.
    """
    made = make_folder(path.parent)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    if not _is_acquired(lock, path.parent, made):
        print(f"waiting for another process, which {what}", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        _release(lock)
        unmake_folders(made)


def _is_acquired(lock: FileLock, folder: Path, made: list[Path]) -> bool:
    """Try to acquire a lock; False where another process holds it."""
    try:
        with writing(folder, advice=_ELSEWHERE):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
    except InputError:
        unmake_folders(made)
        raise
    return True


def _release(lock: FileLock) -> None:
    if lock.lock_counter == 1:
        # while it is held: a process that opened the file before asks for it again; Windows keeps a file that is open
        with contextlib.suppress(PermissionError):
            Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def make_folder(folder: Path) -> list[Path]:
    """Make a folder; returns what was missing of its path, the folder itself first.

    Raises:
        InputError: If it cannot be made.
    """
    with writing(folder, advice=_ELSEWHERE):
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    return missing


def make_new_folder(folder: Path) -> list[Path]:
    """Likewise of a folder that was not there; of two processes that want one name the second gets it with a number.

    Raises:
        InputError: If it cannot be made.
    """
    made = make_folder(folder.parent)
    number, name = 1, folder
    with writing(folder, advice=_ELSEWHERE):
        while True:
            try:
                name.mkdir()
            except FileExistsError:
                number += 1
                name = folder.with_name(f"{folder.name}_{number}")
            else:
                return [name, *made]


def unmake_folders(made: list[Path]) -> None:
    """Remove what was made, the innermost first, as far as it holds nothing.

    Args:
        made: What ``make_folder`` returned.
    """
    for path in made:
        try:
            path.rmdir()
        except OSError:  # it holds something, or is gone
            return
