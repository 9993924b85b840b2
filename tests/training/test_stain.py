"""Trainings of ``task=stain``: what is learned is kept, scored as said, resumed and shared out to the last bit."""

import dataclasses
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

import jimt
from conftest import STAIN, UNEVEN, composed_prepare, composed_train, uneven_field, write_pair
from jimt.curation.cell_area import cell_area
from jimt.curation.curate import curate
from jimt.curation.manifest import open_curated
from jimt.data.stain_targets import StainTargets, target_settings
from jimt.errors import InputError
from jimt.models.checkpoint import Network, Output, read_checkpoint
from jimt.models.predictor import Predictor
from jimt.models.stain_network import StainNetwork
from jimt.training.checkpointing import fit_stain_score
from jimt.training.crossval import cross_validate
from jimt.training.run import train
from processes import Kill, train_in_process
from trainings import assert_same_training, checkpoint, differences, epochs_of

NUCLEI = [*STAIN, "stain=nuclei", "stain.nucleus_radius=6"]


@pytest.fixture(scope="module")
def counted(tmp_path_factory) -> list[str]:
    """Nine fields of two sizes, one no multiple of four; some with a black border; cells counted in all but one."""
    folder = tmp_path_factory.mktemp("counted")
    rng, cells = np.random.default_rng(5), []
    for well in range(1, 10):
        name = f"--W{well:05d}--P00001--Z00000--T00000"
        brightfield, fluorescence = uneven_field(rng)
        if well % 3 == 0:
            brightfield, fluorescence = (
                np.pad(one, ((0, 6), (0, 7)), mode="edge") for one in (brightfield, fluorescence)
            )
        if well % 3 == 1:
            brightfield[:12], fluorescence[:12] = 0, 0
        write_pair(folder / "raw", name, (brightfield, fluorescence))
        if well != 5:
            places = rng.uniform(14, 120, (20, 2)) * (1, 1.5)
            cells += [(name, y, x, x > 96) for y, x in places]
    pd.DataFrame(cells, columns=["raw_image_id", "y", "x", "dead"]).to_csv(folder / "cells.csv", index=False)
    overrides = [
        "dataset=no_treatment",
        f"dataset.root={folder / 'raw'}",
        f"dataset.cells={folder / 'cells.csv'}",
        f"curation.output_root={folder / 'curated'}",
        *UNEVEN,
        "curation.patches.max_no_data=0.5",
    ]
    curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True))
    return overrides


@pytest.fixture(scope="module")
def finished(counted, tmp_path_factory) -> Path:
    """A training of two epochs."""
    run = tmp_path_factory.mktemp("stain") / "run"
    train(composed_train(*counted, *NUCLEI, f"run_dir={run}"))
    return run


def data_of(run: Path):
    return open_curated(Path(read_checkpoint(run / "checkpoints/best.ckpt").record.curated_folder))


# ---- what a training leaves


def test_losses_and_correlations_of_each_epoch_stand_in_the_metrics(finished):
    outputs = ("log_pi", "positive", "dead", "live")
    for column in ["train/loss", "val/loss", "val/correlation", "val/auroc", "val/auroc_within_groups"]:
        assert epochs_of(finished, column) == [0, 1]
    table = pd.read_csv(finished / "metrics.csv")
    named = {name for name in table if name.startswith("val/correlation_")}
    assert named == {f"val/correlation_{output}" for output in outputs}
    assert table["train/loss_step"].notna().sum() == 2 * 3  # 48 crops are three batches of 16
    each = table.loc[table["val/loss"].notna(), [f"val/correlation_{output}" for output in outputs]]
    np.testing.assert_allclose(table["val/correlation"].dropna(), each.mean(axis=1), rtol=1e-5)


