"""A W&B run that never asks for anything and never ends a training.

Importing it imports W&B, which takes a second.
"""

import contextlib
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import wandb
from lightning_fabric.loggers.logger import _DummyExperiment, rank_zero_experiment
from lightning_utilities.core.rank_zero import rank_zero_only
from numpy.typing import NDArray
from pytorch_lightning.loggers import WandbLogger

from jimt.training.loggers.wandb_charts import charts, patch_table

# What a person has set in the environment (WANDB_INIT_TIMEOUT=60 ...) wins over these.
_SETTINGS: dict[str, Any] = {
    "silent": True,  # the sentences below say what there is to know
    "console": "off",  # leaves standard output alone
    "symlink": False,  # a run's folder can be copied to where there are no links
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "x_disable_meta": True,  # user, host, command and paths; load of processor and graphics card is still recorded
    "host": "",
    "init_timeout": 20,  # seconds until a server is out of reach
    "finish_timeout": 300,  # seconds for what is left to upload, a checkpoint above all; the rest is kept
    "finish_timeout_raises": True,
    "x_graphql_retry_max": 4,  # half a minute of waiting: where W&B asks what the server can do, finish_timeout is deaf
}


class JimtWandbLogger(WandbLogger):
    """Lightning's W&B logger, one run each, opened when something is first logged.

    Without a key, or where the server is out of reach, the run is logged offline. What W&B raises is printed once.
    """

    def __init__(
        self,
        *,
        run_folder: Path,
        project: str,
        entity: str | None,
        group: str | None,
        name: str,
        settings: dict[str, Any],
        resumes: bool,
    ) -> None:
        super().__init__(name=name, save_dir=run_folder, project=project)
        self._arguments: dict[str, Any] = {
            "dir": str(run_folder),
            "project": project,
            "entity": entity,
            "group": group,
            "name": name,
            "config": settings,
            "reinit": "create_new",  # whatever run there is in this process, a sweep's last or a notebook's
        }
        self._resumes = resumes
        self._identifier = Path(run_folder) / "wandb" / "run_id"
        self._run: Any = None
        self._failure: Exception | None = None

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run; something that swallows everything where there is none."""
        if self._experiment is None:
            with self._surviving():
                self._run = self._open()
            self._experiment = _DummyExperiment() if self._run is None else self._run  # type: ignore[assignment]
        return self._experiment

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics of a step."""
        with self._surviving():
            super().log_metrics(metrics, step)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run's config is what it was made with."""

    @rank_zero_only
    def log_test(
        self,
        *,
        metrics: dict[str, Any],
        values: dict[str, float],
        scores: pd.DataFrame,
        images: NDArray[np.uint8],
        chosen: NDArray[np.int64],
        checkpoint: Path | None,
        seed: int,
    ) -> None:
        """Log an evaluation.

        Args:
            metrics: What ``test_metrics.json`` holds.
            values: Its numbers by the name to log.
            scores: What ``test_scores.csv`` holds.
            images: The chosen patches.
            chosen: Their rows of ``scores``.
            checkpoint: The one that was evaluated; None to keep it here.
            seed: Of the scatter plot's sample.
        """
        _ = self.experiment
        if self._run is None:
            return
        with _staged_in(Path(self._run.settings.sync_dir)):
            with self._surviving():
                self._run.summary.update(values)
                self._run.log(charts(scores, scale=metrics["correlation"]["scale"], seed=seed))
            with self._surviving():
                if len(chosen):
                    self._run.log({"test/patches": patch_table(scores.iloc[chosen], images)})
            with self._surviving():
                if checkpoint is not None:
                    self._run.log_artifact(self._artifact(checkpoint, metrics, values), aliases=["best"])

    @rank_zero_only
    def log_picture(self, name: str, picture: NDArray[np.uint8], *, step: int | None) -> None:
        """Log a picture of shape ``(height, width, 3)``, of a step of the training or of none."""
        _ = self.experiment
        if self._run is None:
            return
        at = {} if step is None else {"trainer/global_step": step}
        with self._surviving():
            self._run.log({name: wandb.Image(picture), **at})

    def close(self, *, failed: bool) -> None:
        """End the run in bounded time and say how to upload what was not; nothing is logged after this."""
        run, self._run = self._run, None
        self._experiment = _DummyExperiment()  # type: ignore[assignment]
        if run is None:
            return
        with self._surviving():
            run.finish(exit_code=int(failed))
        if run.offline or self._failure is not None:
            print(f"W&B: upload this run with: wandb sync {shlex.quote(str(run.settings.sync_dir))}", flush=True)
        if self._failure is not None:
            # W&B's own process may be gone: the next run of this process starts another one
            with contextlib.suppress(Exception):
                wandb.teardown()

    def _open(self) -> Any:
        """A run, online if there is a key and the server answers; None where the user has disabled W&B."""
        session = wandb.setup(settings=wandb.Settings(**_unless_set("silent")))
        mode = os.environ.get("WANDB_MODE", session.settings.mode)
        if mode == "disabled":
            return None
        if mode in ("offline", "dryrun"):
            return self._init("offline")
        try:
            if not wandb.login(prompt=False, verify=False):
                print("W&B: no key (wandb login stores one), so this run is logged offline", flush=True)
                return self._init("offline")
            run = self._init("online")
            print(f"W&B: {run.url}", flush=True)
        except Exception as error:
            if not _is_of_wandb(error):
                raise
            print(f"W&B: this run is logged offline: {_in_a_line(error)}", flush=True)
            return self._init("offline")
        with self._surviving():
            # W&B asks who we are before the first table, and drops the table where the server has gone away by then
            getattr(run, "_public_api", lambda: None)()
        return run

    def _init(self, mode: Literal["online", "offline"]) -> Any:
        self._resumes = self._resumes and self._identifier.is_file()
        identifier = self._identifier.read_text(encoding="utf-8") if self._resumes else secrets.token_hex(4)
        try:
            run = wandb.init(
                **self._arguments,
                id=identifier,
                mode=mode,
                resume="allow" if self._resumes and mode == "online" else None,  # the server has the run's history
                settings=wandb.Settings(**_unless_set(*_SETTINGS)),
            )
        except Exception:
            for left in Path(self._arguments["dir"], "wandb").glob(f"*-{identifier}"):
                shutil.rmtree(left, ignore_errors=True)  # holds nothing yet
            raise
        self._identifier.parent.mkdir(parents=True, exist_ok=True)
        self._identifier.write_text(identifier, encoding="utf-8")
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        return run

    def _artifact(self, checkpoint: Path, metrics: dict[str, Any], values: dict[str, float]) -> Any:
        about = {key: value for key, value in metrics.items() if isinstance(value, str | int | float)}
        artifact = wandb.Artifact(f"model-{self._run.id}", "model", metadata=about | values)
        # uploaded from where it lies, without a copy
        artifact.add_file(str(checkpoint), name=checkpoint.name, policy="immutable", skip_cache=True)
        return artifact

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """Print the first error of W&B and go on."""
        try:
            yield
        except Exception as error:
            if not _is_of_wandb(error):
                raise
            if self._failure is None:
                print(f"W&B: the training goes on, its W&B run may lack something: {_in_a_line(error)}", flush=True)
            self._failure = error


def _unless_set(*names: str) -> dict[str, Any]:
    return {name: _SETTINGS[name] for name in names if f"WANDB_{name.upper()}" not in os.environ}


def _is_of_wandb(error: Exception) -> bool:
    """Whether an error is W&B's: its own classes have no common base, and its process is reached by a socket."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("wandb", "pydantic_core")


def _in_a_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


@contextlib.contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Keep the files of tables with the run, not in the home folder, where W&B has them wait for an upload."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder)
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]
