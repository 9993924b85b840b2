"""Compares two annotators, or one with PI and a model, and prints how far they agree."""

from pathlib import Path
from typing import TYPE_CHECKING

from jimt.annotation.label_agreement import (
    annotator_and_model,
    annotator_and_pi,
    print_agreement,
    two_annotators,
    write_disagreements,
)
from jimt.annotation.model_verdicts import open_model, scores_of, trained_on
from jimt.curation.manifest import Curated
from jimt.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from jimt.annotation.annotate import Asked


def compare(asked: "Asked", curated: Curated, console: "Console") -> None:
    """Print the agreement of the tables that the command names.

    Raises:
        InputError: If it cannot be done as asked.
    """
    if len(asked.compare) > 2:
        raise InputError(f"{len(asked.compare)} tables are to be compared", advice="give one, or two")
    if len(asked.compare) == 1:
        compare_with_pi(asked.compare[0], asked.run, curated, console)
        return
    if asked.run is not None:
        raise InputError("a run is without effect where two annotators are compared", advice="leave it out")
    first, second = asked.compare
    judged = two_annotators(first, second, curated)
    print_agreement(judged, console)
    write_disagreements(judged, asked.folder, console)


def compare_with_pi(path: Path, run: Path | None, curated: Curated, console: "Console") -> None:
    """Print how far an annotator agrees with the labels by PI and, where a run is given, with its model.

    Raises:
        InputError: If the table, or the run, cannot be used.
    """
    judged = annotator_and_pi(path, curated)
    print_agreement(judged, console)
    if run is None:
        return
    model = open_model(run, curated)
    print_agreement(annotator_and_model(judged, scores_of(model, curated, judged.rows), name=str(run)), console)
    if n := trained_on(model, curated, judged.rows):
        told = f"{n:,} of these patches are of groups that the model was trained on, so it agrees too well there."
        console.print(told, highlight=False, markup=False, soft_wrap=True)
