"""The commands that Hydra composes a config for: each turns it into dataclasses and calls one function."""

import os
import shutil
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from jimt.config.curating import PrepareConfig
from jimt.config.hydra_schema import compose_other, to_dataclasses
from jimt.config.own_configs import CONF
from jimt.config.search import CrossvalConfig, LearningCurveConfig, TuneConfig
from jimt.config.training import TrainConfig
from jimt.errors import in_one_sentence, writing
from jimt.report.write import report_on
from jimt.sweeps.job import datasets_of, run_job
from jimt.sweeps.sweep import FINISHED, failed_since, how_to_go_on, update_table
from jimt.system.gpus import count_gpus
from jimt.system.processes import process_rank, refuse_relaunch
from jimt.system.starting import start, write_start

if TYPE_CHECKING:
    from jimt.data.preparation import OtherDataset

OmegaConf.register_new_resolver("n_gpus", count_gpus, replace=True)  # hydra/launcher=gpus


# What each command needs is imported late: --help answers without torch, Lightning, OpenCV and scikit-learn.


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="prepare")
def _prepare(config: DictConfig) -> None:
    with in_one_sentence():
        prepare_config: PrepareConfig = to_dataclasses(config)
        from jimt.data import preparation

        dataset, curation = prepare_config.dataset, prepare_config.curation
        if prepare_config.dry_run:
            preparation.list_raw_images(dataset, curation)
        elif prepare_config.hand_labels_only:
            preparation.prepare_hand_labels(dataset, curation)
        else:
            preparation.prepare(dataset, curation, config_of=_other_dataset)


def _other_dataset(name: str) -> "OtherDataset | None":
    """How this command curates another data set that it needs; None where there is no config of it."""
    from jimt.data.preparation import OtherDataset

    hydra = HydraConfig.get()
    shares = hydra.mode == RunMode.MULTIRUN and name in datasets_of(Path(hydra.sweep.dir))
    other = compose_other(str(hydra.job.config_name), hydra.overrides.task, name, shares=shares)
    return None if other is None else OtherDataset(other.dataset, other.curation, anew=shares)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def _train(config: DictConfig) -> None:
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        run_job(config, train=partial(train_and_report, config_of=_other_dataset))
        return
    with in_one_sentence():
        train_config: TrainConfig = to_dataclasses(config)
        train_and_report(train_config, begins=partial(write_start, config), config_of=_other_dataset)


def train_and_report(config: TrainConfig, **options: Any) -> dict[str, Any]:
    """Train, evaluate and, unless ``report=false``, write the report.

    Args:
        config: What a training run is made of.
        options: As ``jimt.training.run.train`` takes them.

    Returns:
        What ``test_metrics.json`` holds; nothing on other processes than the first.
    """
    from jimt.training.run import train

    metrics = train(config, **options)
    if metrics and config.report:
        report_on(config.folder, device_index=options.get("device_index", 0))
    return metrics


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="crossval")
def _crossval(config: DictConfig) -> None:
    with in_one_sentence():
        crossval_config: CrossvalConfig = to_dataclasses(config)
        crossval_and_report(
            crossval_config,
            begins=partial(write_start, config),
            config_of=_other_dataset,
            with_overrides=_with_overrides,
        )


def _with_overrides(further: list[str]) -> CrossvalConfig:
    """The command's config with further overrides, once Hydra has begun."""
    hydra = HydraConfig.get()
    config: CrossvalConfig = to_dataclasses(compose(str(hydra.job.config_name), [*hydra.overrides.task, *further]))
    return config


def crossval_and_report(config: CrossvalConfig, **options: Any) -> dict[str, Any]:
    """Cross-validate and, unless ``report=false``, write the report; as ``jimt.training.crossval.cross_validate``."""
    from jimt.training.crossval import cross_validate
    from jimt.training.settled import maps_cache

    result = cross_validate(config, keeps_maps=config.report, **options)
    if config.report:
        maps = maps_cache(config.folder)
        report_on(config.folder, maps=maps)
        shutil.rmtree(maps, ignore_errors=True)
    return result


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="learning-curve")
def _learning_curve(config: DictConfig) -> None:
    with in_one_sentence():
        curve_config: LearningCurveConfig = to_dataclasses(config)
        from jimt.training.learning_curve import learning_curve
        from jimt.training.settled import maps_cache

        learning_curve(curve_config, begins=partial(write_start, config), config_of=_other_dataset)
        maps = maps_cache(curve_config.folder)
        if curve_config.report:
            report_on(curve_config.folder, maps=maps)
        shutil.rmtree(maps, ignore_errors=True)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="tune")
def _tune(config: DictConfig) -> None:
    with in_one_sentence():
        tune_config: TuneConfig = to_dataclasses(config)
        from jimt.search import tune

        tune.tune(
            tune_config,
            overrides=HydraConfig.get().overrides.task,
            begins=partial(write_start, config),
            config_of=_other_dataset,
        )


def adapt() -> None:
    """``jimt adapt``, and the model card of what it wrote."""
    from jimt.prediction.adapt import main

    folder = main()
    from jimt.report.model_card import model_card
    from jimt.report.study import open_study
    from jimt.system.files import MODEL_CARD, write_whole

    with in_one_sentence(), writing(folder, advice="give another folder"):
        write_whole(folder / MODEL_CARD, model_card(open_study(folder).models[0]))


prepare = partial(start, _prepare, PrepareConfig)
"""``jimt prepare`` and ``python prepare.py``."""
train = partial(start, _train, TrainConfig)
"""``jimt train`` and ``python train.py``; one training after another with ``-m``."""
crossval = partial(start, _crossval, CrossvalConfig)
"""``jimt crossval``."""
learning_curve = partial(start, _learning_curve, LearningCurveConfig)
"""``jimt learning-curve``."""
tune = partial(start, _tune, TuneConfig)
"""``jimt tune``."""


class SweepCallback(Callback):
    """Hydra's callback in the process that starts a sweep; Hydra lets only SystemExit out of it."""

    @in_one_sentence()
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse what no job can do; remember when the sweep began."""
        self._started = time.time()
        if "joblib" in str(config.hydra.launcher.get("_target_")):
            # worker processes would outlive the one that started them; joblib ends them where this raises
            remedy = how_to_go_on(Path(str(config.hydra.sweep.dir)))
            for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")):
                text = f"error: the sweep was told to stop ({name}): {remedy}"
                signal.signal(number, lambda *_, text=text: sys.exit(text))
        refuse_relaunch(config.trainer.devices * config.trainer.num_nodes, os.environ)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the table and write the report; exit with what failed, if anything did."""
        if process_rank(os.environ) != 0:
            return
        from rich.console import Console

        from jimt.sweeps.terminal import print_table

        folder = Path(str(config.hydra.sweep.dir))
        table = update_table(folder)
        print_table(table, Console())
        print(f"the table is in {folder}/table.md, .csv and .json")
        if config.report and any(row["status"] == FINISHED for row in table):
            report_on(folder)
        if failed := failed_since(folder, table, self._started):
            reasons = "\n".join(f"  {row['job']}: {row['reason']}" for row in failed)
            sys.exit(f"error: {len(failed)} job{'s' * (len(failed) > 1)} failed; {how_to_go_on(folder)}\n{reasons}")
