"""A data set of one's own is one YAML, in a folder of one's own."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from conftest import REPOSITORY
from jimt.config.curating import PrepareConfig
from jimt.config.hydra_schema import to_dataclasses
from jimt.errors import InputError


def compose_with(folder: Path, *overrides: str) -> PrepareConfig:
    """``python prepare.py --config-dir FOLDER OVERRIDES``: Hydra searches the folder besides ``conf/``."""
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        search = f"hydra.searchpath=[file://{folder}]"
        config = to_dataclasses(compose("prepare", overrides=[search, *overrides]))
    assert isinstance(config, PrepareConfig)
    return config


OWN = """
# @package _global_
defaults:
  - layout/{layout}
  - _self_

dataset:
  name: mine
  root: /raw/mine
  pattern: {pattern}
curation:
  label:
    scale: background_subtracted
"""


@pytest.mark.parametrize(
    ("layout", "pattern"),
    [
        ("pairs", r"^(?P<group>w\d+)/(?P<raw_image_id>\w+)_(?P<channel>brightfield|fluorescence)\.tif$"),
        ("stack", r"^(?P<group>w\d+)/(?P<raw_image_id>\w+)\.tif$"),
        ("patches", "null"),
    ],
)
def test_a_new_data_set_is_one_yaml_in_the_user_s_own_folder(tmp_path, layout, pattern):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_text(OWN.format(layout=layout, pattern=pattern))
    config = compose_with(tmp_path, "dataset=mine")
    assert (config.dataset.name, config.dataset.layout, config.dataset.root) == ("mine", layout, "/raw/mine")
    assert config.dataset.pattern == (None if pattern == "null" else pattern)
    assert config.dataset.bit_depth == 16
    assert config.curation.label.scale == "background_subtracted"
    assert config.curation.label.fit_on == "mine"
    assert config.curation.patches.size == 224


def test_a_new_data_set_can_build_on_one_of_ours(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/taxol.yaml").write_text(
        "# @package _global_\ndefaults: [no_treatment, _self_]\ndataset: {name: taxol, root: /raw/taxol}\n"
        "curation: {label: {fit_on: no_treatment}}\n"
    )
    config = compose_with(tmp_path, "dataset=taxol", "curation.patches.stride=56")
    assert (config.dataset.bit_depth, config.dataset.brightfield) == (12, "Trans")
    assert re.match(str(config.dataset.pattern), "--W00001--P00001--Z00000--T00000--PI.tif")
    assert (config.curation.label.fit_on, config.curation.patches.stride) == ("no_treatment", 56)


def test_a_typo_in_the_user_s_own_yaml_names_the_key(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/mine.yaml").write_text(OWN.format(layout="patches", pattern="null") + "    sigma: 2\n")
    with pytest.raises(Exception, match="sigma") as caught:
        compose_with(tmp_path, "dataset=mine")
    assert "Key 'sigma' not in 'LabelConfig'" in f"{caught.value} {caught.value.__cause__}"


def test_a_data_set_without_a_name_says_what_has_no_value(tmp_path):
    (tmp_path / "dataset").mkdir()
    text = OWN.format(layout="patches", pattern="null").replace("  name: mine\n", "")
    (tmp_path / "dataset/mine.yaml").write_text(text)
    with pytest.raises(InputError, match=r"^dataset\.name has no value: set it in the data set's YAML"):
        compose_with(tmp_path, "dataset=mine", "curation.label.fit_on=mine")
