"""Tables of curves over groups, and what they mean for the next experiment, in words."""

from typing import Any, Final

import pandas as pd

from jimt.evaluation.learning_measures import MEASURES
from jimt.statistics.value_text import number_text, value_text

KINDS: Final = ("adapted", "before", "mean of the stained")
"""Answers that are compared: of the adapted model, of the model before, and of no model: every field has the mean share
of the stained ones."""


def adaptation_frame(curve: dict[str, Any]) -> pd.DataFrame:
    """The table, one row for each truth and number of stained fields, to be written as CSV."""
    rows = []
    for row in curve["rows"]:
        flat = {key: row[key] for key in ("truth", "stained", "groups", "groups_left_out", "fields")}
        for name in (*KINDS, *(f"{KINDS[0]} - {kind}" for kind in KINDS[1:])):
            low, high = row[name]["interval"] or (None, None)
            column = name.replace(" - ", "_less_").replace(" ", "_")
            flat |= {column: row[name]["value"], f"{column}_low": low, f"{column}_high": high}
        rows.append(flat)
    return pd.DataFrame(rows)


TRUTHS: Final = {"counted": "counted cells", "pi": "PI"}
"""What a dead share is held against, in words."""


def adaptation_rows(curve: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table, as texts."""
    header = ["against", "stained", "groups", *KINDS, *(f"{KINDS[0]} - {kind}" for kind in KINDS[1:])]
    rows = []
    for row in curve["rows"]:
        left_out = f" ({row['groups_left_out']} left out)" if row["groups_left_out"] else ""
        cells = [TRUTHS[row["truth"]], str(row["stained"]), f"{row['groups']}{left_out}"]
        cells += [value_text(row[kind]["value"], row[kind]["interval"]) for kind in KINDS]
        differences = (row[f"{KINDS[0]} - {kind}"] for kind in KINDS[1:])
        cells += [value_text(each["value"], each["interval"], signed=True) for each in differences]
        rows.append(cells)
    return header, rows


def adaptation_in_words(curve: dict[str, Any]) -> list[str]:
    """What the curve means for the next experiment, a sentence for each truth."""
    told = []
    for truth in dict.fromkeys(row["truth"] for row in curve["rows"]):
        rows = [row for row in curve["rows"] if row["truth"] == truth]
        helps = [row for row in rows if _is_below(row[f"{KINDS[0]} - {KINDS[1]}"])]
        beats = [row for row in rows if _is_below(row[f"{KINDS[0]} - {KINDS[2]}"])]
        most = rows[-1]["stained"]
        if helps:
            row = helps[0]
            n, one, difference = row["stained"], row["stained"] == 1, row["adapted - before"]
            text = (
                f"Stain {n} field{'s' * (not one)} of the next experiment and adapt the model to "
                f"{'it' if one else 'them'}: against {TRUTHS[truth]}, the dead share of its other fields is then "
                f"off by {number_text(row[KINDS[0]]['value'])} in place of {number_text(row[KINDS[1]]['value'])}, a "
                f"change of {value_text(difference['value'], difference['interval'], signed=True)}"
            )
        else:
            row = min(rows, key=lambda row: row["adapted - before"]["value"])
            difference = row["adapted - before"]
            gain = "bring no gain that exceeds chance"
            if all(each["adapted - before"]["interval"] is None for each in rows):
                gain = "may bring a gain or none, which so few groups cannot tell"
            text = (
                f"Against {TRUTHS[truth]}, up to {most} stained field{'s' * (most != 1)} of the next experiment "
                f"{gain}: the dead share of its other fields is off by "
                f"{number_text(row[KINDS[0]]['value'])} with {row['stained']}, in place of "
                f"{number_text(row[KINDS[1]]['value'])}, a change of "
                f"{value_text(difference['value'], difference['interval'], signed=True)}"
            )
        beaten = min(rows, key=lambda row: row[f"{KINDS[0]} - {KINDS[2]}"]["value"])
        difference = (beats or [beaten])[0][f"{KINDS[0]} - {KINDS[2]}"]
        against = value_text(difference["value"], difference["interval"], signed=True)
        if beats:
            text += f". The adapted model is nearer than the mean share of the stained fields alone, by {against}."
        elif all(_is_above(each[f"{KINDS[0]} - {KINDS[2]}"]) for each in rows):
            text += (
                ". The mean share of the stained fields alone is nearer than the adapted model: the fields of a group "
                f"are so alike that the model adds nothing to the stain, and is further off by {against}: take that "
                "mean for the other fields."
            )
        else:
            text += (
                ". The adapted model is not nearer, by more than chance, than the mean share of the stained fields "
                f"alone: the difference is {against}."
            )
        told.append(text)
    return told


def _is_below(difference: dict[str, Any]) -> bool:
    return difference["interval"] is not None and difference["interval"][1] < 0


def _is_above(difference: dict[str, Any]) -> bool:
    return difference["interval"] is not None and difference["interval"][0] > 0


def learning_frame(curve: dict[str, Any]) -> pd.DataFrame:
    """The table of a learning curve, one row for each number of groups, to be written as CSV."""
    rows = []
    for row in curve["rows"]:
        flat = {"groups": row["groups"], "trainings": row["trainings"]}
        for name in MEASURES:
            low, high = row[name]["interval"] or (None, None)
            flat |= {name: row[name]["value"], f"{name}_low": low, f"{name}_high": high}
        rows.append(flat)
    return pd.DataFrame(rows)


def learning_rows(curve: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table, as texts."""
    against = f"{MEASURES['share_error']} (against {TRUTHS[curve['truth']]})"
    header = ["groups", *(against if name == "share_error" else words for name, words in MEASURES.items())]
    rows = [
        [f"{row['groups']:.3g}", *(value_text(row[name]["value"], row[name]["interval"]) for name in MEASURES)]
        for row in curve["rows"]
    ]
    return header, rows


def learning_in_words(curve: dict[str, Any]) -> list[str]:
    """What the curve means for the next experiment."""
    *fewer, whole = curve["rows"]
    last = fewer[-1]
    step, told = last["whole_less_this"], []
    from_to = f"from {last['groups']:.3g} to {whole['groups']:.3g} training groups"
    within = [number_text(row["auroc_within_groups"]["value"]) for row in (last, whole)]
    if step is not None:
        shares = [number_text(row["share_error"]["value"]) for row in (last, whole)]
        sentence = f"the error of the dead share goes from {shares[0]} to {shares[1]}"
        sentence += f", a change of {value_text(step['value'], step['interval'], signed=True)}"
        verdict = (
            "so more experiments like these can be expected to help"
            if _is_below(step)
            else ("which chance alone could do, so that a further experiment cannot be promised to help")
        )
        told.append(f"Going {from_to}, {sentence}, {verdict}.")
    told.append(f"AUROC within groups goes from {within[0]} to {within[1]} in the same step.")
    return told
