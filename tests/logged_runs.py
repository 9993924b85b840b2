"""A tiny training, and what its loggers leave, read back from their files; a W&B server of the test's own."""

import contextlib
import http.server
import json
import os
import struct
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import confusion_matrix

from jimt.config.trainer import LoggerConfig
from jimt.training.loggers.lightning_loggers import log_evaluation

N_STEPS, N_EPOCHS = 3, 2  # of the tiny training
SETTINGS = {"seed": 7, "resume": None, "optim": {"lr": 1e-4, "betas": (0.9, 0.999)}, "backbone": {"name": "resnet18"}}
KEY = "0123456789" * 4


def logger_config(**changes):
    values = {
        "wandb": True,
        "tensorboard": False,
        "project": "jimt-test",
        "entity": None,
        "group": "a-sweep",
        "log_checkpoint": True,
        "n_table_patches": 12,
    }
    return LoggerConfig(**(values | changes))


class Tiny(pl.LightningModule):
    """Logs what the classifier logs, under its names."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        self.log("train/loss", torch.tensor(float(self.global_step)))
        return self.layer(batch).mean()

    def validation_step(self, batch, index):
        self.log("val/balanced_accuracy", torch.tensor(0.5 + self.current_epoch / 10))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-4)


def train_tiny(loggers, *, epochs=N_EPOCHS):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")
        warnings.filterwarnings("ignore", message=".*exists and is not empty")
        trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=loggers,
            log_every_n_steps=1,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(Tiny(), torch.ones(N_STEPS, 1), torch.ones(1, 1))


class Patches:
    """Patches of constant grey, their index, that remember which of them were read."""

    def __init__(self):
        self.read = []

    def __getitem__(self, rows):
        self.read += list(rows)
        return np.stack([np.full((16, 16), row, np.uint8) for row in rows])


def scored(*, known=True):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    scores = np.clip(labels * 0.5 + rng.uniform(0, 0.6, 60), 0, 1).round(3)  # wrong at both ends of the overlap
    return pd.DataFrame(
        {
            "raw_image_id": [f"W{row // 10}" if known else None for row in range(60)],
            "group": [f"well {row // 20}" if known else None for row in range(60)],
            "y": np.arange(60) * 8,
            "x": np.arange(60) * 4,
            "label": labels,
            "mean_fluorescence": np.where(labels == 1, 220.0, 550.0) + np.arange(60),
            "label_value": np.log(np.where(labels == 1, 1.1, 2.7)),
            "score": scores,
        }
    )


def metrics_of(scores):
    return {
        "dataset": "no_treatment",
        "backbone": "resnet18",
        "weights": "random",
        "checkpoint": "best.ckpt",
        "correlation": {
            "scale": "log_background_ratio",
            "patches": {"r": -0.75},
            "raw": {"patches": {"r": -0.5}},
        },
        "metrics": {
            "auroc": {"value": 0.9, "interval_groups": (0.85, 0.95), "interval_patches": (0.88, 0.92)},
            "recall_live": {"value": 0.8, "interval_groups": None, "interval_patches": (0.7, 0.9)},
        },
        "confusion_matrix": {"counts": confusion_matrix(scores["label"], scores["score"] > 0.5).tolist()},
    }


def evaluate_tiny(loggers, folder, *, config=None, patches=None, known=True):
    scores = scored(known=known)
    checkpoint = folder / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_bytes(b"weights")
    log_evaluation(
        loggers,
        metrics=metrics_of(scores),
        scores=scores,
        patches=Patches() if patches is None else patches,
        checkpoint=checkpoint,
        config=config or logger_config(),
        seed=3,
    )


def records_of(path):
    """What a ``.wandb`` file holds: a header of 7 bytes, then blocks of 32 KiB with records in one or more parts."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, record = path.read_bytes(), 7, b""
    found = []
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        if at + 7 + length > len(content):
            break  # W&B's process is still writing it
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or last part
            found.append(Record.FromString(record))
            record = b""
    return found


class OfflineRun:
    """An offline run, read back."""

    def __init__(self, folder):
        (self.file,) = folder.glob("*.wandb")
        self.folder = folder
        records, patience = records_of(self.file), time.monotonic() + 10
        while not any(record.HasField("exit") for record in records):
            assert time.monotonic() < patience  # W&B's process writes the end of the file a moment after `finish`
            time.sleep(0.02)
            records = records_of(self.file)
        (self.run,) = [record.run for record in records if record.HasField("run")]
        self.config = {update.key: json.loads(update.value_json) for update in self.run.config.update}
        self.history = [self._plain(record.history.item) for record in records if record.HasField("history")]
        self.artifacts = [record.artifact for record in records if record.HasField("artifact")]
        self.exit_codes = [record.exit.exit_code for record in records if record.HasField("exit")]
        self.summary = {}
        for record in records:
            self.summary |= self._plain(record.summary.update)

    @staticmethod
    def _plain(items):
        return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}

    def table(self, key):
        """A table as a data frame; ``key`` is what it was logged as."""
        (path,) = [self.folder / "files" / row[f"{key}/path"] for row in self.history if f"{key}/path" in row]
        content = json.loads(path.read_text())
        return pd.DataFrame(content["data"], columns=content["columns"])


def offline_runs(folder):
    return [OfflineRun(path) for path in sorted((folder / "wandb").glob("offline-run-*"), key=os.path.getctime)]


@contextlib.contextmanager
def fresh_wandb(folder, **environment):
    """W&B as after its installation: no key, no settings, and its process not started."""
    import wandb

    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        for name, value in clean_environment(folder, **environment).items():
            patch.setenv(name, value)
        wandb.teardown()
        yield patch
        wandb.teardown()
        os.environ.pop("WANDB_ERROR_REPORTING", None)


def clean_environment(folder, **environment):
    home = folder / "home"
    home.mkdir(exist_ok=True)
    return {"HOME": str(home), "NETRC": str(home / ".netrc"), **environment}


class WandbServer(http.server.BaseHTTPRequestHandler):
    """Answers what opens a run, and takes whatever is sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = {
            "viewer": {"id": "u", "username": "me", "entity": "lab", "flags": "{}", "teams": {"edges": []}},
            "project": None,
            "createRunFiles": {"runID": "b", "uploadHeaders": [], "files": []},
            "createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": {"id": "s"}}},
        }
        if self.path == "/graphql" and b"upsertBucket" in body:
            project = {"id": "p", "name": "jimt-test", "entity": {"id": "e", "name": "lab"}}
            name = json.loads(body)["variables"]["name"]
            answer["upsertBucket"] = {"bucket": {"id": "b", "name": name, "project": project}, "inserted": True}
        elif self.path.endswith("file_stream"):
            self.server.sent.append(json.loads(body))
        content = json.dumps({"data": answer}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def wandb_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), WandbServer)
    server.sent = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def stop():
        if thread.is_alive():
            server.shutdown()
            server.server_close()
            thread.join()

    try:
        yield f"http://127.0.0.1:{server.server_port}", stop, server.sent
    finally:
        stop()
