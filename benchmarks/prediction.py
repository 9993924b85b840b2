"""How fast ``jimt predict`` is against plain loops that give the same answers.

    python benchmarks/prediction.py RUN IMAGES

The whole command without its start-up (reading, network, writing of maps, tables and page) against a loop that reads a
field and passes it through the same network in float32: patch by patch for a model that scores patches, whole for one
of tiles or of the stain. Both take turns; the ratio of the medians is printed, and how far scores differ.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from rich.console import Console

from jimt.data.fields import Fields
from jimt.data.transforms import orient, to_network_input
from jimt.models.network import LiveDeadNetwork
from jimt.models.predictor import Predictor, open_predictor
from jimt.models.stain_network import StainNetwork
from jimt.prediction.asked import Asked, find_fields
from jimt.prediction.asking import Asking
from jimt.prediction.engine import predict_fields
from jimt.prediction.parts import Parts
from jimt.prediction.pictures import read_picture
from jimt.prediction.results import results_of, write_results
from jimt.statistics.calibration import live_score
from jimt.vocabulary import MULTIPLE


def asked_for(run: Path, images: Sequence[str], out: Path) -> Asked:
    """What the command would be asked."""
    return Asked(run, tuple(images), out, None, None, None, "sharpest", None, None, None, False, False, None)


def command(predictor: Predictor, asked: Asked) -> NDArray[np.float64]:
    """Scores of all patches, by the command."""
    found = find_fields(asked, None)
    asking = Asking(predictor, asked, channel=None, pixel_size=None, pi=None, of_pi={})
    parts = Parts(asked.out, {}, {})
    quiet = Console(quiet=True)
    failed = predict_fields(
        found.sources, parts, read=asking.read, ask=asking.answer, write=asking.write, console=quiet
    )
    write_results(results_of(asked, predictor.checkpoint, found, failed, parts), parts)
    return pd.read_csv(asked.out / "patches.csv")["score"].to_numpy()


@torch.inference_mode()
def loop(predictor: Predictor, asked: Asked) -> NDArray[np.float64] | None:
    """Scores of the same patches one by one; of a model of whole fields nothing but the passes."""
    checkpoint, network = predictor.checkpoint, predictor.network
    takes, gives = checkpoint.input, checkpoint.output
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    scores = []
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
        fields = predictor.fields_of([picture.pixels])
        if isinstance(network, LiveDeadNetwork) and gives.tile is None:
            scores += patch_by_patch(predictor, network, fields)
            continue
        reduction = network.reduction if isinstance(network, StainNetwork) else 1
        pixels, multiple = fields.field(0), MULTIPLE * reduction
        beyond = tuple((0, -side % multiple) for side in pixels.shape)
        whole = torch.from_numpy(np.pad(pixels, beyond, mode="reflect"))[None, None]
        for turn in range(gives.orientations):
            turned = whole.rot90(turn % 4, (2, 3))
            images = to_network_input(turned.flip(3) if turn >= 4 else turned, mean=takes.mean, std=takes.std)
            images = images.contiguous()
            _ = network.maps(images) if isinstance(network, StainNetwork) else network.feature_map(images)
    return np.array(scores) if scores else None


def patch_by_patch(predictor: Predictor, network: LiveDeadNetwork, fields: Fields) -> list[float]:
    """P(live) of each patch of a field, one at a time."""
    takes, gives, size = predictor.checkpoint.input, predictor.checkpoint.output, predictor.checkpoint.input.patch_size
    found = []
    for row in predictor.patches_of(fields, 0, stride=None, to_the_edges=True).itertuples():
        patch = fields.field(0)[row.y : row.y + size, row.x : row.x + size]
        grey = torch.from_numpy(np.ascontiguousarray(patch))[None, None]
        logits = torch.zeros(1, 2)
        for turn in range(gives.orientations):
            turned = orient(grey, torch.tensor([turn]))
            logits += network(to_network_input(turned, mean=takes.mean, std=takes.std).contiguous())
        found.append(live_score(logits.numpy() / gives.orientations, temperature=gives.temperature)[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"command": [], "loop": []}
    differences = []
    for _ in range(options.rounds + 1):  # the first to warm up
        out = Path(tempfile.mkdtemp())
        try:
            asked = asked_for(options.run, options.images, out / "answers")
            predictor = open_predictor(options.run)
            start = time.perf_counter()
            answered = command(predictor, asked)
            seconds["command"].append(time.perf_counter() - start)
            predictor = open_predictor(options.run)
            start = time.perf_counter()
            plain = loop(predictor, asked)
            seconds["loop"].append(time.perf_counter() - start)
        finally:
            shutil.rmtree(out)
        if plain is not None:
            differences.append(float(np.abs(plain - answered).max()))
    medians = {name: float(np.median(values[1:])) for name, values in seconds.items()}
    kind = predictor.checkpoint.task if predictor.checkpoint.output.tile is None else "tiles"
    print(f"{kind}, {predictor.checkpoint.network.name}, {predictor.checkpoint.output.orientations} orientations")
    ratio = medians["loop"] / medians["command"]
    print(f"command {medians['command']:.2f} s, loop {medians['loop']:.2f} s: {ratio:.2f} x")
    if differences:
        print(f"scores differ by {max(differences):.5f} at most")


if __name__ == "__main__":
    main()
