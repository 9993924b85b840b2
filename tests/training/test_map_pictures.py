"""Pictures of predicted maps in TensorBoard and W&B, while a network learns and once it is tested."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger

from jimt.curation.manifest import open_curated
from jimt.models.checkpoint import read_checkpoint
from jimt.system.files import BEST
from jimt.training.loggers import map_pictures
from jimt.training.loggers.lightning_loggers import finish, make_loggers
from jimt.training.loggers.map_pictures import MapPictures, log_picture, log_tested_maps, shows_pictures
from logged_runs import SETTINGS, logger_config, offline_runs
from stain_runs import stain_run


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return stain_run(tmp_path_factory)


@pytest.fixture
def picturing(run, tmp_path, monkeypatch):
    """A callback of the finished training, and the fields that it draws instead of drawing them."""
    checkpoint = read_checkpoint(run / BEST)
    loggers = make_loggers(
        logger_config(wandb=False, tensorboard=True), run_folder=tmp_path, name="run", settings=SETTINGS
    )
    training = SimpleNamespace(
        loggers=loggers, takes=checkpoint.input, precision="32-true", settings=checkpoint.record.settings
    )
    network = checkpoint.load_network()
    drawn: list = []
    monkeypatch.setattr(map_pictures, "draw_stain_fields", lambda fields, **_: drawn.append(fields))
    monkeypatch.setattr(map_pictures, "pixels_of", lambda figure: np.zeros((8, 8, 3), np.uint8))
    curated = open_curated(Path(checkpoint.record.curated_folder))
    yield MapPictures(training, network, curated), drawn, curated
    finish(loggers, failed=False)


def ends_a_validation(callback, *, first=True) -> None:
    trainer = SimpleNamespace(is_global_zero=first, global_step=7)
    callback.on_validation_epoch_end(trainer, SimpleNamespace(device=torch.device("cpu")))


def test_each_validation_and_the_test_leave_a_picture(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0}).Reload()
    n_steps = [event.step for event in board.Scalars("val/correlation")]
    assert len(board.Images("val/maps")) == len(n_steps) == 2
    assert len(board.Images("test/maps")) == 1
    for picture in (*board.Images("val/maps"), *board.Images("test/maps")):
        pixels = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
        assert pixels.std() > 20
    assert [picture.step for picture in board.Images("val/maps")] == n_steps


def test_three_validation_fields_are_shown_each_time_the_same(picturing):
    callback, drawn, curated = picturing
    for _ in range(2):
        ends_a_validation(callback)
    validated = curated.manifest[curated.manifest["split"] == "val"]
    names = [[field.name for field in fields] for fields in drawn]
    assert names[0] == names[1]
    assert len(set(names[0])) == 3
    assert set(names[0]) <= set(validated["raw_image_id"].astype(str))
    for field in drawn[0]:
        dead = field.predicted_nuclei.dead
        assert field.predicted_dead_share == pytest.approx(dead.mean() if len(dead) else np.nan, nan_ok=True)


def test_a_picture_changes_nothing_in_the_training(picturing):
    callback, drawn, _ = picturing
    before = torch.get_rng_state(), [value.clone() for value in callback._network.state_dict().values()]
    ends_a_validation(callback)
    assert len(drawn) == 1
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(map(torch.equal, callback._network.state_dict().values(), before[1]))


def test_only_the_first_process_draws(picturing):
    callback, drawn, _ = picturing
    ends_a_validation(callback, first=False)
    assert drawn == []


def test_what_goes_wrong_is_told_once_and_ends_nothing(picturing, monkeypatch, capsys):
    def fails(fields, **_):
        raise MemoryError("no room for a picture")

    callback, _, _ = picturing
    monkeypatch.setattr(map_pictures, "draw_stain_fields", fails)
    for _ in range(2):
        ends_a_validation(callback)
    told = "val/maps is not logged (MemoryError: no room for a picture), and the training goes on\n"
    assert capsys.readouterr().err == told


def test_nothing_is_drawn_where_no_logger_shows_pictures(tmp_path):
    loggers = [CSVLogger(tmp_path)]
    assert not shows_pictures(loggers)
    log_tested_maps(loggers, None, None, None)


def test_wandb_keeps_a_picture_with_the_step_of_the_training(wandb_offline, tmp_path):
    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="run", settings=SETTINGS)
    picture = np.random.default_rng(0).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    log_picture(loggers, "val/maps", picture, step=5)
    log_picture(loggers, "test/maps", picture, step=None)
    finish(loggers, failed=False)
    (kept,) = offline_runs(tmp_path)
    assert [row["trainer/global_step"] for row in kept.history if "val/maps/path" in row or "val/maps" in row] == [5]
    files = {path.parent.name: path for path in (kept.folder / "files").rglob("*.png")}
    assert set(files) == {"val", "test"}
    for path in files.values():
        assert np.array_equal(np.asarray(Image.open(path)), picture)


def test_wandb_that_cannot_take_a_picture_ends_nothing(wandb_offline, tmp_path, monkeypatch, capsys):
    import wandb

    def fails(*_):
        raise OSError("the disk is gone")

    loggers = make_loggers(logger_config(), run_folder=tmp_path, name="run", settings=SETTINGS)
    monkeypatch.setattr(wandb, "Image", fails)
    log_picture(loggers, "val/maps", np.zeros((4, 4, 3), np.uint8), step=5)
    finish(loggers, failed=False)
    assert "its W&B run may lack something: the disk is gone" in capsys.readouterr().out
