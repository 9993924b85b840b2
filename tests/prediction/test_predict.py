"""``jimt predict``: the answers of the command are those of the model, whatever ends it and whatever the files are."""

import io
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from filelock import FileLock

import jimt
from conftest import TINY, TINY_PROBE, composed_train, uneven_field
from forked import Forked
from jimt.system.locks import RUN_LOCK
from jimt.training.run import train
from predicting import PATTERN, contents, predicts, write_plate


@pytest.fixture(scope="module")
def patches(uneven, tmp_path_factory) -> Path:
    """A finished run that scores patches one by one."""
    folder = tmp_path_factory.mktemp("predicting") / "run"
    train(composed_train(*uneven, *TINY, "trainer.max_epochs=2", f"run_dir={folder}"))
    return folder


@pytest.fixture(scope="module", params=["patches", "tiles"])
def run(request, uneven, tmp_path_factory) -> Path:
    if request.param == "patches":
        return request.getfixturevalue("patches")
    folder = tmp_path_factory.mktemp("predicting") / "run"
    train(composed_train(*uneven, *TINY_PROBE, "probe=tiles", "probe.layer=layer3", f"run_dir={folder}"))
    return folder


def test_scores_are_those_of_the_model_and_reach_the_edges_of_the_field(run, tmp_path, capsys):
    plate = write_plate(tmp_path / "plate")
    assert predicts(run, plate, *PATTERN, "--out", tmp_path / "out", "--include-flagged") in (0, 4)
    model = jimt.load(run)
    table = pd.read_csv(tmp_path / "out/patches.csv")
    fields = pd.read_csv(tmp_path / "out/fields.csv")
    assert fields["well"].tolist() == ["A01", "A01", "A02", "A02", "A03", "A03", "A04", "A04"]
    for file, rows in table.groupby("file"):
        image = tifffile.imread(file)
        of_model = model.scores(image).set_index(["y", "x"])["score"]
        found = rows.set_index(["y", "x"])["score"]
        np.testing.assert_allclose(found.loc[of_model.index], of_model, atol=1e-5)
        assert (rows["y"].max() + 64, rows["x"].max() + 64) == image.shape
        # the dead share is the mean over pixels of the mean over the patches that hold each
        total, n = np.zeros((2, *image.shape))
        for y, x, score in rows[["y", "x", "score"]].itertuples(index=False):
            total[int(y) : int(y) + 64, int(x) : int(x) + 64] += 1 - score
            n[int(y) : int(y) + 64, int(x) : int(x) + 64] += 1
        of_field = fields.set_index("file").loc[file]
        assert of_field["dead_share"] == pytest.approx((total / n).mean(), abs=1e-5)
    wells = pd.read_csv(tmp_path / "out/wells.csv")
    by_hand = fields.groupby("well")["dead_share"].mean()
    np.testing.assert_allclose(wells.set_index("well")["dead_share"], by_hand, atol=1e-5)
    assert "A04" in capsys.readouterr().out


def test_a_prediction_that_was_killed_goes_on_and_comes_to_the_same_bytes(patches, tmp_path):
    plate = write_plate(tmp_path / "plate", n_wells=3)
    words = [str(word) for word in (patches, plate, *PATTERN, "--check", "PI")]
    whole = predicts(*words, "--out", tmp_path / "whole")
    started = Forked("jimt", "predict", *words, "--out", str(tmp_path / "killed"))
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed/.jimt").glob(32 * "?" + ".part")) and time.monotonic() < deadline:
        assert started.returncode is None
        time.sleep(0.01)
    started.send_signal(signal.SIGKILL)
    started.communicate(timeout=60)
    assert not (tmp_path / "killed/fields.csv").exists()
    assert predicts(*words, "--out", tmp_path / "killed") == whole
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(contents(tmp_path / "whole")) > 20


