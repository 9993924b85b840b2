"""Every remedy of a setting, a start or a machine is taken as it is printed, and mends what it says."""

import runpy
import sys
import types
from functools import partial

import pytest
import torch
from filelock import FileLock

from conftest import REPOSITORY
from jimt.config.hydra_errors import refuse_flags
from jimt.config.own_configs import completed
from jimt.config.search import TuneConfig
from jimt.config.training import TrainConfig
from jimt.curation.parallel.executors import open_executor
from jimt.models.freezing import freeze
from jimt.networks.backbones import create_backbone
from jimt.search import tune
from jimt.search.space import read_space
from jimt.system import hardware
from jimt.system.locks import RUN_LOCK
from jimt.system.processes import refuse_relaunch
from jimt.training import crossval
from own_yaml import write_dataset, write_overrides
from remedies import Lab, Place, Reached, check, composed_prepare, composed_train, marked
from stand_ins import QUIET, Accepting

trains = partial(composed_train, "run_dir=run")
validates = partial(composed_train, "run_dir=run", name="crossval")
searches = partial(composed_train, "run_dir=run", name="tune")


def of_a_data_set(lab: Lab) -> None:
    one = "dataset=no_treatment"
    lab.mends(composed_prepare, one, "dataset.pattern=null", fill={"PATTERN": "'{well}_{channel}.tif'"})
    lab.mends(composed_prepare, one, "dataset.layout=patches", "dataset.pattern=null", "dataset.group=[plate]")
    named = {"brightfield": "Trans", "fluorescence": "G"}
    words = {f"dataset.{name}=WORD": f"dataset.{name}={word}" for name, word in named.items()}
    lab.mends(composed_prepare, one, "dataset.brightfield=PI", fill=words)
    lab.mends(composed_prepare, one, "dataset.layout=patches", "dataset.pattern=null", "dataset.cells=cells.csv")
    lab.mends(composed_prepare, one, "dataset.layout=stack", "dataset.brightfield_index=1", fill={"NUMBER": "2"})


def of_further_channels(lab: Lab) -> None:
    one = "dataset=no_treatment"
    lab.mends(composed_prepare, one, "dataset.live_stain=PI")
    lab.mends(composed_prepare, one, "dataset.nuclei_index=2")


def of_labels(lab: Lab) -> None:
    lab.mends(composed_prepare, "curation.label.live_below=300", fill={"NUMBER": "300"})
    lab.mends(composed_prepare, "curation.label.live_below=500", "curation.label.dead_above=400")


def of_a_range_of_labels(lab: Lab) -> None:
    cut_offs = "curation.label.live_below=300", "curation.label.dead_above=400"
    lab.mends(composed_prepare, "curation.label.fit_range=[0,1]", *cut_offs)
    lab.mends(composed_prepare, "curation.label.fit_range=[0,1]", "curation.label.scale=positive_area")


def of_standard_deviations(lab: Lab) -> None:
    lab.mends(composed_prepare, "curation.label.n_sigma=2", "curation.label.scale=cells")
    lab.mends(composed_prepare, "curation.label.n_sigma=null", fill={"NUMBER": "1.0"})


def of_an_executor(lab: Lab) -> None:
    lab.mends(composed_prepare, "curation.executor.backend=dask", fill={"HOST": "127.0.0.1"})
    lab.mends(composed_prepare, "curation.executor.scheduler=tcp://a:1", fill={"HOST": "127.0.0.1"})


def of_preparing(lab: Lab) -> None:
    lab.mends(composed_prepare, "dry_run=true", "hand_labels_only=true")


def of_optimisation(lab: Lab) -> None:
    lab.mends(trains, "optim.warmup=0.1")


def of_a_probe(lab: Lab) -> None:
    lab.mends(trains, "method=linear_probe", "probe.tile=16", fill={"NAME": "layer4.0"})


def of_the_trainer(lab: Lab) -> None:
    lab.mends(trains, "trainer.devices=2")
    lab.mends(trains, "trainer.num_nodes=2", "trainer=gpu")
    lab.mends(trains, "trainer.overfit_batches=1", "trainer.limit_train_batches=1")
    lab.mends(trains, "trainer.precision=16-mixed")
    lab.mends(trains, "trainer.compile=reduce-overhead")


def of_training(lab: Lab) -> None:
    lab.mends(trains, "trainer.max_epochs=null")
    lab.mends(trains, "backbone.trainable=null")
    lab.mends(trains, "trainer.fast_dev_run=true", "resume=run")
    lab.mends(trains, "task=stain", "optim.label_smoothing=0.1")


