"""How far two annotators agree, and how far one agrees with PI and with a model: Cohen's kappa with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from jimt.annotation.modes import DEAD_WORD, LIVE_WORD
from jimt.annotation.patch_pool import unit_of
from jimt.curation.hand_labels import UNSURE, label_rows, standing_labels
from jimt.curation.manifest import Curated
from jimt.errors import InputError, writing
from jimt.statistics.hand_label_agreement import Agreement, kappa_over_groups
from jimt.statistics.intervals import FEW_GROUPS
from jimt.statistics.value_text import value_text
from jimt.system.files import write_whole
from jimt.system.screen import print_whole, table_of
from jimt.vocabulary import LABEL_NAMES

CONFIDENCE: Final = 0.95
DISAGREEMENTS: Final = "disagreements.csv"
_PLACE: Final = ["raw_image_id", "y", "x"]
_SHOWN: Final = 20  # disagreements on the screen; the file has all


@dataclass(frozen=True)
class Judged:
    """What two judges say of the same patches.

    Attributes:
        names: Of the two.
        rows: ``raw_image_id``, ``y``, ``x``, ``group``, ``first`` and ``second`` of each patch that both judged.
        left_out: Words of a judge that knows no answer: these patches stand in the table, and not in kappa.
        order: In which words are listed.
    """

    names: tuple[str, str]
    rows: pd.DataFrame
    left_out: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def clear(self) -> pd.DataFrame:
        """Rows in which both know an answer."""
        return self.rows[~self.rows[["first", "second"]].isin(self.left_out).any(axis=1)]

    @property
    def kappa(self) -> Agreement:
        """Of clear patches, over groups."""
        clear = self.clear
        first, second, groups = (clear[name].to_numpy(object) for name in ("first", "second", "group"))
        return kappa_over_groups(first, second, groups, confidence=CONFIDENCE)


def read_judge(path: Path) -> pd.DataFrame:
    """The standing labels of a table: ``raw_image_id, y, x, label``.

    Raises:
        InputError: If it is absent, or no such table.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing", advice="give a table of hand labels, such as audit_anna.csv")
    return standing_labels(label_rows(path), path)[[*_PLACE, "label"]]


def two_annotators(first: Path, second: Path, curated: Curated) -> Judged:
    """The patches that two annotators have labelled.

    Raises:
        InputError: If a table cannot be read, or they share no patch.
    """
    rows = read_judge(first).merge(read_judge(second), on=_PLACE, suffixes=("_first", "_second"))
    rows = rows.rename(columns={"label_first": "first", "label_second": "second"})
    if not len(rows):
        raise InputError(f"{first} and {second} share no patch", advice="let both label some of the same patches")
    known = curated.manifest[["raw_image_id", "group"]].astype(object).drop_duplicates("raw_image_id")
    rows = rows.merge(known, "left", "raw_image_id")
    words = sorted(set(rows["first"]) | set(rows["second"]))
    rows["group"] = unit_of(rows)
    names = (first.name, second.name) if first.name != second.name else (str(first), str(second))
    return Judged(names, rows, (UNSURE,), tuple(words))


def annotator_and_pi(path: Path, curated: Curated) -> Judged:
    """The patches that an annotator has labelled live, dead or mixed, beside their labels by PI.

    Raises:
        InputError: If the table cannot be read, or holds no such patch of this data set.
    """
    labelled = curated.manifest[curated.manifest["label"].isin(list(LABEL_NAMES))]
    rows = read_judge(path).rename(columns={"label": "first"}).merge(labelled, on=_PLACE)
    if not rows["first"].isin([LIVE_WORD, DEAD_WORD]).any():
        raise InputError(
            f"{path} calls no patch of {curated.folder.name} {LIVE_WORD} or {DEAD_WORD} that has a label by PI",
            advice=f"give a table of the mode audit, whose words are {LIVE_WORD}, {DEAD_WORD}, mixed and {UNSURE}",
        )
    rows["second"] = rows["label"].map(LABEL_NAMES)
    rows["group"] = unit_of(rows)
    order = tuple(dict.fromkeys([LIVE_WORD, "mixed", "ambiguous", DEAD_WORD, UNSURE, *rows["first"]]))
    return Judged((path.name, "PI"), rows, ("mixed", "ambiguous", UNSURE), order)


def annotator_and_model(judged: Judged, scores: NDArray[np.float64], *, name: str) -> Judged:
    """The same patches beside what a model calls them: live from a P(live) of 0.5 on.

    Args:
        judged: As ``annotator_and_pi`` gives it.
        scores: P(live) of its rows.
        name: Of the model.
    """
    rows = judged.rows.assign(second=np.where(scores >= 0.5, LIVE_WORD, DEAD_WORD))
    return Judged((judged.names[0], name), rows, judged.left_out, judged.order)


def print_agreement(judged: Judged, console: Console) -> None:
    """Print kappa, its interval and who called what how often."""
    clear, kappa = judged.clear, judged.kappa
    first, second = judged.names
    n, n_groups = len(clear), clear["group"].nunique()
    agree = f"; {100 * (clear['first'] == clear['second']).mean():.1f} % are called the same" if n else ""
    lines = [
        f"{first} and {second}: {len(judged.rows):,} patches, {n:,} of them clear to both, of {n_groups} groups",
        f"Cohen's kappa: {value_text(kappa.value, kappa.interval)}{agree}",
    ]
    if kappa.value is None:
        lines.append("No kappa: both call every patch the same, and chance would do so, too.")
    elif kappa.interval is None:
        lines.append("No interval: it is over groups, and these are too few, or agree all the same.")
    elif n_groups < FEW_GROUPS:
        lines.append(f"An interval over {n_groups} groups may be too narrow.")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    said, found = ([word for word in judged.order if (judged.rows[name] == word).any()] for name in ("first", "second"))
    table = pd.crosstab(judged.rows["first"], judged.rows["second"]).reindex(index=said, columns=found, fill_value=0)
    cells = [[f"{first}: {word}", *(f"{count:,}" for count in table.loc[word])] for word in said]
    print_whole(table_of("Patches", ["", *(f"{second}: {word}" for word in found)], cells), console)


def write_disagreements(judged: Judged, folder: Path, console: Console) -> None:
    """Print the first patches that two judges call otherwise, and write all of them.

    Raises:
        InputError: If the file cannot be written.
    """
    rows = judged.rows[judged.rows["first"] != judged.rows["second"]]
    path = folder / DISAGREEMENTS
    with writing(path, advice="give another folder by --out"):
        folder.mkdir(parents=True, exist_ok=True)
        columns = {"first": judged.names[0], "second": judged.names[1]}
        write_whole(path, rows[[*_PLACE, "first", "second"]].rename(columns=columns).to_csv(index=False))
    cells: list[Sequence[str]] = [
        [str(row.raw_image_id), f"{row.y}", f"{row.x}", str(row.first), str(row.second)]
        for row in rows.head(_SHOWN).itertuples()
    ]
    if cells:
        print_whole(table_of("They disagree on", [*_PLACE, *judged.names], cells), console)
    console.print(f"{path}: {len(rows):,} patches", highlight=False, markup=False, soft_wrap=True)
