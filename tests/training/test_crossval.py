"""Each used patch is scored once, by a model that has seen no patch of its group."""

import contextlib
import json
import re
import shlex
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from conftest import TINY, TINY_PROBE, composed_prepare, composed_train
from forked import run_forked
from jimt.curation.manifest import Curated, open_curated
from jimt.errors import InputError, Interrupted
from jimt.evaluation.scores import read_scores
from jimt.models.checkpoint import read_checkpoint
from jimt.networks.backbones import create_backbone, normalisation
from jimt.training import finetune as fitting
from jimt.training import run as training
from jimt.training.crossval import cross_validate
from jimt.vocabulary import DEAD

FROZEN = [*TINY_PROBE, "crossval.n_folds=4"]


@pytest.fixture(scope="module")
def curated(uneven) -> Curated:
    _, curation = composed_prepare(*uneven)
    return open_curated(Path(curation.output_root) / "no_treatment")


@pytest.fixture(scope="module")
def commanded(uneven, tmp_path_factory):
    """``jimt crossval``: its folder and what it printed."""
    folder = tmp_path_factory.mktemp("crossval")
    with contextlib.chdir(folder):
        done = run_forked("jimt", "crossval", *uneven, *FROZEN, "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "run", done.stdout


def crossval_config(uneven, run: Path, *overrides: str):
    return composed_train(*uneven, f"run_dir={run}", *overrides, name="crossval")


def test_the_command_scores_each_used_patch_once_in_its_fold_of_scikit_learns(commanded, curated):
    folder, _ = commanded
    scores = pd.read_csv(folder / "scores.csv")
    used = curated.manifest[curated.manifest["split"].notna()]
    columns = ["raw_image_id", "group", "y", "x", "label"]
    ours = scores.sort_values(columns)[columns].astype(str).values.tolist()
    assert ours == used.sort_values(columns)[columns].astype(str).values.tolist()
    assert len(scores) == 180
    groups = used["group"].to_numpy(str)
    for number, (_, held_out) in enumerate(GroupKFold(4).split(groups, groups=groups)):
        assert set(scores.loc[scores["fold"] == number, "group"]) == set(groups[held_out])


def test_the_pooled_metrics_are_scikit_learns_over_all_folds(commanded):
    folder, out = commanded
    scores = pd.read_csv(folder / "scores.csv")
    result = json.loads((folder / "crossval.json").read_text())
    auroc = roc_auc_score(scores["label"], scores["score"])
    assert result["pooled"]["auroc"]["value"] == pytest.approx(auroc)
    assert result["pooled"]["balanced_accuracy"]["value"] == pytest.approx(
        balanced_accuracy_score(scores["label"], scores["score"] > 0.5)
    )
    assert result["counts"]["patches"] == 180
    assert result["counts"]["groups"] == 12
    of_folds = [roc_auc_score(part["label"], part["score"]) for _, part in scores.groupby("fold")]
    assert [fold["auroc"] for fold in result["folds"]] == pytest.approx(of_folds)
    assert result["spread"]["auroc"]["mean"] == pytest.approx(np.mean(of_folds))
    assert result["spread"]["auroc"]["sd"] == pytest.approx(np.std(of_folds, ddof=1))
    assert f"{auroc:.3f}" in out
    assert out.count("fold 1 (2 of 4)") == 1


def features_of(name: str, state: dict, curated: Curated, rows: pd.DataFrame) -> np.ndarray:
    """Pooled features of an independent forward pass."""
    network = create_backbone(name, num_classes=0).eval()
    network.load_state_dict({key.removeprefix("network."): v for key, v in state.items() if key.startswith("network.")})
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(name))
    patches = np.stack([curated.store.field(r.field)[r.y : r.y + 64, r.x : r.x + 64] for r in rows.itertuples()])
    with torch.inference_mode():
        return network((torch.from_numpy(patches)[:, None].float() / 255 - mean) / std).numpy()


