"""What must hold on a graphics card; on a machine without one these tests say so and are skipped."""

import numpy as np
import pytest
import torch
from torch._inductor import metrics

from conftest import STAIN, TINY, composed_train
from jimt.config.training import AugmentationConfig
from jimt.data.dataset import CHANGES, N_CHANGES
from jimt.data.transforms import augmented_input
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
COMPILES_NOTHING = torch.cuda.is_available() and torch.cuda.get_device_capability() < (7, 0)
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


@pytest.mark.skipif(COMPILES_NOTHING, reason="Triton starts at compute capability 7.0")
@pytest.mark.parametrize("strengths", [{}, {"brightness": 0.1, "gamma": 0.5}])
def test_a_gpu_augments_and_normalises_a_batch_in_one_kernel_as_a_cpu_does_in_several_steps(strengths):
    settings = AugmentationConfig(orientations=True, **dict.fromkeys(CHANGES, 0.0) | strengths)
    drawn = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (16, 1, 224, 224), generator=drawn, dtype=torch.uint8)
    batch = pixels, torch.arange(16) % 8, 2 * torch.rand(16, N_CHANGES, generator=drawn) - 1
    given = {"settings": settings, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    expected, _ = augmented_input(batch[0], None, *batch[1:], **given, compiled=False)
    on_gpu = [part.cuda() for part in batch]
    eager, _ = augmented_input(on_gpu[0], None, *on_gpu[1:], **given, compiled=False)
    torch._dynamo.reset()
    metrics.reset()
    compiled, _ = augmented_input(on_gpu[0], None, *on_gpu[1:], **given, compiled=True)
    assert metrics.generated_kernel_count == 1
    for images in (eager, compiled):
        assert images.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(images.cpu(), expected, rtol=0, atol=1e-5)


@pytest.mark.skipif(COMPILES_NOTHING, reason="Triton starts at compute capability 7.0")
@pytest.mark.parametrize("compiled", ["default", "reduce-overhead"])
def test_a_compiled_training_gives_a_model_that_a_cpu_scores_alike(counted, tmp_path, compiled):
    run = tmp_path / "run"
    train(composed_train(*counted, "trainer=gpu", *TINY, f"trainer.compile={compiled}", f"run_dir={run}"))
    on_gpu, on_cpu = open_predictor(run), open_predictor(run, accelerator="cpu")
    curated = training_data(on_gpu.checkpoint.record, None, run / BEST)
    scores = score_test_split(on_gpu, curated)["score"].to_numpy()
    np.testing.assert_allclose(scores, score_test_split(on_cpu, curated)["score"], atol=CLOSE)


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
