"""The report of a network that predicts the stain shows tested fields and measures them, and never by Grad-CAM."""

import dataclasses
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from jimt.evaluation.shown_fields import ShownFields, best_median_worst
from jimt.report.blocks import Drawing, Missing, Table, Text
from jimt.report.model_card import model_card
from jimt.report.page import _parts
from jimt.report.sections import stain_section
from jimt.report.sections.metrics_section import metric_blocks
from jimt.report.sections.stain_section import chosen_fields, prediction_blocks
from jimt.report.study import open_study
from jimt.report.write import write_report
from stain_runs import stain_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return stain_run(tmp_path_factory)


@pytest.fixture(scope="module")
def model(run):
    return open_study(run).models[0]


@pytest.fixture(scope="module")
def blocks(model) -> list:
    return list(prediction_blocks([model]))


@pytest.fixture(scope="module")
def maps(run) -> pd.DataFrame:
    return pd.read_csv(run / "maps.csv")


@pytest.fixture
def own(run, tmp_path) -> Path:
    """A copy of the run, to be spoilt."""
    return Path(shutil.copytree(run, tmp_path / "own"))


def drawings(blocks) -> list[Drawing]:
    return [block for block in blocks if isinstance(block, Drawing)]


def rows_of(blocks) -> dict[str, dict[str, str]]:
    """Rows of both tables together, by their group."""
    rows: dict[str, dict[str, str]] = {}
    for table in (block for block in blocks if isinstance(block, Table)):
        for row in table.rows:
            rows.setdefault(row[0], {}).update(zip(table.header, row, strict=True))
    return rows


