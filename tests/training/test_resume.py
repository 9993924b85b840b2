"""A training that is killed and resumed ends as if nothing had happened, to the last bit."""

import shutil
import signal

import pandas as pd
import pytest

from conftest import TINY, composed_train
from forked import Forked, run_forked
from jimt.errors import InputError
from jimt.training.run import train
from processes import Kill, train_in_process, train_in_processes
from trainings import assert_same_training, checkpoint

# dropout and batch norm: random numbers and running statistics that a resumed run has to repeat
DROP = [*TINY, "backbone.name=drop_resnet", "optim.batch_size=8", "trainer.max_epochs=3"]
# its third epoch is the best
BEST_IN_THE_MIDDLE = [*TINY, "optim.batch_size=4", "trainer.max_epochs=5"]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["trainer.patience=3", "augmentation=intensity"], id="dropout and batch norm"),
        pytest.param(
            ["backbone.name=squeezenet1_1", "optim.schedule=cosine", "optim.ema_decay=0.9"], id="cosine and EMA"
        ),
        pytest.param(
            ["optim.accumulate=2", "optim.schedule=one_cycle", "optim.decoupled=true", "backbone.trainable=last_stage"],
            id="accumulation and frozen stages",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_training_killed_in_mid_epoch_and_resumed_is_that_of_an_uninterrupted_one(uneven, tmp_path, settings):
    overrides = [*uneven, *DROP, *settings]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(composed_train(*overrides, f"run_dir={whole}"))
    killed = train_in_process(composed_train(*overrides, f"run_dir={cut}"), Kill(epoch=1, batch=3))
    assert killed == -signal.SIGKILL
    assert not (cut / "test_metrics.json").exists()
    assert checkpoint(cut, "last")["epoch"] == 0
    train(composed_train(*overrides, f"run_dir={tmp_path / 'elsewhere'}", f"resume={cut}"))
    assert_same_training(cut, whole)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # from Python 3.12 on; how torch starts workers
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_worker_processes_resume_with_the_patches_of_the_epoch(uneven, tmp_path, schedule):
    overrides = [*uneven, *DROP, f"optim.schedule={schedule}", "trainer.num_workers=1"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(composed_train(*overrides, f"run_dir={whole}", "trainer.num_workers=0"))
    assert train_in_process(composed_train(*overrides, f"run_dir={cut}"), Kill(epoch=2, batch=3)) == -signal.SIGKILL
    train(composed_train(*overrides, f"run_dir={cut}", f"resume={cut}"))
    assert_same_training(cut, whole)


@pytest.mark.slow
def test_two_processes_go_on_where_they_stopped(uneven, tmp_path):
    overrides = [*uneven, *DROP, "trainer=ddp", "trainer.accelerator=cpu", "optim.ema_decay=0.5"]
    whole, run = tmp_path / "whole", tmp_path / "run"
    train_in_processes(composed_train(*overrides, f"run_dir={whole}", "trainer.max_epochs=4"))
    train_in_processes(composed_train(*overrides, f"run_dir={run}", "trainer.max_epochs=2"))
    train_in_processes(composed_train(*overrides, f"run_dir={run}", f"resume={run}", "trainer.max_epochs=4"))
    assert_same_training(run, whole)


def test_a_moved_run_is_resumed_by_its_relative_name_and_its_best_epoch_stays_the_best(uneven, tmp_path):
    overrides = [*uneven, *BEST_IN_THE_MIDDLE]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(composed_train(*overrides, f"run_dir={whole}"))
    scores = pd.read_csv(whole / "metrics.csv")["val/balanced_accuracy"].dropna().tolist()
    after_best = scores.index(max(scores)) + 1
    assert after_best < len(scores), "an epoch after the best must be killed for this test to tell anything"
    killed = Kill(epoch=after_best, batch=1)
    assert train_in_process(composed_train(*overrides, f"run_dir={cut}"), killed) == -signal.SIGKILL
    shutil.move(cut, tmp_path / "there")
    train(composed_train(*overrides, f"run_dir={cut}", "resume=there"))
    assert not cut.exists()
    assert_same_training(tmp_path / "there", whole)
    names = {path.name for path in (tmp_path / "there/checkpoints").iterdir()}
    assert names == {"best.ckpt", "best_epoch.ckpt", "last.ckpt"}


def test_a_run_killed_before_its_first_epoch_ended_starts_anew(uneven, tmp_path, capsys):
    overrides = [*uneven, *TINY]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(composed_train(*overrides, f"run_dir={whole}"))
    assert train_in_process(composed_train(*overrides, f"run_dir={cut}"), Kill(epoch=0, batch=2)) == -signal.SIGKILL
    capsys.readouterr()
    train(composed_train(*overrides, f"run_dir={cut}", f"resume={cut}"))
    assert f"{cut} holds no finished epoch: starting anew" in capsys.readouterr().out
    assert_same_training(cut, whole)


@pytest.fixture(scope="module")
def finished(uneven, tmp_path_factory):
    """A finished run of two epochs."""
    run = tmp_path_factory.mktemp("finished") / "run"
    train(composed_train(*uneven, *DROP, f"run_dir={run}", "trainer.max_epochs=2"))
    return run


@pytest.fixture
def unfinished(finished, tmp_path):
    """The same, as if it had been cut off after its last epoch."""
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "run/finished.json").unlink()
    return tmp_path / "run"


def test_a_finished_run_is_not_trained_further_unless_more_epochs_are_asked_for(uneven, finished, tmp_path, capsys):
    run, whole = tmp_path / "run", tmp_path / "whole"
    shutil.copytree(finished, run)
    before = {name: (run / f"checkpoints/{name}.ckpt").read_bytes() for name in ("best", "best_epoch", "last")}
    train(composed_train(*uneven, *DROP, f"run_dir={run}", f"resume={run}", "trainer.max_epochs=2"))
    assert f"{run} holds this training, finished: not training again" in capsys.readouterr().out
    assert before == {name: (run / f"checkpoints/{name}.ckpt").read_bytes() for name in ("best", "best_epoch", "last")}
    train(composed_train(*uneven, *DROP, f"run_dir={whole}", "trainer.max_epochs=4"))
    train(composed_train(*uneven, *DROP, f"run_dir={run}", f"resume={run}", "trainer.max_epochs=4"))
    assert_same_training(run, whole)


def test_a_run_cut_off_between_its_last_epoch_and_its_evaluation_is_evaluated(uneven, finished, unfinished):
    for name in ("test_metrics.json", "test_scores.csv"):
        (unfinished / name).unlink()
    train(composed_train(*uneven, *DROP, f"run_dir={unfinished}", f"resume={unfinished}", "trainer.max_epochs=2"))
    assert_same_training(unfinished, finished)


def test_a_run_that_had_run_out_of_patience_when_it_was_cut_off_trains_no_further(uneven, tmp_path):
    run = tmp_path / "run"
    overrides = [*uneven, *TINY, f"run_dir={run}", "optim.lr=1e-12", "trainer.max_epochs=5", "trainer.patience=1"]
    train(composed_train(*overrides))
    assert checkpoint(run, "last")["epoch"] == 1
    (run / "finished.json").unlink()
    train(composed_train(*overrides, f"resume={run}"))
    assert checkpoint(run, "last")["epoch"] == 1
    assert (run / "finished.json").is_file()


# ---- what cannot be resumed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "optim.lr=0.01",
            "is another training, with optim.lr=0.001 (not 0.01): give the same, or give ",
        ),
        ("seed=1", "is another training, with seed=0 (not 1): give the same, or give resume=null retrain=true"),
        ("backbone.trainable=head", "is another training, with backbone.trainable=all (not head)"),
        ("curation.seed=5", "was trained on another curation or other splits of no_treatment"),
        (
            "dataset.name=doxo",
            "was trained on no_treatment, not on doxo: give dataset=no_treatment, or resume=null",
        ),
        ("trainer.max_epochs=1", "holds 2 finished epochs: give trainer.max_epochs=2, or resume=null"),
        ("optim.schedule=cosine", "is another training, with optim.schedule=constant (not cosine)"),
    ],
)
def test_another_training_is_not_resumed(uneven, unfinished, change, said):
    before = {path: path.read_bytes() for path in unfinished.rglob("*") if path.is_file()}
    config = composed_train(
        *uneven, *DROP, "trainer.max_epochs=2", f"run_dir={unfinished}", f"resume={unfinished}", change
    )
    with pytest.raises(InputError) as caught:
        train(config)
    assert str(caught.value).startswith(f"{unfinished} {said}")
    assert "\n" not in str(caught.value)
    assert before == {path: path.read_bytes() for path in unfinished.rglob("*") if path.is_file()}


