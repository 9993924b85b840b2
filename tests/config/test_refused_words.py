"""Words of a command line that a command cannot take: each is refused in one sentence, and nothing is left."""

import subprocess

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from jimt.config.hydra_errors import unreadable
from jimt.config.setting_names import setting_types, unknown_setting
from jimt.config.training import TrainConfig

# ---- unknown settings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.py", "+trainer.limit_train_batchs=2"], "trainer.limit_train_batchs: did you mean trainer.limit_"),
        (["train.py", "trainer.limit_train_batchs=2"], "trainer.limit_train_batchs: did you mean trainer.limit_"),
        (["train.py", "+optim.typo=5"], "optim.typo: optim has lr, betas, weight_decay, "),
        (["train.py", "+optim={typo:5}"], "optim.typo: optim has lr, betas, weight_decay, "),
        (["train.py", "++lr=1e-3"], "lr: did you mean optim.lr?"),
        (["train.py", "optim.lrate=1e-3"], "optim.lrate: did you mean optim.lr?"),
        (["train.py", "learning_rate=1e-3"], "learning_rate: did you mean optim.lr?"),
        (["train.py", "optim.learning_rate=1e-3"], "optim.learning_rate: did you mean optim.lr?"),
        (["train.py", "epochs=3"], "epochs: did you mean trainer.max_epochs?"),
        (["train.py", "optim.n_epochs=3"], "optim.n_epochs: did you mean trainer.max_epochs?"),
        (["train.py", "batch=8"], "batch: did you mean optim.batch_size or "),
        (["train.py", "optm.lr=1e-3"], "optm.lr: did you mean optim.lr?"),
        (["train.py", "+backbonee=resnet18"], "backbonee: did you mean backbone?"),
        (["train.py", "+hydra.typo=1"], "hydra.typo: this command has seed, "),
        (["train.py", "-m", "seed=0,1", "+optim.typo=5"], "optim.typo: optim has lr"),
        (["train.py", "-m", "+optim.typo=5,6"], "optim.typo: optim has lr"),
        (["train.py", "experiment=paper_grid", "+optim.typo=5"], "optim.typo: optim has lr"),
        (["prepare.py", "+curation.patches.sise=64"], "curation.patches.sise: did you mean curation.patches.size"),
        (["prepare.py", "optim.lr=1"], "optim.lr: this command has dataset, curation"),
        (["jimt", "crossval", "+crossval.nfolds=3"], "crossval.nfolds: did you mean crossval.n_folds or "),
        (["jimt", "tune", "+tune.ntrials=3"], "tune.ntrials: did you mean tune.n_trials?"),
    ],
)  # fmt: skip
def test_an_unknown_setting_is_refused_with_the_near_name_and_nothing_is_left(command, tmp_path, words, said):
    assert command(*words).startswith(f"error: there is no setting {said}")
    assert list(tmp_path.iterdir()) == []


def test_every_setting_has_a_name_and_none_is_unknown():
    names = list(setting_types(TrainConfig))
    assert {"seed", "optim.lr", "dataset.simulation.n_wells", "curation.executor.backend"} <= set(names)
    assert len(names) == len(set(names))
    assert str(unknown_setting("curation.label.n_sigmas", TrainConfig)).endswith("did you mean curation.label.n_sigma?")


def test_what_a_plus_may_add_is_added(command, training):
    assert command("train.py", "+trainer.callbacks.Timer={}", "+optim.lr=0.5", "hydra.run.dir=run") is not None
    assert command("train.py", "+trainer.callbacks.Timer={}", "++optim.lr=0.5", "hydra.run.dir=run") is None
    assert (training.asked[0].trainer.callbacks, training.asked[0].optim.lr) == ({"Timer": {}}, 0.5)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optim.lr=fast", "optim.lr=fast is no number"),
        ("seed=1.5", "seed=1.5 is no whole number"),
        ("trainer.compile=true", "trainer.compile=True is not allowed: it takes one of none"),
        ("trainer.fast_dev_run=maybe", "trainer.fast_dev_run=maybe is neither true nor false"),
        ("optim.lr=null", "optim.lr takes a value, and null is none"),
        ("seed=0,1", "seed=0,1 has several values, which -m tries one after another: give -m"),
        ("optim.lr={", "optim.lr={ cannot be read: write KEY=VALUE"),
        ("+experiment=one_cycle", "experiment has a value already, so + cannot add one: give experiment=NAME"),
        ("optim.lr=0", "optim.lr=0.0 is not allowed: it takes more than 0"),
    ],
)
def test_what_hydra_cannot_take_is_one_sentence(command, tmp_path, capfd, override, said):
    code = command("train.py", override)
    assert code.startswith(f"error: {said}")
    assert "\n" not in code
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


# ---- files of one's own

