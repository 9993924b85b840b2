"""What a curation needs of other data sets is made before it, by the same settings."""

import json
import shutil
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest

from conftest import MIXTURE, SMALL, composed_prepare, small_field, write_pair
from curations import embeds
from forked import run_forked
from jimt.curation import curate as curating
from jimt.data import preparation
from jimt.data.preparation import OtherDataset, prepare
from jimt.errors import InputError

HAND = [
    "curation.empty_filter.enabled=true",
    "curation.empty_filter.weights=random",
    "curation.empty_filter.fit_on=[no_treatment,doxo]",
    "dataset.empty_word=bare",
    "dataset.not_empty_word=cells",
]


@pytest.fixture
def two(tmp_path) -> dict[str, list[str]]:
    """Overrides of an untreated and a treated data set, twelve fields each, whose upper edges are bare."""
    found = {}
    for seed, name in enumerate(("no_treatment", "doxo")):
        rng = np.random.default_rng(seed)
        rows = []
        for well in range(1, 7):
            for position in range(1, 3):
                raw_image_id = f"--W{well:05d}--P{position:05d}--Z00000--T00000"
                brightfield, fluorescence = small_field(rng)
                brightfield[:64] = 2000 + brightfield[:64] // 1000
                write_pair(tmp_path / "raw" / name, raw_image_id, (brightfield, fluorescence))
                rows += [(raw_image_id, 0, 0, "bare"), (raw_image_id, 96, 0, "cells")]
        table = pd.DataFrame(rows, columns=["raw_image_id", "y", "x", "label"])
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        found[name] = [f"dataset={name}", f"dataset.root={tmp_path / 'raw' / name}", *SMALL, *MIXTURE]
    return found


def configs(overrides: dict[str, list[str]], *, anew: bool = False):
    """Configs of the other data set by its name, each with its own overrides."""
    return lambda name: OtherDataset(*composed_prepare(*overrides[name]), anew=anew) if name in overrides else None


def labelled(two: dict[str, list[str]], tmp_path: Path) -> dict[str, list[str]]:
    off = "curation.empty_filter.enabled=false"
    return {
        name: [*(one for one in given if one != off), *HAND, f"dataset.empty_labels={tmp_path / name}.csv"]
        for name, given in two.items()
    }


def look(patches: np.ndarray) -> np.ndarray:
    return np.log(np.stack([patches.std((1, 2)), patches.mean(1).std(1)], axis=1) + 0.1).astype(np.float32)


def thresholds(root: str, name: str = "doxo") -> dict:
    return json.loads(Path(root, name, "thresholds.json").read_text())


def test_thresholds_are_those_of_a_data_set_that_was_curated_before(two):
    for given in two.values():
        prepare(*composed_prepare(*given, "curation.output_root=by_hand"))
    prepare(*composed_prepare(*two["doxo"], "curation.output_root=at_once"), config_of=configs(two))
    assert thresholds("at_once")["source"] == "fitted on no_treatment"
    assert thresholds("at_once") == thresholds("by_hand")
    assert thresholds("at_once", "no_treatment") == thresholds("by_hand", "no_treatment")


def test_the_command_composes_the_other_data_set_from_its_own_settings(two, tmp_path):
    """Settings of ``dataset`` are of the data set that was asked for: the other one keeps its folder."""
    given = [one for one in two["doxo"] if not one.startswith("dataset")]
    shutil.move(tmp_path / "raw/doxo", tmp_path / "elsewhere")
    words = "dataset=doxo", f"dataset.root={tmp_path / 'elsewhere'}"
    done = run_forked("prepare.py", *words, *given, JIMT_DATA=str(tmp_path / "raw"))
    assert done.returncode == 0, done.stderr
    prepare(*composed_prepare(*two["no_treatment"], "curation.output_root=by_hand"))
    found, expected = thresholds("data/curated"), thresholds("by_hand", "no_treatment")
    assert (found["live_below"], found["dead_above"]) == (expected["live_below"], expected["dead_above"])
    assert json.loads(Path("data/curated/no_treatment/summary.json").read_text())["root"].endswith("raw/no_treatment")


