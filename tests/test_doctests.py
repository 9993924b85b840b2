"""The examples in docstrings are true."""

import doctest
import importlib
import re
from pathlib import Path
from types import FunctionType

import pytest

import jimt
import jimt.notebook
from conftest import REPOSITORY, composed_prepare
from jimt.curation.manifest import Curated
from jimt.curation.store import FieldStore
from jimt.models.predictor import Predictor
from jimt.statistics.estimates import Estimate

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


def test_the_page_on_python_names_all_that_is_public():
    page = re.sub(r"(?m)^```.*", "", (REPOSITORY / "docs/python.md").read_text())
    public = {
        name
        for owner in (Predictor, Curated, FieldStore, Estimate)
        for name in (*vars(owner), *getattr(owner, "__dataclass_fields__", ()))
        if not name.startswith("_")
    }
    for owner in (jimt, jimt.notebook):
        own = [value for value in vars(owner).values() if isinstance(value, FunctionType)]
        public |= {value.__name__ for value in own if value.__module__ == owner.__name__}
    public = {name for name in public if not name.startswith("_")}
    assert {"load", "show", "frozen_features", "background", "interval_groups"} <= public
    code = " ".join(re.findall(r"`[^`]+`|(?m:^(?:>>>|\.\.\.) .+)", page))
    assert {name for name in public if not re.search(rf"\b{name}\b", code)} == set()
