"""A simulated field: what is bright, stained, sharp and dead in it."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jimt.synthetic import Field, Well, draw_well, simulate_field

USUAL_WELL = Well(light=1.0, contrast=1.0, focus=1.0, pi_gain=1.0, pi_background=85.0, look_shift=0.0, death_shift=0.0)


def field(seed=0, well=USUAL_WELL, **changes) -> Field:
    numbers = {
        "height": 300,
        "width": 320,
        "dead_fraction": 0.5,
        "bare_fraction": 0.0,
        "unfocused_fraction": 0.0,
        "difficulty": 0.5,
    }
    return simulate_field(np.random.default_rng(seed), well=well, **(numbers | changes))


def centres(pair: Field, inside: int):
    """Whole-number centres at least ``inside`` px from the border, and which of them are dead."""
    height, width = pair.brightfield.shape
    y, x = np.round(pair.cells.y).astype(int), np.round(pair.cells.x).astype(int)
    keep = (y >= inside) & (y < height - inside) & (x >= inside) & (x < width - inside)
    return y[keep], x[keep], pair.cells.dead[keep]


def local_contrast(image, y, x, radius):
    return np.array([image[r - radius : r + radius, c - radius : c + radius].std() for r, c in zip(y, x, strict=True)])


def test_a_pair_is_two_16_bit_images_of_one_size():
    pair = field(height=200, width=300)
    for image in (pair.brightfield, pair.fluorescence, pair.defocus, pair.cells.label):
        assert image.shape == (200, 300)
    assert pair.brightfield.dtype == pair.fluorescence.dtype == np.uint16


def test_the_camera_is_neither_saturated_nor_dark():
    pair = field()
    assert 5_000 < np.median(pair.brightfield) < 50_000
    assert pair.brightfield.max() < 65_535
    assert pair.fluorescence.max() < 65_535
    assert np.median(pair.fluorescence) > 100  # the camera's offset


def test_dead_cells_take_up_propidium_iodide():
    pair = field(bare_fraction=0.1)
    y, x, dead = centres(pair, inside=5)
    assert dead.any()
    assert not dead.all()
    assert roc_auc_score(dead, pair.fluorescence[y, x]) > 0.97  # a few live cells lie under the glow of a dead one
    assert np.median(pair.fluorescence[y[dead], x[dead]]) > 5 * np.median(pair.fluorescence[y[~dead], x[~dead]])


def test_propidium_iodide_spills_over_beyond_one_cell():
    pair = field(dead_fraction=0.15, seed=3)
    rows, columns = np.mgrid[:300, :320]
    y, x = pair.cells.y[pair.cells.dead], pair.cells.x[pair.cells.dead]
    distance = np.sqrt((rows[..., None] - y) ** 2 + (columns[..., None] - x) ** 2).min(axis=-1)
    near = pair.fluorescence[(distance > 35) & (distance < 60)].mean()
    far = pair.fluorescence[distance > 110].mean()
    assert near > far + 20


def test_dead_cells_look_different_when_it_is_easy_and_alike_when_it_is_hard():
    auc = []
    for difficulty in (0.0, 0.5, 1.0):
        scores, truth = [], []
        for seed in range(3):
            pair = field(seed, difficulty=difficulty)
            y, x, dead = centres(pair, inside=16)
            scores.append(local_contrast(pair.brightfield, y, x, radius=16))
            truth.append(dead)
        auc.append(roc_auc_score(np.concatenate(truth), np.concatenate(scores)))
    easy, usual, hard = auc  # of one crude number per cell
    assert easy > 0.85
    assert 0.6 < usual < 0.85
    assert 0.35 < hard < 0.65


def test_difficulty_does_not_change_who_is_dead():
    easy, hard = field(difficulty=0.0), field(difficulty=1.0)
    np.testing.assert_array_equal(easy.cells.dead, hard.cells.dead)


def test_death_is_clustered():
    pair = field(height=560, width=672)
    y, x, dead = pair.cells.y, pair.cells.x, pair.cells.dead
    distance = np.hypot(y[:, None] - y, x[:, None] - x)
    np.fill_diagonal(distance, np.inf)
    neighbour = distance.argmin(axis=1)
    assert np.mean(dead == dead[neighbour]) > 0.8  # 0.5 if death struck at random


def test_bare_plastic_is_smooth_and_cells_are_not():
    pair = field(bare_fraction=0.5, difficulty=0.2, dead_fraction=0.0)
    image = pair.brightfield.astype(float)
    texture = np.abs(image[2:, 2:] + image[:-2, :-2] - image[2:, :-2] - image[:-2, 2:])
    bare = pair.cells.label[1:-1, 1:-1] == 0
    assert 0.2 < bare.mean() < 0.8
    assert texture[~bare].mean() > 1.3 * texture[bare].mean()


def test_a_field_without_cells_shows_only_medium():
    pair = field(bare_fraction=1.0)
    assert len(pair.cells.dead) == 0
    assert not pair.cells.label.any()
    assert abs(pair.fluorescence.mean() - (100 + 85)) < 2  # offset and medium


def test_live_cells_measure_45_to_70_pixels_across():
    pair = field(height=560, width=672, dead_fraction=0.0)
    inner = pair.cells.label[60:-60, 60:-60]
    area = np.bincount(pair.cells.label.ravel())[np.unique(inner)]
    across = np.sqrt(4 * area / np.pi)
    assert 45 < np.median(across) < 70


def test_cells_out_of_focus_lose_their_detail():
    sharp, lost = field(difficulty=0.2), field(difficulty=0.2, unfocused_fraction=1.0)
    y, x, _ = centres(sharp, inside=12)
    assert lost.defocus.min() > 8 > 4 > sharp.defocus.max()
    blurred, crisp = (np.median(local_contrast(pair.brightfield, y, x, radius=12)) for pair in (lost, sharp))
    assert blurred < 0.6 * crisp


def test_illumination_falls_off_towards_the_corners():
    pairs = [field(seed, bare_fraction=1.0) for seed in range(6)]
    for channel in ("brightfield", "fluorescence"):
        images = [getattr(pair, channel).astype(float) for pair in pairs]
        middle = np.mean([image[130:170, 140:180].mean() for image in images])
        corner = np.mean([image[:20, :20].mean() + image[-20:, -20:].mean() for image in images]) / 2
        assert corner < 0.97 * middle


def test_noise_is_the_shot_noise_of_the_light():
    image = field(bare_fraction=1.0).brightfield.astype(float)
    noise = (image[:, 1:] - image[:, :-1]).std() / np.sqrt(2)
    expected = np.sqrt((image.mean() - 100) * 0.46) / 0.46  # 0.46 electrons per count above an offset of 100
    assert noise == pytest.approx(expected, rel=0.03)


def test_wells_differ_in_light_and_stain():
    wells = [draw_well(np.random.default_rng(seed), difficulty=0.5) for seed in range(200)]
    light = np.array([well.light for well in wells])
    assert 0.05 < light.std() < 0.2
    dim, bright = field(well=wells[light.argmin()]), field(well=wells[light.argmax()])
    assert np.median(bright.brightfield) > 1.2 * np.median(dim.brightfield)
    gain = np.array([well.pi_gain for well in wells])
    pale, stained = field(well=wells[gain.argmin()]), field(well=wells[gain.argmax()])
    assert np.percentile(stained.fluorescence, 99.5) > 1.2 * np.percentile(pale.fluorescence, 99.5)


def test_treatment_shifts_the_balance():
    share = [np.mean(field(dead_fraction=fraction).cells.dead) for fraction in (0.0, 0.2, 0.5, 0.85, 1.0)]
    assert share == sorted(share)
    assert share[0] < 0.1
    assert share[-1] > 0.9