@pytest.mark.parametrize("name", ["test_resnet.r160_in1k", "squeezenet1_1.tv_in1k"])
def test_scores_on_frozen_features_are_those_of_scikit_learns_pipeline(uneven, curated, tmp_path, name):
    config = crossval_config(uneven, tmp_path, *FROZEN, f"backbone.name={name}", "crossval.n_folds=2")
    cross_validate(config)
    scores = pd.read_csv(tmp_path / "scores.csv")
    used = curated.manifest[curated.manifest["split"].notna()].reset_index(drop=True)
    state = torch.load(tmp_path / "fold_0/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    features = features_of(name, state, curated, used).astype(np.float64)
    expected = np.full(len(used), np.nan)
    groups = used["group"].to_numpy(str)
    for train, held_out in GroupKFold(2).split(groups, groups=groups):
        labels = used["label"].to_numpy(int)[train]
        weights = compute_sample_weight("balanced", labels)
        pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=config.probe.c, max_iter=5000))
        pipeline.fit(
            features[train],
            labels,
            standardscaler__sample_weight=weights,
            logisticregression__sample_weight=weights,
        )
        expected[held_out] = pipeline.predict_proba(features[held_out])[:, 1]
    keys = ["raw_image_id", "y", "x"]
    ours = scores.set_index(keys)["score"].loc[list(used[keys].astype({"y": int, "x": int}).itertuples(index=False))]
    # the temperature of a fold without validation is 1
    np.testing.assert_allclose(ours.to_numpy(), expected, atol=2e-3)
    assert np.std(expected) > 0.02