def of_a_linear_probe(lab: Lab) -> None:
    in_batches = "trainer.limit_train_batches=2", "trainer.fast_dev_run=true", "trainer.compile=default"
    lab.mends(trains, "method=linear_probe", *in_batches, "trainer.gradient_clip_val=1")
    lab.mends(trains, "method=linear_probe", "trainer=ddp")


def of_another_method(lab: Lab) -> None:
    lab.mends(trains, "experiment=one_cycle", "method=linear_probe")


def of_folds(lab: Lab) -> None:
    lab.mends(validates, "crossval.validation=true", "crossval.n_folds=2")
    lab.mends(validates, "crossval.leave=group", "crossval.n_folds=3")
    lab.mends(validates, "crossval.n_folds=null", fill={"NUMBER": "4"})


def of_choosing(lab: Lab) -> None:
    lab.mends(validates, "crossval.choose.shortened=['trainer.max_epochs=1']")


def of_one_batch(lab: Lab) -> None:
    lab.mends(validates, "trainer.fast_dev_run=true")
    lab.mends(searches, "trainer.fast_dev_run=true")


def of_a_search(lab: Lab) -> None:
    lab.mends(searches, "report=true")


def without_a_value(lab: Lab) -> None:
    lab.mends(composed_prepare, "dataset.name=???", fill={"VALUE": "our_lab"})


def of_a_pattern(lab: Lab) -> None:
    one = "dataset=no_treatment"
    lab.mends(composed_prepare, one, "dataset.pattern='{a}/{b}_{channel}.tif'")
    lab.mends(composed_prepare, one, "dataset.pattern='{group}/{b}_{channel}.tif'", "dataset.group=[b]")


# ---- the machine


def checks_cards(*overrides: str) -> None:
    trainer = trains(*overrides).trainer
    if trainer.accelerator == "gpu":
        compiles = trainer.compile != "none"
        hardware.check_gpus(devices=trainer.devices, precision=trainer.precision, compile_network=compiles)


def of_cards(lab: Lab) -> None:
    lab.monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    lab.mends(checks_cards, "trainer=gpu")
    lab.mends(checks_cards, "trainer=ddp")
    cards(lab, (8, 9), ["sm_89"])
    lab.mends(checks_cards, "trainer=ddp")


def cards(lab: Lab, capability: tuple[int, int], kernels: list[str]) -> None:
    known = {
        "is_available": True,
        "get_arch_list": kernels,
        "get_device_name": "a card",
        "get_device_capability": capability,
        "device_count": 1,
    }
    for name, value in known.items():
        lab.monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)


def of_an_old_card(lab: Lab) -> None:
    cards(lab, (6, 1), ["sm_60"])
    lab.mends(checks_cards, "trainer=gpu", "trainer.precision=bf16-mixed")
    lab.mends(checks_cards, "trainer=gpu", "trainer.compile=default")
    for capability in ((3, 5), (6, 1), (12, 0)):
        cards(lab, capability, ["sm_80"])
        lab.mends(checks_cards, "trainer=gpu", not_run=INSTALLS)


INSTALLS = (
    "pip install -c constraints/titan-xp.txt -e .",
    "make venv CONSTRAINTS=constraints/titan-xp.txt",
    "pip install -c constraints/current.txt -e .",
    "make venv",
    "pip install tensorboard",
    "pip install distributed",
)
"""Not run: they take minutes and a package registry. test_commands.py sees what make starts."""


def of_a_relaunch(lab: Lab) -> None:
    def starts(*overrides: str) -> None:
        trainer = trains(*overrides).trainer
        refuse_relaunch(trainer.devices * trainer.num_nodes, {})

    lab.mends(starts, "trainer=ddp")


def of_stages(lab: Lab) -> None:
    def freezes(*overrides: str) -> None:
        config = trains("backbone.name=vit_tiny_patch16_224", *overrides)
        network = create_backbone(config.backbone.name, num_classes=2)
        freeze(network, network.head, config.backbone.trainable)

    lab.mends(freezes, "backbone.trainable=last_stage")


def of_a_cross_validation(lab: Lab) -> None:
    lab.monkeypatch.setattr(crossval, "_cross_validate", lambda *_: None)
    lab.mends(lambda *overrides: crossval.cross_validate(validates(*overrides)), "trainer=ddp")


def of_dask(lab: Lab) -> None:
    lab.monkeypatch.setitem(sys.modules, "distributed", None)
    lab.monkeypatch.delitem(sys.modules, "jimt.curation.parallel.cluster", raising=False)

    def opens(*overrides: str) -> None:
        curation = composed_prepare(*overrides)[1]
        with open_executor(curation.executor, n_jobs=1, folder=lab.tmp_path, images=[]):
            pass

    scheduler = "curation.executor.scheduler=tcp://127.0.0.1:8786"
    lab.mends(opens, "executor=dask", scheduler, not_run=INSTALLS)


