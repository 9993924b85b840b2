"""What is to be predicted of a place: by hand, by SciPy, and the same however a field lies."""

import dataclasses
import math
import pickle
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from conftest import composed_train
from jimt.data.stain_targets import StainTargets, TargetSettings, discs, places, target_settings
from jimt.errors import InputError
from processes import new_process
from stains import ALL, PI, made


def of(curated, settings, field=0):
    return StainTargets(curated, settings).compute(field)


def flat(height=32, width=40, level=100):
    return np.full((height, width), level, np.uint16)


# ---- the stain


def test_the_stain_is_the_logarithm_of_its_mean_over_a_place_divided_by_the_background(tmp_path):
    image = flat()
    image[4:8, 8:12] = 400  # one place
    image[12:16, 12:14], image[12:16, 14:16] = 100, 300  # two levels in one
    image[16:20, 20:24] = 1  # darker than 0.6 of the background counts as that
    log_pi, _ = of(made(tmp_path, [image]), PI)
    expected = np.zeros((8, 10))
    expected[1, 2], expected[3, 3], expected[4, 5] = math.log(4), math.log(2), math.log(0.6)
    np.testing.assert_allclose(log_pi, expected, atol=1e-6)


def test_the_stain_is_smoothed_by_a_gaussian_first_as_scipys(tmp_path):
    image = np.random.default_rng(0).integers(100, 900, (32, 40)).astype(np.uint16)
    settings = TargetSettings(("log_pi",), None, 8.0, 1.0)
    expected = gaussian_filter(image.astype(float), 1.0, mode="reflect").reshape(8, 4, 10, 4).mean((1, 3))
    np.testing.assert_allclose(of(made(tmp_path, [image]), settings)[0], np.log(expected / 100), rtol=1e-4)


def test_positive_is_the_share_of_a_places_pixels(tmp_path):
    image = flat()
    image[6:13, 10:15] = 400  # rows 6 to 12, columns 10 to 14
    _, positive = of(made(tmp_path, [image]), PI)
    expected = np.zeros((8, 10))
    rows, columns = {1: 2, 2: 4, 3: 1}, {2: 2, 3: 3}
    for row, n_rows in rows.items():
        for column, n_columns in columns.items():
            expected[row, column] = n_rows * n_columns / 16
    np.testing.assert_allclose(positive, expected, atol=1e-6)


def test_what_is_no_data_takes_no_part_and_a_place_of_less_than_half_data_is_not_known(tmp_path):
    image, no_data = flat(), np.zeros((32, 40), bool)
    image[8:12, 8:12] = 400
    no_data[8:12, 10:14] = True  # half of two places
    no_data[20:24, 21:24] = True  # three quarters of one
    image[no_data] = 0
    log_pi, positive = of(made(tmp_path, [image], no_data=[no_data]), PI)
    assert log_pi[2, 2] == pytest.approx(math.log(4))
    assert positive[2, 2] == 1
    assert (log_pi[2, 3], positive[2, 3]) == pytest.approx((0, 0))
    unknown = np.zeros((8, 10), bool)
    unknown[5, 5] = True
    for values in (log_pi, positive):
        np.testing.assert_array_equal(np.isnan(values), unknown)


def test_a_place_that_reaches_beyond_the_field_is_of_its_part_within(tmp_path):
    image = flat(18, 21)
    image[16:18, 8:12] = 400
    targets = of(made(tmp_path, [image], cells=[(0, 16.0, 2.0, True)]), ALL)
    assert targets.shape == (4, 5, 6)
    assert np.isnan(targets[:, :, 5]).all()  # a quarter of these places is there
    assert np.isfinite(targets[:, :, :5]).all()  # of the last row half
    assert targets[0, 4, 2] == pytest.approx(math.log(4))
    assert targets[1, 4, 2] == 1
    assert targets[2, 4, 0] == 1


# ---- nuclei


@pytest.mark.parametrize("radius", [4.0, 8.0, 5.5])
def test_a_nucleus_is_the_places_whose_centres_lie_within_its_radius(radius):
    rng = np.random.default_rng(1)
    # at random; beside the field; and on the grid, where a place lies at the radius to the last bit
    centres = [*rng.uniform(-4, 44, (6, 2)).tolist(), [9.5, 9.5], [17.5, 21.5], [0.0, 0.0], [39.0, 51.0]]
    for centre in centres:
        found = discs(np.array([centre]), (40, 52), radius=radius)
        for row in range(10):
            for column in range(13):
                distance = math.dist(centre, (4 * row + 1.5, 4 * column + 1.5))
                assert found[row, column] == (distance <= radius), (centre, row, column)
    together = discs(np.array(centres), (40, 52), radius=radius)
    each = [discs(np.array([centre]), (40, 52), radius=radius) for centre in centres]
    np.testing.assert_array_equal(together, np.max(each, axis=0))


