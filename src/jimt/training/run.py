"""Fine-tune a backbone on one curated data set, then score the test split with the best checkpoint."""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger
from pytorch_lightning.loggers.logger import DummyLogger

import jimt
from jimt.config.training import TrainConfig
from jimt.curation.manifest import Curated
from jimt.curation.splits import Fold
from jimt.data.datamodule import LiveDeadDataModule
from jimt.errors import DISK_FULL, InputError, as_typed
from jimt.evaluation.test_split import evaluate, print_metrics, read_test_patches, splits_digest
from jimt.models.checkpoint import load_classifier, read_checkpoint, save_checkpoint
from jimt.models.classifier import LiveDeadClassifier
from jimt.models.scoring import evaluation_device, patch_outputs
from jimt.models.split_metrics import SplitMetrics
from jimt.networks.backbones import load_weights, normalisation
from jimt.statistics.calibration import fit_temperature
from jimt.system.files import (
    ALL_SCORES_FILE,
    BEST,
    FINISHED,
    LAST,
    METRICS_FILE,
    MODEL_CARD,
    REPORT,
    SCORES_FILE,
    VALIDATION_FILE,
    write_json,
    write_whole,
)
from jimt.system.hardware import bfloat16_instructions, check_gpus
from jimt.system.locks import owner
from jimt.system.memory import keep_freed_memory
from jimt.training.finetune import fit
from jimt.training.linear_probe import as_checkpoint, balanced_weights, cell_examples, set_linear
from jimt.training.loggers.logged_evaluation import log_evaluation
from jimt.training.loggers.opening import continue_metrics_csv, finish, make_loggers
from jimt.training.resume import (
    check_same_training,
    fingerprint_of,
    is_finished,
    last_checkpoint,
    relocate,
    settings_of,
)
from jimt.vocabulary import Split


@dataclass(frozen=True)
class _Run:
    """One training: what was asked and what was settled before it starts."""

    config: TrainConfig
    folder: Path
    fold: Fold | None
    precision: str
    device_index: int
    weights: str
    settings: dict[str, Any]
    """What the result depends on, flat, by the names of the config."""

    @property
    def resumed_by(self) -> Path:
        """The folder that ``resume`` takes: the run's, or of a fold that of its cross-validation."""
        return self.folder if self.fold is None else self.folder.parent