# ---- searches


def space_of(*overrides: str) -> None:
    config = searches(*overrides)
    assert isinstance(config, TuneConfig)
    read_space(config)


def of_a_space(lab: Lab) -> None:
    lab.mends(space_of, "method=linear_probe")
    lab.mends(space_of, "search=probe")
    lab.mends(space_of, "task=stain", "tune.metric=val/brier")


def of_ends(lab: Lab) -> None:
    lab.mends(space_of, "tune.space={optim:null,augmentation:null}", "+tune.space.optim={warmup:{low:0.1,high:0.2}}")


def begins_a_search(*overrides: str) -> None:
    config = searches(*(word.replace("hydra.run.dir=", "run_dir=") for word in overrides))
    assert isinstance(config, TuneConfig)
    tune.tune(config)


def of_a_start_of_a_search(lab: Lab) -> None:
    def reached(_: object) -> None:
        raise Reached

    lab.monkeypatch.setattr(tune, "read_space", reached)
    lab.mends(begins_a_search, "trainer=ddp")
    lab.mends(begins_a_search, "retrain=true", fill={"FOLDER": "other"})
    (lab.tmp_path / "search").mkdir()
    (lab.tmp_path / "search" / tune.JOURNAL).touch()
    lab.mends(begins_a_search, "resume=nowhere", fill={"FOLDER": "search"})


# ---- how a command starts


def commands(lab: Lab) -> Accepting:
    """``train.py`` and others in this process, with a training that takes no time."""
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "SLURM_NTASKS", "SLURM_PROCID"):
        lab.monkeypatch.delenv(name, raising=False)
    training = Accepting()
    module = types.ModuleType("jimt.training.run")
    module.train = lambda config, *, begins=lambda: None, **_: training.train(config, begins=begins)  # type: ignore[attr-defined]
    lab.monkeypatch.setitem(sys.modules, "jimt.training.run", module)
    return training


def types_in(script: str, lab: Lab, *words: str) -> None:
    lab.monkeypatch.setattr(sys, "argv", [script, *words, *QUIET])
    runpy.run_path(str(REPOSITORY / script), run_name="__main__")


def of_processes_started_together(lab: Lab) -> None:
    commands(lab)
    lab.monkeypatch.setenv("WORLD_SIZE", "2")
    lab.mends(partial(types_in, "train.py", lab), fill={"NAME": "one"})


def of_results_among_raw_data(lab: Lab) -> None:
    commands(lab)
    (lab.tmp_path / "raw").mkdir()
    trains_on = partial(types_in, "train.py", lab, "dataset=mcf7", "dataset.root=raw")
    lab.mends(trains_on, "hydra.run.dir=raw/run", fill={"FOLDER": "elsewhere"})


def of_flags(lab: Lab) -> None:
    """A person types the remedy in place of the words that it mends."""
    for wrong in (["-config-dir", "jimt_conf"], ["--seed", "3"], ["--optim.lr=1e-4"]):

        def trains(*words: str, wrong: list[str] = wrong) -> None:
            mended = [word for word in words if word not in ("-config-dir", "--seed", "3", "--optim.lr=1e-4")]
            refuse_flags(list(words) if list(words) == wrong else mended, TrainConfig)

        lab.mends(trains, *wrong)


def of_lost_quotes(lab: Lab) -> None:
    commands(lab)
    lab.mends(partial(types_in, "train.py", lab), "dataset=mcf7", "dataset.leave_out={b}_{c}.tif")


def of_hydra(lab: Lab) -> None:
    commands(lab)
    write_dataset(lab.tmp_path / "mine", lab.small_pairs)
    lists = partial(types_in, "prepare.py", lab, "dry_run=true")
    lab.mends(lists, "dataset=our_lab", fill={"FOLDER": "mine"})
    lab.mends(partial(types_in, "train.py", lab), "seed=0,1")
    group = "dataset.pattern='{plate}/{well}_{channel}.tif'"
    lab.mends(partial(types_in, "train.py", lab, group), "dataset.group=plate,well")
    lab.mends(partial(types_in, "train.py", lab), "+experiment=one_cycle", fill={"NAME": "one_cycle"})