def test_validation_is_numpys_of_the_maps_of_the_epoch(finished):
    state, checkpointed = checkpoint(finished, "last"), read_checkpoint(finished / "checkpoints/best.ckpt")
    network = checkpointed.network.build()
    assert isinstance(network, StainNetwork)
    prefix = "network."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in state["state_dict"].items() if k.startswith(prefix)})
    curated = data_of(finished)
    stain = composed_train("run_dir=run", *NUCLEI).stain
    targets = StainTargets(curated, target_settings(stain))
    losses, correlations = [], []
    for field in sorted(set(curated.manifest.loc[curated.manifest["split"] == "val", "field"])):
        pixels, wanted = curated.store.field(field), targets.compute(field).astype(np.float16).astype(np.float64)
        height, width = pixels.shape
        padded = np.pad(pixels, ((0, -height % 32), (0, -width % 32)), mode="reflect").astype(np.float32) / 255
        mean, std = (np.array(part).reshape(3, 1, 1) for part in (checkpointed.input.mean, checkpointed.input.std))
        with torch.inference_mode():
            raw = network.eval()(torch.from_numpy(((padded[None] - mean) / std)[None]).float())[0].double()
        raw = raw[:, : wanted.shape[1], : wanted.shape[2]]
        maps = network.as_maps(raw[None])[0].numpy()
        known = np.isfinite(wanted)
        of = dict(zip(checkpointed.network.outputs, range(4), strict=True))
        loss = functional.smooth_l1_loss(raw[0][known[0]], torch.from_numpy(wanted[0][known[0]]), beta=0.3)
        entropy = functional.binary_cross_entropy_with_logits
        loss = stain.log_pi * loss + stain.positive * entropy(raw[1][known[1]], torch.from_numpy(wanted[1][known[1]]))
        dead, live = wanted[of["dead"]], wanted[of["live"]]
        if np.isfinite(dead).any():
            either, here = np.maximum(dead, live), np.isfinite(dead)
            loss += stain.nuclei * entropy(raw[2][here], torch.from_numpy(either[here]))
            inside = here & (either > 0)
            loss += stain.nuclei * entropy(raw[3][inside], torch.from_numpy(dead[inside] / (dead + live)[inside]))
        losses.append(float(loss))
        correlations.append(
            [np.corrcoef(maps[n][known[n]], wanted[n][known[n]])[0, 1] if known[n].any() else np.nan for n in range(4)]
        )
    last = pd.read_csv(finished / "metrics.csv").dropna(subset=["val/loss"]).iloc[-1]
    assert last["val/loss"] == pytest.approx(np.mean(losses), rel=1e-3)
    assert last["val/correlation"] == pytest.approx(np.nanmean(np.nanmean(correlations, axis=0)), abs=1e-3)


def test_a_model_that_is_opened_again_scores_to_the_last_bit_as_it_did(finished):
    curated, model = data_of(finished), jimt.load(finished)
    rows = curated.manifest[curated.manifest["split"] == "test"]
    scores = pd.read_csv(finished / "test_scores_with_ambiguous.csv")
    logits = model.logits(curated.store, rows)
    assert scores["logit"].to_numpy(np.float32).tolist() == (logits[:, 1] - logits[:, 0]).tolist()
    again = jimt.load(finished / "checkpoints/best.ckpt")
    np.testing.assert_array_equal(again.logits(curated.store, rows), logits)
    # a run's folder may be moved, and a field comes from an image of one's own as from the store
    shutil.copy(finished / "checkpoints/best.ckpt", "moved.ckpt")
    np.testing.assert_array_equal(jimt.load("moved.ckpt").logits(curated.store, rows), logits)


def test_scores_are_of_the_evidence_in_the_maps_by_a_regression_on_training_patches(finished):
    curated, model = data_of(finished), jimt.load(finished)
    manifest = curated.manifest

    def evidence_of(rows):
        found = []
        for row in rows.itertuples():
            valid = ~curated.store.no_data(row.field)
            maps = {name: np.kron(one, np.ones((4, 4))) for name, one in model.maps(curated.store, row.field).items()}
            here = slice(row.y, row.y + 64), slice(row.x, row.x + 64)
            cells = cell_area(curated.store.field(row.field), valid)
            mean = {
                name: one[: valid.shape[0], : valid.shape[1]][here][valid[here]].mean() for name, one in maps.items()
            }
            area = cells[here][valid[here]].mean()
            share = (mean["dead"] + 0.002) / (mean["dead"] + mean["live"] + 0.01)
            found.append([mean["log_pi"], np.sqrt(mean["positive"] / (area + 0.1)), share])
        return np.array(found)

    rows = manifest[manifest["split"] == "train"]
    evidence, labels = evidence_of(rows), rows["label"].to_numpy(int)
    weights = np.where(labels == 1, 0.5 / (labels == 1).sum(), 0.5 / (labels == 0).sum()) * len(labels)
    mean = np.average(evidence, axis=0, weights=weights)
    sd = np.sqrt(np.average((evidence - mean) ** 2, axis=0, weights=weights))
    regression = LogisticRegression(C=1.0)
    regression.fit(((evidence - mean) / sd).mean(1, keepdims=True), labels, sample_weight=weights)
    tested = manifest[manifest["split"] == "test"]
    expected = regression.decision_function(((evidence_of(tested) - mean) / sd).mean(1, keepdims=True))
    scores = pd.read_csv(finished / "test_scores.csv")
    temperature = json.loads((finished / "test_metrics.json").read_text())["temperature"]
    np.testing.assert_allclose(scores["score"], 1 / (1 + np.exp(-expected / temperature)), atol=2e-3)


