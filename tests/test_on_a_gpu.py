"""What must hold on a graphics card; on a machine without one these tests say so and are skipped."""

import numpy as np
import pytest
import torch

from conftest import STAIN, TINY, composed_train
from jimt.errors import InputError
from jimt.evaluation.scores import score_test_split, training_data
from jimt.models.devices import ExceedsMemory
from jimt.models.predictor import open_predictor
from jimt.system.files import BEST
from jimt.training.run import train
from stain_runs import FIELDS
from stains import Fields

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU on this machine")

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
CLOSE = 0.02  # of scores computed in bfloat16, whose numbers have three digits, against those in 32 bit


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("counted")
    return [*FIELDS, f"dataset.root={folder / 'raw'}", f"curation.output_root={folder / 'curated'}"]


@pytest.fixture
def little_memory():
    """A card of a hundredth of its memory: what torch asks for beyond that is refused, as by a full card."""
    torch.cuda.empty_cache()
    taken = torch.cuda.memory_reserved()
    torch.cuda.set_per_process_memory_fraction((taken + 40e6) / torch.cuda.get_device_properties(0).total_memory)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("task", ["patch", "stain"])
def test_every_task_trains_on_a_gpu_in_each_precision_and_a_cpu_gives_its_scores(counted, tmp_path, task, precision):
    kind = [*STAIN, "stain=nuclei"] if task == "stain" else TINY
    run = tmp_path / "run"
    train(composed_train(*counted, "trainer=gpu", *kind, f"trainer.precision={precision}", f"run_dir={run}"))
    on_gpu, on_cpu = open_predictor(run), open_predictor(run, accelerator="cpu")
    curated = training_data(on_gpu.checkpoint.record, None, run / BEST)
    scores = score_test_split(on_gpu, curated)["score"].to_numpy()
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, score_test_split(on_cpu, curated)["score"], atol=CLOSE)
    if task == "stain":
        for name, values in on_gpu.maps(curated.store, 0).items():
            np.testing.assert_allclose(values, on_cpu.maps(curated.store, 0)[name], atol=5 * CLOSE)


def test_a_batch_that_does_not_fit_names_the_setting_that_halves_it(counted, tmp_path, little_memory):
    large = ["optim.batch_size=64", "stain.crop=128", "stain.crops=64", "stain.channels=256"]
    config = composed_train(*counted, "trainer=gpu", *STAIN, *large, f"run_dir={tmp_path / 'run'}")
    with pytest.raises(InputError, match="optim.batch_size=64 needs more memory than the GPU has") as caught:
        train(config)
    assert caught.value.remedies == ("optim.batch_size=32 optim.accumulate=2", "trainer=cpu")


def test_a_field_that_does_not_fit_is_scored_on_the_cpu(counted, tmp_path, request):
    run = tmp_path / "run"
    train(composed_train(*counted, "trainer=gpu", *STAIN, f"run_dir={run}"))
    large = np.zeros((4096, 4096), np.uint8)
    predictor = open_predictor(run)
    curated = training_data(predictor.checkpoint.record, None, run / BEST)
    small = predictor.maps(curated.store, 0)
    request.getfixturevalue("little_memory")
    with pytest.raises(ExceedsMemory, match="a field of 4096 x 4096 px needs more memory than the GPU has") as caught:
        predictor.maps(Fields([large], [large]), 0)
    assert caught.value.remedies == ("--accelerator cpu",)
    on_cpu = open_predictor(run, accelerator="cpu").maps(curated.store, 0)
    np.testing.assert_allclose(small["log_pi"], on_cpu["log_pi"], atol=5 * CLOSE)


def test_a_gpu_gives_the_same_training_again(counted, tmp_path):
    scores = []
    for name in ("one", "other"):
        run = tmp_path / name
        train(composed_train(*counted, "trainer=gpu", *TINY, f"run_dir={run}"))
        predictor = open_predictor(run)
        scores.append(
            score_test_split(predictor, training_data(predictor.checkpoint.record, None, run / BEST))["score"]
        )
    np.testing.assert_allclose(scores[0], scores[1], atol=CLOSE)