OWN = """# @package _global_
defaults:
  - layout/pairs
  - _self_
dataset:
  name: own
  root: raw
  pattern: "{plate}/{well}_{channel}.tif"
  brightfield: BF
"""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("brightfield: BF", "brightfeld: BF", "dataset/own.yaml holds dataset.brightfeld, which is no setting: did you "
         "mean dataset.brightfield or"),
        ("# @package _global_\n", "", "dataset/own.yaml holds dataset where dataset begins: let its first line be "
         "# @package _global_"),
        ("  brightfield", "\tbrightfield", "own.yaml, line 9 cannot be read as YAML (found character '\\t' that cannot "
         "start any token): indent with spaces, not with tabs"),
        ("  - layout/pairs\n  - _self_\n", "", "dataset/own.yaml has defaults that are no list: write below it"),
        ("layout/pairs", "layout/pears", "there is no dataset/layout=pears: it takes pairs, patches, stack; write"),
        ("brightfield: BF", "bit_depth: twelve", "dataset/own.yaml"),
    ],
)  # fmt: skip
def test_a_slip_in_a_file_of_ones_own_is_one_sentence_that_names_it(command, tmp_path, before, after, said):
    path = tmp_path / "jimt_conf/dataset/own.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(OWN.replace(before, after))
    code = command("prepare.py", "dataset=own", "dry_run=true")
    assert said in code
    assert code.startswith("error: ")
    assert "\n" not in code
    path.write_text(OWN)  # mended: the images are what is missing now
    assert command("prepare.py", "dataset=own", "dry_run=true").startswith("error: raw is missing")


DATA_SETS = (
    "doxo, mcf7, mcf7_dated, mcf7_named, no_treatment, ours, synthetic, synthetic_camera, synthetic_doses, "
    "synthetic_plate, synthetic_treated"
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prepare.py", "dataset=null"], f"dataset=null names no file of settings: name one of {DATA_SETS}"),
        (["jimt", "crossval", "seed=1", "dataset=7"], "dataset=7 names no file of settings: name one of doxo, m"),
        (["train.py", "curation=null"], "curation=null names no file of settings: name one of paper"),
        (["train.py", "backbone=null"], "backbone=null names no file of settings: name one of efficientnet_lite0, i"),
        (["train.py", "trainer=null"], "trainer=null names no file of settings: name one of cpu, ddp, gpu"),
        (["train.py", "optim=null"], "optim=null names no file of settings: name one of paper"),
        (["train.py", "experiment=null"], "experiment=null names no file of settings: leave it out, or name one of d"),
    ],
)
def test_null_where_a_file_of_settings_is_named_lists_those_there_are(command, tmp_path, words, said):
    (tmp_path / "jimt_conf/dataset").mkdir(parents=True)
    (tmp_path / "jimt_conf/dataset/ours.yaml").touch()
    assert command(*words).startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-config-dir", "mine"], "there is no flag -config-dir: give --config-dir mine"),
        (["--dataset", "our_lab"], "there is no flag --dataset, and settings have none: give dataset=our_lab"),
        (["--optim.lr=1e-4", "seed=3"], "there is no flag --optim.lr, and settings have none: give optim.lr=1e-4"),
        (["--lrate", "1e-4"], "there is no flag --lrate, and settings have none: give optim.lr=1e-4"),
        (["--seed"], "there is no flag --seed, and settings have none: give seed=VALUE"),
        (["--nonsense"], "there is no flag --nonsense: write settings as KEY=VALUE"),
        (["--cfg", "all+"], "the flags cannot be read (argument --cfg/-c: invalid choice: "),
    ],
)
def test_a_flag_that_no_command_has_is_one_sentence_with_the_right_form(command, tmp_path, capfd, words, said):
    code = command("train.py", *words)
    assert code.startswith(f"error: {said}")
    assert "\n" not in code
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


VALUES = [
    "{plate}/{well}_{field}_{channel}.tif",
    "it's {well}_{channel}.tif",
    'say "{well}"_{channel}.tif',
    r"^(?P<raw_image_id>(?P<group>[^_]+)_\d+)_(?P<channel>\w+)\.tif$",
    r"{well}\\",
    "a b, {c}=$HOME `d` !",
]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", ["dataset.pattern", "+dataset.pattern", "hydra.run.dir"])
def test_a_value_that_lost_its_quotes_is_printed_as_it_must_be_typed(key, value):
    """What a shell makes of the remedy, Hydra reads as the value."""
    error = unreadable(f"{key}={value}", TrainConfig)
    (remedy,) = error.remedies
    assert str(error).endswith(f"give {remedy}")
    argument = subprocess.run(["sh", "-c", f"printf %s {remedy}"], capture_output=True, text=True, check=True).stdout
    (override,) = OverridesParser.create().parse_overrides([argument])
    assert (override.key_or_group, override.value()) == (key.lstrip("+"), value)


def test_only_text_needs_quotes():
    for override in ("dataset.group=[plate", "optim.lr={", "trainer", "tune.space={optim:"):
        assert unreadable(override, TrainConfig).remedies == ()
