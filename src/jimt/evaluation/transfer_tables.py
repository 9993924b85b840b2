"""Tables of what separates data sets and of what bridges that, on a terminal and as CSV."""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
from rich.markup import escape
from rich.table import Table

from jimt.evaluation.curve_words import KINDS, TRUTHS
from jimt.evaluation.matching_gains import MEASURES, SHARE_ERROR
from jimt.statistics.value_text import NO_VALUE, value_text
from jimt.system.screen import open_table

SHORT: Final = {
    "nothing": "as it is",
    "pixel_size": "pixel size",
    "brightness": "brightness",
    "contrast": "contrast",
    "noise": "noise",
    "detail": "detail",
    "density": "density",
    "all of these": "all of these",
}
"""What differs or is matched, as few words say it."""


def differences_table(difference: dict[str, Any]) -> Table:
    """In what two data sets differ, what tells them apart best first, to be printed."""
    names = [difference["first"], difference["second"]]
    title = f"In what the images of {escape(names[0])} and {escape(names[1])} differ"
    table = _table(title, ["median of fields", *map(escape, names), "told apart\n(AUROC)"])
    for measure in difference["measures"]:
        cells = [measure["words"]]
        for side in ("first", "second"):
            found = measure[side]
            cells.append("not known" if found is None else _lines(_short(found["value"]), found["interval"], _short))
        apart = measure["separation"]
        cells.append(NO_VALUE if apart is None else _lines(f"{apart['area']:.3f}", apart["interval"], "{:.3f}".format))
        table.add_row(*cells)
    return table


def bridging_table(bridge: dict[str, Any], *, n_stained: int) -> Table:
    """What matching and adaptation bring a model on another data set, to be printed.

    Args:
        bridge: Of ``transfer.json``.
        n_stained: Fields that were taken for stained.
    """
    against = "" if bridge["against"] is None else f"\n(against {TRUTHS[bridge['against']]})"
    header = ["images matched in", "AUROC\nless as it is", "within groups\nless as it is"]
    title = f"The model of {escape(bridge['model'])} on {escape(bridge['tested_on'])}"
    table = _table(title, [*header, f"error of dead share{against}"])
    for row in bridge["matching"] or []:
        name = SHORT[row["matched"]]
        if row["reason"] is not None:
            table.add_row(f"{name}\nnot matched", *["-"] * len(MEASURES))
            continue
        done = row["done"].partition(" fields,")[0] + " fields" if row["matched"] == "density" else row["done"]
        first = name if row["matched"] in ("nothing", "all of these") else f"{name}\n{done}"
        cells = []
        for measure in MEASURES:
            found = row[measure]
            text = value_text(found["value"], found["interval"])
            if found["gain"] is not None:
                text += f"\n{value_text(found['gain'], found['gain_interval'], signed=True)}"
            cells.append(text)
        table.add_row(first, *cells)
    adapted = bridge["adaptation"]
    if adapted is not None:
        kinds = {
            "before": "none stained",
            "adapted": f"{n_stained} stained, adapted",
            "mean of the stained": "their mean",
        }
        for kind, name in kinds.items():
            text = value_text(adapted[kind]["value"], adapted[kind]["interval"])
            less = adapted.get(f"{KINDS[0]} - {kind}")
            if less is not None:
                name += "\nadapted less this"
                text += f"\n{value_text(less['value'], less['interval'], signed=True)}"
            table.add_row(name, "", "", text)
    return table


def _table(title: str, header: Sequence[str]) -> Table:
    table = open_table(title)
    for number, column in enumerate(header):
        table.add_column(column, justify="right" if number else "left")
    return table


def _short(value: float) -> str:
    """Three digits, however large."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _lines(value: str, interval: Sequence[float] | None, text: Any) -> str:
    return value if interval is None else f"{value}\n{text(interval[0])} to {text(interval[1])}"


def differences_frame(result: dict[str, Any]) -> pd.DataFrame:
    """A row for each pair of data sets and measure."""
    rows = []
    for pair in result["differences"]:
        for rank, measure in enumerate(pair["measures"], start=1):
            row: dict[str, Any] = {"first": pair["first"], "second": pair["second"], "rank": rank}
            row |= {"measure": measure["name"], "words": measure["words"]}
            for side, key in (("first", "in_first"), ("second", "in_second")):
                row |= _flat(key, measure[side] or {"value": None, "interval": None})
            apart = measure["separation"] or dict.fromkeys(("area", "interval", "standard_deviations", "beyond_chance"))
            row |= _flat("auroc", {"value": apart["area"], "interval": apart["interval"]})
            row |= {key: apart[key] for key in ("standard_deviations", "beyond_chance")} | {"note": measure["note"]}
            rows.append(row)
    return pd.DataFrame(rows)


def matching_frame(result: dict[str, Any]) -> pd.DataFrame:
    """A row for each model, other data set and property that is matched."""
    rows = []
    for bridge in result["bridges"]:
        for matched in bridge["matching"] or []:
            row = _of(bridge) | {key: matched[key] for key in ("matched", "done", "reason", "reached", "target")}
            if matched["reason"] is None:
                row |= {key: matched[key] for key in ("live", "dead", "groups", "fields")}
                for measure in MEASURES:
                    found = matched[measure]
                    row |= _flat(measure, found)
                    row |= _flat(f"{measure}_gain", {"value": found["gain"], "interval": found["gain_interval"]})
                    row[f"{measure}_beyond_chance"] = found["beyond_chance"]
            rows.append(row | {f"{SHARE_ERROR}_against": bridge["against"]})
    return pd.DataFrame(rows)


def adaptation_frame(result: dict[str, Any]) -> pd.DataFrame:
    """A row for each model and other data set."""
    rows = []
    for bridge in result["bridges"]:
        row = _of(bridge) | {key: bridge[key] for key in ("against", "share_of", "no_adaptation")}
        found = bridge["adaptation"]
        if found is not None:
            row |= {key: found[key] for key in ("stained", "groups", "fields")}
            for name in (*KINDS, *(f"{KINDS[0]} - {kind}" for kind in KINDS[1:])):
                row |= _flat(name.replace(" - ", "_less_").replace(" ", "_"), found[name])
        rows.append(row)
    return pd.DataFrame(rows)


def _of(bridge: dict[str, Any]) -> dict[str, Any]:
    return {key: bridge[key] for key in ("trained_on", "tested_on", "run")}


def _flat(name: str, found: dict[str, Any]) -> dict[str, Any]:
    low, high = found["interval"] or (None, None)
    return {name: found["value"], f"{name}_low": low, f"{name}_high": high}
