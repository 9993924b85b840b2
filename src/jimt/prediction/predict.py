"""``jimt predict``: the dead share of fields and wells from bright-field images alone."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jimt.errors import InputError, writing
from jimt.system.arguments import from_0

if TYPE_CHECKING:
    from rich.console import Console

    from jimt.prediction.asked import Asked

BAD_ARGUMENTS: Final = 2
"""Exit status; 0, 3 and 4 are those of ``Results.status``."""
_PLANES: Final = ("sharpest", "max", "mean")


def predict(asked: "Asked", console: "Console") -> int:
    """Predict every field that is asked for, and write what follows for fields, wells and plates.

    Returns:
        The exit status.

    Raises:
        InputError: If it cannot be done as asked; a file that cannot be read is told among the others.
    """
    # late: the list of options needs none of it
    from jimt.config.hydra_dataset import dataset_of_name
    from jimt.prediction.answer_tables import printable
    from jimt.prediction.asked import depends_on, find_fields, find_pi
    from jimt.prediction.dose_plan import check_dose_plan, read_dose_plan
    from jimt.prediction.inputs import names_of
    from jimt.prediction.pictures import check_pixel_size
    from jimt.prediction.time_series import check_onset
    from jimt.system.run_folders import find_checkpoint

    check_pixel_size(asked.pixel_size)
    names = None if asked.dataset is None else names_of(dataset_of_name(asked.dataset))
    checkpoint, _ = find_checkpoint(asked.run)
    plan = None if asked.doses is None else read_dose_plan(asked.doses)
    found = find_fields(asked, names)
    check_onset(asked.onset, found.series)
    of_doses = [] if plan is None else check_dose_plan(plan, [*found.sources, *(each for each, _ in found.failed)])
    for note in (*found.notes, *of_doses):
        console.print(printable(f"note: {note}"), highlight=False, markup=False, soft_wrap=True)
    of_pi = find_pi(asked, names, found)

    # later still: torch takes seconds, and what cannot be done is said before
    from jimt.prediction.asking import model_of, open_asking, question_of
    from jimt.prediction.dose_files import DOSE_TABLE, remove_doses
    from jimt.prediction.engine import predict_fields
    from jimt.prediction.field_files import write_field_files
    from jimt.prediction.parts import Parts
    from jimt.prediction.printed_results import print_results
    from jimt.prediction.results import results_of, write_results
    from jimt.prediction.spreading import spread_fields
    from jimt.system.locks import owner

    question = question_of(asked, checkpoint, names)
    asking = open_asking(question) if asked.dask is None else None  # of a cluster each worker opens the model
    model = model_of(question) if asking is None else asking.checkpoint
    with owner(asked.out, who="a prediction"), writing(asked.out, advice="give another folder"):
        parts = Parts(asked.out, depends_on(asked, checkpoint, names), of_pi)
        if asking is not None:
            failed = predict_fields(
                found.sources,
                parts,
                read=lambda source: asking.read(source, of_pi.get(source.number)),
                asks=asking.asks(),
                write=lambda answer: write_field_files(answer, asked.out),
                console=console,
            )
        else:
            failed = spread_fields(found.sources, parts, question, of_pi=of_pi, asked=asked, console=console)
        results = results_of(asked, model, found, failed, parts, plan)
        if plan is None and remove_doses(asked.out):
            console.print(f"note: {DOSE_TABLE} and its figures are removed: this command has no --doses", markup=False)
        write_results(results, parts)
    print_results(results, console)
    return results.status


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt predict``."""
    options = vars(_parser().parse_args(arguments))
    from rich.console import Console

    from jimt.prediction.asked import Asked

    asked = Asked(**options | {"images": tuple(options["images"])})
    try:
        status = predict(asked, Console(emoji=False))  # which a name may spell
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_ARGUMENTS)
    except KeyboardInterrupt:
        sys.exit("error: told to stop (Ctrl-C); the same command goes on from here")
    if status:
        sys.exit(status)


def add_reading(parser: argparse.ArgumentParser, *, checks: str, is_needed: bool) -> None:
    """Add what tells how images, and the PI beside them, are read.

    Args:
        parser: Of a command that is given a run and images.
        checks: What PI is for, in the help.
        is_needed: Whether there must be PI.
    """
    parser.add_argument(
        "--pattern",
        metavar="PATTERN",
        help="how names tell plate, well, field, time and channel: {plate}/{well}_{field}",
    )
    parser.add_argument("--dataset", metavar="NAME", help="read names as this data set does")
    parser.add_argument(
        "--channel", type=_number_or_word, metavar="C", help="bright-field: a number from 0, or a name as in the file"
    )
    parser.add_argument(
        "--z",
        type=_plane,
        default="sharpest",
        metavar="Z",
        help="plane: a number from 0, sharpest (default), max, mean",
    )
    parser.add_argument("--time", type=from_0, metavar="T", help="one time point of each file, from 0; default: all")
    parser.add_argument(
        "--pixel-size", type=float, metavar="UM", help="micrometres a pixel, where the files do not tell it"
    )
    parser.add_argument(
        "--check",
        type=_number_or_word,
        required=is_needed,
        metavar="C",
        help=f"channel of PI beside the images, {checks}",
    )
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], help="device, where it is not the training's")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jimt predict",
        description="Tell the dead share of fields and wells from bright-field images, and what not to trust of it.",
        epilog="Exit status: 0 fine, 2 it cannot be done as asked, 3 some files have no answer, 4 most fields are "
        "unlike the training data.",
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run, or a checkpoint")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="files, folders or globs")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that the answers go to")
    add_reading(parser, checks="to check the answers by", is_needed=False)
    parser.add_argument(
        "--include-flagged", action="store_true", help="let fields that are unlike the training data enter the means"
    )
    parser.add_argument("--excel", action="store_true", help="write predictions.xlsx, too")
    parser.add_argument(
        "--onset",
        type=float,
        metavar="SHARE",
        help="dead share whose passing is the onset of a time series; default: 0.5",
    )
    parser.add_argument(
        "--doses", type=Path, metavar="CSV", help="what wells were given: a table well,dose[,compound,role,plate]"
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="predict on the workers of this Dask scheduler, such as tcp://HOST:8786"
    )
    return parser


def _number_or_word(text: str) -> int | str:
    return int(text) if text.isdecimal() and text == str(int(text)) else text  # names may hold 00


def _plane(text: str) -> int | str:
    if not text.isdecimal() and text not in _PLANES:
        raise argparse.ArgumentTypeError(f"{text} is neither a number from 0 on nor one of {', '.join(_PLANES)}")
    return _number_or_word(text)
