"""Rows of scoring: patches of stored fields, and whole fields by the command, against plain loops in float32."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from speed_measuring import Row, Suite, clocked, in_turn, median_of, ratios_of, simulated, trained
from torch import nn

from jimt.curation.manifest import Curated, open_curated
from jimt.curation.store import cut_patches, places_of
from jimt.models.predictor import Predictor, open_predictor
from jimt.models.stain_network import StainNetwork
from jimt.networks.network_input import to_network_input
from jimt.prediction.asked import Asked
from jimt.synthetic import simulate_dataset
from prediction import asked_for, command, difference, loop, patches_by_same_backbone


def scoring_rows(suite: Suite, precisions: Sequence[str] = ("bf16-mixed", "32-true")) -> list[Row]:
    """Row 5: patches of stored fields, by a fine-tuned ResNet-18."""
    rows = []
    for precision in precisions:
        words = "float32" if precision == "32-true" else "bfloat16"
        run = trained(suite, f"tuned_{precision}", "backbone=resnet18", f"trainer.precision={precision}")
        predictor = open_predictor(run, accelerator=suite.accelerator)
        torch.set_num_threads(suite.threads)
        curated = open_curated(curated_root(suite) / "few")
        manifest = curated.manifest.iloc[: suite.sized(64, least=16)]
        few = manifest.iloc[: len(manifest) // 2]
        times = in_turn(
            suite.repeats,
            clocked(partial(predictor.live_scores, curated.store, manifest)),
            clocked(
                partial(
                    one_by_one, predictor, predictor.checkpoint.load_network().eval().to(suite.device), curated, few
                )
            ),
        )
        rates = [[len(table) / each for each in t] for table, t in zip((manifest, few), times, strict=True)]
        rows.append(
            Row(
                5,
                f"patches of stored fields, fine-tuned ResNet-18, {words}",
                "one patch at a time, float32",
                ">= 4",
                ratios_of(*rates),
                f"{median_of(rates[0], 'patches/s')} against {median_of(rates[1], 'patches/s')}",
            )
        )
    return rows


@torch.inference_mode()
def one_by_one(predictor: Predictor, network: nn.Module, curated: Curated, rows: pd.DataFrame) -> None:
    """Pass patches through a network as it was trained, one at a time."""
    takes = predictor.checkpoint.input
    for patch in cut_patches(curated.store.field, places_of(rows), size=takes.patch_size):
        image = torch.from_numpy(patch)[None, None].to(predictor.device)
        network(to_network_input(image, mean=takes.mean, std=takes.std))


def curated_root(suite: Suite) -> Path:
    """Where ``trained`` keeps its curated data set."""
    data = simulated(suite, "few", wells=8, fields=1, height=448, width=448)
    (root,) = (word.partition("=")[2] for word in data if "output_root" in word)
    return Path(root)


def fields_to_predict(suite: Suite, n: int) -> list[str]:
    """Images of 672 x 560 px."""
    root = suite.folder / f"predicted_{n}"
    if not root.is_dir():
        sizes = {"height": 560, "width": 672, "patch_size": 224, "stride": 112}
        simulate_dataset(
            root, n_wells=n, fields_per_well=1, dead_fraction=0.5, difficulty=0.5, seed=3, n_jobs=1, **sizes
        )
    return [str(path) for path in sorted(root.glob("*--Trans.tif"))]


_TILES = ("experiment=frozen_tiles",)
PREDICTED: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    ("fine-tuned patches", ("backbone=resnet18",), ">= 4", ""),
    ("task=stain", ("task=stain", "backbone=resnet18"), ">= 2", ">= 6"),
    ("frozen tiles", _TILES, ">= 2", ">= 6"),
    ("frozen tiles, trainer.precision=bf16-mixed", (*_TILES, "trainer.precision=bf16-mixed"), ">= 2", ">= 6"),
)
"""Models: what they are called, overrides, and what is wanted of the loop over fields and of that over patches."""


def prediction_rows(suite: Suite, cases: Sequence[tuple[str, tuple[str, ...], str, str]] = PREDICTED) -> list[Row]:
    """Row 6: the whole command but its start-up."""
    images = fields_to_predict(suite, 8)
    rows = []
    for name, overrides, target, of_patches in cases:
        digest = "".join(letter if letter.isalnum() else "_" for letter in name)
        predictor = open_predictor(trained(suite, f"model_{digest}", *overrides), accelerator=suite.accelerator)
        torch.set_num_threads(suite.threads)
        plain = predictor.checkpoint.load_network().eval().to(suite.device)
        out = suite.folder / "answers"
        shutil.rmtree(out, ignore_errors=True)
        asked = asked_for(suite.folder, images, out)

        first = replace(asked, images=tuple(images[:1]))  # loops take longest, and fields are of one size
        works = [clocked(partial(answered, predictor, asked)), times_of(images, partial(loop, predictor, plain, first))]
        is_whole = isinstance(plain, StainNetwork) or predictor.checkpoint.output.tile is not None
        if is_whole:
            works.append(times_of(images, partial(patches_by_same_backbone, predictor, first)))
        times = in_turn(suite.repeats, *works)
        off = difference(predictor, asked, answered(predictor, asked))
        note = f"scores differ from float32 by {off:.4f} at most"
        of_loop = "a loop over whole fields" if is_whole else "a loop over patches"
        against = [of_loop, "a loop over patches, same backbone"]
        for what, theirs, wanted in zip(against, times[1:], (target, of_patches), strict=False):
            rows.append(
                Row(
                    6,
                    f"jimt predict, {name}",
                    f"{what}, float32",
                    wanted,
                    ratios_of(theirs, times[0]),
                    f"{median_of(times[0], 's')} against {median_of(theirs, 's')}",
                    note,
                )
            )
            note = ""
    return rows


def times_of(images: Sequence[str], work: Callable[[], object]) -> Callable[[], float]:
    """Seconds that as many fields would take as there are images, by those of one."""
    return lambda: len(images) * clocked(work)()


def answered(predictor: Predictor, asked: Asked) -> NDArray[np.float64]:
    """Scores by the command, into a new folder."""
    shutil.rmtree(asked.out, ignore_errors=True)
    return command(predictor, asked)
