"""How fast ``jimt predict`` is against plain loops that give the same answers.

    python benchmarks/prediction.py RUN IMAGES

The whole command without its start-up (reading, networks, writing of maps, tables and page) against a loop that reads a
field and passes it through the same network in float32: patch by patch for a model that scores patches, whole for one
of tiles or of the stain; and patch by patch through the empty filter's network, where the model has one. For a model of
whole fields there is a third, a loop over the patches with a classifier of the same backbone. They take turns; ratios
of the medians are printed, of time and of processor time, which other work on the machine disturbs less, and how far
scores differ from those of the same network in float32.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console
from speed_measuring import now

from jimt.curation.store import cut_patches, places_of
from jimt.data.fields import Fields
from jimt.data.transforms import orient
from jimt.models.checkpoint import EmptyFilter
from jimt.models.network import LiveDeadNetwork
from jimt.models.predictor import Predictor, open_predictor
from jimt.models.stain_network import StainNetwork
from jimt.networks.backbones import FeatureExtractor
from jimt.networks.network_input import to_network_input
from jimt.prediction.asked import Asked, find_fields
from jimt.prediction.asking import Asking, question_of
from jimt.prediction.engine import predict_fields
from jimt.prediction.field_files import write_field_files
from jimt.prediction.parts import Parts
from jimt.prediction.pictures import read_picture
from jimt.prediction.results import results_of, write_results
from jimt.vocabulary import MULTIPLE

T = TypeVar("T")


def asked_for(run: Path, images: Sequence[str], out: Path) -> Asked:
    """What the command would be asked."""
    return Asked(run, tuple(images), out, None, None, None, "sharpest", None, None, None, False, False, *4 * (None,))


def command(predictor: Predictor, asked: Asked) -> NDArray[np.float64]:
    """Scores of all patches, by the command."""
    found = find_fields(asked, None)
    asking = Asking(predictor, question_of(asked, asked.run, None))
    parts = Parts(asked.out, {}, {})
    quiet = Console(quiet=True)
    failed = predict_fields(
        found.sources,
        parts,
        read=lambda source: asking.read(source, None),
        asks=asking.asks(),
        write=lambda answer: write_field_files(answer, asked.out),
        console=quiet,
    )
    write_results(results_of(asked, predictor.checkpoint, found, failed, parts, None), parts)
    return pd.read_csv(asked.out / "patches.csv")["score"].to_numpy()


def fields_asked(predictor: Predictor, asked: Asked) -> Iterator[Fields]:
    """Each field alone, as the command reads it."""
    takes = predictor.checkpoint.input
    for source in find_fields(asked, None).sources:
        picture = read_picture(
            source,
            channel=None,
            z="sharpest",
            pixel_size=None,
            model_pixel_size=takes.pixel_size,
            patch_size=takes.patch_size,
            bit_depth=takes.bit_depth,
            bit_shift=takes.bit_shift,
        )
        yield predictor.fields_of([picture.pixels])


@torch.inference_mode()
def loop(predictor: Predictor, network: LiveDeadNetwork | StainNetwork, asked: Asked) -> None:
    """The same answers by plain passes in float32, and nothing written."""
    known = predictor.checkpoint.empty_filter
    extract = None if known is None else plain_filter(known, predictor.device)
    for fields in fields_asked(predictor, asked):
        if isinstance(network, LiveDeadNetwork) and predictor.checkpoint.output.tile is None:
            patch_by_patch(predictor, network, fields)
        else:
            whole(predictor, network, fields)
        if extract is not None:
            for patch in patches_of(predictor, fields):
                extract(patch[None])


def plain_filter(known: EmptyFilter, device: torch.device) -> FeatureExtractor:
    """The empty filter's network, one patch at a time in float32."""
    return FeatureExtractor.with_state(
        known.backbone, known.state_dict, device=str(device), batch_size=1, precision="32-true"
    )