def test_a_falling_learning_rate_cannot_be_made_longer(uneven, tmp_path):
    run = tmp_path / "run"
    overrides = [*uneven, *TINY, "optim.schedule=cosine", f"run_dir={run}"]
    train(composed_train(*overrides, "trainer.max_epochs=1"))
    longer = composed_train(*overrides, f"resume={run}", "trainer.max_epochs=2")
    with pytest.raises(InputError, match="run holds another training"):
        train(longer)
    (run / "finished.json").unlink()
    with pytest.raises(InputError, match=r"run is another training, with trainer.max_epochs=1 \(not 2\)"):
        train(longer)


@pytest.mark.parametrize("there", [None, ".hydra"])
def test_a_folder_that_holds_no_training_is_not_resumed(uneven, tmp_path, there):
    folder = tmp_path / "run"
    if there is not None:
        (folder / there).mkdir(parents=True)  # as Hydra does with whatever is given
    with pytest.raises(InputError, match="resume=.*run holds no training: give resume=RUN, or resume=null"):
        train(composed_train(*uneven, *TINY, f"run_dir={folder}", f"resume={folder}"))
    assert not (folder / "checkpoints").exists()


def test_resuming_and_training_anew_exclude_each_other(uneven, unfinished):
    config = composed_train(*uneven, *DROP, f"run_dir={unfinished}", f"resume={unfinished}", "retrain=true")
    with pytest.raises(
        InputError, match="resume goes on with a run and retrain=true trains anew: give resume=null, or retrain=false"
    ):
        train(config)


# ---- the command


@pytest.mark.slow
def test_the_command_resumes_a_killed_run_with_its_folder_alone(uneven, tmp_path):
    overrides = [*uneven, *TINY, "optim.batch_size=8"]
    process = Forked("train.py", *overrides, "trainer.max_epochs=60", "hydra.run.dir=cut")
    process.wait_for("\nepoch   3")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    done = int(checkpoint(tmp_path / "cut", "last")["epoch"]) + 1
    assert done >= 2  # the line of the third is printed before its checkpoint is written
    more = f"trainer.max_epochs={done + 1}"
    resumed = run_forked("train.py", "resume=cut", more)
    assert resumed.returncode == 0, resumed.stderr
    assert f"resuming cut after epoch {done}" in resumed.stdout
    assert resumed.stdout.count("epoch  ") == 1
    train(composed_train(*overrides, more, f"run_dir={tmp_path / 'whole'}"))
    assert_same_training(tmp_path / "cut", tmp_path / "whole")