def test_dead_and_living_nuclei_are_apart_and_fields_that_were_not_counted_are_not_known(tmp_path):
    cells = [(0, 9.5, 9.5, True), (0, 21.5, 29.5, False)]
    curated = made(tmp_path, [flat(), flat()], cells=cells)
    settings = TargetSettings(("dead", "live"), "cells", 2.0, 0.0)
    dead, live = of(curated, settings)
    assert np.argwhere(dead).tolist() == [[2, 2]]
    assert np.argwhere(live).tolist() == [[5, 7]]
    assert np.isnan(of(curated, settings, 1)).all()
    # on a stain of all nuclei every field was looked through
    stained = made(tmp_path, [flat(), flat()], nuclei=cells)
    np.testing.assert_array_equal(
        of(stained, dataclasses.replace(settings, nuclei_of="nuclei"), 1), np.zeros((2, 8, 10))
    )


# ---- as a whole


def orientations(array):
    turned = [np.rot90(array, quarter) for quarter in range(4)]
    return [*turned, *(np.fliplr(one) for one in turned)]


def test_the_targets_of_a_turned_or_mirrored_field_are_turned_or_mirrored(tmp_path):
    rng = np.random.default_rng(2)
    image = gaussian_filter(rng.normal(size=(64, 64)), 3) * 1200 + 200
    image = image.clip(20, 4000).astype(np.uint16)
    no_data = np.zeros((64, 64), bool)
    no_data[:10, :], no_data[:, 60:] = True, True
    dead_at = np.zeros((64, 64), bool)
    dead_at[rng.integers(0, 64, 5), rng.integers(0, 64, 5)] = True
    settings = dataclasses.replace(ALL, smoothing=1.0, nucleus_radius=6.5)
    expected = of(made(tmp_path, [image], no_data=[no_data], cells=nuclei_at(dead_at)), settings)
    assert 0 < np.nanmean(expected[1]) < 1
    turned = zip(*map(orientations, (image, no_data, dead_at)), strict=True)
    for number, (pixels, hidden, nuclei) in enumerate(turned):
        targets = of(made(tmp_path, [pixels], no_data=[hidden], cells=nuclei_at(nuclei)), settings)
        for output, upright in zip(targets, expected, strict=True):
            np.testing.assert_allclose(output, orientations(upright)[number], atol=1e-5)


def nuclei_at(mask):
    return [(0, float(y), float(x), True) for y, x in np.argwhere(mask)]


def test_what_is_kept_is_what_is_computed_in_half_precision_and_computed_once(tmp_path):
    rng = np.random.default_rng(3)
    images = [rng.integers(80, 900, (32, 40)), rng.integers(80, 900, (20, 44))]
    targets = StainTargets(made(tmp_path, images), dataclasses.replace(PI, smoothing=1.0))
    targets.prepare([1])
    kept = sorted((tmp_path / "targets").rglob("*.npy"))
    assert [path.name for path in kept] == ["1.npy"]  # no other field is looked at
    np.testing.assert_array_equal(targets.read(1), targets.compute(1).astype(np.float16))
    assert targets.read(1).dtype == np.float16
    before = kept[0].stat().st_mtime_ns
    targets.prepare([0, 1])
    assert kept[0].stat().st_mtime_ns == before
    assert targets.read(0).shape == (2, 8, 10)
    StainTargets(made(tmp_path, images), PI).prepare([1])  # of other settings, beside them
    assert len(list((tmp_path / "targets").rglob("1.npy"))) == 2


