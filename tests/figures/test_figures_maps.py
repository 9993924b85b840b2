from itertools import pairwise

import numpy as np
import pytest

from drawings import BRIGHTFIELD, FLUORESCENCE, frame_of, title_of, with_images
from jimt.figures import maps, performance, style
from jimt.vocabulary import DEAD, LIVE


def mapped(
    index: int, *, label: int = LIVE, score: float = 0.83, pi: bool = True, seen: bool = True
) -> maps.MappedPatch:
    rng = np.random.default_rng(index)
    positive = np.zeros((16, 16), bool)
    positive[4:9, 4:9] = True
    return maps.MappedPatch(
        BRIGHTFIELD[index],
        {LIVE: rng.random((16, 16)), DEAD: rng.random((16, 16))},
        score,
        label,
        FLUORESCENCE[index] if pi else None,
        positive if seen else None,
    )


def test_a_patch_stands_beside_its_maps_of_live_and_dead_with_their_probabilities_and_its_pi():
    patch = mapped(0)
    figure = maps.activation_maps({"most certain": [patch]}, unit="counts")
    picture, live, dead, pi = with_images(figure)
    np.testing.assert_array_equal(picture.images[0].get_array(), patch.brightfield)
    for axes, label in ((live, LIVE), (dead, DEAD)):
        np.testing.assert_array_equal(axes.images[0].get_array(), patch.brightfield)
        np.testing.assert_array_equal(axes.images[1].get_array(), patch.maps[label])
        assert axes.images[1].get_clim() == (0, 1)
        assert axes.xaxis.label.get_color() == style.COLOURS[label]
    np.testing.assert_array_equal(pi.images[0].get_array(), patch.fluorescence)
    assert [axes.get_xlabel() for axes in (live, dead, pi)] == ["live 0.83", "dead 0.17", "PI"]
    assert title_of(picture) == "most certain"
    outline = np.concatenate([path.vertices for path in pi.collections[0].get_paths()])
    assert (outline.min(), outline.max()) == (3.5, 8.5)  # around what is positive


def test_blocks_of_patches_stand_side_by_side_and_one_without_patches_says_so():
    blocks = {"certain": [mapped(0), mapped(1)], "wrong": [mapped(2, label=DEAD)], "unsure": []}
    figure = maps.activation_maps(blocks, unit="counts")
    shown = with_images(figure)
    assert len(shown) == 3 * 4
    frames = [frame_of(axes) for axes in shown if len(axes.images) == 1 and not axes.get_xlabel()]
    assert frames == [style.COLOURS[LIVE], style.COLOURS[DEAD], style.COLOURS[LIVE]]
    assert [title_of(axes) for axes in figure.axes if title_of(axes)] == ["certain", "wrong", "unsure: none"]
    assert len({axes.images[0].get_clim() for axes in shown if axes.get_xlabel() == "PI"}) == 1
    assert "counts; cyan" in figure.get_supxlabel()


def test_maps_without_pi_have_none_beside_them(tmp_path):
    figure = maps.activation_maps({"all": [mapped(0, pi=False, seen=False)]}, unit="")
    style.save(figure, tmp_path, "maps")
    assert len(with_images(figure)) == 3
    assert figure.get_supxlabel() == ""
    nothing = maps.activation_maps({"all": []}, unit="")
    assert [title_of(axes) for axes in nothing.axes if title_of(axes)] == ["all: none"]


def test_maps_of_several_models_stand_beside_the_patch_they_are_of():
    patches = [mapped(0), mapped(1, label=DEAD)]
    models = {
        "resnet18": [mapped(2, score=0.9), mapped(3, score=0.2)],
        "inception": [mapped(4, score=0.5), mapped(5, score=0.0)],
    }
    figure = maps.maps_of_models(patches, models, unit="counts")
    shown = np.array(figure.axes).reshape(2, 4)
    for row, patch in enumerate(patches):
        np.testing.assert_array_equal(shown[row, 0].images[0].get_array(), patch.brightfield)
        np.testing.assert_array_equal(shown[row, 1].images[0].get_array(), patch.fluorescence)
        for column, of in enumerate(models.values(), 2):
            np.testing.assert_array_equal(shown[row, column].images[1].get_array(), of[row].maps[DEAD])
    assert [axes.get_xlabel() for axes in shown[:, 2:].flat] == ["dead 0.10", "dead 0.50", "dead 0.80", "dead 1.00"]
    assert [axes.get_title() for axes in shown[0]] == ["patch", "PI\n(counts)", "resnet18", "inception"]
    assert [frame_of(axes) for axes in shown[:, 0]] == [style.COLOURS[LIVE], style.COLOURS[DEAD]]


