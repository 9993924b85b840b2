"""What ``torch.compile`` makes of a batch's way to the network: written for the CPU here, by Triton on a GPU."""

import os
import shutil

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import metrics

from jimt.config.training import AugmentationConfig
from jimt.data.dataset import N_CHANGES
from jimt.data.transforms import augment, augmented_input, compiled_augment

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
NONE = dict.fromkeys(("brightness", "contrast", "gamma", "blur", "noise", "scale"), 0.0)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile finds no C++ compiler"
    ),
]


@pytest.fixture(autouse=True)
def _nothing_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def batch_of(n: int) -> tuple[torch.Tensor, None, torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(n)
    pixels = torch.randint(0, 256, (n, 1, 32, 32), generator=drawn, dtype=torch.uint8)
    return pixels, None, torch.arange(n) % 8, 2 * torch.rand(n, N_CHANGES, generator=drawn) - 1


@pytest.mark.parametrize("strengths", [{}, {"brightness": 0.1, "gamma": 0.5}])
def test_turning_changing_and_normalising_are_one_kernel_whatever_the_size_of_a_batch(strengths):
    settings = AugmentationConfig(orientations=True, **NONE | strengths)
    for n in (8, 5, 3, 12):
        metrics.reset()
        batch = batch_of(n)
        images, _ = compiled_augment()(*batch, settings, **IMAGENET, by_place=True)
        expected, _ = augment(*batch, settings, **IMAGENET, by_place=False)
        torch.testing.assert_close(images, expected, rtol=0, atol=1e-6)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert metrics.generated_kernel_count == (1 if n in (8, 5) else 0)
    assert counters["stats"]["unique_graphs"] == 2  # of one size, and of any
    assert not counters["graph_break"]


def test_trainings_of_other_strengths_share_what_was_compiled():
    for i in range(12):  # more than torch compiles a function for before it gives up
        settings = AugmentationConfig(orientations=True, **NONE | {"brightness": 0.1 + i / 100, "gamma": 0.5 - i / 100})
        batch = batch_of(4)
        images, _ = compiled_augment()(*batch, settings, **IMAGENET, by_place=True)
        expected, _ = augment(*batch, settings, **IMAGENET, by_place=False)
        torch.testing.assert_close(images, expected, rtol=0, atol=1e-6)
    assert counters["stats"]["unique_graphs"] == 2


def test_contrast_and_blur_compile_too():
    settings = AugmentationConfig(
        orientations=True, **NONE | {"brightness": 0.1, "contrast": 0.5, "gamma": 0.5, "blur": 1.0}
    )
    batch = batch_of(8)
    images, _ = compiled_augment()(*batch, settings, **IMAGENET, by_place=True)
    expected, _ = augment(*batch, settings, **IMAGENET, by_place=False)
    torch.testing.assert_close(images, expected, rtol=0, atol=1e-5)
    assert counters["stats"]["unique_graphs"] == 1


def test_nothing_is_compiled_on_a_cpu_whose_way_is_quicker():
    settings = AugmentationConfig(orientations=True, **NONE)
    augmented_input(*batch_of(8), settings, **IMAGENET, compiled=True)
    assert counters["stats"]["unique_graphs"] == 0
