"""A search over settings of a training: ``jimt tune`` with the overrides of ``train.py``.

What was tried and what each epoch reached stand in ``study.journal``, Optuna's file for several writers: a search that
was cut off goes on, and processes that are given the same folder share one.
"""

import dataclasses
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from filelock import BaseFileLock, FileLock, Timeout
from optuna import Study
from optuna.samplers import TPESampler
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import Trial, TrialState
from pytorch_lightning.callbacks import Callback, LambdaCallback

from jimt.config.search import TuneConfig
from jimt.curation.manifest import Curated, open_curated
from jimt.data.preparation import ConfigOf, prepare
from jimt.errors import DISK_FULL, InputError, Interrupted, as_typed
from jimt.evaluation.scores import training_data
from jimt.models.predictor import open_predictor
from jimt.models.split_metrics import metrics_of_rows
from jimt.search.space import Setting, as_override, label, read_space, search_direction, with_values
from jimt.search.trials import STATES, print_results, run_folder_of, short, write_results
from jimt.system.files import BEST, JOURNAL, LAST
from jimt.system.gpus import own_gpu
from jimt.training.resume import settings_of
from jimt.training.run import train
from jimt.vocabulary import Split

optuna.logging.set_verbosity(optuna.logging.WARNING)  # this file prints what it says

_HOPELESS = 3
"""Trials that failed, and none that did not, after which others would fail too."""


def tune(
    config: TuneConfig,
    *,
    overrides: Sequence[str] = (),
    begins: Callable[[], None] = lambda: None,
    config_of: ConfigOf | None = None,
) -> dict[str, Any]:
    """Search until ``tune.n_trials`` trials have begun, each a training in a folder of its own.

    The value of a trial is the metric of its best checkpoint on the validation split; the test split stays closed. The
    first trial is the config as it stands. What a trial tries depends on the seed, its number and the trials before it
    alone, so that a search goes on as if it had not been cut off.

    Args:
        config: What a search is made of.
        overrides: What the command line set, for the command that repeats the best trial.
        begins: Called when nothing stands against the search.
        config_of: As ``preparation.prepare`` takes it.

    Returns:
        What ``tune.json`` holds.

    Raises:
        InputError: If something cannot be done as asked, or trials failed and none came to its end.
    """
    if config.trainer.devices * config.trainer.num_nodes > 1:
        raise InputError(
            "a trial trains on one device, and a search is started once for each GPU",
            remedies=("trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto",),
        )
    if config.retrain:
        raise InputError(
            "a search keeps its trials, so retrain=true is not allowed",
            remedies=("retrain=false hydra.run.dir=FOLDER",),
        )
    folder = config.folder
    if config.resume is not None and not (folder / JOURNAL).is_file():
        raise InputError(
            f"{folder / JOURNAL} is missing, and resume takes the folder of a search",
            remedies=("resume=FOLDER", "resume=null"),
        )
    space = read_space(config)
    begin = time.monotonic()
    curated = open_curated(prepare(config.dataset, config.curation, config_of=config_of))
    study = _open_study(config, space, folder, curated)
    begins()
    with own_gpu(config.trainer.accelerator) as device_index:
        while config.tune.timeout is None or time.monotonic() - begin < 3600 * config.tune.timeout:
            claimed = _claim(study, config, space, folder)
            if claimed is None:
                break
            trial, values, lock = claimed
            try:
                _run(study, trial, config, values, folder, device_index)
            finally:
                lock.release()
            states = [row["state"] for row in write_results(study, config, space, folder, overrides)["trials"]]
            if states.count("failed") == len(states) - states.count("running") >= _HOPELESS:
                break
    result = write_results(study, config, space, folder, overrides)
    print_results(result, folder)
    failed = [row for row in result["trials"] if row["state"] == "failed"]
    if failed and result["best"] is None:
        raise InputError(
            f"no trial came to its end; trial {failed[-1]['trial']} failed ({failed[-1]['reason']})",
            advice="mend what failed and start the search again",
        )
    return result


