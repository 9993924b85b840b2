"""Fine-tune a backbone on one curated data set, then score the test split with the best checkpoint."""

import dataclasses
import hashlib
import json
import logging
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.utilities.exceptions import SIGTERMException

import jimt
from jimt.backbones import load_weights, normalisation
from jimt.config import TrainConfig
from jimt.curation.manifest import Curated
from jimt.data.datamodule import LiveDeadDataModule
from jimt.errors import DISK_FULL, InputError
from jimt.evaluate import evaluate, print_metrics, splits_digest, write_aside
from jimt.hardware import check_gpus, cpu_gains_from_bfloat16
from jimt.memory import keep_freed_memory
from jimt.model.classifier import LiveDeadClassifier
from jimt.vocabulary import Split

_FINISHED = "finished.json"
_MONITOR = "val/balanced_accuracy"


def train(config: TrainConfig) -> dict[str, Any]:
    """Train, unless the run's folder holds this very training, finished; then evaluate its best checkpoint.

    Returns:
        What ``test_metrics.json`` holds.

    Raises:
        InputError: If something cannot be done as asked; the message says what to change.
    """
    precision = _prepare_device(config)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    classifier, weights = _build(config)  # before the curation, which can take long: weights may be out of reach
    mean, std = normalisation(config.backbone.name)
    datamodule = LiveDeadDataModule(
        config.dataset,
        config.curation,
        batch_size=config.optim.batch_size,
        eval_batch_size=config.trainer.eval_batch_size,
        num_workers=config.trainer.num_workers,
        seed=config.seed,
        mean=mean,
        std=std,
    )
    if _rank() == 0:
        datamodule.prepare_data()
    datamodule.setup("fit")
    curated = datamodule.curated
    assert curated is not None
    run_folder = Path(config.run_dir)
    fingerprint = _fingerprint(config, curated, weights)
    if config.retrain or not _is_finished(run_folder, fingerprint):
        _record(classifier, config, curated, weights, precision)
        _fit(config, classifier, datamodule, run_folder, precision)
        if _rank() == 0:
            write_aside(run_folder / _FINISHED, json.dumps({"fingerprint": fingerprint}) + "\n")
    else:
        print(f"{run_folder} holds this training, finished: evaluating it again (retrain=true trains anew)")
    if _rank() != 0:
        return {}
    metrics = evaluate(run_folder, n_bootstrap=config.evaluation.n_bootstrap, confidence=config.evaluation.confidence)
    print_metrics(metrics, run_folder)
    return metrics


def _rank() -> int:
    return int(getattr(rank_zero_only, "rank", 0))  # set by Lightning from what launched the process


def _prepare_device(config: TrainConfig) -> str:
    """Check the device, set the threads and settle the precision."""
    trainer = config.trainer
    if trainer.num_threads is not None:
        torch.set_num_threads(trainer.num_threads)
    if trainer.accelerator == "cpu":
        keep_freed_memory()
    else:
        check_gpus(devices=trainer.devices, precision=trainer.precision, compile_network=trainer.compile)
    if trainer.precision != "auto":
        return trainer.precision
    return "bf16-mixed" if trainer.accelerator == "cpu" and cpu_gains_from_bfloat16() else "32-true"


def _build(config: TrainConfig) -> tuple[LiveDeadClassifier, str]:
    """The classifier with its pretrained weights, and where they came from."""
    classifier = LiveDeadClassifier(
        backbone=config.backbone.name,
        trainable=config.backbone.trainable,
        lr=config.optim.lr,
        betas=list(config.optim.betas),
        weight_decay=config.optim.weight_decay,
        prediction={},
        provenance={},
    )
    weights = load_weights(classifier.network, config.backbone.name, config.backbone.weights)
    return classifier.to(memory_format=torch.channels_last), weights


def _record(
    classifier: LiveDeadClassifier, config: TrainConfig, curated: Curated, weights: str, precision: str
) -> None:
    """Put into the checkpoint what an answer depends on and where it came from."""
    mean, std = normalisation(config.backbone.name)
    classifier.hparams["prediction"] = {
        "mean": list(mean),
        "std": list(std),
        "patch_size": curated.summary["patch_size"],
        "scaling": curated.summary["scaling"],
    }
    classifier.hparams["provenance"] = {
        "jimt_version": jimt.__version__,
        "dataset": config.dataset.name,
        "curated_folder": str(curated.folder.resolve()),
        "curation_fingerprint": curated.summary["fingerprint"],
        "splits_digest": splits_digest(curated.manifest),
        "group_known": curated.summary["group_known"],
        "backbone": config.backbone.name,
        "weights": weights,
        "seed": config.seed,
        "accelerator": config.trainer.accelerator,
        "precision": precision,
        "eval_batch_size": config.trainer.eval_batch_size,
        "n_bootstrap": config.evaluation.n_bootstrap,
        "confidence": config.evaluation.confidence,
    }