def test_one_bad_file_among_others_is_told_with_its_reason_and_the_others_are_done(patches, tmp_path, capsys):
    plate = write_plate(tmp_path / "plate")
    (plate / "P1/A2_s0_BF.tif").write_bytes(b"II*\0 cut off")
    tifffile.imwrite(plate / "P1/A3_s1_BF.tif", np.full((50, 50), 7, np.uint16))
    assert predicts(patches, plate, *PATTERN, "--out", tmp_path / "out", "--include-flagged") in (3, 4)
    fields = pd.read_csv(tmp_path / "out/fields.csv")
    assert len(fields) == 8
    assert fields["dead_share"].isna().tolist() == [False, False, True, False, False, True, False, False]
    assert fields.loc[5, "reason"] == "is constant (every pixel 7): acquire or export it again"
    assert "2 of 8 fields have no answer" in capsys.readouterr().out
    # mended, it is predicted in the next run, and nothing else is
    shutil.copy(plate / "P1/A1_s0_BF.tif", plate / "P1/A2_s0_BF.tif")
    predicts(patches, plate, *PATTERN, "--out", tmp_path / "out", "--include-flagged")
    again = pd.read_csv(tmp_path / "out/fields.csv")
    assert again.loc[2, "dead_share"] == again.loc[0, "dead_share"]
    assert "6 of 8 fields are done already" in capsys.readouterr().out