def words_in(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_what_a_network_of_the_stain_predicts_stands_in_place_of_what_a_classifier_looks_at(model):
    def headings(*models) -> list[str]:
        return [heading for heading, _ in _parts(models, "", 10, 10)]

    metrics = {"metrics": {"auroc": {"value": 0.6}}}
    checkpoint = SimpleNamespace(task="patch")
    classifier = SimpleNamespace(name="a classifier", checkpoint=checkpoint, metrics=metrics, is_crossval=False)
    assert [each for each in headings(model) if each.startswith("What it")] == [
        "What it has learned",
        "What it predicts",
    ]
    assert headings(classifier)[-1] == "What it looks at"
    assert headings(model, classifier)[-2:] == ["What it predicts", "What it looks at"]


def test_the_best_the_median_and_the_worst_tested_field_of_each_group_are_drawn_and_named(blocks, maps):
    told = [words for drawing in drawings(blocks) for words in words_in(drawing.figure) if " of " in words]
    for group, fields in maps.groupby("group"):
        order = fields.sort_values("correlation", ascending=False)["raw_image_id"].tolist()
        assert len(order) == 4
        for words, name in (("best", order[0]), ("median", order[2]), ("worst", order[-1])):
            assert sum(text.startswith(f"{words} of 4 in {group}: {name}\nr ") for text in told) == 1
    assert len(told) == 3 * maps["group"].nunique()


def test_numbers_of_the_table_are_means_of_the_fields_and_counts_of_all_nuclei(blocks, maps):
    rows = rows_of(blocks)
    for group, fields in maps.groupby("group"):
        assert rows[str(group)]["pixel correlation"] == f"{fields['correlation'].mean():.3f}"
        assert rows[str(group)]["SSIM"] == f"{fields['similarity'].mean():.3f}"
        found = fields["matched_nuclei"].sum() / fields["true_nuclei"].sum()
        assert rows[str(group)]["recall"] == f"{found:.3f}"
        assert int(rows[str(group)]["known"]) == fields["true_nuclei"].sum()
    means = maps.groupby("group")["correlation"].mean()
    assert rows["mean over groups"]["pixel correlation"].startswith(f"{means.mean():.3f}")
    right = maps["matched_dead_nuclei"].sum() / maps["predicted_dead_nuclei"].sum()
    assert rows["all together"]["precision, dead"] == f"{right:.3f}".replace("nan", "-")


def test_words_say_what_the_colours_are_what_a_match_is_and_what_a_dead_share_is_of(blocks):
    of_images, of_nuclei = [block for block in blocks if isinstance(block, Table)]
    assert "16 times" in drawings(blocks)[0].caption
    assert "hatched: no data" in drawings(blocks)[0].caption
    assert "1 only where both images are the same" in of_images.caption
    assert "within 15 px" in of_nuclei.caption
    (text,) = [block.text for block in blocks if isinstance(block, Text)]
    assert "PI and the cells that were counted" in text
    assert "of nuclei: predicted dead ones among all" in text


def test_predicted_and_counted_dead_shares_are_drawn_against_each_other(model):
    made = list(metric_blocks([model]))
    assert "dead_shares" in {drawing.name for drawing in drawings(made)}
    (shares,) = [block for block in made if isinstance(block, Table) and block.title == "Dead share of fields"]
    assert "the model, dead nuclei among all" in [row[0] for row in shares.rows]


class Folds:
    """Two models of a cross-validation: what the second predicts of a place is one more than what the first does."""

    def __init__(self, model) -> None:
        self.curated, rows = model.tested
        groups = sorted(set(rows["group"].astype(str)))
        second = rows["group"].astype(str) == groups[0]
        self.tested = self.curated, rows.assign(checkpoint=np.where(second, 1, 0))
        self.name, self.record, self.checkpoint = "folds", model.record, model.checkpoint
        self.second = groups[0]

    def predictor(self, number):
        def maps(store, field):
            shape = [-(-side // 4) for side in store.field(field).shape]
            maps = {name: np.zeros(shape, np.float32) for name in self.checkpoint.network.outputs}
            return maps | {"log_pi": np.full(shape, number, np.float32)}

        return SimpleNamespace(maps=maps, checkpoint=self.checkpoint)


def test_each_field_is_predicted_by_the_model_that_did_not_train_on_its_group(model, maps, monkeypatch):
    drawn = []

    def draws(fields, **settings):
        drawn.extend(fields)
        return SimpleNamespace()

    monkeypatch.setattr(stain_section, "draw_stain_fields", draws)
    folds = Folds(model)
    list(stain_section._field_blocks(folds, maps))
    group_of = dict(zip(maps["raw_image_id"], maps["group"], strict=True))
    assert len(drawn) == 3 * len(set(group_of.values())) > 3
    for field in drawn:
        values = field.predicted[np.isfinite(field.predicted)]
        assert values == pytest.approx((1 if group_of[field.name] == folds.second else 0) / np.log(2))


def table_of(**groups: list[float]) -> pd.DataFrame:
    rows = [(name, value) for name, values in groups.items() for value in values]
    return pd.DataFrame(rows, columns=["group", "correlation"])


def test_groups_of_few_fields_show_each_once():
    chosen = chosen_fields(table_of(a=[0.1, 0.9], b=[0.4], c=[0.2, 0.3, 0.1, np.nan]))
    assert chosen == [
        [(1, "best of 2 in a"), (0, "worst of 2 in a")],
        [(2, "the only field in b")],
        [(4, "best of 3 in c"), (3, "median of 3 in c"), (5, "worst of 3 in c")],
    ]


def test_of_groups_that_are_a_field_each_the_best_the_median_and_the_worst_of_all_are_shown():
    assert chosen_fields(table_of(**{f"g{n}": [n / 100] for n in range(41)})) == [
        [(40, "best of 41"), (20, "median of 41"), (0, "worst of 41")]
    ]


def test_of_many_groups_some_are_shown_the_best_and_the_worst_among_them():
    chosen = chosen_fields(table_of(**{f"g{n:03}": [n / 100, n / 100 + 0.001] for n in range(90)}))
    named = [words.rpartition(" ")[2] for fields in chosen for _, words in fields]
    assert len(chosen) == 24
    assert {"g000", "g089"} <= set(named)
    assert named == sorted(named)


def test_a_field_whose_image_is_constant_has_no_correlation_and_is_not_chosen():
    assert best_median_worst(np.array([np.nan, np.nan])) == []
    assert chosen_fields(table_of(a=[np.nan, 0.5], b=[np.nan])) == [[(1, "the only field in a")]]


def test_a_data_set_without_counted_cells_shows_what_is_predicted_alone(model, blocks):
    curated = dataclasses.replace(model.curated, summary={**model.curated.summary, "cells": None})
    shape = [-(-side // 4) for side in curated.store.field(0).shape]
    maps = dict.fromkeys(model.checkpoint.network.outputs, np.zeros(shape, np.float32))
    shown = ShownFields(curated, model.record.settings, model.checkpoint.network.outputs)
    field = shown.field(0, maps, predicted_share=0.5, chosen_as="")
    assert field.true_nuclei is None
    assert len(field.predicted_nuclei.centres) == 0
    assert np.isnan(field.true_dead_share)
    alone = shown.field(0, {"log_pi": maps["log_pi"]}, predicted_share=0.5, chosen_as="")
    assert alone.predicted_nuclei is alone.true_nuclei is None


def test_known_nuclei_of_a_field_are_the_counted_ones(model):
    cells = model.curated.cells()
    number = int(cells["field"].iloc[0])
    here = cells[cells["field"] == number]
    shape = [-(-side // 4) for side in model.curated.store.field(number).shape]
    maps = dict.fromkeys(model.checkpoint.network.outputs, np.zeros(shape, np.float32))
    shown = ShownFields(model.curated, model.record.settings, model.checkpoint.network.outputs)
    field = shown.field(number, maps, predicted_share=0.5, chosen_as="")
    assert field.true_nuclei.centres.tolist() == here[["y", "x"]].to_numpy(float).tolist()
    assert field.true_dead_share == pytest.approx(here["dead"].mean())
    counts, background = model.curated.store.fluorescence(number), model.curated.store.background(number)
    assert field.true.shape == tuple(shape)
    assert np.nanmax(field.true) <= np.log2(counts.max() / background)


def test_maps_that_are_missing_or_damaged_are_named_with_the_way_out(own):
    (own / "maps.csv").write_text("field,group\n1\n")
    (missing,) = prediction_blocks(open_study(own).models)
    assert isinstance(missing, Missing)
    assert "maps.csv is damaged" in missing.reason
    (own / "maps.csv").unlink()
    (missing,) = prediction_blocks(open_study(own).models)
    assert missing.reason.endswith(f"maps.csv is missing: run jimt evaluate {own}")


def test_where_the_curated_data_set_is_gone_the_numbers_are_still_told(run, own, maps):
    curated = run.parent / "curated"
    aside = curated.with_name("aside")
    curated.rename(aside)
    try:
        blocks = list(prediction_blocks(open_study(own).models))
    finally:
        aside.rename(curated)
    (missing,) = [block for block in blocks if isinstance(block, Missing)]
    assert missing.what == "The predicted fields"
    assert "is missing: curate it again" in missing.reason
    assert set(maps["group"]) < set(rows_of(blocks))


def test_several_models_are_set_side_by_side_and_the_fields_of_the_best_are_drawn(model, own):
    worse = pd.read_csv(own / "maps.csv").assign(correlation=-0.9)
    worse.to_csv(own / "maps.csv", index=False)
    other = open_study(own).models[0].renamed("the worse one")
    blocks = list(prediction_blocks([other, model]))
    tables = [block for block in blocks if isinstance(block, Table)]
    assert [row[0] for row in tables[-1].rows] == ["the worse one", model.name]
    assert tables[-1].rows[0][2].startswith("-0.900")
    (text,) = [block.text for block in blocks if isinstance(block, Text)]
    assert text.startswith(f"Of {model.name}, whose maps agree best.")


def test_the_card_says_what_is_predicted_from_what_and_what_it_cannot_tell(model):
    card = model_card(model)
    assert "Predicts from bright-field, with no stain, what propidium iodide (PI) would show." in card
    assert "It has learned this from PI and the cells that were counted (dataset.cells)." in card
    assert "The dead share of a field is of nuclei" in card
    network = model.checkpoint.network
    assert f"| decoder | {network.decoder}, {network.channels} channels, learning rate " in card
    assert "a cell that dies without taking up PI is not dead to it" in card
    assert "pixel correlation" in card


@pytest.mark.slow
def test_the_whole_report_holds_the_fields_and_no_grad_cam(own):
    written = write_report(own)
    page = written.page.read_text()
    assert 'id="stain_fields"' in page
    assert 'id="dead_shares"' in page
    assert "grad_cam" not in page
    assert "The figures of the empty filter" in written.missing
