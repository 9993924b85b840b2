"""What a network of ``task=stain`` predicts: fields beside their measured PI, and how far both agree."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from jimt.errors import InputError
from jimt.evaluation.map_agreement import RADIUS, map_metrics
from jimt.evaluation.scores import read_scores
from jimt.evaluation.shown_fields import LIMITS, ShownFields, best_median_worst
from jimt.figures.stain_maps import StainField, draw_stain_fields
from jimt.report.blocks import Block, Drawing, Missing, Table, Text, attempt, attempted
from jimt.report.predicted import learned_in_words, predicted_in_words, share_in_words
from jimt.report.progress import part
from jimt.report.study import Model
from jimt.statistics.value_text import NO_VALUE, number_text, percent_text, value_text
from jimt.system.files import MAPS_FILE
from jimt.vocabulary import STRIDE

_ROWS: Final = 6
"""Fields of a figure, at most: it is then as high as a page."""
_GROUPS_SHOWN: Final = 24
"""Groups whose fields are drawn, at most."""
_GROUPS_LISTED: Final = 60
"""Groups that have a row of their own, at most."""
_NUCLEI: Final = {"nuclei": "", "dead_nuclei": ", dead"}


def prediction_blocks(models: Sequence[Model]) -> Iterator[Block]:
    """Predicted beside measured fields and their agreement, of models of one data set that predict maps."""
    tables: dict[str, pd.DataFrame] = {}
    read = []
    for model in models:
        made = attempted("The agreement of predicted maps" + _of(model, models), partial(_table, model))
        if isinstance(made, Missing):
            yield made
        else:
            read.append(model)
            tables[model.name] = made
    if not read:
        return
    results = {model.name: map_metrics(tables[model.name], confidence=model.confidence) for model in read}
    best = max(read, key=lambda model: _correlation(results[model.name]))
    words = (predicted_in_words(best.checkpoint), learned_in_words(best.checkpoint), share_in_words(best.checkpoint))
    subject = f"Of {best.name}, whose maps agree best. " if len(read) > 1 else ""
    yield Text(subject + " ".join(words))
    yield from attempt("The predicted fields", _field_blocks(best, tables[best.name]))
    yield from _tables(best, tables[best.name], results[best.name])
    if len(read) > 1:
        yield _models_table(read, results)


def _correlation(result: dict[str, Any]) -> float:
    value = result.get("correlation", {}).get("value")
    return -1.0 if value is None else float(value)


def _of(model: Model, models: Sequence[Model]) -> str:
    return f" of {model.name}" if len(models) > 1 else ""


def _table(model: Model) -> pd.DataFrame:
    """A row for each tested field, as ``map_agreement`` gives it.

    Raises:
        InputError: If the file is absent or damaged.
    """
    path = model.folder / MAPS_FILE
    advice, remedies = model.ways_out
    if not path.is_file():
        raise InputError(f"{path} is missing", advice=advice, remedies=remedies)
    try:
        table = read_scores(path)
        table = table.astype({"field": np.int64, "predicted_share": float})
        return table.assign(group=table["group"].fillna(table["raw_image_id"]))
    except (ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged", advice=advice, remedies=remedies) from error


def chosen_fields(table: pd.DataFrame) -> list[list[tuple[int, str]]]:
    """Which fields are drawn, of each group that is: rows of the table, and why each is shown.

    The best, median and worst field of each group; of all together where no group has several fields, as where every
    raw image is a group; of some groups, evenly spread by how well they are predicted, where there are many.

    Args:
        table: As ``map_agreement`` gives it, ``group`` known.
    """
    correlation = table["correlation"].to_numpy(float)
    rows_of = dict(table.groupby("group").indices)  # sorted by name
    if max(map(len, rows_of.values())) == 1:
        rows_of = {"": np.arange(len(table))}
    means = table.groupby("group")["correlation"].mean().dropna().sort_values(kind="stable").index
    if len(rows_of) > _GROUPS_SHOWN:
        kept = set(means[np.linspace(0, len(means) - 1, _GROUPS_SHOWN).round().astype(int)])
        rows_of = {name: rows for name, rows in rows_of.items() if name in kept}
    chosen = [
        [
            (int(rows[index]), f"{words} in {name}" if name else words)
            for index, words in best_median_worst(correlation[rows])
        ]
        for name, rows in rows_of.items()
    ]
    return [fields for fields in chosen if fields]


def _field_blocks(model: Model, table: pd.DataFrame) -> Iterator[Block]:
    if "correlation" not in table:
        raise InputError("the model predicts no PI (stain.log_pi=0 stain.positive=0), so no field can be drawn")
    curated, rows = model.tested
    shown: dict[int, ShownFields] = {}  # of each fold, which may have chosen settings of its own
    names = rows["group"].astype(object).fillna(rows["raw_image_id"].astype(object)).astype(str)
    # which model a group's fields were tested on: the one that has not seen the group
    checkpoint_of = dict(zip(names, rows["checkpoint"].tolist(), strict=True))
    groups = chosen_fields(table)
    n_groups, n_drawn = table["group"].nunique(), len(groups)
    figures = _packed(groups)
    for number, chosen in enumerate(figures, 1):
        fields: list[StainField] = []
        with part(f"maps of {len(chosen)} fields by {model.name} ({number} of {len(figures)})"):
            for row, words in chosen:
                field = int(table["field"].iloc[row])
                tested_by = int(checkpoint_of[table["group"].iloc[row]])
                predictor = model.predictor(tested_by)
                if tested_by not in shown:
                    own = predictor.checkpoint
                    shown[tested_by] = ShownFields(curated, own.record.settings, own.network.outputs)
                maps = predictor.maps(curated.store, field)
                share = float(table["predicted_share"].iloc[row])
                fields.append(shown[tested_by].field(field, maps, predicted_share=share, chosen_as=words))
        pixel_size = model.checkpoint.input.pixel_size
        figure = draw_stain_fields(fields, stride=STRIDE, limits=LIMITS, pixel_size=pixel_size)
        title = "Fields beside their predicted and measured PI"
        if len(figures) > 1:
            title += f", {number} of {len(figures)}"
        caption = _caption(fields, n_groups=n_groups, n_drawn=n_drawn) if number == 1 else "As above."
        yield Drawing("stain_fields" + (f"_{number}" if number > 1 else ""), title, caption, figure)


def _packed(groups: Sequence[list[tuple[int, str]]]) -> list[list[tuple[int, str]]]:
    """Fields by figure: whole groups, as many as there is room for."""
    figures: list[list[tuple[int, str]]] = []
    for fields in groups:
        if figures and len(figures[-1]) + len(fields) <= _ROWS:
            figures[-1] += fields
        else:
            figures.append(list(fields))
    return figures


def _caption(fields: Sequence[StainField], *, n_groups: int, n_drawn: int) -> str:
    which = "of each group"
    if n_drawn == 1 and n_groups > 1:
        which = f"of all {n_groups:,} groups, each of which is a field"
    elif n_drawn < n_groups:
        which = f"of {n_drawn} of {n_groups:,} groups, evenly spread from the worst to the best"
    words = (
        f"The best, the median and the worst tested field {which}, by Pearson's r (r) of predicted and measured PI, "
        "pixel by pixel; each was predicted by a model that has not seen its group. PI is drawn as a multiple of the "
        f"field's background: black is the background, light yellow {2 ** LIMITS[1]:g} times it or more; hatched: no "
        "data."
    )
    if any(field.predicted_nuclei is not None for field in fields):
        words += (
            " Nuclei: triangles are dead, circles living; hollow ones are known, filled ones predicted. A filled mark "
            "within a hollow one of its kind is a nucleus that was found, a filled one alone is false, a hollow one "
            "alone was missed."
        )
    return words


def _tables(model: Model, table: pd.DataFrame, result: dict[str, Any]) -> Iterator[Table]:
    """Images and, where they are predicted and known, nuclei: a row for each group, and all together."""
    of_groups: dict[str, dict[str, Any]] = {}
    beside = f" {MAPS_FILE} has a row for each field."
    if table["group"].nunique() <= _GROUPS_LISTED:
        for name, fields in table.groupby("group"):
            of_groups[str(name)] = map_metrics(fields.reset_index(drop=True), confidence=model.confidence)
    if measures := {name: words for name, words in _MEASURES.items() if name in result}:
        rows = [
            [name, f"{own['fields']:,}", *(number_text(own[each]["value"]) for each in measures)]
            for name, own in of_groups.items()
        ]
        means = [value_text(result[each]["value"], result[each]["interval_groups"]) for each in measures]
        yield Table(
            "Agreement of predicted with measured PI",
            ["group", "fields", *measures.values()],
            [*rows, ["mean over groups", f"{result['fields']:,}", *means]],
            "Means over the fields of a group; in brackets the "
            f"{percent_text(model.confidence)} interval over groups. {_MEASURED}{beside}",
        )
    if kinds := {kind: words for kind, words in _NUCLEI.items() if kind in result}:
        named = [*of_groups.items(), ("all together", result)]
        yield Table(
            "Nuclei that were found",
            ["group", *(f"{count}{words}" for words in kinds.values() for count in ("known", "predicted", *_FOUND))],
            [[name, *(cell for kind in kinds for cell in _found(own[kind]))] for name, own in named],
            f"Recall is the share of known nuclei that were found, precision the share of predicted ones that are "
            f"right: their centres lie within {RADIUS:g} px, and each is taken once. Dead nuclei are held against dead "
            f"ones alone. Fields without a known nucleus do not count.{beside}",
        )


_MEASURES: Final = {"correlation": "pixel correlation", "similarity": "SSIM"}
_MEASURED: Final = (
    "Pixel correlation is Pearson's r of the logarithms of predicted and measured PI: 1 where both are bright in the "
    "same places, however bright. Structural similarity (SSIM) is 1 only where both images are the same."
)
_FOUND: Final = ("recall", "precision")


def _found(of_kind: dict[str, Any]) -> list[str]:
    return [*(f"{of_kind[count]:,}" for count in ("true", "predicted")), *(number_text(of_kind[of]) for of in _FOUND)]


def _models_table(models: Sequence[Model], results: dict[str, dict[str, Any]]) -> Table:
    kinds = {kind: words for kind, words in _NUCLEI.items() if any(kind in each for each in results.values())}
    rows = []
    for model in models:
        result = results[model.name]
        cells = [
            value_text(result[each]["value"], result[each]["interval_groups"]) if each in result else NO_VALUE
            for each in _MEASURES
        ]
        cells += [number_text(result[kind][of]) if kind in result else NO_VALUE for kind in kinds for of in _FOUND]
        rows.append([model.name, f"{result['fields']:,}", *cells])
    return Table(
        "Predicted images and nuclei of all models",
        ["model", "fields", *_MEASURES.values(), *(f"{of}{words}" for words in kinds.values() for of in _FOUND)],
        rows,
        f"Means over groups, in brackets their interval. {_MEASURED} Recall and precision are of all nuclei together.",
    )
