import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from jimt.config.training import AugmentationConfig
from jimt.data.dataset import N_CHANGES
from jimt.data.transforms import augment, change_intensity, magnify, orient, orient_by_place
from jimt.networks.network_input import normalise, to_network_input

pytestmark = pytest.mark.stack

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def random_patches(n: int, channels: int = 1) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (n, channels, 9, 9), dtype=np.uint8)
    return torch.from_numpy(values)


in_both_ways = pytest.mark.parametrize("turn", [orient, orient_by_place])
"""That of a CPU, and that of a GPU."""


@in_both_ways
@pytest.mark.parametrize("channels", [1, 3])
def test_an_orientation_is_quarter_turns_then_a_mirror(channels, turn):
    patches = random_patches(8, channels)
    turned = turn(patches, torch.arange(8)).numpy()
    for number, patch in enumerate(patches.numpy()):
        for channel, result in zip(patch, turned[number], strict=True):
            expected = np.rot90(channel, number % 4)
            np.testing.assert_array_equal(result, np.fliplr(expected) if number >= 4 else expected)


@in_both_ways
def test_the_eight_orientations_of_a_patch_all_differ_and_keep_its_pixels(turn):
    patch = random_patches(1)
    turned = turn(patch.expand(8, -1, -1, -1), torch.arange(8))
    assert len({result.numpy().tobytes() for result in turned}) == 8
    for result in turned:
        assert torch.equal(result.flatten().sort().values, patch.flatten().sort().values)


@in_both_ways
def test_an_orientation_only_moves_pixels_so_another_one_takes_it_back(turn):
    positions = torch.arange(81).view(1, 1, 9, 9)
    back = {0: 0, 1: 3, 2: 2, 3: 1, 4: 4, 5: 5, 6: 6, 7: 7}  # turns undo each other, a mirror undoes itself
    for there, again in back.items():
        turned = turn(positions, torch.tensor([there]))
        assert sorted(turned.flatten().tolist()) == list(range(81))
        assert torch.equal(turn(turned, torch.tensor([again])), positions)


@in_both_ways
def test_each_patch_of_a_batch_is_turned_on_its_own(turn):
    patches = random_patches(40)
    orientations = torch.from_numpy(np.random.default_rng(1).integers(0, 8, 40))
    together = turn(patches, orientations)
    for index in range(40):
        assert torch.equal(together[index : index + 1], turn(patches[index : index + 1], orientations[[index]]))
    assert torch.equal(turn(patches, torch.zeros(40, dtype=torch.int64)), patches)


@pytest.mark.parametrize("take", [to_network_input, normalise])
@pytest.mark.parametrize("normalisation", [IMAGENET, {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}])
def test_the_network_sees_three_normalised_channels_of_one_grey_one(normalisation, take):
    patches = random_patches(5)
    patches[0], patches[1] = 0, 255
    images = take(patches, **normalisation)
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


# ---- intensity changes

NONE = {"brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "blur": 0.0, "noise": 0.0}
BRIGHTNESS, CONTRAST, GAMMA, BLUR, NOISE = range(5)


def grey_patches(n: int, size: int = 24) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).uniform(0.2, 0.7, (n, 1, size, size)).astype(np.float32))


def changes(n: int, column: int, values: list[float]) -> torch.Tensor:
    drawn = torch.zeros(n, N_CHANGES)
    drawn[:, column] = torch.tensor(values)
    return drawn


def test_strengths_of_zero_and_changes_of_zero_leave_every_bit():
    grey = grey_patches(5)
    drawn = torch.from_numpy(np.random.default_rng(3).uniform(-1, 1, (5, N_CHANGES)).astype(np.float32))
    assert torch.equal(change_intensity(grey, drawn, **NONE), grey)
    full = {"brightness": 1.0, "contrast": 3.0, "gamma": 3.0, "blur": 8.0, "noise": 1.0}
    torch.testing.assert_close(change_intensity(grey, torch.zeros(5, N_CHANGES), **full), grey, rtol=0, atol=1e-6)


@pytest.mark.parametrize("strength", [0.05, 0.15])
def test_brightness_shifts_all_values_and_stays_in_range(strength):
    grey, by = grey_patches(4), [-1.0, -0.5, 0.25, 1.0]
    changed = change_intensity(grey, changes(4, BRIGHTNESS, by), **NONE | {"brightness": strength})
    for before, after, share in zip(grey.numpy(), changed.numpy(), by, strict=True):
        np.testing.assert_allclose(after, before + strength * share, rtol=1e-5)
    extreme = change_intensity(grey, changes(4, BRIGHTNESS, [-1, -1, 1, 1]), **NONE | {"brightness": 1.0})
    assert extreme.flatten(1).mean(1).tolist() == [0, 0, 1, 1]