def test_trainings_that_begin_together_wait_for_one_another_and_each_target_is_computed_once(tmp_path):
    processes = [new_process(prepare_slowly, tmp_path) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted((tmp_path / "computed").read_text().split()) == ["0", "1", "2"]
    (folder,) = (tmp_path / "targets").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["0.npy", "1.npy", "2.npy"]


class Slow(StainTargets):
    """Takes so long over a field that another process would come upon it half-made, and tells of each."""

    def compute(self, field):
        with (self._curated.folder / "computed").open("a") as file:
            file.write(f"{field}\n")
        time.sleep(0.1)
        return super().compute(field)


def prepare_slowly(folder):
    Slow(made(folder, [flat()] * 3), PI).prepare(range(3))


def test_dead_places_are_those_of_a_dead_nucleus_or_positive_ones_where_none_is_known(tmp_path):
    image, no_data = flat(), np.zeros((32, 40), bool)
    image[4:8, 4:8] = 400
    no_data[28:] = True
    settings = dataclasses.replace(ALL, nucleus_radius=2.0)
    for name, cells, asked, expected in (
        ("nuclei", [(0, 17.5, 21.5, True), (0, 17.5, 33.5, False)], settings, [[4, 5]]),
        ("living", [(0, 17.5, 33.5, False)], settings, [[1, 1]]),
        ("positive", None, PI, [[1, 1]]),
        ("stain", None, TargetSettings(("log_pi",), None, 8.0, 0.0), [[1, 1]]),
    ):
        targets = StainTargets(made(tmp_path / name, [image], no_data=[no_data], cells=cells), asked)
        targets.prepare([0])
        assert np.argwhere(targets.with_dead(targets.read(0))).tolist() == expected


def test_a_process_that_cuts_crops_is_not_sent_the_fields(tmp_path):
    targets = StainTargets(made(tmp_path, [np.zeros((400, 400))]), PI)
    targets.prepare([0])
    sent = pickle.dumps(targets)
    assert len(sent) < 10_000
    np.testing.assert_array_equal(pickle.loads(sent).read(0), targets.read(0))


def test_a_mean_over_places_counts_what_lies_beyond_as_nothing():
    pixels = np.arange(30.0).reshape(5, 6)
    assert places(pixels).tolist() == [
        [pixels[:4, :4].mean(), pixels[:4, 4:].sum() / 16],
        [pixels[4:, :4].sum() / 16, pixels[4:, 4:].sum() / 16],
    ]


@pytest.mark.parametrize(
    ("given", "outputs"),
    [
        ([], ("log_pi", "positive")),
        (["stain=nuclei"], ("log_pi", "positive", "dead", "live")),
        (["stain.positive=0"], ("log_pi",)),
        (["stain=nuclei", "stain.log_pi=0", "stain.positive=0"], ("dead", "live")),
    ],
)
def test_an_output_whose_loss_counts_nothing_is_not_predicted(given, outputs):
    stain = composed_train("run_dir=run", "task=stain", *given).stain
    assert stain is not None
    assert target_settings(stain).outputs == outputs


# ---- what has not what is to be predicted


@pytest.mark.parametrize(
    ("spoil", "settings", "said"),
    [
        (
            {"layout": "patches"},
            PI,
            "made holds published patches, which have no fluorescence images to predict: give task=patch",
        ),
        (
            {},
            ALL,
            "made has no counted cells to learn from (dataset.cells): give stain.nuclei=0 stain.nuclei_of=null, or "
            "dataset.cells=FILE",
        ),
        (
            {},
            dataclasses.replace(ALL, nuclei_of="nuclei"),
            "made has no stain of all nuclei to learn from (dataset.nuclei): give stain.nuclei=0 stain.nuclei_of=null, "
            "or dataset.nuclei=WORD",
        ),
    ],
)
def test_a_data_set_without_what_is_to_be_predicted_is_refused(tmp_path, spoil, settings, said):
    curated = made(tmp_path, [flat()])
    curated.summary["config"]["dataset"] |= spoil
    with pytest.raises(InputError) as caught:
        StainTargets(curated, settings)
    assert str(caught.value) == said


def test_a_background_of_nothing_has_no_multiples(tmp_path):
    targets = StainTargets(made(tmp_path, [flat()], background=0.0), PI)
    with pytest.raises(InputError, match="field 0 has a PI background of 0, and no multiple of it can be predicted"):
        targets.prepare([0])
    assert not list(tmp_path.rglob("*.npy"))
    assert StainTargets(
        made(tmp_path, [flat()], background=0.0), TargetSettings(("positive",), None, 8.0, 0.0)
    ).compute(0).tolist() == [[[0.0] * 10] * 8]


@pytest.mark.parametrize(("level", "what"), [(100, "no place"), (4095, "every place")])
def test_fields_without_a_positive_place_or_with_nothing_else_are_refused(tmp_path, level, what):
    targets = StainTargets(made(tmp_path, [flat(level=level)]), PI)  # 4095 is saturated: positive whatever is about it
    targets.prepare([0])
    with pytest.raises(InputError) as caught:
        targets.refuse_one_kind([0])
    assert str(caught.value) == (
        f"{what} of the fields to train on is PI-positive (curation.label.positive.ratio=1.5): look at the "
        "fluorescence, or give curation.label.positive.ratio=NUMBER, or stain.positive=0"
    )
    StainTargets(made(tmp_path, [flat(level=level)]), TargetSettings(("log_pi",), None, 8.0, 0.0)).refuse_one_kind([0])
    both = flat()
    both[4:8, 4:8] = 400
    two = StainTargets(made(tmp_path / "two", [flat(), both]), PI)
    two.prepare([0, 1])
    two.refuse_one_kind([0, 1])
