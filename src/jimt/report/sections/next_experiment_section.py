"""What the next experiment needs: further stained experiments to train on, or some stained fields of its own."""

from collections.abc import Iterator
from typing import Any

from jimt.errors import InputError
from jimt.evaluation.curve_words import adaptation_in_words, adaptation_rows, learning_in_words, learning_rows
from jimt.evaluation.learning_measures import MEASURES
from jimt.figures.curves_over_groups import draw_adaptation, draw_learning
from jimt.report.blocks import Block, Drawing, Table, Text, attempt
from jimt.report.study import Model
from jimt.statistics.value_text import percent_text
from jimt.system.files import ADAPTATION_CURVE, LEARNING_CURVE, read_json


def next_experiment_blocks(model: Model) -> Iterator[Block]:
    """The curves that were made of a cross-validation, and what they mean in words; nothing where none was made."""
    for name, words, blocks in (
        (LEARNING_CURVE, "The learning curve", _learning),
        (ADAPTATION_CURVE, "The adaptation curve", _adaptation),
    ):
        if (model.folder / name).is_file():
            yield from attempt(words, blocks(_read(model, name)))


def _read(model: Model, name: str) -> dict[str, Any]:
    return read_json(model.folder / name, advice="compute it again")


def _learning(curve: dict[str, Any]) -> Iterator[Block]:
    try:
        told, (header, rows) = learning_in_words(curve), learning_rows(curve)
        figure = draw_learning(curve["rows"], MEASURES)
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{LEARNING_CURVE} is damaged", advice="compute it again") from error
    yield Text(" ".join(told))
    yield Drawing(
        "learning_curve",
        "What further training groups buy",
        "Groups that were not seen, by the number of groups trained on, those drawn at random and anew for each fold; "
        f"lines: {percent_text(curve['confidence'])} intervals over the {curve['groups']} groups. Dotted: chance.",
        figure,
    )
    yield Table("By the number of groups trained on", header, rows)


def _adaptation(curve: dict[str, Any]) -> Iterator[Block]:
    try:
        told, (header, rows) = adaptation_in_words(curve), adaptation_rows(curve)
        figure = draw_adaptation(curve["rows"])
        fitted = {"calibration": "calibration", "last-layer": "last layer and calibration"}[curve["what"]]
        what = f"Error of the dead share ({curve['share_of']}), by the number of stained fields; adapted: {fitted}"
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(f"{ADAPTATION_CURVE} is damaged", advice="compute it again") from error
    yield Text(" ".join(told))
    caption = (
        "Each held-out group stands for a new experiment: some of its fields, drawn at random, were taken for stained, "
        f"and the others predicted. All answers of a column are for the same fields; lines: "
        f"{percent_text(curve['confidence'])} intervals over groups."
    )
    yield Drawing("adaptation_curve", "What stained fields of a new experiment buy", caption, figure)
    yield Table(what, header, rows)
