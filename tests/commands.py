"""The command lines as a person gives them, in processes of their own."""

import os
import sys

from conftest import REPOSITORY

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def line(*words: str) -> list[str]:
    """``train.py ...`` or ``jimt crossval ...`` as a process takes it."""
    first = ["-m", "jimt"] if words[0] == "jimt" else [str(REPOSITORY / words[0])]
    return [sys.executable, *first, *words[1:]]
