"""Settings are chosen for each fold on the groups that it is trained on, and on no other."""

import contextlib
import json

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from conftest import TINY_PROBE, composed_train
from forked import run_forked
from jimt.config.search import CrossvalConfig
from jimt.config.setting_names import unknown_setting
from jimt.errors import InputError
from jimt.evaluation.scores import read_scores
from jimt.training import choosing
from jimt.training.crossval import cross_validate

WEAK, STRONG = "probe.c=1e-9", "probe.c=1e-2"
BY_AUROC = ["crossval.choose.by=auroc", "crossval.choose.n_folds=2"]
NESTED = [
    *TINY_PROBE,
    "crossval.n_folds=3",
    f"+crossval.choose.among={{strong:['{STRONG}'],weak:['{WEAK}']}}",
    *BY_AUROC,
]


def config_of(overrides: list[str], *further: str):
    return composed_train(*overrides, *further, name="crossval")


@pytest.fixture(scope="module")
def nested(uneven, tmp_path_factory):
    """``jimt crossval`` whose folds choose: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("nested")
    with contextlib.chdir(folder):
        done = run_forked("jimt", "crossval", *uneven, *NESTED, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    return folder / "run", done.stdout


def inner_scores(folder, test: int, name: str) -> pd.DataFrame:
    parts = [read_scores(path) for path in sorted((folder / f"choice_{test}" / name).glob("inner_*/scores.csv"))]
    assert len(parts) == 2
    return pd.concat(parts)


def test_what_is_chosen_by_holds_every_training_group_once_and_no_held_out_one(nested):
    folder, _ = nested
    scores = read_scores(folder / "scores.csv")
    for test in range(3):
        held_out = set(scores.loc[scores["fold"] == test, "group"])
        for name in ("strong", "weak"):
            inner = inner_scores(folder, test, name)
            assert not held_out & set(inner["group"])
            assert held_out | set(inner["group"]) == set(scores["group"])
            assert not inner.duplicated(["raw_image_id", "y", "x"]).any()


def test_the_choice_is_the_best_by_scikit_learn_of_the_inner_scores(nested):
    folder, told = nested
    choices = json.loads((folder / "crossval.json").read_text())["choices"]
    assert [choice["fold"] for choice in choices] == [0, 1, 2]
    for choice in choices:
        areas = {}
        for name in ("strong", "weak"):
            inner = inner_scores(folder, choice["fold"], name).query("label != -1")
            areas[name] = roc_auc_score(inner["label"], inner["score"])
            assert choice["values"][name] == pytest.approx(areas[name], abs=1e-9)
        assert choice["chosen"] == max(areas, key=areas.get)
        assert f"fold {choice['fold']} chose {choice['chosen']} by inner AUROC" in told


def test_a_fold_is_then_trained_with_what_it_chose(nested, uneven, tmp_path):
    folder, _ = nested
    choices = json.loads((folder / "crossval.json").read_text())["choices"]
    for name, override in (("strong", STRONG), ("weak", WEAK)):
        chose = [choice["fold"] for choice in choices if choice["chosen"] == name]
        if not chose:
            continue
        cross_validate(
            config_of(uneven, *TINY_PROBE, "crossval.n_folds=3", override, f"crossval.folds={chose}",
                      f"run_dir={tmp_path / name}")
        )  # fmt: skip
        alone, together = read_scores(tmp_path / name / "scores.csv"), read_scores(folder / "scores.csv")
        pd.testing.assert_frame_equal(alone, together[together["fold"].isin(chose)].reset_index(drop=True))


def test_finished_choices_are_kept_without_their_checkpoints(nested, uneven, monkeypatch):
    folder, _ = nested
    assert not list(folder.glob("choice_*/**/*.ckpt"))

    def trains(*args, **options):
        raise AssertionError("a choice was trained again")

    left = next(folder.glob("choice_0/*/inner_0")) / "checkpoints/best.ckpt"  # by a kill before it was removed
    left.parent.mkdir()
    left.touch()
    monkeypatch.setattr(choosing, "train", trains)
    cross_validate(
        config_of(uneven, *NESTED, f"run_dir={folder}"),
        with_overrides=lambda further: config_of(uneven, *NESTED, f"run_dir={folder}", *further),
    )
    assert not list(folder.glob("choice_*/**/*.ckpt"))


def test_choices_of_other_data_are_refused_since_they_would_have_other_folds(uneven, tmp_path):
    among = "+crossval.choose.among={a:['curation.seed=1'],b:[]}"
    overrides = [*TINY_PROBE, "crossval.n_folds=3", among, *BY_AUROC, f"run_dir={tmp_path / 'run'}"]
    with pytest.raises(InputError, match=r"crossval.choose.among.a changes dataset or curation"):
        cross_validate(
            config_of(uneven, *overrides), with_overrides=lambda further: config_of(uneven, *overrides, *further)
        )


def test_names_of_ones_own_are_added():
    told = str(unknown_setting("crossval.choose.among", CrossvalConfig))
    assert told.endswith("holds names of one's own, which are added: give +crossval.choose.among={NAME: VALUE}")


def test_there_must_be_something_to_choose_among(uneven):
    with pytest.raises(InputError, match=r"holds a alone, .*: name another one beside it"):
        config_of(uneven, *TINY_PROBE, "+crossval.choose.among={a:[]}", "run_dir=x")
    shortened = "crossval.choose.shortened=['probe.c=1']"
    with pytest.raises(InputError, match=r"without effect .*: give crossval.choose.shortened=\[\]"):
        config_of(uneven, *TINY_PROBE, shortened, "run_dir=x")
    config_of(uneven, *TINY_PROBE, "crossval.choose.shortened=[]", "run_dir=x")
