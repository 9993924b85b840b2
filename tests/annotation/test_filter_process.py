"""The filter in a process of its own: with features of whole fields, and of a data set that it cannot read."""

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from annotating import DATASET, write_curated
from jimt.annotation.filter_process import FilterProcess, pool_of
from jimt.annotation.patch_page import filter_lines
from jimt.annotation.running_filter import EVERY, Labelled
from jimt.curation.manifest import open_curated


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> Path:
    return write_curated(tmp_path_factory.mktemp("to_label")) / DATASET


def with_filter(curated: Path, folder: Path, **settings: str | None) -> Path:
    """A copy of a curation whose empty filter has other settings; those of None are absent."""
    summary = json.loads((shutil.copytree(curated, folder) / "summary.json").read_text())
    changed = summary["config"]["curation"]["empty_filter"] | settings
    summary["config"]["curation"]["empty_filter"] = {
        name: value for name, value in changed.items() if value is not None
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def settled(process: FilterProcess, labels: list[Labelled], *, n: int) -> None:
    """Wait until the filter was fitted and all features are there, or it has failed."""
    news = threading.Condition()

    def tell() -> None:
        with news:
            news.notify_all()

    process.start(labels, tell=tell)
    with news:
        assert news.wait_for(
            lambda: process.progress.failed or (process.progress.n_fitted and process.progress.n_features == n), 60
        )
    process.stop()


@pytest.mark.slow
@pytest.mark.parametrize("features", ["patches", "field"])
def test_labels_teach_a_filter_on_features_of_patches_and_of_whole_fields(curated, features, tmp_path):
    folder = with_filter(curated, tmp_path / "curated", features=features)
    pool = pool_of(open_curated(folder))
    labels = [Labelled(number, bool(number % 3), True) for number in range(EVERY)]
    process = FilterProcess(folder, tmp_path)
    settled(process, labels, n=len(pool))
    assert process.progress.failed is None
    assert process.progress.n_fitted == EVERY
    assert np.isfinite(process.scores).sum() >= EVERY
    (kept,) = tmp_path.glob("features_*.f32")
    assert not np.isnan(np.fromfile(kept, np.float32)).any()


def test_settings_of_another_version_are_told_on_the_page(curated, tmp_path):
    process = FilterProcess(with_filter(curated, tmp_path / DATASET, features=None), tmp_path)
    settled(process, [], n=0)
    assert filter_lines(process.progress) == [
        f"No filter can be fitted, so patches come as a spread: {DATASET} was curated by another version of jimt; "
        "curate it again"
    ]
