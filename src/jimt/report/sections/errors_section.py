"""Where it fails: the most certain errors, group by group."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from jimt.curation.field_fluorescence import UNITS, fluorescence_patches
from jimt.errors import InputError
from jimt.figures.maps import gallery
from jimt.report.blocks import Block, Drawing, Table, Text
from jimt.report.study import Model
from jimt.report.thumbnails import patches_of
from jimt.statistics.weighted_patches import is_right
from jimt.vocabulary import LABEL_NAMES

_N_GROUPS = 6
_N_EACH = 7
_N_ROWS = 40


def error_blocks(model: Model, *, model_words: str) -> Iterator[Block]:
    """A gallery of the worst errors by group, with their PI, and how errors are spread over groups.

    Args:
        model: Whose.
        model_words: Words for titles, where a report has several models.
    """
    curated, rows = model.tested
    scores = model.scores
    wrong = ~pd.Series(is_right(scores["label"].to_numpy(int), scores["score"].to_numpy(float)), scores.index)
    if not wrong.any():
        yield Text(f"No test patch{model_words} is on the wrong side of 0.5.")
        return
    groups = scores["group"].fillna(scores["raw_image_id"]).astype(str)
    certainty = (scores["score"] - 0.5).abs()
    # a group's rank: the certainty of its errors added up
    burden = certainty.where(wrong, 0).groupby(groups).sum().sort_values(ascending=False, kind="stable")
    shown = burden.index[: min(_N_GROUPS, int((burden > 0).sum()))]
    surest = certainty[wrong].sort_values(ascending=False, kind="stable").index
    chosen = {str(name): surest[(groups[surest] == name).to_numpy()][:_N_EACH].tolist() for name in shown}
    flat = [index for indices in chosen.values() for index in indices]
    images = dict(zip(flat, patches_of(curated, rows.iloc[flat]), strict=True))
    unit, pi, without = "", {}, ""
    try:
        found = fluorescence_patches(curated, rows.iloc[flat])
        pi, unit = dict(zip(flat, found, strict=True)), UNITS[curated.thresholds["scale"]]
    except InputError as error:
        without = f" Without PI: {error}."
    places = dict(zip(flat, scores.loc[flat].to_dict("records"), strict=True))
    entries = {}
    for name, indices in chosen.items():
        n_wrong, n = int((wrong & (groups == name)).sum()), int((groups == name).sum())
        entries[f"{name}\n{n_wrong} of {n} wrong"] = [
            (images[i], pi.get(i), int(scores["label"][i]), float(scores["score"][i]), _place(places[i]))
            for i in indices
        ]
    yield Drawing(
        "worst_errors",
        f"The most certain errors{model_words}",
        f"By group, those with the heaviest errors first; frame: the true label; below each patch its PI.{without}",
        gallery(entries, unit=unit),
    )
    yield _by_group(scores.assign(group=groups, wrong=wrong), model_words)


def _place(row: Mapping[Hashable, Any]) -> str:
    image = str(row["raw_image_id"])
    tail = image if len(image) <= 20 else f"…{image[-19:]}"
    return tail if pd.isna(row["y"]) else f"{tail}\ny {int(row['y'])}, x {int(row['x'])}"


def _by_group(scores: pd.DataFrame, model_words: str) -> Table:
    rows = []
    for name, part in scores.groupby("group"):
        missed = {label: part[(part["label"] == label) & part["wrong"]] for label in LABEL_NAMES if label in (0, 1)}
        counts = {label: int((part["label"] == label).sum()) for label in missed}
        words = [f"{len(missed[label])} of {counts[label]}" if counts[label] else "-" for label in (1, 0)]
        rows.append((int(part["wrong"].sum()), [str(name), *words, f"{100 * np.mean(part['wrong']):.1f} %"]))
    rows.sort(key=lambda row: -row[0])
    left_out = len(rows) - _N_ROWS
    return Table(
        f"Errors by group{model_words}",
        ["group", "live called dead", "dead called live", "wrong"],
        [row for _, row in rows[:_N_ROWS]],
        f"Most errors first; {left_out} groups with fewer are left out." if left_out > 0 else "Most errors first.",
    )
