"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

from conftest import REPOSITORY, composed_prepare

SOURCE = REPOSITORY / "src"
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_docstrings_are_true(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_examples_of_the_page_on_python_are_true(reported, uneven, tmp_path):
    """With a run and a curated data set that are called as the page calls them."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/demo").symlink_to(reported)
    (tmp_path / "data/curated").mkdir(parents=True)
    curated = Path(composed_prepare(*uneven)[1].output_root) / "no_treatment"
    (tmp_path / "data/curated/synthetic").symlink_to(curated)
    page = str(REPOSITORY / "docs/python.md")
    result = doctest.testfile(page, module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 25
    assert result.failed == 0