def test_one_slope_is_fitted_for_all_kinds_of_evidence_and_one_that_is_always_the_same_does_no_harm():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    evidence = np.stack([rng.normal(-labels, 1), 5 * rng.normal(-labels, 1), np.full(200, 3.0)], axis=1)
    score = fit_stain_score(evidence, labels)
    assert score.factors[0] == pytest.approx(5 * score.factors[1], rel=0.2)
    assert score.factors[0] < 0
    live = score.offset + evidence @ np.array(score.factors)
    assert np.mean((live > 0) == labels) > 0.7
    turned = fit_stain_score(evidence, 1 - labels)  # the other way round, the other way round
    np.testing.assert_allclose(turned.factors, -np.array(score.factors), rtol=1e-3, atol=1e-6)
    assert turned.offset == pytest.approx(-score.offset, abs=1e-3)


def test_a_model_scores_an_image_of_ones_own_of_any_size(finished):
    model = jimt.load(finished)
    image = uneven_field(np.random.default_rng(9))[0][:117, :183]
    assert image.dtype == np.uint16
    table = model.scores(image)
    assert table[["y", "x"]].values.tolist() == [[y, x] for y in (0, 32) for x in (0, 32, 64, 96)]
    assert table["score"].between(0, 1).all()
    assert table["empty"].isna().all()
    dense = model.scores(image, stride=16)
    both = table.merge(dense, on=["y", "x"])
    assert len(both) == len(table)
    np.testing.assert_array_equal(both["score_x"], both["score_y"])
    with pytest.raises(InputError, match="the image is 183 x 63 px, and a patch 64 x 64"):
        model.scores(image[:63])


def test_nuclei_are_those_of_the_maps_and_none_lies_where_there_are_no_data(finished, monkeypatch):
    curated, model = data_of(finished), jimt.load(finished)
    field = next(n for n in range(9) if curated.store.no_data(n).any())
    maps = {
        name: np.full(one.shape, -5.0 if name == "log_pi" else 0.0)
        for name, one in model.maps(curated.store, field).items()
    }
    maps["live"][[1, 10], [10, 20]] = 0.9  # the first in the border
    monkeypatch.setattr(model, "maps", lambda *_: maps)
    assert model.nuclei(curated.store, field).to_dict("list") == {"y": [41.5], "x": [81.5], "dead": [False]}


def test_a_model_that_predicts_no_maps_or_no_nuclei_says_so(finished, counted):
    stain = read_checkpoint(finished / "checkpoints/best.ckpt")
    network = Network(stain.network.name, "own")
    patch = dataclasses.replace(
        stain,
        task="patch",
        network=network,
        output=Output(1.0, 1, None),
        state_dict=network.build().state_dict(),
    )
    curated = data_of(finished)
    for asked in (Predictor(patch).maps, Predictor(patch).nuclei):
        with pytest.raises(InputError) as caught:
            asked(curated.store, 0)
        assert str(caught.value) == (
            "the model answers task=patch, and maps are predicted by task=stain: give a run that predicts maps"
        )
    without = Network(**vars(stain.network) | {"outputs": ("log_pi",)})
    no_nuclei = dataclasses.replace(stain, network=without, state_dict=without.build().state_dict())
    assert Predictor(no_nuclei).maps(curated.store, 0).keys() == {"log_pi"}
    with pytest.raises(InputError, match="the model predicts no nuclei: give a run that predicts them"):
        Predictor(no_nuclei).nuclei(curated.store, 0)


