"""Curves over groups: what stained fields of a new experiment buy, and further training groups."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.metrics import roc_auc_score

from conftest import SMALL, TINY_PROBE, composed_prepare, composed_train, uneven_field, write_pair
from jimt.config.curating import CurationConfig
from jimt.config.data import DatasetConfig
from jimt.curation.curate import curate
from jimt.curation.folds import Fold, draw_training_groups, split_by_fold
from jimt.curation.manifest import open_curated
from jimt.errors import InputError
from jimt.evaluation.adaptation_curve import main
from jimt.evaluation.scores import read_scores
from jimt.prediction.adapt import main as adapt
from jimt.prediction.predict import main as predict
from jimt.report.sections.next_experiment_section import next_experiment_blocks
from jimt.report.study import open_study
from jimt.training.learning_curve import learning_curve

NAME = "--W{well:05d}--P{position:05d}--Z00000--T00000"
PATTERN = r"^(?P<raw_image_id>--(?P<group>W\d+)--P\d+--Z\d+--T\d+)--(?P<channel>Trans|PI)\.tif$"


@pytest.fixture(scope="module")
def wells(tmp_path_factory) -> list[str]:
    """Overrides of six wells of two fields each, which differ in how bright-field looks."""
    folder, rng = tmp_path_factory.mktemp("wells"), np.random.default_rng(0)
    for well in range(1, 7):
        for position in (1, 2):
            bright_field, pi = uneven_field(rng)
            write_pair(folder / "raw", NAME.format(well=well, position=position), (bright_field // (1 + well % 2), pi))
    overrides = [
        "dataset=no_treatment",
        f"dataset.root={folder / 'raw'}",
        f"dataset.pattern='{PATTERN}'",
        f"curation.output_root={folder / 'curated'}",
        *SMALL,
        "curation.label.dead_above=300",
        "curation.split={train:4,val:1,test:1}",
    ]
    curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True))
    return [*overrides, *TINY_PROBE, "crossval.n_folds=3"]


@pytest.fixture(scope="module")
def learned(wells, tmp_path_factory) -> Path:
    """A learning curve, in the folder of its cross-validation."""
    folder = tmp_path_factory.mktemp("learning") / "folds"
    learning_curve(composed_train(*wells, "learning.groups=[1,2,4]", f"run_dir={folder}", name="learning-curve"))
    return folder


def data_of(wells: list[str]) -> tuple[DatasetConfig, CurationConfig]:
    """Where the wells lie, and their curation."""
    return composed_prepare(*(word for word in wells if word.startswith(("dataset", "curation"))))


def curve(folder: Path, *words: str) -> list[dict]:
    main([str(folder), *words])
    return json.loads((folder / "adaptation_curve.json").read_text())["rows"]


def test_the_curve_is_what_adapting_and_predicting_field_by_field_comes_to(learned, wells, tmp_path, capsys):
    (row,) = curve(learned, "--stained", "1", "2")  # of two fields none is left beside two stained
    assert "2 stained: no group has a field over beside so many" in capsys.readouterr().out
    assert (row["truth"], row["stained"], row["groups"], row["fields"]) == ("pi", 1, 6, 12)
    root = Path(data_of(wells)[0].root)
    scores = pd.read_csv(learned / "scores.csv")
    errors = []
    for fold, part in scores[scores["fold"] == 0].groupby("group"):
        files = {
            position: root / f"{NAME.format(well=int(str(fold)[1:]), position=position)}--Trans.tif"
            for position in (1, 2)
        }
        words = ["--pattern", "{well}--{field}--Z00000--T00000--{channel}.tif", "--channel", "Trans"]
        shares = {}
        for stained, other in ((1, 2), (2, 1)):
            out = tmp_path / f"{fold}_{stained}"
            pi = str(files[stained]).replace("Trans", "PI")
            adapt([str(learned / "fold_0"), str(files[stained]), pi, *words, "--check", "PI", "--out", str(out)])
            predict_quietly(out, files[other], tmp_path / f"of_{fold}_{stained}", words)
            shares[other] = pd.read_csv(tmp_path / f"of_{fold}_{stained}/fields.csv")["dead_share"].iloc[0]
        errors += [abs(shares[position] - 3.5 / 6) for position in shares]  # by what patches by label cover
        assert len(part) == 30
    capsys.readouterr()
    table = pd.read_csv(learned / "adaptation_curve.csv")
    assert table.loc[0, "adapted"] == pytest.approx(row["adapted"]["value"])
    of_fold = fields_of(learned, fold=0)
    np.testing.assert_allclose(sorted(errors), sorted(of_fold), atol=1e-4)


def predict_quietly(run: Path, image: Path, out: Path, words: list[str]) -> None:
    with contextlib.suppress(SystemExit):  # 4: too few groups, or a field unlike them
        predict([str(run), str(image), *words, "--include-flagged", "--out", str(out)])


def fields_of(folder: Path, *, fold: int) -> list[float]:
    """Errors of the fields that a fold holds out, as the curve has them before they are averaged."""
    from jimt.evaluation.adaptation_curve import _checkpoints, _fields_of_fold
    from jimt.evaluation.adapted_errors import errors_of_draws

    fields = _fields_of_fold(_checkpoints(folder)[fold], "calibration", [], None)
    rows = errors_of_draws(fields, pool="group", what="calibration", n_stained=[1], n_draws=5, seed=0)
    return [row["adapted"] for row in rows]


def test_answers_before_and_the_mean_of_the_stained_are_those_of_the_scores_and_of_pi(learned):
    (row,) = curve(learned, "--stained", "1")
    scores = pd.read_csv(learned / "scores_with_ambiguous.csv")
    errors = []
    for _, part in scores.groupby("raw_image_id"):
        total, n = np.zeros((2, 128, 192))
        for y, x, score in part[["y", "x", "score"]].itertuples(index=False):
            total[y : y + 64, x : x + 64] += 1 - score
            n[y : y + 64, x : x + 64] += 1
        labels = np.zeros((128, 192))
        for y, x, label in part[["y", "x", "label"]].itertuples(index=False):
            labels[y : y + 64, x : x + 64] += {1: 0.0, 0: 1.0, -1: 0.5}[label]
        errors.append(abs((total / n).mean() - (labels / n).mean()))
    assert row["before"]["value"] == pytest.approx(np.mean(errors), abs=1e-5)
    assert row["mean of the stained"]["value"] == pytest.approx(0, abs=1e-9)  # all fields have the same share by PI
    low, high = row["adapted - before"]["interval"]
    assert low < row["adapted"]["value"] - row["before"]["value"] < high


def test_more_stained_fields_than_any_group_has_are_refused(learned, tmp_path):
    with pytest.raises(SystemExit, match="no group of .* has a field over beside 2 stained: add fields"):
        main([str(learned), "--stained", "2"])
    with pytest.raises(SystemExit, match="give the folder of a finished cross-validation"):
        main([str(tmp_path)])


def test_each_fold_is_trained_on_fewer_of_its_own_groups_and_tested_on_the_same(learned, wells, capsys):
    result = json.loads((learned / "learning_curve.json").read_text())
    assert [row["groups"] for row in result["rows"]] == [1, 2, 4]  # four of six are all that a fold has
    manifest = open_curated(Path(data_of(wells)[1].output_root) / "no_treatment").manifest
    whole = read_scores(learned / "scores_with_ambiguous.csv")
    for n_groups, row in zip((1, 2), result["rows"], strict=False):
        tables = []
        for fold in range(3):
            folder = learned / f"trained_on_{n_groups}_fold_{fold}"
            trained = json.loads((folder / "finished.json").read_text())["fold"]["trained_on"]
            held_out = set(whole.loc[whole["fold"] == fold, "group"])
            assert len(trained) == n_groups
            assert not held_out & set(trained)
            tables.append(read_scores(folder / "scores.csv"))
            assert set(tables[-1]["group"]) == held_out
            assert not (folder / "checkpoints").exists()
        scores = pd.concat(tables)
        scores = scores[scores["label"] >= 0]
        assert row["auroc"]["value"] == pytest.approx(roc_auc_score(scores["label"], scores["score"]))
    assert set(manifest["group"]) == set(whole["group"])
    table = pd.read_csv(learned / "learning_curve.csv")
    assert table["groups"].tolist() == [1, 2, 4]
    assert (learned / "figures/learning_curve.png").is_file()
    # the same again trains nothing, and what was cut off is made good
    shutil.rmtree(learned / "trained_on_2_fold_1")
    left = learned / "trained_on_1_fold_0/checkpoints"  # by a kill before they were removed
    left.mkdir()
    capsys.readouterr()
    config = composed_train(*wells, "learning.groups=[1,2,4]", f"run_dir={learned}", name="learning-curve")
    assert json.loads(json.dumps(learning_curve(config))) == result
    told = capsys.readouterr().out
    assert told.count("training test_resnet") == 1
    assert not left.exists()
    assert "learning.groups: 4 is passed over" in told


def test_the_report_says_in_words_what_both_curves_mean(learned):
    curve(learned, "--stained", "1")
    blocks = list(next_experiment_blocks(open_study(learned).models[0]))
    kinds = [type(block).__name__ for block in blocks]
    assert kinds == ["Text", "Drawing", "Table"] * 2
    assert "Going from 2 to 4 training groups" in blocks[0].text
    assert "stained field" in blocks[3].text
    (learned / "learning_curve.json").write_text("{}")
    blocks = list(next_experiment_blocks(open_study(learned).models[0]))
    assert blocks[0].reason == "learning_curve.json is damaged: compute it again"
    (learned / "learning_curve.json").unlink()
    assert len(list(next_experiment_blocks(open_study(learned).models[0]))) == 3


def test_groups_are_drawn_by_the_seed_and_hold_both_classes():
    rows = [(f"W{group}", label) for group in range(8) for label in ((1, 1) if group < 6 else (0, 0))]
    manifest = pd.DataFrame(rows, columns=["group", "label"]).assign(split="train")
    fold = Fold(4, 0, None)
    drawn = [draw_training_groups(manifest, fold, n_groups=2, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({each.trained_on for each in drawn}) > 1
    for each in drawn:
        split = split_by_fold(manifest, each)
        trained = split[split["split"] == "train"]
        assert trained["label"].nunique() == 2
        assert tuple(trained["group"].unique()) == each.trained_on
        assert split["split"].value_counts()["test"] == 4
    assert draw_training_groups(manifest, fold, n_groups=6, seed=0) is None
    with pytest.raises(InputError, match="hardly any 1 groups that hold both classes"):
        draw_training_groups(manifest, fold, n_groups=1, seed=0)


def test_a_curve_is_no_curve_of_scores_that_have_changed(learned, wells, tmp_path):
    from jimt.training.crossval import cross_validate

    folder = Path(shutil.copytree(learned, tmp_path / "copy"))
    (folder / "adaptation_curve.json").write_text("{}")
    table = io.StringIO((folder / "scores_with_ambiguous.csv").read_text())
    cross_validate(composed_train(*wells, f"run_dir={folder}", name="crossval"))
    assert (folder / "adaptation_curve.json").is_file()
    (folder / "scores_with_ambiguous.csv").write_text(table.getvalue()[:-20])
    cross_validate(composed_train(*wells, f"run_dir={folder}", name="crossval"))
    assert not (folder / "adaptation_curve.json").is_file()
