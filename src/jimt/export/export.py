"""``jimt export``: a model as ONNX, or as a package of the BioImage Model Zoo; patches as folders of PNG."""

import argparse
import sys
from pathlib import Path

from jimt.errors import InputError, in_one_sentence

FORMATS = {"onnx": "RUN", "zoo": "RUN", "imagefolder": "--dataset NAME"}
"""What each is made of."""


@in_one_sentence()
def main(arguments: list[str] | None = None) -> None:
    """Command line of ``jimt export``."""
    options = _parser().parse_args(arguments)
    of_dataset = options.format == "imagefolder"
    if (options.run is None) != of_dataset or (options.dataset is not None) != of_dataset:
        raise InputError(
            f"--format {options.format} is made of {'a data set' if of_dataset else 'a run'} alone",
            remedies=(f"jimt export {FORMATS[options.format]} --format {options.format}",),
        )
    if of_dataset:
        from jimt.export.image_folder import write_image_folder

        out = options.out or Path("data/exported", options.dataset)
        told = write_image_folder(options.curated or Path("data/curated", options.dataset), out)
        print(f"{told} patches are in {out}")
        return
    out = options.out or (options.run if options.run.is_dir() else options.run.parent) / "exported" / options.format
    # late: the list of options needs no torch
    from jimt.report.progress import watched

    with watched(lambda line: print(line, file=sys.stderr, flush=True), of="export"):
        if options.format == "zoo":
            print(f"{_write_zoo(options, out)} holds the model")
            return
        from jimt.export.onnx_files import write_onnx

        differences = write_onnx(options.run, out)
    print(f"{out} holds the model; on raw fields of odd sizes its answers differ from the run's in float32 by at most")
    for name, value in differences.items():
        print(f"  {name}: {value:.1e}")


def _write_zoo(options: argparse.Namespace, out: Path) -> Path:
    if not options.author or options.licence is None or options.data_licence is None:
        raise InputError(
            "a package names its authors, the licence of its weights and that of the images it was trained on",
            remedies=("--author NAME --licence CC-BY-4.0 --data-licence TEXT",),
        )
    from jimt.export.zoo_description import Publication
    from jimt.export.zoo_package import write_zoo

    publication = Publication(tuple(options.author), options.licence, options.data_licence)
    return write_zoo(options.run, out, publication)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jimt export",
        description="Write a model as ONNX or as a package of the BioImage Model Zoo, or patches as folders of PNG.",
    )
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="folder of a finished run, or a checkpoint")
    parser.add_argument("--format", required=True, choices=list(FORMATS), help="what to write")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="default: RUN/exported/FORMAT, data/exported/NAME")
    parser.add_argument("--dataset", metavar="NAME", help="curated data set, for imagefolder")
    parser.add_argument("--curated", type=Path, metavar="FOLDER", help="where it is not data/curated/NAME")
    of_zoo = parser.add_argument_group("zoo")
    of_zoo.add_argument("--author", action="append", metavar="NAME", help="who made the model; may be given again")
    of_zoo.add_argument("--licence", metavar="SPDX", help="of the weights, such as CC-BY-4.0")
    of_zoo.add_argument("--data-licence", metavar="TEXT", help="of the images that it was trained on, in words")
    return parser
