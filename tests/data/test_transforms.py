import numpy as np
import pytest
import torch

from jimt.data.transforms import orient, to_network_input

pytestmark = pytest.mark.stack

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def random_patches(n: int, channels: int = 1) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (n, channels, 9, 9), dtype=np.uint8)
    return torch.from_numpy(values)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_orientation_is_quarter_turns_then_a_mirror(channels):
    patches = random_patches(8, channels)
    turned = orient(patches, torch.arange(8)).numpy()
    for number, patch in enumerate(patches.numpy()):
        for channel, result in zip(patch, turned[number], strict=True):
            expected = np.rot90(channel, number % 4)
            np.testing.assert_array_equal(result, np.fliplr(expected) if number >= 4 else expected)


def test_the_eight_orientations_of_a_patch_all_differ_and_keep_its_pixels():
    patch = random_patches(1)
    turned = orient(patch.expand(8, -1, -1, -1), torch.arange(8))
    assert len({result.numpy().tobytes() for result in turned}) == 8
    for result in turned:
        assert torch.equal(result.flatten().sort().values, patch.flatten().sort().values)


def test_an_orientation_only_moves_pixels_so_another_one_takes_it_back():
    positions = torch.arange(81).view(1, 1, 9, 9)
    back = {0: 0, 1: 3, 2: 2, 3: 1, 4: 4, 5: 5, 6: 6, 7: 7}  # turns undo each other, a mirror undoes itself
    for there, again in back.items():
        turned = orient(positions, torch.tensor([there]))
        assert sorted(turned.flatten().tolist()) == list(range(81))
        assert torch.equal(orient(turned, torch.tensor([again])), positions)


def test_each_patch_of_a_batch_is_turned_on_its_own():
    patches = random_patches(40)
    orientations = torch.from_numpy(np.random.default_rng(1).integers(0, 8, 40))
    together = orient(patches, orientations)
    for index in range(40):
        assert torch.equal(together[index : index + 1], orient(patches[index : index + 1], orientations[[index]]))
    assert torch.equal(orient(patches, torch.zeros(40, dtype=torch.int64)), patches)


@pytest.mark.parametrize("normalisation", [IMAGENET, {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}])
def test_the_network_sees_three_normalised_channels_of_one_grey_one(normalisation):
    patches = random_patches(5)
    images = to_network_input(patches, **normalisation)
    assert images.shape == (5, 3, 9, 9)
    assert images.dtype == torch.float32
    assert images.is_contiguous(memory_format=torch.channels_last)
    grey = patches.numpy()[:, 0].astype(np.float64) / 255
    for channel, (mean, std) in enumerate(zip(normalisation["mean"], normalisation["std"], strict=True)):
        np.testing.assert_allclose(images[:, channel].numpy(), (grey - mean) / std, rtol=1e-5, atol=1e-6)


def test_before_normalisation_the_three_channels_are_equal():
    images = to_network_input(random_patches(5), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(images[:, 0], images[:, 2])
    assert images.min() >= 0
    assert images.max() <= 1
    black_and_white = to_network_input(
        torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    assert black_and_white.flatten().tolist() == [0.0] * 3 + [1.0] * 3
