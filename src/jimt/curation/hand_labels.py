"""Reads hand labels as a spreadsheet of any country saves them: ``raw_image_id,y,x,label``."""

import re
from pathlib import Path
from typing import Any, Final

import pandas as pd

from jimt.config.patterns import composed
from jimt.curation.tables import read_table
from jimt.errors import InputError

COLUMNS: Final = ("raw_image_id", "y", "x", "label")
CHOSEN_BY: Final = "chosen_by"
"""A column that the table may have: how it came about that this patch was asked for."""
UNSURE: Final = "unsure"
UNDONE: Final = "undone"
"""Words that stand beside those of a data set: a patch that its judge could not tell, which teaches nothing, and one
whose label further up does not count any more: a table only ever grows, and what is on disk stays."""
_MOST_DIGITS: Final = 9  # of a number of pixels; a thousand times the widest slide scan


def unused_labels(hand: pd.DataFrame, manifest: pd.DataFrame) -> dict[str, int | str | None]:
    """Which hand labels are of no patch that could be used, and why.

    Args:
        hand: As ``read_hand_labels`` gives them.
        manifest: Every patch of the data set, with ``excluded``.

    Returns:
        As ``summary.json`` has it: ``n_absent``, those of raw images that are not in this data set; ``n_off_grid``, of
        raw images that are here, where no patch begins, with one of them as ``off_grid_example``; ``n_left_out``, of
        patches with too much no-data, or of copies.
    """
    is_here = hand["raw_image_id"].isin(set(manifest["raw_image_id"]))
    found = hand.merge(
        manifest[["raw_image_id", "y", "x", "excluded"]], "left", ["raw_image_id", "y", "x"], indicator=True
    )
    off_grid = hand[is_here.to_numpy() & (found["_merge"] != "both").to_numpy()]
    return {
        "n_absent": int((~is_here).sum()),
        "n_off_grid": len(off_grid),
        "n_left_out": int(found["excluded"].notna().sum()),
        "off_grid_example": None if not len(off_grid) else _place(off_grid.iloc[0]),
    }


def off_grid(hand: pd.DataFrame, *, stride: int) -> list[str]:
    """Hand labels whose y or x is no multiple of the stride, where no patch can begin.

    >>> off_grid(pd.DataFrame({"raw_image_id": ["a", "a"], "y": [112, 5], "x": [0, 0]}), stride=112)
    ['a y=5 x=0']
    """
    return [_place(row) for _, row in hand[(hand["y"] % stride != 0) | (hand["x"] % stride != 0)].iterrows()]


def describe_off_grid(n: int, example: str) -> str:
    """The warning of hand labels where no patch begins, which is a mistake, other than those of absent raw images."""
    return (
        f"WARNING: {n:,} hand label{'s are' if n > 1 else ' is'} passed over, since no patch begins there, for example "
        f"{example}: y and x are the top left corner of a patch, multiples of curation.patches.stride"
    )


def _place(row: "pd.Series[Any]") -> str:
    return f"{row['raw_image_id']} y={row['y']} x={row['x']}"


def read_hand_labels(path: Path, *, empty_word: str, not_empty_word: str) -> pd.DataFrame:
    """Read hand labels for the empty filter: columns ``raw_image_id, y, x, empty``.

    Columns may stand in any order and beside others; commas, semicolons, tabs or bars part them. Line ends are those of
    any system, text is UTF-8 or has a byte order mark, and whole pixels may be written 112, 112.0 or 112,0.

    Raises:
        InputError: If the file is absent, lacks a column, or holds a word that is neither of the two, ``unsure`` nor
            ``undone``.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is missing",
            advice="put the hand labels there (raw_image_id,y,x,label)",
            remedies=("dataset.empty_labels=null",),
        )
    return _with_words(label_rows(path), path, words={composed(empty_word): True, composed(not_empty_word): False})


def _with_words(rows: pd.DataFrame, path: Path, *, words: dict[str, bool]) -> pd.DataFrame:
    """The standing labels by their words, unsure ones left out."""
    if unknown := sorted(set(rows["label"]) - {*words, UNSURE, UNDONE}):
        (empty, not_empty) = words
        raise InputError(
            f"{path} holds the label {unknown[0]}, which is neither dataset.empty_word={empty} nor "
            f"dataset.not_empty_word={not_empty}",
            remedies=("dataset.empty_word=WORD dataset.not_empty_word=WORD",),
        )
    table = standing_labels(rows, path)
    table = table[table["label"] != UNSURE].reset_index(drop=True)
    if not len(table):
        raise InputError(f"{path} holds no patch that is labelled {' or '.join(words)}", advice="label some of both")
    table["empty"] = table["label"].map(words).astype(bool)
    return table[["raw_image_id", "y", "x", "empty"]]


def label_rows(path: Path) -> pd.DataFrame:
    """Every row of a table of labels: ``raw_image_id, y, x, label`` and ``chosen_by``, empty where it is not told.

    Raises:
        InputError: If it is no such table, or y or x is no whole number of pixels.
    """
    rows = read_table(path, COLUMNS, what="hand label", of="labelled patch", optional=(CHOSEN_BY,))
    columns = {name: [row.get(name, "") for _, row in rows] for name in (*COLUMNS, CHOSEN_BY)}
    table = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    for axis in ("y", "x"):
        pixels = [_pixels(text, axis, number, path) for text, (number, _) in zip(columns[axis], rows, strict=True)]
        table[axis] = pd.Series(pixels, dtype="int64")
    return table


def standing_labels(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows that count: the last of each patch, if it was not undone.

    Args:
        rows: As ``label_rows`` gives them.
        path: Of the table, for the message.

    Raises:
        InputError: If a patch is labelled twice, and the first label was not undone.
    """
    standing: dict[tuple[str, int, int], int] = {}
    for number, row in enumerate(rows[list(COLUMNS)].itertuples(index=False, name=None)):
        name, y, x, label = row
        if label == UNDONE:
            standing.pop((name, y, x), None)
        elif standing.setdefault((name, y, x), number) != number:
            raise InputError(f"{path} labels the patch {name} y={y} x={x} twice", advice="keep one row")
    return rows.loc[sorted(standing.values())].reset_index(drop=True)


def _pixels(text: str, axis: str, number: int, path: Path) -> int:
    """A whole number of pixels; one that may as well be a thousand times larger is refused."""
    whole = re.fullmatch(r"(\d+)(?:[.,](0+))?", text)
    if whole is None:
        raise InputError(
            f"{path} holds {axis}={text} in line {number}, which is no whole number of pixels", advice="correct it"
        )
    if whole[2] == "000" and len(whole[1]) <= 3 and int(whole[1]):
        raise InputError(
            f"{path} holds {axis}={text} in line {number}, which is {whole[1]} or {whole[1]}000",
            advice="write whole numbers of pixels without a decimal or a thousands mark",
        )
    digits = whole[1].lstrip("0")
    if len(digits) > _MOST_DIGITS:
        raise InputError(
            f"{path} holds {axis}={text[:40]} in line {number}, which is larger than any image", advice="correct it"
        )
    return int(digits or 0)