def whole(predictor: Predictor, network: LiveDeadNetwork | StainNetwork, fields: Fields) -> None:
    """Pass a field through a network of whole fields, in each orientation."""
    takes = predictor.checkpoint.input
    multiple = MULTIPLE * (network.reduction if isinstance(network, StainNetwork) else 1)
    pixels = fields.field(0)
    padded = np.pad(pixels, tuple((0, -side % multiple) for side in pixels.shape), mode="reflect")
    upright = torch.from_numpy(padded)[None, None].to(predictor.device)
    for turn in range(predictor.checkpoint.output.orientations):
        turned = upright.rot90(turn % 4, (2, 3))
        images = to_network_input(turned.flip(3) if turn >= 4 else turned, mean=takes.mean, std=takes.std)
        images = images.contiguous()
        _ = network.maps(images) if isinstance(network, StainNetwork) else network.feature_map(images)


def patches_of(predictor: Predictor, fields: Fields) -> NDArray[np.uint8]:
    """The patches of a field that the command scores."""
    rows = predictor.patches_of(fields, 0, stride=None, to_the_edges=True)
    return cut_patches(fields.field, places_of(rows), size=predictor.checkpoint.input.patch_size)


def patch_by_patch(predictor: Predictor, network: LiveDeadNetwork, fields: Fields) -> None:
    """Pass each patch of a field through a network, one at a time, in each orientation."""
    takes = predictor.checkpoint.input
    for patch in patches_of(predictor, fields):
        grey = torch.from_numpy(patch)[None, None].to(predictor.device)
        for turn in range(predictor.checkpoint.output.orientations):
            turned = orient(grey, torch.tensor([turn], device=predictor.device))
            network(to_network_input(turned, mean=takes.mean, std=takes.std).contiguous())


@torch.inference_mode()
def patches_by_same_backbone(predictor: Predictor, asked: Asked) -> None:
    """A loop over the patches with a classifier of the backbone of a model of whole fields."""
    network = LiveDeadNetwork(predictor.checkpoint.network.name, head="own", layer=None).eval().to(predictor.device)
    for fields in fields_asked(predictor, asked):
        patch_by_patch(predictor, network, fields)


def difference(predictor: Predictor, asked: Asked, answered: NDArray[np.float64]) -> float:
    """How far scores are at most from those of the same network in float32."""
    checkpoint = predictor.checkpoint
    exact = Predictor(replace(checkpoint, record=replace(checkpoint.record, precision="32-true")))
    scores = [
        exact.live_scores(fields, exact.patches_of(fields, 0, stride=None, to_the_edges=True))
        for fields in fields_asked(exact, asked)
    ]
    return float(np.abs(np.concatenate(scores) - answered).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, work: Callable[[], T]) -> T:
        start, start_of_processor = now(), time.process_time()
        result = work()
        times = (now() - start, time.process_time() - start_of_processor)
        seconds.setdefault(name, []).append(times)
        return result

    predictor = open_predictor(options.run)
    plain = predictor.checkpoint.load_network().to(predictor.device)
    of_fields = isinstance(plain, StainNetwork) or predictor.checkpoint.output.tile is not None
    for _ in range(options.rounds + 1):  # the first to warm up
        out = Path(tempfile.mkdtemp())
        try:
            asked = asked_for(options.run, options.images, out / "answers")
            answered = timed("command", lambda: command(predictor, asked))  # noqa: B023
            timed("loop", lambda: loop(predictor, plain, asked))  # noqa: B023
            if of_fields:
                timed("patches", lambda: patches_by_same_backbone(predictor, asked))  # noqa: B023
        finally:
            shutil.rmtree(out)
    kind = predictor.checkpoint.task if predictor.checkpoint.output.tile is None else "tiles"
    known = predictor.checkpoint.empty_filter
    filtered = "no empty filter" if known is None else f"empty filter on {known.features}"
    print(
        f"{kind}, {predictor.checkpoint.network.name}, {predictor.checkpoint.output.orientations} orientations, "
        f"{predictor.checkpoint.record.precision}, {filtered}"
    )
    medians = {name: np.median(times[1:], axis=0) for name, times in seconds.items()}
    ours = medians.pop("command")
    print(f"command {ours[0]:.2f} s, {ours[1]:.2f} s of processors")
    for name, theirs in medians.items():
        what = "plain loop" if name == "loop" else "loop over patches with the same backbone"
        print(f"{what} {theirs[0]:.2f} s, {theirs[1]:.2f} s: {theirs[0] / ours[0]:.2f} x, {theirs[1] / ours[1]:.2f} x")
    print(f"scores differ by {difference(predictor, asked, answered):.5f} at most from those in float32")


if __name__ == "__main__":
    main()