def test_a_finished_fold_is_not_trained_again(uneven, commanded, monkeypatch, tmp_path):
    folder, _ = commanded
    before = {path: path.read_bytes() for path in folder.rglob("*.csv")}
    trained = [path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")]
    monkeypatch.setitem(training._FIT, "linear_probe", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr("jimt.training.crossval.score_test_split", lambda *_, **__: pytest.fail("scored again"))
    cross_validate(crossval_config(uneven, folder, *FROZEN))
    assert before == {path: path.read_bytes() for path in folder.rglob("*.csv")}
    assert trained == [path.stat().st_mtime_ns for path in folder.rglob("*.ckpt")]
    with pytest.raises(InputError, match="fold_0 holds another training"):
        cross_validate(crossval_config(uneven, folder, *FROZEN, "probe.c=0.5"))


def test_a_cross_validation_that_was_cut_off_goes_on_with_the_fold_it_was_at(uneven, tmp_path, monkeypatch):
    config = crossval_config(uneven, tmp_path, *FROZEN, "crossval.n_folds=3")
    asked = []
    train = training.train

    def cut_off(config, *, fold, begins):
        asked.append(fold.test)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return train(config, fold=fold)

    with monkeypatch.context() as patch:
        patch.setattr("jimt.training.crossval.train", cut_off)
        with pytest.raises(KeyboardInterrupt):
            cross_validate(config)
    assert not (tmp_path / "crossval.json").exists()
    fitted = []
    fit = training._FIT["linear_probe"]
    monkeypatch.setitem(
        training._FIT, "linear_probe", lambda run, *rest: fitted.append(run.fold.test) or fit(run, *rest)
    )
    cross_validate(config)
    assert fitted == [2]
    assert (tmp_path / "crossval.json").is_file()


def test_a_cross_validation_that_is_told_to_stop_is_resumed_by_its_own_folder(uneven, tmp_path, monkeypatch):
    overrides = [*uneven, *TINY, "trainer.max_epochs=1", "crossval.n_folds=3"]
    folder = tmp_path / "my folds"
    config = composed_train(*overrides, f"run_dir='{folder}'", name="crossval")

    def stop(callback, trainer, module) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fitting.EpochLine, "on_train_epoch_start", stop)
        with pytest.raises(Interrupted) as told:
            cross_validate(config)
    (remedy,) = told.value.remedies
    assert remedy == f"\"resume='{folder}'\""
    again = [*overrides, "run_dir=elsewhere", *shlex.split(remedy)]
    result = cross_validate(composed_train(*again, name="crossval"))
    assert result["folds_held"] == [0, 1, 2]
    assert (folder / "crossval.json").is_file()


def test_a_network_trained_in_folds_sees_no_group_of_the_fold_it_is_tested_on(uneven, curated, tmp_path, monkeypatch):
    seen: dict[int, dict[str, set[str]]] = {}
    run = fitting._run

    def noted(classifier, datamodule, *of_fold):
        manifest = datamodule._curated.manifest
        parts = {"train": datamodule.train_dataloader(), "val": datamodule.val_dataloader()}
        seen[len(seen)] = {
            split: {
                manifest.loc[manifest["split"] == split, "group"].iloc[row]
                for batch in loader
                for row in batch.row.tolist()
            }
            for split, loader in parts.items()
        }
        return run(classifier, datamodule, *of_fold)

    monkeypatch.setattr(fitting, "_run", noted)
    cross_validate(crossval_config(uneven, tmp_path, *TINY, "trainer.max_epochs=1", "crossval.n_folds=3"))
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert len(scores) == 180
    for number in range(3):
        tested = set(scores.loc[scores["fold"] == number, "group"])
        assert len(tested) == len(seen[number]["train"]) == len(seen[number]["val"]) == 4
        assert not tested & seen[number]["train"]
        assert not tested & seen[number]["val"]
        assert not seen[number]["train"] & seen[number]["val"]
        checkpoint = read_checkpoint(tmp_path / f"fold_{number}/checkpoints/best.ckpt")
        assert checkpoint.output.temperature != 1  # fitted on the fold that was held back for it
        within = {"outer_folds": None, "outer_test": None, "trained_on": None}  # of a fold of all groups
        assert checkpoint.record.fold == {"n_folds": 3, "test": number, "val": (number + 1) % 3} | within


def test_a_network_trained_without_validation_keeps_its_last_epoch(uneven, tmp_path):
    overrides = ["crossval.n_folds=2", "crossval.validation=false", "trainer.max_epochs=2"]
    cross_validate(crossval_config(uneven, tmp_path, *TINY, *overrides))
    for name in ("best_epoch", "last"):
        assert torch.load(tmp_path / f"fold_1/checkpoints/{name}.ckpt", weights_only=True)["epoch"] == 1
    checkpoint = read_checkpoint(tmp_path / "fold_1/checkpoints/best.ckpt")
    assert (checkpoint.record.epoch, checkpoint.output.temperature) == (2, 1)


# ---- some folds alone


def test_folds_may_be_run_one_by_one_and_what_is_written_says_which_it_holds(uneven, commanded, tmp_path, capsys):
    whole = json.loads((commanded[0] / "crossval.json").read_text())
    scores = pd.read_csv(commanded[0] / "scores.csv")
    run = tmp_path / "run"
    for folds, held, missing in (("[2]", [2], "0,1,3"), ("[0,2]", [0, 2], "1,3"), ("[3]", [0, 2, 3], "1")):
        result = cross_validate(crossval_config(uneven, run, *FROZEN, f"crossval.folds={folds}"))
        assert json.loads(json.dumps(result)) == json.loads((run / "crossval.json").read_text())
        assert result["folds_held"] == [fold["fold"] for fold in result["folds"]] == held
        (note,) = (note for note in result["notes"] if "not of the whole data set" in note)
        assert f"the scores of fold {', '.join(map(str, held))} alone" in note
        assert f"crossval.folds=[{missing}]" in note
        assert f"{len(held)} of 4 folds of no_treatment" in capsys.readouterr().out
        kept = pd.read_csv(run / "scores.csv")
        expected = scores[scores["fold"].isin(held)].reset_index(drop=True)
        pd.testing.assert_frame_equal(
            kept.sort_values([*kept], ignore_index=True), expected.sort_values([*kept], ignore_index=True)
        )
        assert result["pooled"]["auroc"]["value"] == pytest.approx(roc_auc_score(kept["label"], kept["score"]))
    # what the note says
    result = cross_validate(crossval_config(uneven, run, *FROZEN, f"crossval.folds=[{missing}]"))
    assert result["folds_held"] == [0, 1, 2, 3]
    assert not any("not of the whole data set" in note for note in result["notes"])
    assert json.loads(json.dumps(result))["pooled"] == whole["pooled"]


def test_folds_of_another_training_are_not_mixed_in(uneven, tmp_path):
    cross_validate(crossval_config(uneven, tmp_path, *FROZEN, "crossval.folds=[1]"))
    with pytest.raises(InputError, match="fold_1 holds another training"):
        cross_validate(crossval_config(uneven, tmp_path, *FROZEN, "crossval.folds=[0,3]", "probe.c=0.5"))
    with pytest.raises(InputError, match="fold_1 holds another training"):  # retrain=true is for the folds asked for
        cross_validate(crossval_config(uneven, tmp_path, *FROZEN, "crossval.folds=[3]", "probe.c=0.5", "retrain=true"))


@pytest.mark.parametrize("folds", ["[4]", "[-1]", "[]"])
def test_folds_that_there_are_not_are_refused(uneven, tmp_path, folds):
    with pytest.raises(
        InputError, match="crossval.folds=.* is not allowed: it takes null, or a list of folds from 0 to 3"
    ):
        crossval_config(uneven, tmp_path, *FROZEN, f"crossval.folds={folds}")


# ---- one group left out


def test_a_group_left_out_is_named_and_run_alone_as_with_all(uneven, tmp_path, capsys):
    probe = [*uneven, *TINY_PROBE]
    folds = cross_validate(crossval_config(probe, tmp_path / "folds", "crossval.n_folds=12"))
    capsys.readouterr()
    whole = cross_validate(crossval_config(probe, tmp_path / "whole", "crossval.leave=group"))
    assert whole["pooled"] == folds["pooled"]
    names = [name for fold in whole["folds"] for name in fold["groups"]]
    assert len(set(names)) == len(names) == whole["n_folds"] == 12
    printed = capsys.readouterr().out
    assert "jimt predict " in printed
    assert "/fold_0 IMAGES --out DIR" in printed
    assert all(f"fold {number}, group {name} (" in printed for number, name in enumerate(names))
    left_out = [*probe, "crossval.leave=group"]
    for said in (names[3], "11"):
        parts = cross_validate(crossval_config(left_out, tmp_path / "parts", f"crossval.folds=[{said}]"))
    assert parts["folds"] == [whole["folds"][3], whole["folds"][11]]
    assert parts["notes"][0].startswith(f"these are the scores of group {names[3]}, {names[11]} alone")
    rest = re.search(r"crossval.folds=\S+", parts["notes"][0])
    again = cross_validate(crossval_config(left_out, tmp_path / "parts", rest[0]))
    assert again == whole
    with pytest.raises(InputError, match="crossval.folds holds nowhere, which is no group of"):
        cross_validate(crossval_config(left_out, tmp_path / "parts", "crossval.folds=[nowhere]"))


def test_a_fold_of_one_class_has_no_auroc_of_its_own_and_is_told(uneven, commanded, tmp_path, monkeypatch, capsys):
    def without_dead_ones(path: Path) -> pd.DataFrame:
        table = read_scores(path)
        return table[table["label"] != DEAD] if "fold_1" in str(path) else table

    monkeypatch.setattr("jimt.training.crossval.read_scores", without_dead_ones)
    run = shutil.copytree(commanded[0], tmp_path / "run")
    result = cross_validate(crossval_config(uneven, run, *FROZEN))
    assert [fold["auroc"] is None for fold in result["folds"]] == [False, True, False, False]
    assert "NaN" not in (run / "crossval.json").read_text()
    assert result["spread"]["auroc"]["n_folds"] == 3
    printed = capsys.readouterr().out
    assert "note: fold 1: one class only, so no AUROC of its own; the pooled one counts it" in printed
    assert "nan" not in printed


# ---- what cannot be done


def test_unknown_groups_cannot_be_kept_apart(tmp_path):
    rng = np.random.default_rng(0)
    for split, label in ((split, label) for split in ("train", "val", "test") for label in ("live", "dead")):
        folder = tmp_path / "published" / split / label
        folder.mkdir(parents=True)
        for number in range(4):
            cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (64, 64), dtype=np.uint8))
    config = composed_train(
        *FROZEN,
        "dataset=no_treatment",
        f"dataset.root={tmp_path / 'published'}",
        "curation.n_jobs=1",
        "curation.patches.size=64",
        "dataset.layout=patches",
        "dataset.pattern=null",
        "dataset.bit_depth=8",
        f"run_dir={tmp_path / 'run'}",
        name="crossval",
    )
    with pytest.raises(
        InputError, match="nothing tells which raw image a patch was cut from, so no fold can be kept apart"
    ):
        cross_validate(config)


