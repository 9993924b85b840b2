"""A hundred cases of ``tests/fuzz.py``; more by its command line."""

import logging
from collections import Counter

import cv2
import pytest

from fuzz import quieten, run_case


@pytest.fixture
def quiet():
    """Pillow and OpenCV, who give the truth of damaged files, say nothing of them; both speak again afterwards."""
    levels = {name: logging.getLogger(name).level for name in ("PIL", "tifffile")}
    level = cv2.utils.logging.getLogLevel()
    quieten()
    yield
    cv2.utils.logging.setLogLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_a_hundred_mutated_folders_are_read_as_they_are_or_refused_in_a_sentence(quiet):
    cases = [run_case(number, seed=1) for number in range(100)]
    assert [case for case in cases if case[2] is not None] == []
    endings = Counter(ending for _, ending, _ in cases)
    assert min(endings["read"], endings["refused"]) > 20