def _open_study(config: TuneConfig, space: list[Setting], folder: Path, curated: Curated) -> Study:
    """The study in a folder; a new one begins with the config as it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = _settings(config, space, curated)
    pruner = optuna.pruners.MedianPruner(config.tune.prune_after_trials, config.tune.prune_after_epochs)
    # in place of Optuna's own, which is waited for half a minute where its holder was killed
    lock = FileLock(folder / ".journal.lock")
    with FileLock(folder / ".tune.lock"):
        with lock:
            _drop_cut_line(folder / JOURNAL)
        try:
            study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL), cast(Any, lock))),
                study_name="tune",
                direction=search_direction(config.tune.metric),
                pruner=pruner if config.tune.prune else optuna.pruners.NopPruner(),
                load_if_exists=True,
            )
            before = study.user_attrs.get("settings")
        except (ValueError, KeyError, AttributeError, TypeError) as error:  # no journal of Optuna
            raise InputError(
                f"{folder / JOURNAL} is damaged ({error})", remedies=("resume=null hydra.run.dir=FOLDER",)
            ) from error
        if before is None:
            study.set_user_attr("settings", settings)
            own = {
                setting.key: getattr(getattr(config, s), n) for setting in space for s, n in [setting.key.split(".")]
            }
            outside = [f"{one.key}={as_override(own[one.key])}" for one in space if not one.holds(own[one.key])]
            if not outside:
                study.enqueue_trial({key: label(value) for key, value in own.items()})
            else:
                print(f"no trial is the config as it stands: {', '.join(outside)} is outside of tune.space")
            return study
    if other := sorted(key for key in before | settings if before.get(key) != settings.get(key)):
        told = ", ".join(f"{key}={before.get(key)} (not {settings.get(key)})" for key in other)
        raise InputError(
            f"{folder} is another search, with {told}",
            advice="give the same",
            remedies=("resume=null hydra.run.dir=FOLDER",),
        )
    return study


def _drop_cut_line(journal: Path) -> None:
    """Remove what a full disk left of a line, before Optuna writes the next one behind it."""
    if journal.is_file() and not (content := journal.read_bytes()).endswith(b"\n"):
        os.truncate(journal, content.rfind(b"\n") + 1)


def _settings(config: TuneConfig, space: list[Setting], curated: Curated) -> dict[str, Any]:
    """What the values of trials depend on, flat, by the names of the config."""
    kept = settings_of(config, curated, config.backbone.weights, None)
    kept |= {f"tune.{key}": value for key, value in dataclasses.asdict(config.tune).items()}
    for key in ("n_trials", "timeout", "keep_all_checkpoints"):
        del kept[f"tune.{key}"]
    kept["tune.space"] = sorted(map(str, space))
    return dict(json.loads(json.dumps(kept)))  # as the journal gives it back


def _claim(
    study: Study, config: TuneConfig, space: list[Setting], folder: Path
) -> tuple[Trial, dict[str, Any], BaseFileLock] | None:
    """A trial that was cut off, or the next one; None when as many have begun as were asked for."""
    with FileLock(folder / ".tune.lock"):
        begun = [trial for trial in study.get_trials(deepcopy=False) if trial.state.name != "WAITING"]
        for known in begun:
            if known.state.name != "RUNNING":
                continue
            try:  # the system releases what a process held, however it ended
                lock = _lock(folder, known.number)
            except Timeout:
                continue
            study.sampler = _sampler(config, known.number)
            trial = Trial(study, known._trial_id)  # Optuna has no other way to take a trial up again
            return trial, {setting.key: setting.suggest(trial) for setting in space}, lock
        if len(begun) >= config.tune.n_trials:
            return None
        study.sampler = _sampler(config, len(begun))
        trial = study.ask()
        return trial, {setting.key: setting.suggest(trial) for setting in space}, _lock(folder, trial.number)


def _lock(folder: Path, number: int) -> BaseFileLock:
    lock = FileLock(run_folder_of(folder, number) / ".trial.lock")
    Path(lock.lock_file).parent.mkdir(exist_ok=True)
    lock.acquire(blocking=False)
    return lock


def _sampler(config: TuneConfig, number: int) -> TPESampler:
    """Of one trial: no state of Optuna's samplers outlives their process, but a number does."""
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    return TPESampler(n_startup_trials=config.tune.n_random, seed=seed)


