"""``jimt adapt``: a model that is told the PI of a few fields comes out right on them, and answers for none of them."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from conftest import TINY, TINY_PROBE, composed_prepare, composed_train, uneven_field
from jimt import commands
from jimt.errors import InputError
from jimt.evaluation.test_split import evaluate
from jimt.models.checkpoint import read_checkpoint
from jimt.prediction.adapt import main
from jimt.prediction.predict import main as predict
from jimt.system.files import digest_of_file
from jimt.training.run import train

PATTERN = ("--pattern", "{plate}/{well}_s{field}_{channel}.tif", "--channel", "BF")
WITH_PI = (*PATTERN, "--check", "PI")
BEST = "checkpoints/best.ckpt"


def write_field(folder: Path, well: str, *, dead: float | None = None, seed: int = 7) -> None:
    """A field of two channels as an instrument may call them; all its PI that of dead cells, or of living ones."""
    bright_field, pi = uneven_field(np.random.default_rng(seed))
    if dead is not None:
        pi = np.full_like(pi, 550 if dead else 224) + (np.arange(pi.shape[1]) % 3).astype(pi.dtype)
    (folder / "P1").mkdir(parents=True, exist_ok=True)
    for channel, image in (("BF", bright_field), ("PI", pi)):
        tifffile.imwrite(folder / f"P1/{well}_s0_{channel}.tif", image)


def adapts(*words: object) -> str | None:
    """What the command exits with, in this process; None for 0."""
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return str(end.code)
    return None


def told_by(capsys) -> list[list[float]]:
    """Dead share by PI, before and adapted of each field, as they are printed."""
    lines = [line for line in capsys.readouterr().out.splitlines() if "_s0" in line or "P1/" in line]
    return [[float(cell) for cell in line.strip("│ ").split("│")[1:]] for line in lines if line.count("│") == 5]


@pytest.fixture(scope="module", params=["patches", "tiles"])
def run(request, uneven, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("adapting") / "run"
    settings = TINY if request.param == "patches" else [*TINY_PROBE, "probe=tiles", "probe.layer=layer3"]
    train(composed_train(*uneven, *settings, f"run_dir={folder}"))
    return folder


@pytest.fixture(scope="module")
def probe(uneven, tmp_path_factory) -> Path:
    """A run of a second."""
    folder = tmp_path_factory.mktemp("adapting") / "run"
    train(composed_train(*uneven, *TINY_PROBE, f"run_dir={folder}"))
    return folder


@pytest.mark.parametrize("what", ["calibration", "last-layer"])
def test_it_comes_nearer_to_pi_and_answers_for_no_field_that_it_was_told_the_pi_of(run, what, tmp_path, capsys):
    for number, dead in enumerate([True, True, None]):
        write_field(tmp_path / "new", f"A{number + 1}", dead=dead, seed=number)
    named = [tmp_path / f"new/P1/A{well}_s0_{channel}.tif" for well in (1, 2) for channel in ("BF", "PI")]
    assert adapts(run, *named, *WITH_PI, "--what", what, "--out", tmp_path / "run2") is None
    shares = told_by(capsys)
    assert [share[0] for share in shares] == [1.0, 1.0]
    assert all(before < after < 1 for _, before, after in shares)
    adapted = read_checkpoint(tmp_path / "run2" / BEST).record.adaptation
    assert adapted.origin_digest == digest_of_file(run / BEST)
    assert [field.group for field in adapted.fields] == ["P1/A01", "P1/A02"]
    # what it was adapted to, under another name and of another type of numbers, beside what it was not
    shutil.copytree(tmp_path / "new", tmp_path / "copy")
    first = tmp_path / "copy/P1/A1_s0_BF.tif"
    tifffile.imwrite(tmp_path / "copy/P1/B9_s7_BF.tif", tifffile.imread(first).astype(np.float32))
    with pytest.raises(SystemExit) as end:
        predict([str(word) for word in (tmp_path / "run2", tmp_path / "copy", *PATTERN, "--out", tmp_path / "out")])
    assert end.value.code in (3, 4)
    fields = pd.read_csv(tmp_path / "out/fields.csv").set_index("well")
    assert fields["dead_share"].notna().to_dict() == {"A01": False, "A02": False, "A03": True, "B09": False}
    assert "is one of the 2 stained fields that the model was adapted to" in fields.loc["B09", "reason"]


def test_the_adapted_model_gives_the_shares_that_are_printed(run, tmp_path, capsys):
    from jimt.prediction.asking import answer_field  # of the fields themselves, past what refuses them

    write_field(tmp_path / "new", "A1", dead=True)
    assert adapts(run, tmp_path / "new", *WITH_PI, "--what", "last-layer", "--out", tmp_path / "run2") is None
    ((_, before, after),) = told_by(capsys)
    for folder, printed in ((run, before), (tmp_path / "run2", after)):
        predictor = __import__("jimt").load(folder)
        image = tifffile.imread(tmp_path / "new/P1/A1_s0_BF.tif")
        from jimt.prediction.answers import Picture, Source

        fields = predictor.fields_of([image])
        picture = Picture(image, image.shape, None, 1.0)
        answer = answer_field(predictor, fields, Source(0, Path("x"), "x"), picture)
        assert answer.row.dead_share == pytest.approx(printed, abs=6e-4)


def test_one_field_of_one_class_moves_it_a_little_and_four_move_it_further(probe, tmp_path, capsys):
    moved = []
    for n in (1, 4):
        for number in range(n):
            write_field(tmp_path / f"{n}", f"A{number + 1}", dead=True, seed=number)
        assert adapts(probe, tmp_path / f"{n}", *WITH_PI, "--out", tmp_path / f"run_{n}") is None
        assert "by PI all patches of these fields are dead" in (told := capsys.readouterr().out)
        assert "A01" not in told  # fields go by their own names
        moved.append(read_checkpoint(tmp_path / f"run_{n}" / BEST).output.offset)
    assert -15 < moved[1] < moved[0] < 0


def test_it_is_a_run_that_says_where_it_comes_from(probe, uneven, tmp_path, monkeypatch, capsys):
    write_field(tmp_path / "new", "A1")
    words = [probe, tmp_path / "new", *WITH_PI, "--out", tmp_path / "run2"]
    monkeypatch.setattr("sys.argv", ["jimt", *map(str, words)])
    commands.adapt()
    card = (tmp_path / "run2/MODEL_CARD.md").read_text()
    assert f"adapted from | {probe}" in card
    assert "P1/A01" in card
    assert "it answers for none of these" in card
    metrics = evaluate(tmp_path / "run2")
    assert "the model was adapted to 1 stained field, which are not tested on" in metrics["notes"]
    # a training does not take it for its own result
    with pytest.raises(InputError, match=r"run2 holds another training \(adaptation\)"):
        train(composed_train(*uneven, *TINY_PROBE, f"run_dir={tmp_path / 'run2'}"))
    capsys.readouterr()
    assert "was itself adapted, to 1 stained field, from" in str(adapts(tmp_path / "run2", *words[1:-1], "x"))


def test_test_fields_that_it_was_adapted_to_are_not_tested_on(probe, uneven, tmp_path, capsys):
    record = read_checkpoint(probe / BEST).record
    root = Path(composed_prepare(*uneven)[0].root)
    told = evaluate(probe)["counts"]["patches"]
    tested = pd.read_csv(probe / "test_scores.csv")["raw_image_id"].unique()
    for number, name in enumerate(tested):  # as another instrument would call them
        (tmp_path / f"{number}/P1").mkdir(parents=True)
        for channel, word in (("Trans", "BF"), ("PI", "PI")):
            shutil.copy(root / f"{name}--{channel}.tif", tmp_path / f"{number}/P1/A{number + 1}_s0_{word}.tif")
    assert len(record.groups["test"]) == len(tested) > 1
    folders = [tmp_path / f"{number}" for number in range(len(tested))]
    assert adapts(probe, folders[0], *WITH_PI, "--out", tmp_path / "some") is None
    metrics = evaluate(tmp_path / "some")
    left = pd.read_csv(tmp_path / "some/test_scores_with_ambiguous.csv")["raw_image_id"].unique()
    assert sorted(left) == sorted(tested[1:])
    assert metrics["counts"]["patches"] < told
    assert adapts(probe, *folders, *WITH_PI, "--out", tmp_path / "all") is None
    with pytest.raises(InputError, match="adapted to all fields of .* that it could be tested on"):
        evaluate(tmp_path / "all")
    for name in (f"--W{well:05d}--P00001--Z00000--T00000" for well in range(1, 13)):
        if name not in tested:
            (tmp_path / "seen/P1").mkdir(parents=True)
            for channel, word in (("Trans", "BF"), ("PI", "PI")):
                shutil.copy(root / f"{name}--{channel}.tif", tmp_path / f"seen/P1/A1_s0_{word}.tif")
            break
    assert adapts(probe, tmp_path / "seen", *WITH_PI, "--out", tmp_path / "known") is None
    assert "the model was trained on 1 of these fields" in capsys.readouterr().out


def test_what_cannot_be_adapted_to_is_left_out_with_its_reason(probe, tmp_path, capsys):
    for number in range(5):
        write_field(tmp_path / "new", f"A{number + 1}", seed=number)
    plate = tmp_path / "new/P1"
    (plate / "A1_s0_PI.tif").unlink()
    tifffile.imwrite(plate / "A2_s0_PI.tif", tifffile.imread(plate / "A2_s0_PI.tif")[:64])
    shutil.copy(plate / "A5_s0_BF.tif", plate / "A3_s0_BF.tif")
    tifffile.imwrite(plate / "A4_s0_BF.tif", tifffile.imread(plate / "A4_s0_BF.tif") * 8)
    assert adapts(probe, tmp_path / "new", *WITH_PI, "--out", tmp_path / "run2") is None
    told = capsys.readouterr().out
    for reason in (
        "is left out: no PI lies beside it",
        "is left out: its PI is of another size",
        "is left out: it has the pixels of",
        "is left out: has counts of 15 bits, and the model was trained on images of 12",
    ):
        assert reason in told
    assert len(read_checkpoint(tmp_path / "run2" / BEST).record.adaptation.fields) == 1


def test_what_cannot_be_done_is_refused_in_a_sentence_and_nothing_is_written(probe, tmp_path):
    write_field(tmp_path / "new", "A1")
    (tmp_path / "new/P1/A1_s0_PI.tif").write_bytes(b"II*\0 cut off")
    told = adapts(probe, tmp_path / "new", *WITH_PI, "--out", tmp_path / "run2")
    assert told == "error: none of 1 fields can be adapted to: stain some, and give bright-field and PI of each"
    assert not (tmp_path / "run2").exists()
    write_field(tmp_path / "new", "A1")
    told = adapts(probe, tmp_path / "new", *WITH_PI, "--out", probe)
    assert told == f"error: {probe} holds something already: name a folder that is not there yet"
    told = adapts(probe, tmp_path / "new", *PATTERN, "--check", "Hoechst", "--out", tmp_path / "run2")
    assert str(told).endswith("reads the channels BF, PI: give --check WORD")
    (tmp_path / "new/P1/A1_s0_PI.tif").unlink()
    assert "no" in str(adapts(probe, tmp_path / "new", *WITH_PI, "--out", tmp_path / "run2"))
    assert not (tmp_path / "run2").exists()