def of_a_folder_in_use(lab: Lab) -> None:
    commands(lab)
    lab.monkeypatch.setattr("jimt.sweeps.job.update_table", lambda _: [])
    lab.monkeypatch.setattr("jimt.sweeps.sweep.update_table", lambda _: [])
    free = {"FOLDER": "free"}
    for folder, words in {
        f"used/{RUN_LOCK}": ["hydra.run.dir=used"],
        f"swept/{RUN_LOCK}": ["-m", "seed=0,1", "hydra.sweep.dir=swept"],
        "jobs/one/.job.lock": ["-m", "seed=0,1", "hydra.sweep.dir=jobs", "hydra.sweep.subdir=one"],
    }.items():
        path = lab.tmp_path / folder
        path.parent.mkdir(parents=True)
        with FileLock(path):
            lab.mends(partial(types_in, "train.py", lab, "report=false"), *words, fill=free)


def of_a_folder_of_configs(lab: Lab) -> None:
    (lab.tmp_path / "mine").mkdir()
    lab.mends(lambda *words: completed(list(words)), "--config-dir", "nowhere", fill={"FOLDER": "mine"})
    write_overrides(lab.tmp_path / "run", "dataset=our_lab", folder=lab.tmp_path / "gone")
    lab.mends(lambda *words: completed(list(words)), "resume=run", fill={"FOLDER": "mine"})


def of_a_job(lab: Lab) -> None:
    commands(lab)
    lab.monkeypatch.setattr("jimt.sweeps.job.update_table", lambda _: [])
    lab.monkeypatch.setattr("jimt.sweeps.sweep.update_table", lambda _: [])
    words = "-m", "seed=0,1", "trainer.fast_dev_run=true", "hydra.sweep.dir=swept"
    lab.mends(partial(types_in, "train.py", lab, "report=false"), *words)


RUNS: dict[Place, object] = {
    ("config/data.py", "DatasetConfig.__post_init__"): of_a_data_set,
    ("config/data.py", "DatasetConfig._check_further_channels"): of_further_channels,
    ("config/curating.py", "LabelConfig.__post_init__"): of_labels,
    ("config/curating.py", "LabelConfig._refuse_idle_range"): of_a_range_of_labels,
    ("config/curating.py", "LabelConfig._check_n_sigma"): of_standard_deviations,
    ("config/curating.py", "ExecutorConfig.__post_init__"): of_an_executor,
    ("config/curating.py", "PrepareConfig.__post_init__"): of_preparing,
    ("config/training.py", "OptimConfig.__post_init__"): of_optimisation,
    ("config/training.py", "ProbeConfig.__post_init__"): of_a_probe,
    ("config/trainer.py", "TrainerConfig.__post_init__"): of_the_trainer,
    ("config/training.py", "TrainConfig.__post_init__"): of_training,
    ("config/training.py", "TrainConfig._check_linear_probe"): of_a_linear_probe,
    ("config/hydra_schema.py", "without_effect"): of_another_method,
    ("config/search.py", "FoldsConfig.__post_init__"): of_folds,
    ("config/training.py", "refuse_fast_dev_run"): of_one_batch,
    ("config/search.py", "ChoiceConfig.__post_init__"): of_choosing,
    ("config/search.py", "TuneConfig.__post_init__"): of_a_search,
    ("config/hydra_errors.py", "_unknown_flag"): of_flags,
    ("config/hydra_errors.py", "unreadable"): of_lost_quotes,
    ("training/crossval.py", "cross_validate"): of_a_cross_validation,
    ("curation/parallel/executors.py", "open_dask"): of_dask,
    ("system/hardware.py", "check_gpus"): of_cards,
    ("system/hardware.py", "check_capability"): of_an_old_card,
    ("config/hydra_schema.py", "to_dataclasses"): without_a_value,
    ("system/processes.py", "refuse_relaunch"): of_a_relaunch,
    ("system/locks.py", "owner"): of_a_folder_in_use,
    ("models/freezing.py", "_last_stage"): of_stages,
    ("config/own_configs.py", "completed"): of_a_folder_of_configs,
    ("config/data.py", "check_pattern"): of_a_pattern,
    ("system/starting.py", "_refuse_raw_data"): of_results_among_raw_data,
    ("system/starting.py", "StartCallback.on_run_start"): of_processes_started_together,
    ("config/hydra_errors.py", "_of_hydra"): of_hydra,
    ("sweeps/job.py", "_train"): of_a_job,
    ("search/tune.py", "tune"): of_a_start_of_a_search,
    ("search/space.py", "read_space"): of_a_space,
    ("search/space.py", "_check_ends"): of_ends,
}


SLOW: set[Place] = {
    ("system/locks.py", "owner"),
    ("sweeps/job.py", "_train"),
    ("config/hydra_errors.py", "_of_hydra"),
}  # sweeps of real commands


@pytest.mark.parametrize("place", marked(RUNS, SLOW), ids=":".join)
def test_each_remedy_is_taken_and_mends_what_it_says(place, request):
    check(place, RUNS[place], request)