def test_too_few_groups_for_the_folds_are_told_by_names_before_any_image_is_read(small, tmp_path, monkeypatch):
    monkeypatch.setattr("jimt.training.crossval.prepare", lambda *_: pytest.fail("curates"))
    config = composed_train(*small, *TINY, "crossval.n_folds=13", f"run_dir={tmp_path / 'run'}", name="crossval")
    with pytest.raises(InputError, match=r"12 groups cannot fill 13 folds: .* give crossval.n_folds=12$"):
        cross_validate(config)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["crossval.n_folds=40"],
            "12 groups cannot fill 40 folds: add raw images .*, or give crossval.n_folds=12",
        ),
        (["crossval.n_folds=1"], "crossval.n_folds=1 is not allowed: it takes 2 or more"),
        (
            ["crossval.n_folds=2", "crossval.validation=true"],
            "crossval.validation=true needs three folds or more",
        ),
        (["trainer=ddp"], "a cross-validation trains on one device: give trainer.devices=1 "),
        (
            ["crossval.validation=false", "trainer.patience=2"],
            "trainer.patience needs validation patches: give trainer.patience=null, or crossval.validation=true",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(uneven, tmp_path, overrides, said):
    with pytest.raises(InputError, match=said):
        cross_validate(crossval_config(uneven, tmp_path, *TINY, "crossval.n_folds=4", *overrides))