def test_the_evaluation_tells_of_the_maps_of_every_tested_field(finished):
    metrics, table = json.loads((finished / "test_metrics.json").read_text()), pd.read_csv(finished / "maps.csv")
    tested = pd.read_csv(finished / "test_scores.csv")
    assert sorted(table["raw_image_id"]) == sorted(tested["raw_image_id"].unique())
    assert metrics["maps"]["fields"] == len(table)
    by_group = table.groupby("group")["correlation"].mean()
    assert metrics["maps"]["correlation"]["value"] == pytest.approx(by_group.mean())
    counted = table[table["true_nuclei"].notna()]
    assert metrics["maps"]["nuclei"]["true"] == counted["true_nuclei"].sum()
    if counted["predicted_nuclei"].sum():
        precision = counted["matched_nuclei"].sum() / counted["predicted_nuclei"].sum()
        assert metrics["maps"]["nuclei"]["precision"] == pytest.approx(precision)
    # the dead share of a field is that of its maps
    shares, model = pd.read_csv(finished / "field_shares.csv").set_index("raw_image_id"), jimt.load(finished)
    curated = data_of(finished)
    for row in table.itertuples():
        maps = model.maps(curated.store, row.field)
        share = model.shares(curated.store, [row.field])["predicted_share"][0]
        assert row.share_of == "nuclei"
        assert row.predicted_share == pytest.approx(share, nan_ok=True)
        assert maps["dead"].shape == tuple(-(-side // 4) for side in curated.store.field(row.field).shape)
        if row.raw_image_id in shares.index:
            assert shares.loc[row.raw_image_id, "uncalibrated"] == pytest.approx(share, nan_ok=True)


# ---- ways to train


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(
            ["optim.ema_decay=0.9", "backbone.trainable=last_stage", "optim.accumulate=2", "backbone.name=drop_resnet"],
            id="EMA, accumulation, frozen stages and dropout",
        ),
        pytest.param(
            ["stain.nuclei=0", "stain.nuclei_of=null", "stain.positive_crops=1"], id="one cycle", marks=pytest.mark.slow
        ),
    ],
)
def test_a_training_killed_in_mid_epoch_and_resumed_is_that_of_an_uninterrupted_one(counted, tmp_path, settings):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    overrides = [*counted, *NUCLEI, "stain.crops=16", "optim.batch_size=4", *settings]
    train(composed_train(*overrides, f"run_dir={whole}"))
    killed = train_in_process(composed_train(*overrides, f"run_dir={cut}"), Kill(epoch=1, batch=1))
    assert killed == -signal.SIGKILL
    assert checkpoint(cut, "last")["epoch"] == 0
    train(composed_train(*overrides, f"run_dir={cut}", f"resume={cut}"))
    assert_same_training(cut, whole)
    assert (cut / "maps.csv").read_bytes() == (whole / "maps.csv").read_bytes()


def test_whole_fields_of_several_sizes_and_with_borders_train(counted, tmp_path):
    run = tmp_path / "run"
    words = ["stain.crop=null", "stain.positive_crops=0", "stain.crops=8", "optim.batch_size=4", "trainer.max_epochs=1"]
    train(composed_train(*counted, *NUCLEI, *words, f"run_dir={run}"))
    assert np.isfinite(pd.read_csv(run / "metrics.csv")["train/loss"].dropna()).all()
    assert all(torch.isfinite(value).all() for value in checkpoint(run, "best")["state_dict"].values())


def test_a_frozen_backbone_stays_as_it_was_published(uneven, tmp_path):
    torch.manual_seed(7)
    from jimt.networks.backbones import create_backbone

    donor = create_backbone("test_resnet.r160_in1k", num_classes=0)
    torch.save(donor.state_dict(), tmp_path / "weights.pt")
    run = tmp_path / "run"
    words = [f"backbone.weights={tmp_path / 'weights.pt'}", "backbone.trainable=head", "trainer.max_epochs=1"]
    train(composed_train(*uneven, *STAIN, *words, f"run_dir={run}"))
    kept = checkpoint(run, "best")["state_dict"]
    of_backbone = {name: value for name, value in kept.items() if name.startswith("network.encoder.")}
    given = {name.replace("_", "."): value for name, value in donor.state_dict().items()}
    for name, value in of_backbone.items():
        plain = name.removeprefix("network.encoder.model.").replace("_", ".")
        assert torch.equal(value, given[plain]), name
    assert len(of_backbone) > 50