def test_contrast_keeps_the_mean_and_multiplies_the_spread_by_a_power_of_two():
    grey, by = grey_patches(4), [-1.0, 0.0, 0.5, 1.0]
    changed = change_intensity(grey, changes(4, CONTRAST, by), **NONE | {"contrast": 0.5})
    means, spreads = grey.flatten(1).mean(1), grey.flatten(1).std(1)
    torch.testing.assert_close(changed.flatten(1).mean(1), means)
    torch.testing.assert_close(changed.flatten(1).std(1), spreads * torch.tensor([2**-0.5, 1, 2**0.25, 2**0.5]))


def test_gamma_raises_values_to_a_power_of_two():
    grey, by = grey_patches(3), [-1.0, 0.5, 1.0]
    changed = change_intensity(grey, changes(3, GAMMA, by), **NONE | {"gamma": 1.0})
    for before, after, exponent in zip(grey.numpy(), changed.numpy(), (0.5, 2**0.5, 2.0), strict=True):
        np.testing.assert_allclose(after, before**exponent, rtol=1e-5)


@pytest.mark.parametrize("strength", [1.0, 2.5])
def test_blur_is_scipys_gaussian_of_each_patchs_own_width(strength):
    grey, by = grey_patches(4), [-1.0, 0.0, 0.4, 1.0]
    changed = change_intensity(grey, changes(4, BLUR, by), **NONE | {"blur": strength})
    radius = int(np.ceil(3 * strength))
    for before, after, share in zip(grey.numpy()[:, 0], changed.numpy()[:, 0], by, strict=True):
        expected = before.astype(np.float64)
        if share:
            for axis in (0, 1):
                expected = gaussian_filter1d(expected, strength * abs(share), axis, mode="nearest", radius=radius)
        np.testing.assert_allclose(after, expected, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_blur_and_contrast_leave_a_constant_image(value):
    grey = torch.full((3, 1, 20, 20), value)
    drawn = torch.tensor([[0, 1, 0, 1, 0], [0, -1, 0, -1, 0], [0, 0.3, 0, 0.5, 0]])
    changed = change_intensity(grey, drawn, **NONE | {"contrast": 1.0, "blur": 4.0})
    torch.testing.assert_close(changed, grey, rtol=0, atol=1e-6)


def test_changes_apply_in_the_order_of_the_light_path_gamma_contrast_blur_brightness():
    grey, drawn = grey_patches(2), torch.tensor([[0.5, 0.5, -0.5, 0.5, 1.0], [-0.5, 1.0, 1.0, -1.0, 1.0]])
    strengths = {"brightness": 0.1, "contrast": 0.5, "gamma": 0.5, "blur": 1.0, "noise": 0.0}
    together = change_intensity(grey, drawn, **strengths)
    one_by_one = grey
    for name in ("gamma", "contrast", "blur", "brightness"):
        one_by_one = change_intensity(one_by_one, drawn, **NONE | {name: strengths[name]})
    torch.testing.assert_close(together, one_by_one)


def test_floats_and_bytes_of_the_same_grey_are_the_same_to_the_network():
    patches = random_patches(3)
    torch.testing.assert_close(
        to_network_input(patches.float() / 255, **IMAGENET), to_network_input(patches, **IMAGENET), rtol=0, atol=0
    )


# ---- noise and magnification


def test_noise_is_gaussian_of_each_patchs_own_width_and_the_generators():
    grey = torch.full((3, 1, 200, 200), 0.5)
    drawn = changes(3, NOISE, [-1.0, 0.0, 0.5])
    torch.manual_seed(0)
    noisy = change_intensity(grey, drawn, **NONE | {"noise": 0.1})
    assert torch.equal(noisy[1], grey[1])
    for patch, width in ((noisy[0], 0.1), (noisy[2], 0.05)):
        assert patch.mean().item() == pytest.approx(0.5, abs=0.002)
        assert patch.std().item() == pytest.approx(width, rel=0.02)
        # no pixel knows of its neighbour
        assert abs(np.corrcoef(patch[0, :, 1:].flatten(), patch[0, :, :-1].flatten())[0, 1]) < 0.02
    torch.manual_seed(0)
    assert torch.equal(change_intensity(grey, drawn, **NONE | {"noise": 0.1}), noisy)
    strong = change_intensity(grey, drawn, **NONE | {"noise": 1.0})
    assert (strong.min(), strong.max()) == (0, 1)


def test_magnified_twice_a_pixel_is_four_and_by_half_four_are_one():
    image = torch.arange(64.0).view(1, 1, 8, 8)
    twice = magnify(image, torch.tensor([2.0]), mode="nearest")
    inner = image[0, 0, 2:6, 2:6].numpy()
    np.testing.assert_array_equal(twice[0, 0], np.kron(inner, np.ones((2, 2))))
    half = magnify(image, torch.tensor([0.5]), mode="bilinear")[0, 0].numpy()
    means = image[0, 0].numpy().reshape(4, 2, 4, 2).mean((1, 3))
    np.testing.assert_allclose(half[2:6, 2:6], means, rtol=1e-5)
    # beyond the edge its mirror image
    np.testing.assert_allclose(half[:2], half[2:4][::-1], rtol=1e-5)
    np.testing.assert_allclose(half[:, 6:], half[:, 4:6][:, ::-1], rtol=1e-5)


def test_each_image_is_magnified_by_its_own_factor_about_its_centre():
    images = grey_patches(3, size=24)
    factors = torch.tensor([1.0, 1.3, 0.8])
    together = magnify(images, factors, mode="bilinear")
    torch.testing.assert_close(together[0], images[0])
    for n in range(3):
        torch.testing.assert_close(together[n], magnify(images[n : n + 1], factors[n : n + 1], mode="bilinear")[0])
    # turning before or after is the same
    torch.testing.assert_close(magnify(images.rot90(1, (2, 3)), factors, mode="bilinear"), together.rot90(1, (2, 3)))


def test_magnified_to_the_nearest_no_value_is_mixed_with_another():
    values = torch.full((1, 2, 12, 12), float("nan"))
    values[:, :, 3:9, 3:9] = 1.0
    for factor in (0.7, 1.0, 1.6):
        magnified = magnify(values, torch.tensor([factor]), mode="nearest")
        assert set(magnified[~magnified.isnan()].tolist()) == {1.0}
        assert (magnified[0, 0] == 1).sum() == pytest.approx(36 * factor**2, rel=0.35)


# ---- all of it


@pytest.mark.parametrize(
    "strengths",
    [
        {},
        {"brightness": 0.1, "gamma": 0.5},
        {"contrast": 0.5},
        {"brightness": 0.1, "contrast": 0.5, "gamma": 0.5, "blur": 1.0},
        {"brightness": 0.1, "contrast": 0.5, "gamma": 0.5, "blur": 1.0, "scale": 0.3},
    ],
)
@pytest.mark.parametrize("n", [1, 12])
def test_a_gpu_makes_of_a_batch_what_a_cpu_does(strengths, n):
    settings = AugmentationConfig(orientations=True, **NONE | {"scale": 0.0} | strengths)
    rng = np.random.default_rng(5)
    pixels = torch.from_numpy(rng.integers(0, 256, (n, 1, 32, 32), dtype=np.uint8))
    pixels[0] = 255
    pixels[n // 2, :, :16] = 0
    targets = torch.from_numpy(rng.random((n, 2, 8, 8), dtype=np.float32))
    targets[:, :, 2, 3] = torch.nan
    drawn = torch.from_numpy(rng.uniform(-1, 1, (n, N_CHANGES)).astype(np.float32))
    batch = pixels, targets, torch.arange(n) % 8, drawn, settings
    on_cpu, on_gpu = (augment(*batch, **IMAGENET, by_place=by_place) for by_place in (False, True))
    torch.testing.assert_close(on_gpu[0], on_cpu[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(on_gpu[1], on_cpu[1], rtol=0, atol=0, equal_nan=True)
    assert on_gpu[0].is_contiguous(memory_format=torch.channels_last)
    if not strengths:
        turned = [np.rot90(patch, i % 8 % 4) for i, patch in enumerate(pixels[:, 0].numpy())]
        grey = np.stack([np.fliplr(patch) if i % 8 >= 4 else patch for i, patch in enumerate(turned)]) / 255
        expected = np.stack([(grey - m) / s for m, s in zip(*IMAGENET.values(), strict=True)], axis=1)
        np.testing.assert_allclose(on_gpu[0].numpy(), expected, atol=1e-6)
