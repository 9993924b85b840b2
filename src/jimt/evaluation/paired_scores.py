"""Pairs the scores of two runs or cross-validations, patch by patch."""

import shlex
from pathlib import Path

import pandas as pd

from jimt.errors import InputError
from jimt.evaluation.scores import SCORE_COLUMNS
from jimt.evaluation.scores import read_scores as read_scores_file
from jimt.system.files import CROSSVAL_SCORES, SCORES_FILE
from jimt.system.run_folders import refuse_several


def read_scores(folder: Path) -> pd.DataFrame:
    """Scores of a run's test split or of a cross-validation; ``fold`` is 0 throughout for a single run.

    Raises:
        InputError: If the folder holds neither, or what it holds names no patch.
    """
    ways_out: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        (CROSSVAL_SCORES, "run the cross-validation again", ()),
        (SCORES_FILE, "", (_evaluate_again(folder),)),
    )
    for name, advice, remedies in ways_out:
        path = folder / name
        if path.is_file():
            table = read_scores_file(path)
            missing = [column for column in SCORE_COLUMNS if column not in table]
            if missing:
                raise InputError(f"{path} lacks the column {', '.join(missing)}", advice=advice, remedies=remedies)
            return table if "fold" in table else table.assign(fold=0)
    refuse_several(folder)
    raise InputError(
        f"{folder} holds neither test_scores.csv nor scores.csv", advice="give a finished run or cross-validation"
    )


def _evaluate_again(folder: Path) -> str:
    return f"jimt evaluate {shlex.quote(str(folder))}"


def _keys(table: pd.DataFrame) -> list[str]:
    """What tells the patches of a table apart: where they were cut, or the file of one that came cut."""
    return ["file"] if table["y"].isna().any() else ["raw_image_id", "y", "x"]


def pair_scores(first: Path, second: Path) -> pd.DataFrame:
    """The patches of two runs or cross-validations, one row each, columns of the two by the suffixes ``_1`` and ``_2``.

    Raises:
        InputError: If the two are not of the same patches with the same labels and groups.
    """
    if first.resolve() == second.resolve():
        raise InputError(f"{first} is given twice, and differs in nothing from itself", advice="give two folders")
    one, two = read_scores(first), read_scores(second)
    for folder, table in ((first, one), (second, two)):
        twice = int(table.duplicated(_keys(table)).sum())
        if twice:
            raise InputError(f"{folder} holds the score of {twice} patches twice", remedies=(_evaluate_again(folder),))
    keys = _keys(one)
    both = one.merge(two, on=keys, suffixes=("_1", "_2")) if keys == _keys(two) else one.iloc[:0]
    if len(both) != len(one) or len(both) != len(two):
        raise InputError(
            f"{first} and {second} were not tested on the same patches ({len(one)} and {len(two)} "
            f"patches, {len(both)} in common)",
            advice="give runs of the same curated data set and split, or cross-validations of it",
        )
    differing = int((both["label_1"] != both["label_2"]).sum())
    if differing:
        raise InputError(
            f"{first} and {second} were not tested on the same labels ({differing} of {len(both)} patches differ)",
            advice="give runs of data sets curated with the same curation.label",
        )
    if both[["group_1", "group_2"]].isna().any(axis=None):
        raise InputError(
            "nothing tells which raw image a patch was cut from, so there are no groups to give an interval over",
            advice="set dataset.pattern, curate and train both again",
        )
    if not same_parts(both["group_1"], both["group_2"]):
        raise InputError(
            f"{first} and {second} have patches in different groups, so no interval over groups is of both",
            advice="curate both with the same dataset.pattern",
        )
    return both


def same_parts(one: pd.Series, two: pd.Series) -> bool:
    """Whether two columns divide the rows into the same parts, whatever these are called."""
    n_parts = len(pd.DataFrame({"one": one, "two": two}).drop_duplicates())
    return n_parts == one.nunique() == two.nunique()
