"""Fit a network on one curated data set, then score the test split with it."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from jimt.config.training import TrainConfig
from jimt.curation.folds import Fold
from jimt.curation.manifest import Curated
from jimt.data.datamodule import open_for_training
from jimt.data.preparation import ConfigOf, prepare
from jimt.errors import DISK_FULL, InputError, as_typed
from jimt.evaluation.reported_metrics import next_command, print_metrics
from jimt.evaluation.scores import TestPatches, read_scores, rows_of_test
from jimt.evaluation.test_split import evaluate_model
from jimt.models.checkpoint import save_checkpoint
from jimt.models.network import LiveDeadNetwork
from jimt.models.predictor import open_predictor
from jimt.models.stain_network import StainNetwork
from jimt.system.files import (
    ALL_SCORES_FILE,
    BEST,
    FIELD_SHARES,
    FINISHED,
    LAST,
    MAPS_FILE,
    METRICS_BY_EPOCH,
    METRICS_FILE,
    MODEL_CARD,
    REPORT,
    SCORES_FILE,
    VALIDATION_FILE,
    write_json,
)
from jimt.system.hardware import bfloat16_instructions
from jimt.system.locks import owner
from jimt.training import finetune, linear_probe
from jimt.training.checkpointing import checkpoint_of, input_of, network_of, output_of
from jimt.training.gpu_memory import scoring
from jimt.training.learners import refuse_what_cannot_be_learned
from jimt.training.loggers.lightning_loggers import continue_metrics_csv, finish, log_evaluation, make_loggers
from jimt.training.loggers.map_pictures import log_tested_maps
from jimt.training.resume import (
    Unfinished,
    check_same_training,
    is_finished,
    relocate,
    settings_of,
    unfinished_training,
)
from jimt.training.settled import Training, check_processes, process_number, settle_precision
from jimt.vocabulary import Split

_FIT: Final[dict[str, Callable[..., int]]] = {"finetune": finetune.fit, "linear_probe": linear_probe.fit}


@scoring()
def train(
    config: TrainConfig,
    *,
    fold: Fold | None = None,
    device_index: int = 0,
    callbacks: Sequence[Callback] = (),
    evaluates: bool = True,
    begins: Callable[[], None] = lambda: None,
    config_of: ConfigOf | None = None,
) -> dict[str, Any]:
    """Train, unless the run's folder holds this very training, finished; then evaluate its model.

    Args:
        config: What a training run is made of.
        fold: One fold of a cross-validation in place of the split; its scores are left to the caller.
        device_index: Which graphics card, where one is used.
        callbacks: Lightning callbacks added to those of the config.
        evaluates: Whether the test split is scored; a search that chooses among trainings must not look at it.
        begins: Called on the first process when nothing stands against the training, before anything is written.
        config_of: As ``preparation.prepare`` takes it.

    Returns:
        What ``test_metrics.json`` holds; nothing on other processes than the first, for a fold or without evaluation.

    Raises:
        InputError: If something cannot be done as asked; the message says what to change.
    """
    writes = process_number() == 0 and not config.trainer.fast_dev_run
    with owner(config.folder, who="a training") if writes else nullcontext():
        return _train(config, fold, device_index, callbacks, evaluates and fold is None, begins, config_of)


def _train(
    config: TrainConfig,
    fold: Fold | None,
    device_index: int,
    callbacks: Sequence[Callback],
    evaluates: bool,
    begins: Callable[[], None],
    config_of: ConfigOf | None,
) -> dict[str, Any]:
    folder, is_first = config.folder, process_number() == 0
    resumes = unfinished_training(config, folder)
    precision = settle_precision(config, device_index=device_index, resumes=resumes)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    # before the curation, which can take long: weights may be out of reach
    network, weights = _build(config, resumes)
    if is_first and fold is None:  # a cross-validation has prepared it
        prepare(config.dataset, config.curation, config_of=config_of)
    curated = open_for_training(Path(config.curation.output_root) / config.dataset.name, fold=fold)
    check_processes(config, curated)
    settings = settings_of(config, curated, weights, fold)
    training = Training(
        config=config,
        folder=folder,
        fold=fold,
        resumes=resumes,
        precision=precision,
        device_index=device_index,
        weights=weights,
        settings=settings,
        takes=input_of(config, curated),
        gives=output_of(config),
        callbacks=callbacks,
    )
    if config.trainer.fast_dev_run:
        finetune.fit(training, network, curated)
        print("fast_dev_run: one batch was trained on and one validated on, nothing was kept")
        return {}
    if not config.retrain and is_finished(folder, settings, resumed=resumes is not None):
        print(f"{folder} holds this training, finished: not training again (retrain=true trains anew)")
        return _evaluate(training) if evaluates and is_first else {}
    if resumes is not None:
        check_same_training(resumes, settings, folder)
    if is_first and isinstance(network, StainNetwork):  # before what an older run left is removed
        refuse_what_cannot_be_learned(training, network, curated)
    of_fold = "" if fold is None else f"-fold{fold.test}"
    loggers = make_loggers(
        config.logger,
        run_folder=folder,
        name=f"{config.dataset.name}-{config.backbone.name}-seed{config.seed}{of_fold}",
        settings=dataclasses.asdict(config),
        resumes=resumes is not None,
    )
    training = dataclasses.replace(training, loggers=loggers)
    failed = True
    try:
        if is_first:
            begins()
            _start(training, curated)
        epoch = _FIT[config.method](training, network, curated)
        metrics: dict[str, Any] = {}
        if is_first:
            save_checkpoint(checkpoint_of(training, network, curated, epoch=epoch), folder / BEST)
            write_json(folder / FINISHED, settings)
            if evaluates:
                metrics = _evaluate(training)
        failed = False
        return metrics
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        told = f"no space left for {folder} ({error.strerror})"
        if not (folder / LAST).is_file():
            raise InputError(told, advice="free some, and start it again") from error
        raise InputError(
            f"{told}; the checkpoints written before are whole, to go on with when some is free",
            remedies=(as_typed("resume", training.resumed_by),),
        ) from error
    finally:
        finish(loggers, failed=failed)


def _build(config: TrainConfig, resumes: Unfinished | None) -> tuple[LiveDeadNetwork | StainNetwork, str]:
    """The network with its pretrained weights, and where they came from."""
    network = network_of(config).build()
    # of a run that goes on the weights are replaced
    weights = network.load_pretrained(config.backbone.weights) if resumes is None else resumes.weights
    return network.to(memory_format=torch.channels_last), weights


def _start(training: Training, curated: Curated) -> None:
    """Remove what an earlier training, cut off or to be replaced, left in the run's folder; say what begins."""
    folder, config, resumes = training.folder, training.config, training.resumes
    scored = METRICS_FILE, SCORES_FILE, ALL_SCORES_FILE, MAPS_FILE, FIELD_SHARES
    for name in (FINISHED, BEST, *scored, VALIDATION_FILE, REPORT, MODEL_CARD):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    if resumes is None:
        (folder / METRICS_BY_EPOCH).unlink(missing_ok=True)
        shutil.rmtree(folder / "tensorboard", ignore_errors=True)  # but never wandb: it may not be uploaded yet
        shutil.rmtree(folder / BEST.parent, ignore_errors=True)
    else:
        relocate(resumes.path)
        print(f"resuming {folder} after epoch {resumes.n_epochs}")
        continue_metrics_csv(training.loggers, before_epoch=resumes.n_epochs)
    labels = curated.manifest.loc[curated.manifest["split"] == Split.TRAIN.value, "label"]
    part = config.backbone.trainable or "frozen"
    print(
        f"training {config.backbone.name} ({part}, {training.precision}) on {int((labels == 1).sum())} live and "
        f"{int((labels == 0).sum())} dead patches\nweights: {training.weights}"
    )
    if config.trainer.precision == "auto" and training.precision == "bf16-mixed":
        print(f"trainer.precision=auto: {training.precision}, since this processor has {bfloat16_instructions()}")


def _evaluate(training: Training) -> dict[str, Any]:
    """Score the test split, show it, and hand it to the loggers."""
    folder, config = training.folder, training.config
    predictor = open_predictor(folder, device_index=training.device_index)
    metrics = evaluate_model(predictor, folder / BEST, folder, confidence=config.evaluation.confidence)
    print_metrics(metrics, folder)
    print(next_command(folder))
    curated, rows = rows_of_test(predictor.checkpoint.record, None, folder / BEST)
    log_evaluation(
        training.loggers,
        metrics=metrics,
        scores=read_scores(folder / SCORES_FILE),
        patches=TestPatches(curated, rows),
        checkpoint=folder / BEST,
        config=config.logger,
        seed=config.seed,
    )
    if predictor.checkpoint.task == "stain":
        log_tested_maps(training.loggers, predictor, curated, read_scores(folder / MAPS_FILE))
    return metrics
