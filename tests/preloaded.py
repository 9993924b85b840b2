"""What processes of tests need not import, read and merge again: the server that forks them has done it once."""

import gc
import importlib
import os

from hydra import compose, initialize_config_dir

import drop_resnet  # noqa: F401  # known to timm in every process
from quick_hydra import remember

for name in (
    "bokeh.embed",
    "jimt.commands",
    "jimt.evaluation.test_split",
    "jimt.notebook",
    "jimt.prediction.asking",
    "jimt.prediction.results",
    "jimt.report.write",
    "jimt.training.run",
    "tensorboard",
):
    importlib.import_module(name)
remember()
from jimt.config.own_configs import CONF  # noqa: E402  # with the settings of every command

with initialize_config_dir(str(CONF), version_base="1.3"):
    for name in ("prepare", "train", "crossval", "tune"):
        compose(name)
gc.collect()
gc.freeze()
os.environ.pop("PYTHONPATH", None)  # by which this file was found; of this process alone
if before := os.environ.pop("JIMT_TESTS_PYTHONPATH", None):
    os.environ["PYTHONPATH"] = before