def _fingerprint(config: TrainConfig, curated: Curated, weights: str) -> str:
    """Identify a training by what its result depends on."""
    settings = dataclasses.asdict(config)
    for key in ("run_dir", "retrain", "evaluation", "dataset", "curation"):  # the curation has a fingerprint of its own
        del settings[key]
    for key in ("num_workers", "num_threads", "eval_batch_size"):
        del settings["trainer"][key]
    content = [jimt.__version__, settings, weights, curated.summary["fingerprint"], splits_digest(curated.manifest)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_finished(run_folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds this training, finished.

    Raises:
        InputError: If it holds another finished training.
    """
    marker = run_folder / _FINISHED
    if not marker.is_file():
        return False
    if fingerprint not in marker.read_text():
        raise InputError(
            f"{run_folder} holds another training: choose another hydra.run.dir, or replace it with retrain=true"
        )
    return (run_folder / "checkpoints" / "best.ckpt").is_file()


def _clear(run_folder: Path) -> None:
    """Remove what an earlier training, cut off or to be replaced, left in the run's folder."""
    for name in (_FINISHED, "test_metrics.json", "test_scores.csv", "metrics.csv"):
        (run_folder / name).unlink(missing_ok=True)
    shutil.rmtree(run_folder / "checkpoints", ignore_errors=True)


def _fit(
    config: TrainConfig,
    classifier: LiveDeadClassifier,
    datamodule: LiveDeadDataModule,
    run_folder: Path,
    precision: str,
) -> None:
    assert datamodule.curated is not None
    if _rank() == 0:
        _clear(run_folder)
        counts = datamodule.curated.summary["counts"]["splits"][Split.TRAIN.value]
        print(
            f"training {config.backbone.name} ({config.backbone.trainable}, {precision}) on {counts['live']} live and "
            f"{counts['dead']} dead patches\nweights: {classifier.hparams['provenance']['weights']}"
        )
    checkpoints = ModelCheckpoint(
        run_folder / "checkpoints", filename="best", monitor=_MONITOR, mode="max", save_last=True
    )
    with warnings.catch_warnings():
        # nothing a user can act on: Hydra's folder is in use by design, reading memory-mapped patches costs less than a
        # worker, and what Lightning calls in torch is not the user's
        warnings.filterwarnings("ignore", message="Experiment logs directory .* exists and is not empty")
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", module=r"pytorch_lightning\.utilities\._pytree")
        trainer = pl.Trainer(
            accelerator=config.trainer.accelerator,
            devices=config.trainer.devices,
            strategy=config.trainer.strategy,
            precision=precision,  # type: ignore[arg-type]  # a closed set of strings, checked by TrainerConfig
            max_epochs=config.trainer.max_epochs,
            logger=CSVLogger(run_folder, name="", version=""),
            callbacks=[checkpoints, EpochLine()],
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the sampler shares its own draw out; Lightning's wrapper would permute it
        )
        if config.trainer.compile:
            classifier.network.compile()  # in place: the checkpoint's keys stay those of the network
        try:
            trainer.fit(classifier, datamodule)
        except SystemExit as error:  # Lightning's answer to Ctrl-C and, as SIGTERMException, to SIGTERM
            signal = "SIGTERM" if isinstance(error, SIGTERMException) else "Ctrl-C"
            raise InputError(
                f"the training was told to stop ({signal}) and is not finished: the same command trains again"
            ) from error
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise InputError(f"no space left for {run_folder} ({error.strerror}): free some, or set run_dir") from error


class EpochLine(Callback):
    """One line an epoch: loss, validation metrics and time."""

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the line."""
        if not trainer.is_global_zero:
            return
        seconds = time.monotonic() - self._start
        values = {key: float(value) for key, value in trainer.callback_metrics.items()}
        print(
            f"epoch {trainer.current_epoch + 1:>3}/{trainer.max_epochs}"
            f"  train/loss {values['train/loss']:.3f}"
            f"  val/balanced_accuracy {values[_MONITOR]:.3f}  val/auroc {values['val/auroc']:.3f}  {seconds:.1f} s",
            flush=True,
        )


# which cores are used and that processes start: nothing a user can act on
for _name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)
