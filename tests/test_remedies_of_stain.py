"""Every remedy of a training of maps (``task=stain``) is taken as it is printed, and mends what it says."""

import dataclasses
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import STAIN
from jimt.config.training import no_decoder
from jimt.data.stain_datamodule import refuse_large_crop
from jimt.data.stain_targets import StainTargets, target_settings
from jimt.errors import InputError
from jimt.models import mapwise, stain_network
from jimt.models.checkpoint import Input
from jimt.models.devices import ExceedsMemory
from jimt.models.patchwise import PatchPredictor
from jimt.networks.backbones import create_backbone
from jimt.training import finetune, gpu_memory
from jimt.training.checkpointing import network_of
from jimt.training.learners import refuse_small_crop
from jimt.training.run import train
from remedies import Lab, Place, check, composed_train, marked
from stains import Fields, made

trains = partial(composed_train, "run_dir=run")
QUIET = ("report=false", "backbone.weights=random")


def of_settings(lab: Lab) -> None:
    lab.mends(trains, "task=stain", "stain.crop=100")
    lab.mends(trains, "task=stain", "stain.log_pi=0", "stain.positive=0")
    lab.mends(trains, "task=stain", "stain.nuclei=1")
    lab.mends(trains, "task=stain", "stain.nuclei_of=cells")
    lab.mends(trains, "task=stain", "stain.crop=null")


def of_a_probe(lab: Lab) -> None:
    def composes(*overrides: str) -> None:  # the method after the rest, which Hydra does not take with task=stain
        methods = [word for word in overrides if word.startswith("method=")]
        config = trains(*overrides) if "task=patch" in overrides else trains(*(set(overrides) - set(methods)))
        if "task=stain" in overrides:
            dataclasses.replace(config, method=methods[0].partition("=")[2])

    lab.mends(composes, "task=stain", "method=linear_probe")
    assert no_decoder("linear_probe").remedies == ("method=finetune", "task=patch")


def builds(*overrides: str) -> None:
    network_of(trains(*overrides)).build()


def of_a_decoder(lab: Lab) -> None:
    lab.mends(builds, *QUIET, "task=stain", "backbone=squeezenet")


def of_a_small_crop(lab: Lab) -> None:
    def looks(*overrides: str) -> None:
        config = trains(*overrides)
        refuse_small_crop(network_of(config).build(), config.stain, n_crops=config.optim.batch_size)

    inception = ("backbone=inception_v3", "stain.decoder=unet", "stain.reduction=1", "stain.channels=32")
    lab.mends(looks, *QUIET, "task=stain", *inception, "stain.crop=32")
    # of one crop a single place is left, which has no batch statistics
    lab.mends(looks, *QUIET, "task=stain", "stain.crop=64", "optim.batch_size=1")


def of_one_scale(lab: Lab) -> None:
    lab.mends(builds, *QUIET, "task=stain", "backbone.name=test_vit.r160_in1k")


def of_other_layers(lab: Lab) -> None:
    def loads(*overrides: str) -> None:
        network_of(trains(*overrides)).build().load_pretrained("random")

    lab.monkeypatch.setattr(
        stain_network,
        "create_backbone",
        lambda name, **kept: create_backbone("test_convnext2.r160_in1k" if name.startswith("test") else name, **kept),
    )
    lab.mends(loads, *QUIET, "task=stain", "backbone.name=test_resnet.r160_in1k")


# ---- targets of fields that have not what is to be predicted


def learns(lab: Lab, *overrides: str, **fields) -> None:
    """As far as the targets of one field, which is made anew."""
    config = trains(*QUIET, *overrides)
    if config.stain is None:
        return
    given = {"cells": [(0, 9.0, 9.0, True)]} if config.dataset.cells is not None else {}
    given |= {"nuclei": [(0, 9.0, 9.0, True)]} if config.dataset.nuclei is not None else {}
    folder = lab.tmp_path / str(len(list(lab.tmp_path.iterdir())))
    curated = made(folder, [np.pad(np.full((8, 8), 140), (8, 16), constant_values=100)], **fields, **given)
    curated.summary["config"]["dataset"]["layout"] = config.dataset.layout
    positive = curated.summary["config"]["curation"]["label"]["positive"]
    curated.summary["config"]["curation"]["label"]["positive"] = positive | {
        "ratio": config.curation.label.positive.ratio
    }
    targets = StainTargets(curated, target_settings(config.stain))
    targets.prepare([0])
    targets.refuse_one_kind([0])


