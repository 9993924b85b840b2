"""Every remedy of a run, and of what reads one, is taken as it is printed, and mends what it says."""

import errno
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from conftest import TINY, TINY_PROBE
from jimt.config.search import CrossvalConfig, TuneConfig
from jimt.curation.manifest import open_curated
from jimt.evaluation import compare, label_sensitivity
from jimt.evaluation import test_split as evaluate
from jimt.evaluation.compare import pair_scores, read_scores
from jimt.evaluation.label_sensitivity import of_run
from jimt.report import write as report
from jimt.report.sections import stain_section
from jimt.report.sections.features_section import embedding_of
from jimt.report.study import Model, open_study
from jimt.search import tune
from jimt.system import files
from jimt.system.files import MAPS_FILE, METRICS_FILE, SCORES_FILE
from jimt.training import finetune as fitting
from jimt.training.crossval import cross_validate
from jimt.training.run import train
from jimt.training.settled import check_processes
from remedies import Lab, Place, Reached, check, composed_train, marked
from stain_runs import stain_run
from stand_ins import CONTRAST
from test_remedies_of_settings import searches

SHORT = [*TINY, "trainer.max_epochs=2"]


@pytest.fixture(scope="session")
def run_of_two_epochs(uneven: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained run, which is copied to be spoilt."""
    folder = tmp_path_factory.mktemp("remedies") / "run"
    train(composed_train(*uneven, *SHORT, f"run_dir={folder}"))
    return folder


def spoilt(lab: Lab) -> Path:
    """A copy of a run, by its relative name."""
    shutil.rmtree("run", ignore_errors=True)
    return Path(shutil.copytree(lab.run_of_two_epochs, "run"))


def types_in(words: list[str]) -> None:
    """``jimt evaluate RUN``, one after another where several are given."""
    for command in " ".join(words).split(" && "):
        program, name, *arguments = command.split(" ")
        assert program == "jimt"
        commands = {
            "evaluate": evaluate.main,
            "report": report.main,
            "compare": compare.main,
            "label-sensitivity": label_sensitivity.main,
        }
        commands[name](arguments)


def trains(*overrides: str) -> None:
    """``python train.py``, as far as until nothing stands against it."""

    def reached() -> None:
        raise Reached

    words = [word.replace("hydra.run.dir=", "run_dir=") for word in overrides]
    train(composed_train(*words), begins=reached)


# ---- scores that cannot be read


def of_scores_that_name_no_patch(lab: Lab) -> None:
    path = spoilt(lab) / SCORES_FILE
    pd.read_csv(path).drop(columns="raw_image_id").to_csv(path, index=False)
    lab.mends(lambda: read_scores(path.parent), types=types_in)


def of_scores_that_stand_twice(lab: Lab) -> None:
    path = spoilt(lab) / SCORES_FILE
    table = pd.read_csv(path)
    pd.concat([table, table]).to_csv(path, index=False)
    lab.mends(lambda: pair_scores(path.parent, lab.run_of_two_epochs), types=types_in)


def model_of(folder: Path) -> Model:
    return open_study(folder).models[0]


def of_scores(lab: Lab) -> None:
    path = spoilt(lab) / SCORES_FILE
    header = path.read_text().splitlines()[0]
    for spoil in (path.unlink, lambda: path.write_text("damaged\n1\n"), lambda: path.write_text(header)):
        spoil()
        lab.mends(lambda: model_of(path.parent).scores, types=types_in)


def of_scores_of_other_patches(lab: Lab) -> None:
    path = spoilt(lab) / SCORES_FILE
    pd.read_csv(path).assign(raw_image_id="another").to_csv(path, index=False)
    lab.mends(lambda: model_of(path.parent).tested, types=types_in)


def of_agreement_of_maps(lab: Lab) -> None:
    run = Path(shutil.copytree(stain_run(lab.tmp_path_factory), "run"))
    for spoil in ((run / MAPS_FILE).unlink, lambda: (run / MAPS_FILE).write_text("field\nnone\n")):
        spoil()
        lab.mends(lambda: stain_section._table(model_of(run)), types=types_in)


def of_a_run_without_metrics(lab: Lab) -> None:
    run = spoilt(lab)
    (run / METRICS_FILE).unlink()
    lab.mends(lambda: of_run(run, confidence=0.95), types=types_in)


def of_folds_of_networks(lab: Lab) -> None:
    words = [*lab.uneven, *TINY, "trainer.max_epochs=1", "crossval.n_folds=2", "crossval.validation=false"]
    config = composed_train(*words, "run_dir=folds", name="crossval")
    assert isinstance(config, CrossvalConfig)
    cross_validate(config)
    lab.monkeypatch.setattr(report, "print_written", lambda _: None)
    lab.monkeypatch.setattr(report, "write_report", lambda folder, **_: embedding_of(model_of(folder)))
    lab.mends(lambda: embedding_of(model_of(Path("folds"))), types=types_in, after=lambda: None)


def of_a_report(lab: Lab) -> None:
    run, written = spoilt(lab), []

    def fails(folder: Path, **_: object) -> None:
        if not written:
            written.append(folder)
            raise RuntimeError("no fonts")

    lab.monkeypatch.setattr(report, "print_written", lambda _: None)
    lab.monkeypatch.setattr(report, "write_report", fails)
    lab.mends(lambda: report.report_on(run), types=types_in)


def of_several_runs(lab: Lab) -> None:
    words = [*lab.uneven, *TINY_PROBE, "crossval.n_folds=2", "report=false"]
    config = composed_train(*words, "run_dir=folds", name="crossval")
    assert isinstance(config, CrossvalConfig)
    cross_validate(config)
    shutil.copytree("folds", "other")
    lab.monkeypatch.setattr(report, "print_written", lambda _: None)
    lab.monkeypatch.setattr(report, "write_report", lambda folder, **_: open_study(folder))

    def evaluates(folder: str) -> None:
        evaluate.main([folder])

    told = lab.mends(evaluates, "folds", fill={"OTHER": "other"}, types=types_in, after=lambda: None)
    assert told.text.startswith(
        "folds is a cross-validation, and one run is asked for: give the folder of one of its folds, such as "
        "folds/fold_0, or run jimt report folds"
    )
    evaluates("folds/fold_0")  # what the advice says


# ---- where the data or the card of a training are gone


def of_a_curation_that_has_moved(lab: Lab) -> None:
    (before,) = [word.partition("=")[2] for word in lab.uneven if word.startswith("curation.output_root=")]
    shutil.copytree(before, "curated")
    train(composed_train(*lab.uneven, *TINY, "curation.output_root=curated", "run_dir=run", "trainer.max_epochs=1"))
    shutil.move("curated", "moved")
    lab.mends(lambda *flags: evaluate.main(["run", *flags]), fill={"FOLDER": "moved/no_treatment"})


def of_a_card_that_is_gone(lab: Lab) -> None:
    run = spoilt(lab)
    lab.monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    lab.mends(lambda *flags: evaluate.main([str(run), *flags]), "--accelerator", "gpu")


# ---- a folder that holds another training


def of_a_finished_run(lab: Lab) -> None:
    run = spoilt(lab)
    other = {"FOLDER": "other"}
    lab.mends(trains, *lab.uneven, *SHORT, f"run_dir={run}", "seed=7", fill=other)
    lab.mends(trains, *lab.uneven, *SHORT, "run_dir=new", f"resume={run}", "seed=7", fill=other)


def of_what_cannot_be_resumed(lab: Lab) -> None:
    run = spoilt(lab)
    Path("empty").mkdir()
    words = [*lab.uneven, *SHORT, "run_dir=new"]
    lab.mends(trains, *words, "resume=empty", "trainer.max_epochs=3", fill={"RUN": str(run)})
    lab.mends(trains, *words, f"resume={run}", "retrain=true", "trainer.max_epochs=3")


def of_another_training(lab: Lab) -> None:
    run = spoilt(lab)
    (run / "finished.json").unlink()
    words = [*lab.uneven, *SHORT, "run_dir=new", f"resume={run}"]
    lab.mends(trains, *words, "trainer.max_epochs=1")
    lab.mends(trains, *words, "dataset=doxo", "dataset.bit_depth=12")
    lab.mends(trains, *words, "curation.output_root=other", "curation.label.live_below=290")
    lab.mends(trains, *words, "seed=7")


# ---- training


def of_fitting(lab: Lab) -> None:
    def validates(*overrides: str) -> None:
        config = composed_train(
            *lab.uneven, *TINY, "run_dir=folds", "trainer.max_epochs=1", *overrides, name="crossval"
        )
        assert isinstance(config, CrossvalConfig)
        cross_validate(config)

    folds = "crossval.n_folds=3", "crossval.folds=[0]", "crossval.validation=false"
    lab.mends(validates, *folds, "trainer.patience=1", afresh=lambda: shutil.rmtree("folds", ignore_errors=True))


def of_an_interruption(lab: Lab) -> None:
    begins, stops = fitting.EpochLine.on_train_epoch_start, [1]

    def is_told_to_stop(line, trainer, module) -> None:
        if trainer.current_epoch in stops:
            stops.clear()
            raise KeyboardInterrupt
        begins(line, trainer, module)

    lab.monkeypatch.setattr(fitting.EpochLine, "on_train_epoch_start", is_told_to_stop)
    lab.mends(lambda *words: train(composed_train(*words)), *lab.uneven, *SHORT, "run_dir=run")


def of_no_compiler(lab: Lab) -> None:
    lab.monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(lab.tmp_path / "compiled"))
    lab.monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-compiler",))
    words = [*lab.uneven, *SHORT, "run_dir=run", "trainer.compile=default"]
    made = lab.mends(lambda *overrides: train(composed_train(*overrides)), *words)
    assert made.text.startswith("torch.compile cannot compile this network (No working C++ compiler found")


def of_a_full_disk(lab: Lab) -> None:
    sync = os.fsync

    def no_space(descriptor: int) -> None:
        if Path("run", files.LAST).is_file():  # the first epoch is kept
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    def trains_until_it_is_full(*overrides: str) -> None:
        with lab.monkeypatch.context() as patch:
            if "resume=run" not in overrides:
                patch.setattr(files.os, "fsync", no_space)
            train(composed_train(*overrides))

    lab.mends(trains_until_it_is_full, *lab.uneven, *SHORT, "run_dir=run")


def of_processes(lab: Lab) -> None:
    (root,) = [word.partition("=")[2] for word in lab.uneven if word.startswith("curation.output_root=")]
    curated = open_curated(Path(root) / "no_treatment")

    def checks(*overrides: str) -> None:
        check_processes(composed_train(*lab.uneven, *TINY, "run_dir=run", *overrides), curated)

    lab.mends(checks, "trainer=ddp", "trainer.devices=1000")
    lab.mends(checks, "trainer=ddp", "optim.batch_size=15")


# ---- searches


def search(*overrides: str) -> None:
    words = [word.replace("hydra.run.dir=", "run_dir=") for word in overrides]
    config = searches(*words)
    assert isinstance(config, TuneConfig)
    tune.tune(config)


def of_a_folder_of_a_search(lab: Lab) -> None:
    def reached(*_: object) -> None:
        raise Reached

    lab.monkeypatch.setattr(tune, "_claim", reached)
    words = [*lab.uneven, *CONTRAST]
    other = {"FOLDER": "other"}
    with pytest.raises(Reached):
        search(*words, "run_dir=before")
    lab.mends(search, *words, "run_dir=before", "seed=7", fill=other)
    Path("damaged").mkdir()
    (Path("damaged") / tune.JOURNAL).write_text("no journal\n")
    lab.mends(search, *words, "run_dir=damaged", fill={"FOLDER": "another"})


def of_a_trial(lab: Lab) -> None:
    for number, stops in enumerate((KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"))):
        lab.fake.fails = {len(lab.fake.asked) + 1: stops}
        words = [*lab.uneven, *CONTRAST, "tune.n_trials=1", f"run_dir=search{number}"]
        lab.mends(search, *words)


RUNS: dict[Place, object] = {
    ("evaluation/compare.py", "read_scores"): of_scores_that_name_no_patch,
    ("evaluation/compare.py", "pair_scores"): of_scores_that_stand_twice,
    ("report/study.py", "Model.scores"): of_scores,
    ("report/study.py", "Model.tested"): of_scores_of_other_patches,
    ("report/sections/features_section.py", "embedding_of"): of_folds_of_networks,
    ("report/sections/stain_section.py", "_table"): of_agreement_of_maps,
    ("evaluation/label_sensitivity.py", "of_run"): of_a_run_without_metrics,
    ("report/write.py", "report_on"): of_a_report,
    ("system/run_folders.py", "refuse_several"): of_several_runs,
    ("evaluation/scores.py", "training_data"): of_a_curation_that_has_moved,
    ("models/devices.py", "prediction_device"): of_a_card_that_is_gone,
    ("training/resume.py", "is_finished"): of_a_finished_run,
    ("training/resume.py", "unfinished_training"): of_what_cannot_be_resumed,
    ("training/resume.py", "check_same_training"): of_another_training,
    ("training/finetune.py", "fit"): of_fitting,
    ("training/finetune.py", "_run"): of_an_interruption,
    ("training/finetune.py", "_not_compiled"): of_no_compiler,
    ("training/run.py", "_train"): of_a_full_disk,
    ("training/settled.py", "check_processes"): of_processes,
    ("search/tune.py", "_open_study"): of_a_folder_of_a_search,
    ("search/tune.py", "_run"): of_a_trial,
}


SLOW: set[Place] = {
    ("report/sections/stain_section.py", "_table"),  # a training, and two evaluations
    ("report/sections/features_section.py", "embedding_of"),  # networks of two folds
    ("training/finetune.py", "fit"),  # two trainings
    ("training/finetune.py", "_run"),  # likewise
    ("training/finetune.py", "_not_compiled"),  # a training, and one of which a part is compiled
    ("training/resume.py", "check_same_training"),  # two curations
    ("evaluation/scores.py", "training_data"),  # a training
    ("training/run.py", "_train"),  # likewise
}


@pytest.mark.parametrize("place", marked(RUNS, SLOW), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)


def test_metrics_that_are_missing_or_damaged_are_had_again_as_the_error_says(request):
    lab = Lab(("system/files.py", "read_json"), request)
    path = spoilt(lab) / METRICS_FILE
    for spoil in (path.unlink, lambda: path.write_text("{")):
        spoil()
        lab.mends(lambda: model_of(path.parent).metrics, types=types_in)
