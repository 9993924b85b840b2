"""``jimt adapt``: a model that is told the PI of a few fields of a new experiment."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jimt.errors import InputError, writing

if TYPE_CHECKING:
    from rich.console import Console

    from jimt.models.checkpoint import Checkpoint
    from jimt.models.stained_evidence import Evidence, What
    from jimt.prediction.asked import Asked
    from jimt.prediction.stained_fields import Stained


def adapt_run(asked: "Asked", what: "What", console: "Console") -> Path:
    """Adapt a model to the stained fields that are named, and write it as a run of its own.

    Args:
        asked: The command.
        what: What is fitted.
        console: Where it is told.

    Returns:
        The new run's folder.

    Raises:
        InputError: If it cannot be done as asked.
    """
    # late: the list of options needs none of it
    from jimt.config.hydra_dataset import dataset_of_name
    from jimt.models.adapting import adapt, refuse_last_layer
    from jimt.models.checkpoint import read_checkpoint
    from jimt.models.predictor import Predictor
    from jimt.prediction.answer_tables import printable
    from jimt.prediction.asked import find_fields, find_pi
    from jimt.prediction.asking import open_asking, question_of
    from jimt.prediction.inputs import names_of
    from jimt.prediction.pictures import check_pixel_size
    from jimt.prediction.stained_fields import ask_about, doubts_about, read_stained
    from jimt.system.locks import owner
    from jimt.system.run_folders import find_checkpoint

    def say(line: str) -> None:
        console.print(printable(line), highlight=False, markup=False, soft_wrap=True)

    check_pixel_size(asked.pixel_size)
    names = None if asked.dataset is None else names_of(dataset_of_name(asked.dataset))
    path, _ = find_checkpoint(asked.run)
    before = read_checkpoint(path)
    refuse_adapted(before, asked.run)
    if what == "last-layer":
        refuse_last_layer(before)
    _refuse_filled(asked.out)
    found = find_fields(asked, names)
    of_pi = find_pi(asked, names, found)
    asking = open_asking(question_of(asked, path, names))
    left_out = {source.name: reason for source, reason in found.failed}
    stained, evidence = read_stained(asking, found.sources, of_pi, left_out, what)
    for note in (*found.notes, *(f"{name} is left out: {reason}" for name, reason in left_out.items())):
        say(f"note: {note}")
    if not stained:
        raise InputError(
            f"none of {len(found.sources) + len(found.failed)} fields can be adapted to",
            advice="stain some, and give bright-field and PI of each",
        )
    for note in doubts_about(before, path, stained, evidence):
        say(f"note: {note}")

    def ask(checkpoint: "Checkpoint") -> "list[Evidence]":
        if checkpoint is before:
            return evidence
        predictor = Predictor(checkpoint, accelerator=asked.accelerator)
        return [ask_about(predictor, each, what) for each in stained]

    after = adapt(before, ask, what=what)
    shares = _shares(before, evidence), _shares(after, ask(after))
    with owner(asked.out, who="an adaptation"), writing(asked.out, advice="give another folder"):
        _write(asked, path, what, after, stained, evidence, shares)
    _tell(stained, evidence, shares, console)
    say(f"the adapted model is in {asked.out.resolve()}; it answers for no field that it was adapted to")
    return asked.out


def refuse_adapted(checkpoint: "Checkpoint", named: Path) -> None:
    """Raise where a model was adapted already: what it was told first would count twice.

    Raises:
        InputError: So.
    """
    adaptation = checkpoint.record.adaptation
    if adaptation is not None:
        raise InputError(
            f"{named} was itself adapted, to {_stained(len(adaptation.fields))}, from {adaptation.origin}",
            advice="adapt that one to these fields and the others together",
        )


def _stained(number: int) -> str:
    return f"{number} stained field{'s' * (number != 1)}"


def _refuse_filled(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} holds something already", advice="name a folder that is not there yet")


def _shares(checkpoint: "Checkpoint", evidence: "list[Evidence]") -> tuple[float, ...]:
    """What a model says of the fields it was asked about, its offset being in what it said."""
    from jimt.models.adapting import as_it_was, share_after

    return tuple(share_after(each, as_it_was(checkpoint.output.temperature)) for each in evidence)


def _write(
    asked: "Asked",
    path: Path,
    what: "What",
    after: "Checkpoint",
    stained: "list[Stained]",
    evidence: "list[Evidence]",
    shares: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    import dataclasses

    import jimt
    from jimt.models.adaptation import Adaptation
    from jimt.models.checkpoint import save_checkpoint
    from jimt.system.files import BEST, FINISHED, digest_of, digest_of_file, write_json

    adaptation = Adaptation(
        origin=str(asked.run),
        origin_digest=digest_of_file(path),
        what=what,
        fields=tuple(each.known_as for each in stained),
        pi_shares=tuple(each.pi_share for each in evidence),
        before=shares[0],
        after=shares[1],
        version=jimt.__version__,
    )
    record = dataclasses.replace(after.record, adaptation=adaptation)
    save_checkpoint(dataclasses.replace(after, record=record), asked.out / BEST)
    adapted_to = digest_of(dataclasses.asdict(adaptation))
    write_json(asked.out / FINISHED, record.settings | {"adaptation": adapted_to})


def _tell(
    stained: "list[Stained]",
    evidence: "list[Evidence]",
    shares: tuple[tuple[float, ...], tuple[float, ...]],
    console: "Console",
) -> None:
    from rich.markup import escape

    from jimt.prediction.answer_tables import printable
    from jimt.statistics.value_text import number_text
    from jimt.system.screen import print_whole, table_of

    rows = [
        [escape(printable(each.known_as.name)), *map(number_text, (told.pi_share, before, after))]
        for each, told, before, after in zip(stained, evidence, *shares, strict=True)
    ]
    header = ["field", "by PI", "before", "adapted"]
    title = f"Dead share ({evidence[0].share_of}) of the {_stained(len(stained))} that it was adapted to"
    print_whole(table_of(title, header, rows), console)


def main(arguments: list[str] | None = None) -> Path:
    """Command line of ``jimt adapt``; returns the new run's folder."""
    options = vars(_parser().parse_args(arguments))
    from rich.console import Console

    from jimt.prediction.asked import Asked

    what = options.pop("what")
    idle = {"include_flagged": False, "excel": False, "doses": None, "onset": None, "dask": None}
    asked = Asked(**options | idle | {"images": tuple(options["images"])})
    try:
        return adapt_run(asked, what, Console(emoji=False))  # which a name may spell
    except InputError as error:
        sys.exit(f"error: {error}")


def _parser() -> argparse.ArgumentParser:
    from jimt.prediction.predict import add_reading

    parser = argparse.ArgumentParser(
        prog="jimt adapt", description="Tell a model the PI of a few fields of a new experiment, and write it as a run."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run, or a checkpoint")
    parser.add_argument("images", nargs="+", metavar="FIELD", help="stained fields: files, folders or globs")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN2", help="folder of the adapted run")
    parser.add_argument(
        "--what",
        choices=["calibration", "last-layer"],
        default="calibration",
        help="fit the calibration alone (default), or the last layer too",
    )
    add_reading(parser, checks="which the model is told", is_needed=True)
    return parser