def train(
    config: TrainConfig,
    *,
    fold: Fold | None = None,
    device_index: int = 0,
    callbacks: Sequence[Callback] = (),
    evaluates: bool = True,
    begins: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train, unless the run's folder holds this very training, finished; then evaluate its best checkpoint.

    Args:
        config: What a training run is made of.
        fold: One fold of a cross-validation in place of the split; its scores are left to the caller.
        device_index: Which graphics card, where one is used.
        callbacks: Lightning callbacks added to those of the config.
        evaluates: Whether the test split is scored; a search that chooses among trainings must not look at it.
        begins: Called on the first process when nothing stands against the training, before anything is written.

    Returns:
        What ``test_metrics.json`` holds; nothing on other processes than the first, for a fold or without evaluation.

    Raises:
        InputError: If something cannot be done as asked; the message says what to change.
    """
    folder = config.folder
    writes = _rank() == 0 and not config.trainer.fast_dev_run
    with owner(folder, who="a training") if writes else nullcontext():
        return _train(config, folder, fold, device_index, callbacks, evaluates, begins)


def _train(
    config: TrainConfig,
    folder: Path,
    fold: Fold | None,
    device_index: int,
    callbacks: Sequence[Callback],
    evaluates: bool,
    begins: Callable[[], None],
) -> dict[str, Any]:
    resume_from = last_checkpoint(config, folder)
    precision = _prepare_device(config, device_index, resume_from)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    # before the curation, which can take long: weights may be out of reach
    classifier, weights = _build(config, resume_from)
    datamodule = _datamodule(config, fold)
    if _rank() == 0 and fold is None:  # a cross-validation has prepared it
        datamodule.prepare_data()
    datamodule.setup("fit")
    curated = datamodule.curated
    assert curated is not None
    _check_processes(config, curated)
    settings = settings_of(config, curated, weights, fold)
    run = _Run(config, folder, fold, precision, device_index, weights, settings)
    _record(classifier, run, curated)
    if config.trainer.fast_dev_run:
        _fit(run, classifier, datamodule, resume_from=None, loggers=[DummyLogger()], callbacks=callbacks)
        print("fast_dev_run: one batch was trained on and one validated on, nothing was kept")
        return {}
    if not config.retrain and is_finished(folder, settings, resumed=resume_from is not None):
        print(f"{folder} holds this training, finished: not training again (retrain=true trains anew)")
        if fold is not None or not evaluates or _rank() != 0:
            return {}
        return _evaluate(run)
    if resume_from is not None:
        check_same_training(resume_from, settings, folder)
    loggers = make_loggers(
        config.logger,
        run_folder=folder,
        name=_name(config, fold),
        settings=dataclasses.asdict(config),
        resumes=resume_from is not None,
    )
    failed = True
    try:
        if _rank() == 0:
            begins()
            _start(run, classifier, curated, resume_from)
            if resume_from is not None:
                done = int(read_checkpoint(resume_from)["epoch"]) + 1
                continue_metrics_csv(loggers, folder, before_epoch=done)
        if config.backbone.trainable == "none":
            _fit_probe(run, classifier, datamodule)
        else:
            _fit(run, classifier, datamodule, resume_from=resume_from, loggers=loggers, callbacks=callbacks)
        if _rank() != 0:
            return {}
        if fold is None or fold.val is not None:
            _calibrate(run, curated)
        write_whole(folder / FINISHED, json.dumps({"fingerprint": fingerprint_of(settings)}) + "\n")
        metrics = {}
        if fold is None and evaluates:
            metrics = _evaluate(run)
            scores, patches = read_test_patches(folder)
            log_evaluation(
                loggers,
                metrics=metrics,
                scores=scores,
                patches=patches,
                checkpoint=folder / BEST,
                config=config.logger,
                seed=config.seed,
            )
        failed = False
        return metrics
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(
            f"no space left for {folder} ({error.strerror}); the checkpoints written before are whole, to "
            "go on with when some is free",
            remedies=(as_typed("resume", run.resumed_by),),
        ) from error
    finally:
        finish(loggers, failed=failed)


def _fit(
    run: _Run,
    classifier: LiveDeadClassifier,
    datamodule: LiveDeadDataModule,
    *,
    resume_from: Path | None,
    loggers: Sequence[Logger],
    callbacks: Sequence[Callback],
) -> None:
    config = run.config
    fit(
        classifier,
        datamodule,
        config.trainer,
        run_folder=run.folder,
        resumed_by=run.resumed_by,
        precision=run.precision,
        accumulate=config.optim.accumulate,
        ema_decay=config.optim.ema_decay,
        validates=run.fold is None or run.fold.val is not None,
        resume_from=resume_from,
        device_index=run.device_index,
        loggers=loggers,
        callbacks=callbacks,
    )


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", 0))  # set by Lightning from what launched the process


def _name(config: TrainConfig, fold: Fold | None) -> str:
    name = f"{config.dataset.name}-{config.backbone.name}-seed{config.seed}"
    return name if fold is None else f"{name}-fold{fold.test}"


def _prepare_device(config: TrainConfig, device_index: int, resume_from: Path | None) -> str:
    """Check the device, set the threads and settle the precision; a resumed run keeps its own."""
    trainer = config.trainer
    if trainer.num_threads is not None:
        torch.set_num_threads(trainer.num_threads)
    if trainer.accelerator == "cpu":
        keep_freed_memory()
    else:
        devices = max(trainer.devices, device_index + 1)
        check_gpus(devices=devices, precision=trainer.precision, compile_network=trainer.compile)
    if trainer.precision != "auto":
        return trainer.precision
    if resume_from is not None:
        return str(read_checkpoint(resume_from)["hyper_parameters"]["provenance"]["precision"])
    # nodes may have different processors, and feature maps of whole fields are taken in 32 bit (jimt.models.field_maps)
    decides = trainer.accelerator == "cpu" and trainer.num_nodes == 1 and config.probe.cell is None
    return "bf16-mixed" if decides and bfloat16_instructions() is not None else "32-true"


def _datamodule(config: TrainConfig, fold: Fold | None) -> LiveDeadDataModule:
    mean, std = normalisation(config.backbone.name)
    return LiveDeadDataModule(
        config.dataset,
        config.curation,
        config.augmentation,
        batch_size=config.optim.batch_size,
        accumulate=config.optim.accumulate,
        eval_batch_size=config.trainer.eval_batch_size,
        num_workers=config.trainer.num_workers,
        seed=config.seed,
        mean=mean,
        std=std,
        fold=fold,
        repeats=config.trainer.overfit_batches is not None,
    )


def _build(config: TrainConfig, resume_from: Path | None) -> tuple[LiveDeadClassifier, str]:
    """The classifier with its pretrained weights, and where they came from."""
    optim = dataclasses.asdict(config.optim)
    optim["betas"] = list(optim["betas"])
    classifier = LiveDeadClassifier(
        backbone=config.backbone.name,
        trainable=config.backbone.trainable,
        layer=config.probe.layer,
        optim=optim,
        seed=config.seed,
        prediction={},
        provenance={},
    )
    if resume_from is not None:  # its weights replace these
        weights = str(read_checkpoint(resume_from)["hyper_parameters"]["provenance"]["weights"])
    else:
        weights = load_weights(classifier.network, config.backbone.name, config.backbone.weights)
    if config.trainer.compile:
        classifier.network.compile()  # in place: the checkpoint's keys stay those of the network
    return classifier.to(memory_format=torch.channels_last), weights


def _check_processes(config: TrainConfig, curated: Curated) -> None:
    """Raise unless every process has patches to train and validate on."""
    n_processes = config.trainer.devices * config.trainer.num_nodes
    if n_processes == 1:
        return
    for split in (Split.TRAIN, Split.VAL):
        n = int((curated.manifest["split"] == split.value).sum())
        if n < n_processes:
            most = max(part for part in range(1, n + 1) if config.optim.batch_size % part == 0)
            raise InputError(
                f"{n_processes} processes (trainer.devices x trainer.num_nodes) are more than the {n} "
                f"patches of {split.value}",
                remedies=(f"trainer.devices={most} trainer.num_nodes=1",),
            )
    if config.optim.batch_size % n_processes:
        raise InputError(
            f"optim.batch_size={config.optim.batch_size} cannot be shared evenly by {n_processes} "
            "processes (trainer.devices x trainer.num_nodes)",
            remedies=(f"optim.batch_size={max(config.optim.batch_size // n_processes, 1) * n_processes}",),
        )


def _record(classifier: LiveDeadClassifier, run: _Run, curated: Curated) -> None:
    """Put into the checkpoint what an answer depends on and where it came from."""
    config = run.config
    mean, std = normalisation(config.backbone.name)
    classifier.hparams["prediction"] = {
        "mean": list(mean),
        "std": list(std),
        "patch_size": curated.summary["patch_size"],
        "scaling": curated.summary["scaling"],
        "orientations": config.evaluation.orientations,
        "cell": config.probe.cell,
        "temperature": 1.0,
    }
    classifier.hparams["provenance"] = {
        "jimt_version": jimt.__version__,
        "dataset": config.dataset.name,
        "curated_folder": str(curated.folder.resolve()),
        "curation_fingerprint": curated.summary["fingerprint"],
        "splits_digest": splits_digest(curated.manifest),
        "fold": None if run.fold is None else dataclasses.asdict(run.fold),
        "group_known": curated.summary["group_known"],
        "backbone": config.backbone.name,
        "weights": run.weights,
        "seed": config.seed,
        "accelerator": config.trainer.accelerator,
        "precision": run.precision,
        "eval_batch_size": config.trainer.eval_batch_size,
        "confidence": config.evaluation.confidence,
        "settings": run.settings,
    }


def _start(run: _Run, classifier: LiveDeadClassifier, curated: Curated, resume_from: Path | None) -> None:
    """Remove what an earlier training, cut off or to be replaced, left in the run's folder; say what begins."""
    scored = (METRICS_FILE, SCORES_FILE, ALL_SCORES_FILE, VALIDATION_FILE)
    for name in (FINISHED, *scored, REPORT, MODEL_CARD):
        (run.folder / name).unlink(missing_ok=True)
    shutil.rmtree(run.folder / "figures", ignore_errors=True)
    if resume_from is None:
        (run.folder / "metrics.csv").unlink(missing_ok=True)
        shutil.rmtree(run.folder / "tensorboard", ignore_errors=True)  # but never wandb: it may not be uploaded yet
        shutil.rmtree(run.folder / BEST.parent, ignore_errors=True)
    else:
        relocate(resume_from)
        print(f"resuming {run.folder} after epoch {int(read_checkpoint(resume_from)['epoch']) + 1}")
    labels = curated.manifest.loc[curated.manifest["split"] == Split.TRAIN.value, "label"]
    backbone = run.config.backbone
    print(
        f"training {backbone.name} ({backbone.trainable}, {run.precision}) on {int((labels == 1).sum())} live and "
        f"{int((labels == 0).sum())} dead patches\nweights: {run.weights}"
    )
    if run.config.trainer.precision == "auto" and run.precision == "bf16-mixed":
        print(f"trainer.precision=auto: {run.precision}, since this processor has {bfloat16_instructions()}")


def _fit_probe(run: _Run, classifier: LiveDeadClassifier, datamodule: LiveDeadDataModule) -> None:
    """Set the linear layer on frozen features of the training patches and write the checkpoint."""
    curated = datamodule.curated
    assert curated is not None
    config = run.config
    if config.probe.cell is not None:
        device = evaluation_device(config.trainer.accelerator, index=run.device_index, precision=run.precision)
        cache = None if run.fold is None else maps_cache(run.folder.parent)
        features, labels, groups = cell_examples(classifier, config, curated, device=device, cache=cache)
    else:
        rows = curated.manifest[curated.manifest["split"] == Split.TRAIN.value]
        features = _features(run, classifier, curated, rows)
        labels = rows["label"].to_numpy(np.int64)
        groups = rows["group"].fillna(rows["raw_image_id"]).to_numpy(object)
    weights = balanced_weights(labels, groups, balance_groups=config.probe.balance_groups)
    set_linear(classifier.cpu(), features, labels, weights, c=config.optim.logistic_c)
    save_checkpoint(as_checkpoint(classifier), run.folder / BEST)
    save_checkpoint(as_checkpoint(classifier), run.folder / LAST)


def maps_cache(folder: Path) -> Path:
    """Where the folds of a cross-validation in a folder share the feature maps of whole fields."""
    return folder / "maps"


def _features(run: _Run, classifier: LiveDeadClassifier, curated: Curated, rows: Any) -> np.ndarray[Any, Any]:
    """Pooled features of some patches; the folds of a cross-validation share those of all patches."""
    used = curated.manifest[curated.manifest["split"].notna()]
    keys = ("backbone.name", "weights", "probe.layer", "seed", "curation", "evaluation.orientations", "jimt version")
    of_these = json.dumps([*(run.settings[key] for key in keys), run.precision])
    cache = run.folder.parent / "features.npz"
    if run.fold is not None and cache.is_file():
        with np.load(cache) as cached:
            if str(cached["of"]) == of_these:
                return np.asarray(cached["features"][np.searchsorted(used.index, rows.index)])
    wanted = rows if run.fold is None else used
    linear, classifier.linear = classifier.linear, torch.nn.Identity()
    features = _outputs(run, classifier.eval(), curated, wanted)
    classifier.linear = linear
    if run.fold is None:
        return features
    aside = cache.with_name(f".{cache.name}")
    np.savez(aside, features=features, of=of_these)
    aside.replace(cache)
    return np.asarray(features[np.searchsorted(used.index, rows.index)])


def _outputs(run: _Run, classifier: LiveDeadClassifier, curated: Curated, rows: Any) -> np.ndarray[Any, Any]:
    trainer = run.config.trainer
    return patch_outputs(
        classifier,
        curated.folder,
        rows,
        prediction=classifier.hparams["prediction"],
        device=evaluation_device(trainer.accelerator, index=run.device_index, precision=run.precision),
        precision=run.precision,
        batch_size=trainer.eval_batch_size,
    )


def _calibrate(run: _Run, curated: Curated) -> None:
    """Fit the temperature on the validation split and store it in the best checkpoint; write that split's metrics."""
    classifier, _ = load_classifier(run.folder / BEST)
    rows = curated.manifest[curated.manifest["split"] == Split.VAL.value]
    logits = _outputs(run, classifier, curated, rows)
    labels = rows["label"].to_numpy(np.int64)
    content = read_checkpoint(run.folder / BEST)
    content["hyper_parameters"]["prediction"]["temperature"] = fit_temperature(logits, labels)
    save_checkpoint(content, run.folder / BEST)
    metrics = SplitMetrics("val", across_processes=False)  # the other ranks wait at the end
    metrics.update(torch.from_numpy(logits), torch.from_numpy(labels))
    values = {name.partition("/")[2]: float(value) for name, value in metrics.compute().items()}
    told = {name: value if math.isfinite(value) else None for name, value in values.items()}
    write_json(run.folder / VALIDATION_FILE, told)


def _evaluate(run: _Run) -> dict[str, Any]:
    evaluation = run.config.evaluation
    metrics = evaluate(
        run.folder,
        confidence=evaluation.confidence,
        device_index=run.device_index,
    )
    print_metrics(metrics, run.folder)
    return metrics