def entries(n: int, *, pi: bool = True) -> list[maps.Entry]:
    return [(BRIGHTFIELD[i], FLUORESCENCE[i] if pi else None, (DEAD, LIVE)[i % 2], 0.1 * i, f"y {i}") for i in range(n)]


def place_of(axes) -> tuple[int, int]:
    at = axes.get_subplotspec()
    return at.rowspan.start, at.colspan.start


@pytest.mark.parametrize("sizes", [[3, 3, 1, 7, 2, 2, 2, 1, 1], [7] * 6, [1], [8, 1], [3, 4], [3, 5], [1, 1, 1, 1, 1]])
def test_small_groups_of_a_gallery_stand_side_by_side_and_never_overlap(sizes):
    groups = {f"group {number}": entries(size) for number, size in enumerate(sizes)}
    figure = maps.gallery(groups, unit="counts")
    places = {place_of(axes): axes for axes in with_images(figure)}
    assert all(len(axes.images) == 1 for axes in places.values())
    assert len(places) == 2 * sum(sizes)  # each patch above its PI
    starts = [place_of(axes) for axes in figure.axes if title_of(axes)]
    taken = set()
    for (row, start), size, name in zip(starts, sizes, groups, strict=True):
        assert title_of(places[row, start]) == name
        for offset, (patch, pi, label, *_) in enumerate(groups[name]):
            above, below = places[row, start + offset], places[row + 1, start + offset]
            np.testing.assert_array_equal(above.images[0].get_array(), patch)
            np.testing.assert_array_equal(below.images[0].get_array(), pi)
            assert frame_of(above) == style.COLOURS[label]
            taken.add((row, start + offset))
        assert size <= 8 - start
    assert len(taken) == sum(sizes)
    for (row, start), (next_row, next_start), size in zip(starts[:-1], starts[1:], sizes[:-1], strict=True):
        if next_row == row:
            assert next_start == start + size + 1  # a column stays free between them
        else:
            assert (next_row, next_start) == (row + 2, 0)
    for one, other in pairwise(range(len(sizes))):  # a new row is begun where the next group has no room
        if starts[other][0] > starts[one][0]:
            assert starts[one][1] + sizes[one] + 1 + sizes[other] > 8


def test_each_patch_of_a_gallery_has_its_label_score_and_place_below_its_pi():
    figure = maps.gallery({"well 1": entries(2)}, unit="counts")
    words = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert words == ["dead, P(live) 0.00\ny 0", "live, P(live) 0.10\ny 1"]
    assert figure.get_supxlabel().startswith("PI: ")
    without = maps.gallery({"well 1": entries(2, pi=False)}, unit="")
    assert [axes.get_xlabel() for axes in with_images(without)] == words
    assert without.get_supxlabel() == ""


def test_a_long_name_of_a_small_group_does_not_reach_into_the_next():
    name = "--W00012--P00004--Z00000: 1 of 20 patches wrong"
    figure = maps.gallery({name: entries(1), f"{name}!": entries(3)}, unit="counts")
    titles = [title_of(axes) for axes in figure.axes if title_of(axes)]
    assert [len(title) for title in titles] == [17, 48]


def test_fluorescence_over_orders_of_magnitude_has_readable_ticks():
    fluorescence = np.geomspace(100, 20_000, 30)
    panel = performance.FluorescencePanel(
        "one", np.linspace(1, 0, 30), fluorescence, np.arange(30) % 2, "raw counts", False, "30 patches: r -0.9"
    )
    figure = performance.score_against_fluorescence([panel])
    figure.canvas.draw()
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert "1,000" in labels
    assert not any("$" in label for label in labels)
