"""What separates data sets, and what matching and stained fields bring a model on another one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conftest import STAIN, TINY_PROBE, composed_train
from jimt.curation.image_changes import Change
from jimt.curation.manifest import open_curated
from jimt.data.fields import ChangedFields
from jimt.errors import InputError
from jimt.evaluation.adaptation_curve import main as adaptation_curve
from jimt.evaluation.image_differences import measure
from jimt.evaluation.image_matching import match
from jimt.evaluation.matched_scores import MATCHED, scores_of
from jimt.evaluation.scores import read_scores, score_test_split
from jimt.evaluation.transfer import main, transfer, write
from jimt.models.predictor import open_predictor
from jimt.synthetic import Microscope, simulate_dataset
from jimt.training.run import train

SIZE = 0.3225
STARK = Microscope(SIZE, light=1.0, contrast=2.5)
SMALL = Microscope(0.42, light=1.0, contrast=1.0)
CURATED = (
    "dataset=synthetic",
    "dataset.simulation=null",
    "dataset.empty_labels=null",
    "curation.patches.size=64",
    "curation.patches.stride=64",
    "curation.n_jobs=1",
    "curation.empty_filter.enabled=false",
    "curation.label.live_below=300",
    "curation.label.dead_above=400",
    "curation.scaling.method=full_range",
)
ASKED = {"n_stained": 2, "n_draws": 20, "seed": 0, "accelerator": None}


def trained(folder: Path, name: str, *overrides: str, microscope: Microscope | None = None, seed: int = 1) -> Path:
    """A run on ten wells of one field."""
    root, run = folder / name, folder / "runs" / name
    if not root.exists():
        simulate_dataset(
            root,
            n_wells=10,
            fields_per_well=1,
            height=160,
            width=192,
            dead_fraction=0.5,
            difficulty=0.3,
            seed=seed,
            patch_size=64,
            stride=64,
            n_jobs=1,
            microscope=microscope,
        )
    own = [f"dataset.name={name}", f"dataset.root={root}", f"curation.output_root={folder / 'curated'}"]
    size = "0.3225" if microscope is None else str(microscope.pixel_size)
    where = [f"dataset.pixel_size={size}", f"run_dir={run}"]
    train(composed_train(*CURATED, *own, *where, *(overrides or TINY_PROBE)))
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("microscopes")


@pytest.fixture(scope="module")
def usual(folder) -> Path:
    return trained(folder, "usual")


@pytest.fixture(scope="module")
def stark(folder) -> Path:
    """Other cells, of two and a half times the contrast."""
    return trained(folder, "stark", microscope=STARK, seed=2)


@pytest.fixture(scope="module")
def result(usual, stark) -> dict:
    return transfer([usual, stark], whole=True, match=True, **ASKED)


def bridge(result: dict, trained_on: str, tested_on: str) -> dict:
    (found,) = (b for b in result["bridges"] if (b["trained_on"], b["tested_on"]) == (trained_on, tested_on))
    return found


def row(found: dict, matched: str) -> dict:
    (one,) = (each for each in found["matching"] if each["matched"] == matched)
    return one


def plain(value: object) -> object:
    return json.loads(json.dumps(value))


# ---- what separates, and matching it


def test_contrast_alone_differs_and_comes_first(result):
    (pair,) = result["differences"]
    assert (pair["first"], pair["second"], pair["fields"]) == ("usual", "stark", [10, 10])
    assert pair["measures"][0]["name"] == "contrast"
    assert pair["measures"][0]["separation"]["area"] > pair["measures"][1]["separation"]["area"] + 0.05


def test_matching_the_contrast_gives_the_scores_that_the_usual_microscope_would(folder, usual, stark):
    # the same cells under the usual microscope: what the model says of these is what matching has to come to
    like = open_curated(Path(composed_root(trained(folder, "usual_cells", seed=2))))
    own, predictor = open_curated(folder / "curated/stark"), open_predictor(usual)
    target = measure(open_curated(folder / "curated/usual"))
    rows = own.manifest[own.manifest["split"].notna()].reset_index(drop=True)
    numbers = dict(zip(own.manifest["raw_image_id"], own.manifest["field"], strict=True))
    assert numbers == dict(zip(like.manifest["raw_image_id"], like.manifest["field"], strict=True))
    matched = match("contrast", own, measure(own), target, seed=0, after=()).fields
    expected, as_it_is, found = (
        scores_of(predictor, fields, rows)
        for fields in (ChangedFields(like.store, [], seed=0), ChangedFields(own.store, [], seed=0), matched)
    )
    assert np.abs(found - expected).mean() < 0.4 * np.abs(as_it_is - expected).mean()


def composed_root(run: Path) -> Path:
    return run.parent.parent / "curated" / run.name


def test_without_a_change_the_scores_are_those_of_the_test(folder, usual, stark, result):
    table, own = read_scores(usual / "test_scores.csv"), open_curated(folder / "curated/usual")
    test = own.manifest[own.manifest["split"] == "test"].reset_index(drop=True)
    again = scores_of(open_predictor(usual), ChangedFields(own.store, [], seed=0), test)
    assert again == pytest.approx(table["score"].to_numpy(), abs=1e-4)
    entry = next(e for e in result["scores"] if (e["trained_on"], e["tested_on"]) == ("usual", "stark"))
    first = row(bridge(result, "usual", "stark"), "nothing")
    for name in ("auroc", "auroc_within_groups"):
        assert first[name]["value"] == pytest.approx(entry["metrics"][name]["value"])
        assert first[name]["gain"] is None


def test_each_gain_is_the_difference_on_the_same_patches(result):
    for found in result["bridges"]:
        assert [each["matched"] for each in found["matching"]] == ["nothing", *MATCHED]
        first = found["matching"][0]
        for each in found["matching"][1:]:
            if each["reason"] is not None or each["matched"] == "density":
                continue
            assert (each["live"], each["dead"], each["groups"]) == (first["live"], first["dead"], first["groups"])
            for measure_ in ("auroc", "auroc_within_groups", "share_error"):
                value = each[measure_]
                assert value["gain"] == pytest.approx(value["value"] - first[measure_]["value"])
                if value["gain_interval"] is not None:
                    assert value["gain_interval"][0] <= value["gain"] <= value["gain_interval"][1]


def test_what_is_matched_is_as_it_is_in_the_training(result):
    found = row(bridge(result, "usual", "stark"), "contrast")
    assert found["done"].startswith("contrast x ")
    assert found["reached"] == pytest.approx(found["target"], rel=0.05)
    assert row(bridge(result, "usual", "stark"), "pixel_size")["done"] == "nothing to change"
    assert row(bridge(result, "usual", "stark"), "pixel_size")["auroc"]["gain"] == 0
    of_density = row(bridge(result, "usual", "stark"), "density")
    assert of_density["live"] <= row(bridge(result, "usual", "stark"), "nothing")["live"]


@pytest.mark.slow
def test_the_other_order_of_runs_is_the_same_table_in_another_order(result, usual, stark):
    swapped = transfer([stark, usual], whole=True, match=True, **ASKED)
    for key in ("scores", "bridges"):
        by_name = {(e["trained_on"], e["tested_on"]): e for e in swapped[key]}
        for entry in result[key]:
            assert plain(by_name[entry["trained_on"], entry["tested_on"]]) == plain(entry)
    (one,), (other,) = result["differences"], swapped["differences"]
    assert (other["first"], other["second"]) == (one["second"], one["first"])
    for here, there in zip(one["measures"], other["measures"], strict=True):
        assert (here["name"], here["first"], here["second"]) == (there["name"], there["second"], there["first"])
        assert here["separation"]["area"] == pytest.approx(there["separation"]["area"])


@pytest.fixture(scope="module")
def small(folder) -> Path:
    """Other cells, of larger pixels."""
    return trained(folder, "small", microscope=SMALL, seed=3)


@pytest.mark.slow
def test_what_is_imaged_at_another_pixel_size_is_resampled(usual, small):
    found = transfer([usual, small], whole=True, match=True, **ASKED)
    assert found["differences"][0]["measures"][0]["name"] == "pixel_size"
    done = row(bridge(found, "usual", "small"), "pixel_size")
    assert done["done"] == "resampled x 1.3"
    assert (done["reached"], done["target"]) == (pytest.approx(SIZE), SIZE)
    back = row(bridge(found, "small", "usual"), "pixel_size")
    assert (back["done"], back["auroc"]["gain"] is None) == ("resampled x 0.768", False)


def test_patches_at_another_pixel_size_are_seen_through_windows_of_the_same_place(folder, usual, small):
    own, predictor = open_curated(folder / "curated/small"), open_predictor(usual)
    matched = match("pixel_size", own, measure(own), measure(open_curated(folder / "curated/usual")), seed=0, after=())
    at = pd.DataFrame({"field": [0], "y": [64], "x": [64]})
    # 64 x 1.302 is 83 px from 83 on: four windows of 64 px, at both ends of it
    windows = pd.DataFrame([(0, y, x) for y in (83, 103) for x in (83, 103)], columns=["field", "y", "x"])
    logits = predictor.logits(matched.fields, windows)
    live = 1 / (1 + np.exp(-(logits[:, 1] - logits[:, 0]) / predictor.checkpoint.output.temperature))
    assert scores_of(predictor, matched.fields, at)[0] == pytest.approx(live.mean(), abs=1e-4)


# ---- stained fields


def test_two_stained_fields_are_compared_on_the_same_fields_with_their_mean_share(result):
    found = bridge(result, "usual", "stark")
    adapted = found["adaptation"]
    assert (found["against"], found["share_of"]) == ("counted", "patches")
    assert (adapted["stained"], adapted["fields"], adapted["groups"]) == (2, 10, 10)
    assert adapted["before"]["value"] == pytest.approx(row(found, "nothing")["share_error"]["value"])
    assert adapted["adapted - before"]["value"] == pytest.approx(
        adapted["adapted"]["value"] - adapted["before"]["value"]
    )
    assert adapted["mean of the stained"]["value"] > 0


def test_the_error_of_the_dead_share_is_that_of_counted_cells(folder, usual, stark, result):
    own = open_curated(folder / "curated/stark")
    manifest = own.manifest.assign(split=own.manifest["split"].mask(own.manifest["split"].notna(), "test"))
    table = score_test_split(open_predictor(usual), type(own)(**(vars(own) | {"manifest": manifest})))
    cells = pd.read_csv(folder / "stark/cells.csv").groupby("raw_image_id")["dead"].mean()
    # patches side by side: each stands for as much of the field as any other
    predicted = (1 - table["score"]).groupby(table["raw_image_id"]).mean()
    expected = (predicted - cells.reindex(predicted.index)).abs().mean()
    found = row(bridge(result, "usual", "stark"), "nothing")
    assert found["share_error"]["value"] == pytest.approx(expected, abs=0.01)
    labelled = table[table["label"] != -1]
    assert found["auroc"]["value"] == pytest.approx(roc_auc_score(labelled["label"], labelled["score"]))


# ---- what cannot be told


@pytest.fixture(scope="module")
def again(folder, usual) -> Path:
    """A second model of the first data set."""
    run = folder / "runs/usual_again"
    own = ["dataset.name=usual", f"dataset.root={folder / 'usual'}", f"curation.output_root={folder / 'curated'}"]
    train(composed_train(*CURATED, *own, "dataset.pixel_size=0.3225", f"run_dir={run}", *TINY_PROBE, "probe.c=0.1"))
    return run


def test_runs_of_one_data_set_are_told_that_nothing_separates_them(usual, again):
    found = transfer([usual, again], whole=True, match=True, **ASKED)
    assert (len(found["scores"]), found["differences"], found["bridges"]) == (2, [], [])
    assert found["words"] == [
        "All runs were trained on usual: give one of another data set to hear what separates them."
    ]


def test_two_models_of_one_data_set_are_told_apart_by_their_runs(usual, again, stark, tmp_path, capsys):
    main([str(run) for run in (usual, again, stark)] + ["--no-matching", "--out", str(tmp_path)])
    out = capsys.readouterr().out
    for name in ("usual (usual)", "usual (usual_again)"):
        assert f"The model of {name} on stark" in out
        assert f"the model of {name}" in out
        assert f"| {name} | stark |" in (tmp_path / "transfer.md").read_text()
    assert "The model of stark on usual" in out
    alike = json.loads((tmp_path / "transfer.json").read_text())["scores"]
    assert [each["trained_on"] for each in alike] == ["usual"] * 4 + ["stark"] * 2


def test_what_an_earlier_transfer_left_does_not_stand_beside_a_new_one(usual, again, stark, result, tmp_path):
    write(result, tmp_path)
    assert len(list(tmp_path.iterdir())) == 8
    write(transfer([usual, stark], whole=True, match=False, **ASKED), tmp_path)
    assert not (tmp_path / "transfer_matching.csv").exists()  # an empty file is no table
    assert len(pd.read_csv(tmp_path / "transfer_adaptation.csv")) == 2
    write(transfer([usual, again], whole=True, match=True, **ASKED), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["transfer.csv", "transfer.json", "transfer.md"]


def test_models_of_two_tasks_are_told_that_their_dead_shares_are_of_other_things(folder, usual):
    run = trained(folder, "stained", *STAIN, microscope=STARK, seed=4)
    found = transfer([usual, run], whole=False, match=False, **ASKED)
    assert [each["matching"] for each in found["bridges"]] == [None, None]
    assert bridge(found, "stained", "usual")["share_of"] == "area"
    assert any(line.startswith("The models differ in what their dead share is a share of") for line in found["words"])


def test_the_command_writes_tables_and_a_figure_and_prints_no_line_beyond_100_columns(
    usual, stark, result, tmp_path, capsys, monkeypatch
):
    asked = []
    monkeypatch.setattr("jimt.evaluation.transfer.transfer", lambda runs, **how: asked.append((runs, how)) or result)
    words = ["--whole", "--stained", "3", "--draws", "7", "--seed", "5", "--accelerator", "cpu"]
    main([str(usual), str(stark), *words, "--out", str(tmp_path / "out")])
    how = {"whole": True, "match": True, "n_stained": 3, "n_draws": 7, "seed": 5, "accelerator": "cpu"}
    assert asked == [([usual, stark], how)]
    lines = capsys.readouterr().out.splitlines()
    tables = [line for line in lines if not line.endswith((".", "out"))]
    assert max(map(len, tables)) <= 100
    for title in ("In what the images of usual and stark differ", "The model of stark on usual"):
        assert any(line.startswith(title) for line in lines)
    frame = pd.read_csv(tmp_path / "out/transfer_matching.csv")
    assert len(frame) == 2 * (1 + len(MATCHED))
    assert set(frame.columns) >= {"trained_on", "tested_on", "matched", "auroc_gain_low", "share_error_beyond_chance"}
    assert pd.read_csv(tmp_path / "out/transfer_differences.csv")["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(pd.read_csv(tmp_path / "out/transfer_adaptation.csv")) == 2
    assert (tmp_path / "out/transfer.png").stat().st_size > 10_000
    assert (tmp_path / "out/transfer.svg").is_file()


@pytest.mark.parametrize(
    ("words", "least"),
    [
        (["--stained", "0"], 1),
        (["--draws", "-1"], 1),
        (["--stained", "two"], 1),
        (["--seed", "-1"], 0),
        (["--seed", "x"], 0),
    ],
)
@pytest.mark.parametrize("command", [main, adaptation_curve])
def test_numbers_that_are_none_are_refused(command, words, least, usual, capsys):
    with pytest.raises(SystemExit):
        command([str(usual), *words])
    assert f"{words[1]} is no number from {least} on" in capsys.readouterr().err


def test_more_stained_fields_than_there_are_leave_none_to_predict(usual, stark):
    found = transfer([usual, stark], whole=True, match=False, **(ASKED | {"n_stained": 10}))
    one = bridge(found, "usual", "stark")
    assert (one["adaptation"], one["no_adaptation"]) == (None, "of 10 fields none is left beside 10 stained ones")
    assert any("No stained fields of stark were tried for the model of usual" in line for line in found["words"])


def test_a_field_that_is_smaller_than_a_patch_then_is_not_matched(folder, usual):
    own = open_curated(folder / "curated/usual")
    rows = own.manifest[own.manifest["split"].notna()].reset_index(drop=True)
    with pytest.raises(InputError, match="a field is 38 x 32 px then, and a patch 64 x 64"):
        scores_of(open_predictor(usual), ChangedFields(own.store, [Change("resample", 0.2)], seed=0), rows)
