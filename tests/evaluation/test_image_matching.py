"""Simulated microscopes that differ in one thing: it is told first, and matching it makes the images alike."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from conftest import composed_prepare
from jimt.curation.curate import curate
from jimt.curation.image_changes import Change
from jimt.curation.manifest import Curated, open_curated
from jimt.data.fields import ChangedFields
from jimt.errors import InputError
from jimt.evaluation.image_differences import differences, measure
from jimt.evaluation.image_matching import ORDER, as_dense, match
from jimt.statistics.image_looks import looks_of
from jimt.synthetic import Microscope, simulate_dataset

SIZE = 0.3225
OVERRIDES = (
    "dataset=synthetic",
    "dataset.simulation=null",
    "curation.patches.size=64",
    "curation.patches.stride=64",
    "curation.n_jobs=1",
    "curation.empty_filter.enabled=false",
    "curation.label.live_below=300",
    "curation.label.dead_above=400",
)
MICROSCOPES = {
    # name: microscope, 8-bit scaling: percentiles of an image take its contrast away, the range of the file keeps it
    "usual": (None, "full_range"),
    "faded": (Microscope(SIZE, light=1.0, contrast=0.4), "full_range"),
    "usual_p": (None, "percentile_image"),
    "dim": (Microscope(SIZE, light=0.1, contrast=1.0), "percentile_image"),
    "small": (Microscope(0.5, light=1.0, contrast=1.0), "percentile_image"),
}
PAIRS = {"contrast": ("usual", "faded"), "noise": ("usual_p", "dim"), "pixel_size": ("usual_p", "small")}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[str, Curated]:
    """The same six wells of two fields under each microscope."""
    folder, found = tmp_path_factory.mktemp("microscopes"), {}
    for name, (microscope, scaling) in MICROSCOPES.items():
        root = folder / name
        simulate_dataset(
            root,
            n_wells=6,
            fields_per_well=2,
            height=256,
            width=256,
            dead_fraction=0.5,
            difficulty=0.3,
            seed=1,
            patch_size=64,
            stride=64,
            n_jobs=1,
            microscope=microscope,
        )
        found[name] = curated(folder, name, root, scaling, SIZE if microscope is None else microscope.pixel_size)
    return found


def curated(folder: Path, name: str, root: Path, scaling: str, pixel_size: float | None) -> Curated:
    size = "null" if pixel_size is None else pixel_size
    own = [f"dataset.name={name}", f"dataset.root={root}", f"dataset.pixel_size={size}"]
    own += [f"curation.scaling.method={scaling}", f"curation.output_root={folder / 'curated'}"]
    curate(*composed_prepare(*OVERRIDES, *own), embed=None, console=Console(quiet=True))
    return open_curated(folder / "curated" / name)


def median(name: str, fields, numbers) -> float:
    return float(np.median([looks_of(fields.field(n), ~fields.no_data(n))[name] for n in numbers]))


@pytest.mark.parametrize("only", PAIRS)
def test_the_one_thing_that_differs_is_told_first(data, only):
    one, other = (measure(data[name]) for name in PAIRS[only])
    found = differences(one, other, confidence=0.95, seed=0)
    assert found[0].name == only
    assert found[0].separation.area > found[1].separation.area + 0.1
    assert found[0].separation.area > 0.85
    assert [each.name for each in differences(other, one, confidence=0.95, seed=0)] == [each.name for each in found]
    swapped = differences(other, one, confidence=0.95, seed=0)[0]
    assert (swapped.first, swapped.second) == (found[0].second, found[0].first)


def test_how_far_they_differ_is_how_far_the_microscopes_do(data):
    contrast, noise = (
        [float(np.median(measure(data[name]).fields[only])) for name in PAIRS[only]] for only in ("contrast", "noise")
    )
    assert contrast[1] / contrast[0] == pytest.approx(0.4, rel=0.2)
    assert noise[1] / noise[0] == pytest.approx(10**0.5, rel=0.2)


@pytest.mark.parametrize("only", ["contrast", "noise"])
@pytest.mark.parametrize("swapped", [False, True])
def test_matching_it_makes_its_median_that_of_the_other(data, only, swapped):
    target, own = (data[name] for name in (PAIRS[only][::-1] if swapped else PAIRS[only]))
    measured, wanted = measure(own), measure(target)
    before = float(np.median(measured.fields[only]))
    found = match(only, own, measured, wanted, seed=0, after=())
    goal = float(np.median(wanted.fields[only]))
    assert abs(before / goal - 1) > 0.4
    assert median(only, found.fields, measured.fields.index) == pytest.approx(goal, rel=0.05)
    assert (found.reached, found.target) == (pytest.approx(goal, rel=0.05), goal)


def test_images_of_another_pixel_size_are_resampled_to_that_of_the_training(data):
    target, own = data["usual_p"], data["small"]
    found = match("pixel_size", own, measure(own), measure(target), seed=0, after=())
    assert found.fields.zoom == pytest.approx(0.5 / SIZE)
    assert found.fields.field(0).shape == (397, 397)  # 256 x 0.5 / 0.3225
    assert (found.reached, found.target) == (pytest.approx(SIZE), SIZE)


@pytest.mark.parametrize("name", ORDER)
def test_matching_a_data_set_with_itself_changes_nothing(data, name):
    own = measure(data["usual"])
    found = match(name, data["usual"], own, own, seed=0, after=())
    assert not any(change.changes for change in found.fields.changes)
    np.testing.assert_array_equal(found.fields.field(3), data["usual"].store.field(3))


def test_sharp_images_are_smoothed_and_blurred_ones_cannot_be_sharpened(data):
    own = measure(data["usual_p"])
    blurred = ChangedFields(data["usual_p"].store, [Change("blur", 1.5)], seed=0)
    detail = [looks_of(blurred.field(n), ~blurred.no_data(n))["detail"] for n in own.fields.index]
    soft = type(own)("soft", own.fields.assign(detail=detail), own.pixel_size)
    found = match("detail", data["usual_p"], own, soft, seed=0, after=())
    assert median("detail", found.fields, own.fields.index) == pytest.approx(np.median(detail), rel=0.03)
    assert found.fields.changes[0].kind == "blur"
    with pytest.raises(InputError, match="less sharp, and what was not resolved cannot be brought back"):
        match("detail", data["usual_p"], soft, own, seed=0, after=())


def test_everything_is_matched_one_after_the_other(data):
    target, own = measure(data["usual"]), measure(data["faded"])
    first = match("contrast", data["faded"], own, target, seed=0, after=())
    then = match("noise", data["faded"], own, target, seed=0, after=first.fields.changes)
    assert [change.kind for change in then.fields.changes] == ["stretch", "blur"]  # stretched, noise is stronger too
    numbers = own.fields.index
    assert median("noise", then.fields, numbers) == pytest.approx(np.median(target.fields["noise"]), rel=0.1)


def test_without_a_pixel_size_it_is_said_and_not_matched(data, tmp_path):
    own = measure(data["usual"])
    unknown = type(own)("nameless", own.fields, None)
    found = {each.name: each for each in differences(own, unknown, confidence=0.95, seed=0)}["pixel_size"]
    assert (found.separation, found.note) == (None, "the pixel size of nameless is not known")
    for pair in ((own, unknown), (unknown, own)):
        with pytest.raises(InputError, match="pixel size of nameless is not known: set dataset.pixel_size, curate"):
            match("pixel_size", data["usual"], *pair, seed=0, after=())


def test_fields_of_like_density_are_chosen_and_none_is_said(data):
    own = measure(data["usual"])
    like, (low, high), density = as_dense(data["usual"], own, own)
    assert density == "counted"  # the simulator knows its cells
    expected = own.fields["counted"].quantile([0.1, 0.9]).tolist()
    assert [low, high] == pytest.approx(expected)
    assert like == set(own.fields.index[own.fields["counted"].between(low, high)])
    assert 0 < len(like) < len(own.fields)
    crowded = type(own)("crowded", own.fields.assign(counted=own.fields["counted"] * 100), own.pixel_size)
    with pytest.raises(InputError, match="no field of usual is as dense as those of crowded"):
        as_dense(data["usual"], own, crowded)
