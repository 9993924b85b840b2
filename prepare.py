"""Curate raw image pairs into a manifest: ``python prepare.py dataset=NAME``."""

import hydra
from omegaconf import DictConfig

from jimt.config import PrepareConfig
from jimt.hydra_schema import to_dataclasses
from jimt.starting import in_one_sentence, start


@hydra.main(version_base="1.3", config_path="conf", config_name="prepare")
def main(config: DictConfig) -> None:
    """Compose the config, turn it into dataclasses, call one function."""
    with in_one_sentence():
        prepare_config = to_dataclasses(config)
        assert isinstance(prepare_config, PrepareConfig)
        from jimt.data import preparation  # late: --help needs no OpenCV and scikit-learn

        do = preparation.list_raw_images if prepare_config.dry_run else preparation.prepare
        if prepare_config.hand_labels_only:
            do = preparation.prepare_hand_labels
        do(prepare_config.dataset, prepare_config.curation)


if __name__ == "__main__":
    start(main, PrepareConfig)
