"""Train and evaluate: ``python train.py backbone=inception_v3 dataset=doxo``; one job after another with ``-m``."""

from jimt.commands import train

if __name__ == "__main__":
    train()