def _run(
    study: Study, trial: Trial, config: TuneConfig, values: dict[str, Any], folder: Path, device_index: int
) -> None:
    """Train one trial and tell the study how it ended."""
    run_folder, metric = run_folder_of(folder, trial.number), config.tune.metric
    told = " ".join(f"{key}={short(value)}" for key, value in values.items())
    print(f"trial {trial.number} ({trial.number + 1} of {config.tune.n_trials}): {told}", flush=True)
    begin = time.monotonic()
    state, value, epoch, reason = TrialState.COMPLETE, None, None, None
    try:
        run_config = with_values(config, values)
        run_config.run_dir = str(run_folder)
        run_config.resume = str(run_folder) if (run_folder / LAST).is_file() else None
        run_config.logger.group = config.logger.group or folder.name
        train(run_config, device_index=device_index, callbacks=[_reporter(trial, metric)], evaluates=False)
        value, epoch = _validate(run_folder, metric, device_index)
        if not math.isfinite(value):
            raise InputError(f"{metric} is {value}", advice="see the losses of its epochs in metrics.csv")
    except (Interrupted, KeyboardInterrupt) as error:
        raise Interrupted(
            "the search was told to stop and can go on", remedies=(as_typed("resume", folder),)
        ) from error
    except optuna.TrialPruned as error:
        state, reason = TrialState.PRUNED, str(error)
    except Exception as error:  # whatever else it is, it concerns this trial alone
        for cause in (error, error.__cause__):
            if isinstance(cause, OSError) and cause.errno in DISK_FULL:
                raise InputError(
                    f"no space left for {run_folder}; the search can go on when some is free",
                    remedies=(as_typed("resume", folder),),
                ) from error
        state, value = TrialState.FAIL, None
        reason = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
    for name, attribute in (("epoch", epoch), ("seconds", round(time.monotonic() - begin, 1)), ("reason", reason)):
        trial.set_user_attr(name, attribute)
    study.tell(trial, value, state=state)
    if value is None and not config.tune.keep_all_checkpoints:
        shutil.rmtree(run_folder / BEST.parent, ignore_errors=True)
    print(f"trial {trial.number} {STATES[state.name]}: {reason or f'{metric} {value:.4f}'}", flush=True)


def _reporter(trial: Trial, metric: str) -> Callback:
    """Tells the study what each epoch reached, and ends a training that the study gives up."""
    reported = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def report(trainer: Any, _: Any) -> None:
        epoch, value = trainer.current_epoch, float(trainer.callback_metrics[metric])
        if epoch not in reported:  # killed after the report and before the checkpoint
            trial.report(value, epoch)
        if epoch + 1 < trainer.max_epochs and trial.should_prune():  # the last epoch is paid for
            raise optuna.TrialPruned(f"{metric} {value:.4f} after epoch {epoch + 1} of {trainer.max_epochs}")

    return LambdaCallback(on_train_epoch_end=report)


def _validate(run_folder: Path, metric: str, device_index: int) -> tuple[float, int]:
    """The metric of the best checkpoint on the validation split, and the epoch it is of, counted from 1.

    Not the best epoch's by this metric: a checkpoint is chosen by balanced accuracy, and what is not kept is of no use.
    """
    checkpoint = run_folder / BEST
    predictor = open_predictor(run_folder, device_index=device_index)
    record = predictor.checkpoint.record
    curated = training_data(record, None, checkpoint)
    rows = curated.manifest[curated.manifest["split"] == Split.VAL.value]
    values = metrics_of_rows("val", predictor.logits(curated.store, rows), rows)
    return values[metric], max(record.epoch, 1)