def of_published_patches(lab: Lab) -> None:
    patches = "dataset.layout=patches", "dataset.pattern='{raw_image_id}.tif'"
    lab.mends(partial(learns, lab), "dataset=no_treatment", "task=stain", *patches)


def of_no_background(lab: Lab) -> None:
    ratio = "curation.label.positive.ratio=1.2"
    dark = partial(learns, lab, background=0.0)
    lab.mends(dark, "dataset=no_treatment", "task=stain", ratio)
    lab.mends(dark, "dataset=no_treatment", "task=stain", ratio, "stain.positive=0")


def of_nothing_positive(lab: Lab) -> None:
    fill = {"NUMBER": "1.2"}
    lab.mends(partial(learns, lab), "dataset=no_treatment", "task=stain", fill=fill)
    lab.mends(partial(learns, lab), "dataset=no_treatment", "task=stain", "stain.log_pi=0", fill=fill)


def of_no_nuclei(lab: Lab) -> None:
    ratio, words = "curation.label.positive.ratio=1.2", {"FILE": "cells.csv", "WORD": "hoechst", "NUMBER": "2"}
    given = "dataset=no_treatment", "task=stain", "stain=nuclei", ratio
    learned = partial(learns, lab)
    lab.mends(learned, *given, fill=words)
    lab.mends(learned, *given, "stain.nuclei_of=nuclei", fill=words)
    lab.mends(learned, *given, "stain.log_pi=0", "stain.positive=0", fill=words)


def of_a_large_crop(lab: Lab) -> None:
    for size in ((100, 200), (40, 50)):
        curated = made(lab.tmp_path, [np.full(size, 100)])

        def serves(*overrides: str, curated=curated) -> None:
            stain = trains(*overrides).stain
            assert stain is not None
            refuse_large_crop(curated, [0], stain)

        lab.mends(serves, "task=stain", "stain.crop=256")


# ---- memory of a GPU


def of_the_memory_of_a_card(lab: Lab) -> None:
    """The card holds what is asked for no longer; the one of a remedy it does."""

    def fits_on(words: tuple[str, ...], *, validates: bool) -> None:
        given = trains(*words)

        def needs(config) -> int:
            if config.trainer.accelerator == "cpu":
                return 0
            if validates and config.stain is None:
                return int(config.trainer.eval_batch_size)
            reduced = 1 if config.stain is None else config.stain.reduction**2
            crop = None if config.stain is None or validates else config.stain.crop
            side = (crop or 2048) ** 2
            return (1 if validates else config.optim.batch_size) * side // reduced

        def trains_on_it(*overrides: str) -> None:
            config = trains(*overrides)
            if needs(config) >= needs(given):
                raise finetune.out_of_memory(config, validates=validates)

        told = lab.mends(trains_on_it, *words)
        assert "needs more memory than the GPU has: " in told.text

    gpu, stain = "trainer=gpu", "task=stain"
    fits_on((gpu,), validates=False)
    fits_on((gpu,), validates=True)
    fits_on((gpu, stain), validates=False)
    fits_on((gpu, stain), validates=True)
    fits_on((gpu, stain, "optim.batch_size=1"), validates=False)
    fits_on((gpu, stain, "optim.batch_size=1", "stain.crop=null", "stain.positive_crops=0"), validates=False)
    fits_on((gpu, "optim.batch_size=1"), validates=False)
    fits_on(("trainer=ddp", stain, "optim.batch_size=8"), validates=False)


