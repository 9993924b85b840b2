"""Which checkpoint a run's folder holds, and what a folder of several runs is."""

from pathlib import Path

from jimt.errors import InputError
from jimt.system.files import BEST, CROSSVAL_RESULT, JOURNAL, LAST


def refuse_several(folder: Path) -> None:
    """Refuse the folder of a cross-validation, a sweep or a search where one run is asked for.

    Raises:
        InputError: If a finished training lies below the folder; it says what the folder is and what can be given.
    """
    runs = sorted(path.parent.parent for path in folder.rglob(str(BEST)))
    if (folder / BEST).is_file() or not runs:
        return
    what, one = f"holds {len(runs)} run{'s' * (len(runs) > 1)}", "one of them"
    takes: tuple[str, ...] = ()
    if (folder / JOURNAL).is_file():
        what, one = "is a search", "one of its trials"
    elif runs[0].parent == folder and runs[0].name.startswith("fold_"):
        is_whole = (folder / CROSSVAL_RESULT).is_file()
        what, one = f"is a{'' if is_whole else 'n unfinished'} cross-validation", "one of its folds"
        takes = () if not is_whole else ("jimt report {}", "jimt label-sensitivity {}", "jimt compare {} OTHER")
    elif any(folder.rglob(".hydra/overrides.yaml")):
        what, one, takes = "is a sweep", "one of its jobs", ("jimt report {}",)
    raise InputError(
        f"{folder} {what}, and one run is asked for",
        advice=f"give the folder of {one}, such as {runs[0]}",
        remedies=tuple(command.format(folder) for command in takes),
    )


def find_checkpoint(run_or_checkpoint: Path) -> tuple[Path, Path]:
    """The checkpoint and the folder its results go to; of a run, the best checkpoint.

    Raises:
        InputError: If there is none.
    """
    if run_or_checkpoint.is_dir():
        checkpoint = run_or_checkpoint / BEST
        if not checkpoint.is_file():
            refuse_several(run_or_checkpoint)
            raise InputError(
                f"{checkpoint} is missing", advice=f"{run_or_checkpoint} holds no finished training, so train first"
            )
        return checkpoint, run_or_checkpoint
    if not run_or_checkpoint.is_file():
        raise InputError(f"{run_or_checkpoint} is missing", advice="give a run's folder or a checkpoint")
    parent = run_or_checkpoint.parent
    if parent.name == BEST.parent.name and run_or_checkpoint.name == LAST.name:
        raise InputError(
            f"{run_or_checkpoint} is what a training goes on from, and no finished model",
            advice=f"give {parent.parent} or {parent / BEST.name}",
        )
    return run_or_checkpoint, parent.parent if parent.name == BEST.parent.name else parent
