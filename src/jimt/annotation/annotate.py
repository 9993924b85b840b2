"""``jimt annotate``: hand labels on a page of this machine, one key a patch."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jimt.annotation.modes import MODES
from jimt.config.checks import is_name
from jimt.errors import InputError, in_one_sentence

if TYPE_CHECKING:
    from rich.console import Console

_FOLDER: Final = Path("annotations")


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        dataset: Name of a curated data set.
        mode: What is judged.
        annotator: Who judges: each has a file of their own.
        curated: Folder that curations lie in.
        out: Folder that the labels of data sets go to.
        compare: Tables of labels to hold against each other, or against PI.
        run: A model that labels, or nuclei, are compared with or taken from; None for none.
    """

    dataset: str
    mode: str
    annotator: str
    curated: Path
    out: Path
    compare: tuple[Path, ...]
    run: Path | None

    @property
    def folder(self) -> Path:
        """Where the data set's labels lie."""
        return self.out / self.dataset

    @property
    def table(self) -> Path:
        """The annotator's labels."""
        return self.folder / f"{self.mode}_{self.annotator}.csv"


def annotate(asked: Asked, console: "Console") -> None:
    """Serve the page until the person at the keyboard ends it, or compare what was labelled.

    Raises:
        InputError: If it cannot be done as asked.
    """
    if not is_name(asked.annotator):
        raise InputError(
            f"--annotator {asked.annotator} cannot be part of a file's name",
            advice="it takes letters, digits, dots, _ and -",
        )
    # late: the list of options needs none of it
    from jimt.annotation.comparing import compare
    from jimt.annotation.patch_pool import refuse_published
    from jimt.annotation.serving import serve_cells, serve_patches
    from jimt.curation.manifest import open_curated
    from jimt.system.locks import owner

    curated = open_curated(asked.curated / asked.dataset)
    refuse_published(curated)
    if asked.compare:
        compare(asked, curated, console)
        return
    if asked.run is not None and asked.mode == "empty":
        raise InputError("a run is without effect in the mode empty", advice="leave it out, or name the other mode")
    with owner(asked.folder, lock_name=f".{asked.table.name}.lock", who="an annotation"):
        serve = serve_cells if asked.mode == "cells" else serve_patches
        serve(asked, curated, console)


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt annotate``."""
    options = vars(_parser().parse_args(arguments))
    from rich.console import Console

    asked = Asked(**options | {"compare": tuple(options["compare"] or ())})
    with in_one_sentence():
        annotate(asked, Console(emoji=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jimt annotate",
        description="Label patches or cells of a curated data set by eye, on a page of this machine.",
    )
    parser.add_argument("dataset", metavar="DATASET", help="name of a curated data set")
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="empty",
        help="empty: patches with and without cells, for the empty filter (default); audit: live, dead or mixed "
        "patches; cells: single cells of whole fields",
    )
    parser.add_argument(
        "--annotator", default="me", metavar="NAME", help="who labels; each has a file of their own (default: me)"
    )
    parser.add_argument(
        "--curated", type=Path, default=Path("data/curated"), metavar="DIR", help="folder that curations lie in"
    )
    parser.add_argument("--out", type=Path, default=_FOLDER, metavar="DIR", help="folder that labels go to")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="label nothing: hold two annotators' tables against each other, or one of the mode audit against PI",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="RUN",
        help="folder of a run: an audit is held against its model, too; cells begin with the nuclei that it predicts",
    )
    return parser