def test_pi_beside_the_images_checks_the_answers_as_scikit_learn_does(patches, tmp_path):
    from sklearn.metrics import roc_auc_score

    plate = write_plate(tmp_path / "plate", n_wells=3)
    predicts(patches, plate, *PATTERN, "--check", "PI", "--out", tmp_path / "out", "--include-flagged")
    check = json.loads((tmp_path / "out/check.json").read_text())
    fields = pd.read_csv(tmp_path / "out/fields.csv")
    scores = pd.read_csv(tmp_path / "out/patches.csv")
    labels, shares = [], {}
    for file, rows in scores.groupby("file", sort=False):
        pi = tifffile.imread(file.replace("_BF", "_PI")).astype(float)
        total, n = np.zeros((2, *pi.shape))
        live_below, dead_above = (jimt.load(patches).checkpoint.record.labels[k] for k in ("live_below", "dead_above"))
        for y, x in rows[["y", "x"]].astype(int).itertuples(index=False):
            mean = pi[y : y + 64, x : x + 64].mean()
            label = 1 if mean < live_below else 0 if mean > dead_above else -1
            labels.append(label)
            total[y : y + 64, x : x + 64] += {1: 0, 0: 1, -1: 0.5}[label]
            n[y : y + 64, x : x + 64] += 1
        shares[file] = (total / n).mean()
    of_pi = fields["file"].map(shares)
    assert check["fields"]["mae"]["value"] == pytest.approx((fields["dead_share"] - of_pi).abs().mean(), abs=1e-5)
    clear = np.array(labels) >= 0
    auroc = roc_auc_score(np.array(labels)[clear], scores["score"][clear])
    assert check["patches"]["auroc"]["value"] == pytest.approx(auroc, abs=1e-6)
    assert check["groups"] == "wells"
    assert check["verdict"] in ("trust", "adapt", "train anew")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.tif",), "nowhere.tif"),
        (("plate", "--pattern", "{well:d}_{channel}.tif", "--channel", "BF"), "matches none of 4 images"),
        (("plate", *PATTERN[:2]), "nothing says which is bright-field"),
        (("plate", *PATTERN, "--check", "DAPI"), "no image has the channel DAPI"),
        (("plate", *PATTERN, "--check", "BF"), "--check BF names the channel of bright-field: name that of PI"),
        (("plate", "--pixel-size", "300"), "--pixel-size"),
        (("plate", "--dataset", "nothing"), "there is no data set nothing"),
        (("plate", "--dataset", "${x}"), "there is no data set ${x}: there are"),
        (("plate", "--dataset", "a${b"), "there is no data set a${b: there are"),
        (("plate", "--dataset", "???"), "there is no data set ???: there are"),
        (("plate", "--doses", "nothing.csv"), "nothing.csv is missing"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_before_anything_is_written(patches, tmp_path, capsys, words, said):
    write_plate(tmp_path / "plate", n_wells=1)
    assert predicts(patches, *words, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert not (tmp_path / "out").exists()


def test_the_folder_of_another_prediction_is_left_as_it_is(patches, tmp_path, capsys):
    plate = write_plate(tmp_path / "plate", n_wells=1)
    predicts(patches, plate, *PATTERN, "--out", tmp_path / "out")
    before = contents(tmp_path / "out")
    assert predicts(patches, plate / "P1", "--out", tmp_path / "out") == 2
    assert "differs in: channel, images, pattern" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before


def test_a_second_command_in_a_folder_is_refused_and_its_remedy_is_taken(patches, tmp_path, capsys):
    plate = write_plate(tmp_path / "plate", n_wells=1)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / RUN_LOCK):
        assert predicts(patches, plate, *PATTERN, "--out", tmp_path / "out") == 2
    assert "another process is at work in" in (told := capsys.readouterr().err)
    assert told.endswith("let it end, or give --out FOLDER\n")
    assert predicts(patches, plate, *PATTERN, "--out", tmp_path / "free") != 2


def test_answers_are_no_images_wherever_they_lie(patches, tmp_path, capsys):
    plate = write_plate(tmp_path / "plate", n_wells=1)
    for name in ("first", "second"):
        predicts(patches, plate, "--out", plate / name)
        fields = pd.read_csv(plate / name / "fields.csv")
        assert len(fields) == 4
    told = capsys.readouterr().out
    assert told.count("are passed over") == 1
    assert f"images in {plate}/first are passed over: they are answers of a prediction" in told
    assert predicts(patches, plate / "P1", "--out", plate / "P1") == 2
    told = capsys.readouterr().err
    assert f"every image that was named lies in {plate}/P1, where the answers go" in told
    assert "give --out FOLDER" in told


def test_channels_may_be_called_00_and_01(patches, tmp_path):
    plate = write_plate(tmp_path / "plate", n_wells=1)
    for path in sorted(plate.rglob("*.tif")):
        path.rename(path.with_name(path.name.replace("BF", "ch00").replace("PI", "ch01")))
    words = "--pattern", "{well}_s{field}_ch{channel}.tif", "--channel", "00", "--check", "01"
    assert predicts(patches, plate, *words, "--out", tmp_path / "out") in (0, 4)
    assert pd.read_csv(tmp_path / "out/fields.csv")["pi_share"].notna().all()


def test_a_workbook_of_before_is_written_anew_with_the_answers_of_now(patches, tmp_path):
    plate = write_plate(tmp_path / "plate", n_wells=2)
    predicts(patches, plate, *PATTERN, "--excel", "--out", tmp_path / "out")
    (plate / "P1/A1_s0_BF.tif").unlink()
    predicts(patches, plate, *PATTERN, "--out", tmp_path / "out")
    assert len(pd.read_excel(tmp_path / "out/predictions.xlsx", sheet_name="fields")) == 3


def test_doses_that_are_given_later_add_their_own_files_alone_and_those_of_before_go(patches, tmp_path, capsys):
    plate = write_plate(tmp_path / "plate", n_wells=3, n_fields=1)
    words = (patches, plate, *PATTERN, "--include-flagged", "--excel", "--out", tmp_path / "out")
    predicts(*words)
    before = contents(tmp_path / "out")
    page = (tmp_path / "out/index.html").read_bytes()
    (tmp_path / "doses.csv").write_text("well;dose;compound\nA1;0;\nA02;0,5 uM;<doxo>\nA3;1 uM;<doxo>\n")
    capsys.readouterr()
    predicts(*words, "--doses", tmp_path / "doses.csv")
    told = capsys.readouterr().out
    assert "3 of 3 fields are done already" in told
    assert "<doxo>: no curve: 3 different doses, that of 0 among them, and a curve takes 4" in told
    after = contents(tmp_path / "out")
    assert {name for name in after if after[name] != before.get(name)} == {"doses.csv", "dose_response_P1.png"}
    assert pd.read_csv(tmp_path / "out/doses.csv")["unit"].tolist() == ["µM"]
    assert pd.read_excel(tmp_path / "out/predictions.xlsx", sheet_name="doses")["compound"].tolist() == ["<doxo>"]
    assert "&lt;doxo&gt;: no curve" in (tmp_path / "out/index.html").read_text()
    assert "\\<doxo\\>: no curve" in (tmp_path / "out/METHODS.md").read_text()
    predicts(*words)
    assert "doses.csv and its figures are removed" in capsys.readouterr().out
    assert contents(tmp_path / "out") == before
    assert (tmp_path / "out/index.html").read_bytes() == page


def test_nothing_is_said_of_black_edges(run, tmp_path):
    rng = np.random.default_rng(5)
    image, _ = uneven_field(rng)
    padded = np.zeros((image.shape[0], image.shape[1] + 128), np.uint16)
    padded[:, 128:] = image
    for name, pixels in (("plain", image), ("edge", padded)):
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels)
        predicts(run, tmp_path / f"{name}.tif", "--include-flagged", "--out", tmp_path / name)
    edge, plain = (pd.read_csv(tmp_path / name / "patches.csv") for name in ("edge", "plain"))
    assert edge["x"].min() == 96  # half of it is black
    assert len(edge[edge["x"] >= 128]) == len(plain)
    dead = tifffile.imread(tmp_path / "edge/maps/edge.ome.tiff")
    side = padded.shape[1] // dead.shape[1]
    assert np.isnan(dead[:, : 128 // side]).all()
    assert np.isfinite(dead[:, 128 // side :]).all()


def test_the_pixel_size_of_a_data_set_is_that_of_its_images(patches, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jimt_conf/dataset").mkdir(parents=True)
    (tmp_path / "jimt_conf/dataset/mine.yaml").write_text(
        "defaults: [no_treatment, _self_]\nname: mine\nroot: plate\nbrightfield: BF\nfluorescence: PI\n"
        "pattern: '{plate}/{well}_s{field}_{channel}.tif'\ngroup: [plate, well]\npixel_size: 0.43\n"
    )
    write_plate(tmp_path / "plate", n_wells=1)
    assert predicts(patches, "plate", "--dataset", "mine", "--out", "out") in (0, 4)
    fields = pd.read_csv("out/fields.csv")
    assert fields["pixel_size_um"].tolist() == [0.43, 0.43]
    assert "resampled from 0.43 µm a pixel to the model's 0.3225 µm" in fields.loc[0, "notes"]


def test_names_are_printed_as_they_are_and_bytes_that_are_no_text_spelt_out(patches, tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "x.nd2").touch()
    for well in ("A1", "A2"):
        tifffile.imwrite(tmp_path / f"[bold]p:smile:_{well}.tif", uneven_field(rng)[0])
    strict = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    monkeypatch.setattr(sys, "stdout", strict)
    words = "--pattern", "{plate}_{well}.tif", "--include-flagged"
    assert predicts(patches, tmp_path, *words, "--out", folder / "out") in (0, 4)
    strict.seek(0)
    told = strict.read()
    assert "caf\\udce9/x.nd2: export it" in told
    assert "[bold]p:smile:" in told
    assert "caf\\udce9/out" in told.splitlines()[-1]


def test_pi_that_cannot_be_read_or_tells_nothing_is_said(patches, tmp_path):
    stack = np.stack(uneven_field(np.random.default_rng(5)))
    tifffile.imwrite(tmp_path / "two.ome.tif", stack, metadata={"axes": "CYX"}, photometric="minisblack")
    predicts(patches, tmp_path / "two.ome.tif", "--channel", "0", "--check", "7", "--out", tmp_path / "two")
    (note,) = pd.read_csv(tmp_path / "two/fields.csv")["notes"]
    assert "not held against PI: its PI has 2 channels, 0, 1, so no channel 7: give --check NUMBER" in note
    plate = write_plate(tmp_path / "plate", n_wells=1)
    (plate / "P1/A1_s1_PI.tif").write_bytes(b"II*\0 cut off")
    pi = tifffile.imread(plate / "P1/A1_s0_PI.tif")
    tifffile.imwrite(plate / "P1/A1_s0_PI.tif", np.minimum(pi, pi.min() + np.arange(pi.shape[1], dtype=pi.dtype) % 2))
    predicts(patches, plate, *PATTERN, "--check", "PI", "--out", tmp_path / "out")
    fields = pd.read_csv(tmp_path / "out/fields.csv")
    assert fields["pi_share"].isna().tolist() == [False, True]
    assert "not held against PI: its PI is" in fields.loc[1, "notes"]
    told = (tmp_path / "out/check.json").read_text()
    check = json.loads(told, parse_constant=pytest.fail)  # NaN is no JSON
    assert check["patches"]["auroc"]["value"] is None  # every patch is labelled living
    assert "nan" not in check["sentence"]
