"""Train and evaluate: ``python train.py backbone=inception_v3 dataset=doxo``."""

import sys

import hydra
from omegaconf import DictConfig

from jimt.config import TrainConfig
from jimt.errors import InputError
from jimt.hydra_schema import to_dataclasses


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    """Compose the config, turn it into dataclasses, call one function."""
    try:
        train_config = to_dataclasses(config)
        assert isinstance(train_config, TrainConfig)
        from jimt.training import train  # late: --help answers without torch, Lightning and timm

        train(train_config)
    except InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
