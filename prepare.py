"""Curate raw image pairs into a manifest: ``python prepare.py dataset=NAME``."""

from jimt.commands import prepare

if __name__ == "__main__":
    prepare()