def test_what_stands_is_used_as_it_is_unless_a_sweep_curates_it_too(two):
    prepare(*composed_prepare(*two["no_treatment"], "curation.label.n_sigma=0.5"))
    prepare(*composed_prepare(*two["doxo"]), config_of=configs(two))
    assert thresholds("data/curated")["n_sigma"] == 0.5
    prepare(*composed_prepare(*two["doxo"]), config_of=configs(two, anew=True))
    assert thresholds("data/curated")["n_sigma"] == 1


@pytest.mark.parametrize("why", ["no config", "no images", "the same images"])
def test_a_data_set_that_cannot_be_curated_is_to_be_curated_by_hand(two, why):
    if why == "no images":
        shutil.rmtree(Path(two["no_treatment"][1].partition("=")[2]))
    if why == "the same images":
        two["no_treatment"][1] = two["doxo"][1]
    config_of = configs({}) if why == "no config" else configs(two)
    with pytest.raises(InputError) as caught:
        prepare(*composed_prepare(*two["doxo"]), config_of=config_of)
    path = Path("data/curated/no_treatment/thresholds.json")
    assert str(caught.value) == f"{path} is missing: run jimt prepare dataset=no_treatment"


def test_an_error_of_the_other_data_set_names_it_and_what_mends_it_there(two):
    root = Path(two["no_treatment"][1].partition("=")[2])
    (root / "--W00001--P00001--Z00000--T00000--PI.tif").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        prepare(*composed_prepare(*two["doxo"]), config_of=configs(two))
    first, *listed = str(caught.value).splitlines()
    assert first == (
        "no_treatment, whose thresholds label doxo, cannot be curated (1 of 12 raw images cannot be used): mend or "
        "remove them, or run jimt prepare dataset=no_treatment curation.on_bad_image=skip"
    )
    assert "--W00001--P00001--Z00000--T00000" in listed[0]


def test_a_data_set_that_is_refused_by_its_names_is_refused_before_others_are_curated(two):
    with pytest.raises(InputError, match="no image in .* has the channel DAPI"):
        prepare(*composed_prepare(*two["doxo"], "dataset.fluorescence=DAPI"), config_of=configs(two))
    assert not Path("data/curated").exists()


def test_hand_labels_of_two_data_sets_train_one_filter_whichever_comes_first(two, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "late_embed", lambda config, *, size: embeds(look, size=size))
    two = labelled(two, tmp_path)
    prepare(*composed_prepare(*two["doxo"]), config_of=configs(two))
    for name in two:
        summary = json.loads(Path("data/curated", name, "summary.json").read_text())
        assert summary["empty_filter"]["n_labelled_of"] == {"no_treatment": 24, "doxo": 24}


def test_two_data_sets_that_ask_for_each_other_s_thresholds_are_refused(two):
    two["no_treatment"].append("curation.label.fit_on=doxo")
    with pytest.raises(InputError, match=r"doxo/thresholds.json is missing"):
        prepare(*composed_prepare(*two["doxo"]), config_of=configs(two))


def test_processes_that_need_the_same_data_set_take_turns(two, tmp_path, monkeypatch):
    shutil.copytree(tmp_path / "raw/doxo", tmp_path / "raw/other")
    given = [*two["doxo"][2:], f"dataset.root={tmp_path / 'raw/other'}", "dataset.name=other"]
    treated = [composed_prepare(*two["doxo"]), composed_prepare("dataset=doxo", *given)]
    read, run = [], curating.run_pipeline

    def noted(dataset, *rest):
        read.append(dataset.name)
        run(dataset, *rest)

    monkeypatch.setattr(curating, "run_pipeline", noted)
    others = {"no_treatment": OtherDataset(*composed_prepare(*two["no_treatment"]), anew=False)}
    threads = [Thread(target=prepare, args=config, kwargs={"config_of": others.get}) for config in treated]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read) == ["doxo", "no_treatment", "other"]
    assert thresholds("data/curated") == thresholds("data/curated", "other")