def test_a_trial_run_trains_one_batch_and_keeps_nothing(uneven, tmp_path, capsys):
    train(composed_train(*uneven, *STAIN, "trainer.fast_dev_run=true", f"run_dir={tmp_path / 'run'}"))
    assert "one batch was trained on and one validated on, nothing was kept" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_the_crops_of_one_epoch_again_and_again_are_learned_by_heart(uneven, tmp_path):
    run = tmp_path / "run"
    words = ["trainer.overfit_batches=1", "trainer.max_epochs=12", "augmentation=paper", "optim.schedule=constant"]
    more = ["optim.warmup=0", "stain.decoder_lr=0.01", "optim.lr=0.003", "trainer.limit_val_batches=1"]
    train(composed_train(*uneven, *STAIN, *words, *more, f"run_dir={run}"))
    losses = pd.read_csv(run / "metrics.csv")["train/loss"].dropna()
    assert len(losses) == 12
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]


def test_a_run_trained_anew_on_patches_keeps_no_maps_of_the_one_before(finished, counted, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    words = [word for word in STAIN if not word.startswith(("stain.", "task="))]
    train(
        composed_train(*counted, *words, "trainer.max_epochs=1", "retrain=true", f"run_dir={tmp_path / 'run'}"),
        evaluates=False,
    )
    assert not (tmp_path / "run/maps.csv").exists()
    assert not (tmp_path / "run/field_shares.csv").exists()


def test_a_fold_is_trained_scored_and_read_back_with_its_maps(counted, tmp_path, capsys):
    words = [*counted, *NUCLEI, "trainer.max_epochs=1", "crossval.n_folds=3", f"run_dir={tmp_path / 'folds'}"]
    result = cross_validate(composed_train(*words, name="crossval"))
    folder = tmp_path / "folds"
    maps, shares = pd.read_csv(folder / "maps.csv"), pd.read_csv(folder / "field_shares.csv")
    assert sorted(maps["field"]) == list(range(9))  # each field once, by the model that had not seen it
    for fold in range(3):
        held = read_checkpoint(folder / f"fold_{fold}/checkpoints/best.ckpt").record
        of_fold = pd.read_csv(folder / f"fold_{fold}/maps.csv")
        assert set(of_fold["group"]) == set(held.groups["test"])
        assert not set(of_fold["group"]) & set(held.groups["train"])
        assert "val" not in held.groups or not held.groups["val"]  # nothing is held back: the last epoch is kept
    result = json.loads(json.dumps(result))
    assert json.loads((folder / "crossval.json").read_text())["maps"] == result["maps"]
    assert result["maps"]["fields"] == 9
    both = shares.merge(maps, on="raw_image_id")
    assert len(both) == 8  # one was not counted
    np.testing.assert_allclose(both["uncalibrated"], both["predicted_share"])
    # kept folds are read back: nothing is trained, and the same is told
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("best.ckpt")}
    (folder / "maps.csv").unlink()
    again = cross_validate(composed_train(*words, "crossval.folds=[1]", name="crossval"))
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("best.ckpt")} == before
    assert differences(json.loads(json.dumps(again)), result) == []
    assert pd.read_csv(folder / "maps.csv").equals(maps)
    assert "predicted stain against the true one" in capsys.readouterr().out


def test_what_cannot_be_learned_is_refused_before_the_old_run_is_removed(uneven, tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints/best.ckpt").write_bytes(b"an older model")
    with pytest.raises(InputError, match=r"stain.crop=256 is more than the smallest field has"):
        train(composed_train(*uneven, *STAIN, "stain.crop=256", "retrain=true", f"run_dir={run}"))
    assert (run / "checkpoints/best.ckpt").read_bytes() == b"an older model"