def of_a_field(lab: Lab) -> None:
    takes = Input(32, {}, 12, 0, (0.5,) * 3, (0.5,) * 3, None)

    def scores(*flags: str) -> None:
        def answer(images: torch.Tensor) -> list[torch.Tensor]:
            if "cpu" not in flags:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return [images]

        mapwise.maps_of_field(
            answer,
            np.zeros((40, 70), np.uint8),
            takes=takes,
            orientations=1,
            multiple=32,
            device=torch.device("cpu"),
            precision="32-true",
        )

    told = lab.mends(scores)
    assert told.text == "a field of 70 x 40 px needs more memory than the GPU has: give --accelerator cpu"


def of_patches_at_once(lab: Lab) -> None:
    class Network(torch.nn.Module):
        full = True

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self.full:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return images.mean((2, 3))[:, :2]

    network = Network()
    takes = Input(32, {}, 12, 0, (0.5,) * 3, (0.5,) * 3, None)
    predictor = PatchPredictor(network, takes, 1, torch.device("cpu"), "32-true", 3)  # type: ignore[arg-type]
    rows = pd.DataFrame({"field": 0, "y": [0, 8, 16, 24], "x": 0})

    def scores(*flags: str) -> None:
        network.full = "cpu" not in flags
        assert predictor.logits(Fields([np.zeros((64, 64), np.uint8)], []), rows).shape == (4, 2)

    assert lab.mends(scores).text == "2 patches at once need more memory than the GPU has: give --accelerator cpu"


def of_a_field_in_training(lab: Lab) -> None:
    @gpu_memory.scoring()
    def trains(*overrides: str) -> None:
        if "trainer=cpu" not in overrides:
            raise ExceedsMemory("a field of 70 x 40 px needs more memory than the GPU has")

    told = lab.mends(trains)
    assert told.text == "a field of 70 x 40 px needs more memory than the GPU has: give trainer=cpu"


RUNS: dict[Place, object] = {
    ("config/stain.py", "StainConfig.__post_init__"): of_settings,
    ("config/training.py", "no_decoder"): of_a_probe,
    ("networks/decoders.py", "create_encoder_decoder"): of_a_decoder,
    ("networks/decoders.py", "_no_scales"): of_one_scale,
    ("models/stain_network.py", "StainNetwork.load_pretrained"): of_other_layers,
    ("training/learners.py", "refuse_small_crop"): of_a_small_crop,
    ("data/stain_targets.py", "StainTargets.__init__"): of_published_patches,
    ("data/stain_targets.py", "StainTargets.compute"): of_no_background,
    ("data/stain_targets.py", "StainTargets.refuse_one_kind"): of_nothing_positive,
    ("data/stain_targets.py", "_nuclei"): of_no_nuclei,
    ("data/stain_datamodule.py", "refuse_large_crop"): of_a_large_crop,
    ("training/gpu_memory.py", "out_of_memory"): of_the_memory_of_a_card,
    ("training/gpu_memory.py", "scoring"): of_a_field_in_training,
    ("models/mapwise.py", "maps_of_field"): of_a_field,
    ("models/patchwise.py", "PatchPredictor._outputs"): of_patches_at_once,
}


@pytest.mark.parametrize("place", marked(RUNS, set()), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)


@pytest.mark.parametrize("stage", ["training_step", "validation_step"])
def test_a_training_that_runs_out_of_memory_says_which_setting_halves_what_it_needs(uneven, monkeypatch, stage):
    def runs_out(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(f"jimt.models.stain_module.StainModule.{stage}", runs_out)
    said = {
        "training_step": "optim.batch_size=16 needs more memory than the GPU has: give optim.batch_size=8 "
        "optim.accumulate=2, or trainer=cpu",
        "validation_step": "a whole field at stain.reduction=1 needs more memory than the GPU has: give "
        "stain.reduction=2, or trainer=cpu",
    }
    with pytest.raises(InputError) as caught:
        train(composed_train(*uneven, *STAIN, "run_dir=run"))
    assert str(caught.value) == said[stage]
