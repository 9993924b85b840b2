"""The command lines as a person gives them, in processes of their own."""

import os
import subprocess
import sys

from conftest import REPOSITORY

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def line(*words: str) -> list[str]:
    """``train.py ...`` or ``jimt crossval ...`` as a process takes it."""
    first = ["-m", "jimt"] if words[0] == "jimt" else [str(REPOSITORY / words[0])]
    return [sys.executable, *first, *words[1:]]


def run_command(*words: str, **environment: str) -> subprocess.CompletedProcess:
    """Run to its end."""
    return subprocess.run(
        line(*words), capture_output=True, text=True, timeout=300, env=ENVIRONMENT | environment, check=False
    )


def start_command(*words: str, **environment: str) -> subprocess.Popen:
    """Start; its two outputs are pipes."""
    return subprocess.Popen(
        line(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT | environment
    )
