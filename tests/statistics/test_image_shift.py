"""A position that moved is found with its shift, and one that did not is not, though its cells die and dirt stays."""

import cv2
import numpy as np
import pytest

from jimt.statistics.image_quality import MEASURES, measure_image
from jimt.statistics.image_shift import image_shift
from jimt.statistics.position_drift import drifted, moved
from jimt.synthetic.microscope import draw_well, simulate_field

SIZE = 448


@pytest.fixture(scope="module")
def times() -> list[np.ndarray]:
    """The same cells three times, more and more of them dead, of 8 bits."""
    made = []
    for dead in (0.05, 0.4, 0.9):
        field = simulate_field(
            np.random.default_rng(3),
            height=SIZE,
            width=SIZE,
            dead_fraction=dead,
            bare_fraction=0.05,
            unfocused_fraction=0.0,
            difficulty=0.3,
            well=draw_well(np.random.default_rng(3), difficulty=0.3),
        )
        noise = np.random.default_rng(len(made)).normal(0, 60, (SIZE, SIZE))
        made.append(np.clip((field.brightfield + noise) / 256, 1, 255).astype(np.uint8))
    return made


def small(image: np.ndarray, y: int = 0, x: int = 0) -> np.ndarray:
    """What is seen from a place 64 px inside, moved; with shading and dirt that stay where they are."""
    side = SIZE - 128
    seen = image[64 + y : 64 + y + side, 64 + x : 64 + x + side].astype(np.float32)
    dirt = np.random.default_rng(7).random((side, side)) < 2e-4
    seen -= 800 * cv2.GaussianBlur(dirt.astype(np.float32), (0, 0), 3)
    seen *= np.linspace(0.9, 1.1, side, dtype=np.float32)
    return cv2.resize(seen.clip(0, 255), (240, 240), interpolation=cv2.INTER_AREA).astype(np.uint8)


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("by", [(0, 0), (24, -12), (-50, 40), (3, 2)])
def test_the_shift_is_found_while_cells_die(times, after, by):
    found = image_shift(small(times[0]), small(times[after], *by))
    assert found is not None
    in_pixels = np.array(found) * (SIZE - 128) / 240
    # what is seen from further down lies further up
    np.testing.assert_allclose(in_pixels, [-by[0], -by[1]], atol=0.7)


def test_of_other_cells_nothing_is_said(times):
    other = np.rot90(times[0], 2)
    assert image_shift(small(times[0]), small(other)) is None
    flat = np.full((240, 240), 100, np.uint8)
    assert image_shift(flat, flat) is None


def test_death_is_no_drift_of_focus_and_a_blur_is(times):
    def sharpness(image: np.ndarray) -> float:
        return float(np.exp(measure_image(image, image > 0)[list(MEASURES).index("focus")]))

    dying = [sharpness(image) for image in times]
    assert not drifted(dying, limit=0.2).any()
    blurred = sharpness(cv2.GaussianBlur(times[1], (0, 0), 2.5))
    assert drifted([*dying, blurred], limit=0.2).tolist() == [False, False, False, True]


def test_a_jump_is_told_of_once_and_a_slow_drift_whenever_it_has_come_so_far():
    assert moved([None, (0, 0), (50, 0), (1, 0), None, (0, 0)], limit=40).tolist() == [False, False, True, *[False] * 3]
    assert moved([None, *[(15, 0)] * 6], limit=40).tolist() == [False, False, False, True, False, False, True]
    assert not moved([None, (39, 0), (-39, 0), (0, 39)], limit=40).any()
