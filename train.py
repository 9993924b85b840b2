"""Train and evaluate: ``python train.py backbone=inception_v3 dataset=doxo``; one job after another with ``-m``."""

from functools import partial

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from jimt.cards import count_cards
from jimt.config import TrainConfig
from jimt.hydra_schema import to_dataclasses
from jimt.starting import in_one_sentence, start, write_start
from jimt.sweep_job import run_job

OmegaConf.register_new_resolver("n_cards", count_cards, replace=True)  # hydra/launcher=cards


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Compose the config, turn it into dataclasses, call one function."""
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        run_job(config)
        return
    with in_one_sentence():
        train_config = to_dataclasses(config)
        assert isinstance(train_config, TrainConfig)
        from jimt.training import train  # late: --help answers without torch, Lightning and timm

        train(train_config, begins=partial(write_start, config))


if __name__ == "__main__":
    start(main, TrainConfig)
