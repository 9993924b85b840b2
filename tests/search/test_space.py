"""Which settings a search may vary, between which ends."""

import pytest

from jimt.errors import InputError
from jimt.search.tune import read_space, tune, with_values


def test_the_space_is_changed_on_the_command_line(tune_config):
    config = tune_config(
        "tune.space.optim.lr.high=1e-3",
        "tune.space.optim.weight_decay=null",
        "~tune.space.augmentation.blur",
        "+tune.space.optim.batch_size.choices=[4,16]",
        "+tune.space={optim.betas:{choices:[[0.5,0.999],[0.9,0.999]]}}",
        "+tune.space.optim.accumulate={low:1,high:4}",
        "+tune.space.trainer.patience.choices=[null,5]",
    )
    assert list(map(str, read_space(config))) == [
        "optim.lr 1e-06 to 0.001 (log)",
        "optim.batch_size one of 4, 16",
        "optim.accumulate 1 to 4",
        "augmentation.brightness 0 to 0.2",
        "augmentation.contrast 0 to 1",
        "augmentation.gamma 0 to 1",
        "optim.betas one of [0.5,0.999], [0.9,0.999]",
        "trainer.patience one of null, 5",
    ]


def test_every_kind_of_setting_reaches_the_training(small, tune_config, fake):
    result = tune(
        tune_config(
            *small,
            "search=probe",
            "tune.space.probe.c=null",
            "+tune.space.optim.betas.choices=[[0.5,0.99],[0.8,0.99]]",
            "+tune.space.optim.batch_size={low:2,high:64,log:true}",
            "+tune.space.optim.decoupled.choices=[true]",
            "+tune.space.optim.warmup={low:0,high:0.3}",
            "+tune.space.optim.schedule.choices=[cosine,one_cycle]",
            "+tune.space.trainer.patience.choices=[null,5]",
            "tune.n_trials=4",
        ),
        overrides=["+tune.space.optim.x=1", "optim.schedule=constant", "backbone=resnet18"],
    )
    assert len({config.optim.batch_size for config in fake.asked}) == 4
    for config, row in zip(fake.asked, result["trials"], strict=True):
        settings = row["settings"]
        assert config.optim.betas in ((0.5, 0.99), (0.8, 0.99))
        assert list(config.optim.betas) == settings["optim.betas"]
        assert type(config.optim.batch_size) is int
        assert config.optim.decoupled is True
        assert config.optim.schedule == settings["optim.schedule"] != "constant"
        assert config.trainer.patience == settings["trainer.patience"]
    command = result["best"]["command"]
    assert command.startswith("jimt train backbone=resnet18 'optim.betas=[0.")
    assert "optim.decoupled=true" in command


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ("optim.lrr={low:1e-5,high:1}", r"optim.lrr is not a setting .*: did you mean optim.lr\b"),
        (
            "curation.label={n_sigma:{low:1,high:2}}",
            "it takes those of backbone, probe, stain, augmentation, optim, trainer",
        ),
        ("trainer.devices={low:1,high:2}", "trainer.devices is not a setting that a search can vary"),
        ("optim.lr={low:1e-5}", "tune.space.optim.lr has low: it takes low, high and log"),
        ("optim.lr={lo:1e-5,high:1}", "tune.space.optim.lr has lo, high: it takes low, high and log"),
        ("optim.lr={low:1e-5,high:1,log:2}", "it takes low, high and log"),
        ("optim.lr={low:small,high:1}", "tune.space.optim.lr has small: it takes numbers"),
        ("optim.lr={low:1,high:1e-5}", "low=1.0 and high=1e-05: low must be below high"),
        ("optim.lr={low:0,high:1,log:true}", "low must be below high, and above 0 where log is true"),
        ("optim.lr={low:0,high:1}", "tune.space: optim.lr=0.0 is not allowed: it takes more than 0"),
        ("optim.lr=0.1", "tune.space.optim.lr=0.1 says nothing to search: a setting such as optim.lr has"),
        ("optim.batch_size={low:1,high:4.5}", "tune.space.optim.batch_size has 4.5: it takes whole numbers"),
        ("optim.batch_size={choices:[4,true]}", "has true: it takes whole numbers"),
        ("optim.batch_size={choices:[]}", "it takes low, high and log .*, or a list choices"),
        ("optim.schedule={low:0,high:1}", "tune.space.optim.schedule takes words: give it choices"),
        ("optim.schedule={choices:[cosine,linear]}", "optim.schedule=linear is not allowed: it takes one of"),
        ("optim.decoupled={choices:[1]}", "has 1: it takes true or false"),
        ("optim.warmup={low:0,high:0.1}", "optim.warmup=0.1 is without effect .* give optim.schedule=cosine"),
        ("augmentation.contrast={low:0,high:9}", "augmentation.contrast=9.0 is not allowed: it takes 0 to 3"),
        (
            "probe.layer={choices:[layer4]}",
            "tune.space: probe.layer is without effect under method=finetune: give method",
        ),
        (
            "probe.c={low:1,high:9}",
            "tune.space: probe.c is without effect under method=finetune: give method=linear_probe",
        ),
    ],
)
def test_a_bad_space_is_said_in_a_sentence(tune_config, space, told):
    key, _, value = space.partition("=")
    section, _, name = key.partition(".")
    config = tune_config("tune.space={optim:null,augmentation:null}", f"+tune.space.added={{{name}:{value}}}")
    config.tune.space = {section: config.tune.space["added"]}
    with pytest.raises(InputError, match=told):
        read_space(config)


def test_settings_without_effect_on_a_linear_probe_are_refused(tune_config):
    with pytest.raises(
        InputError, match="tune.space: optim.lr is without effect under method=linear_probe: give search=probe"
    ):
        read_space(tune_config("method=linear_probe"))
    with pytest.raises(InputError, match="tune.space is empty"):
        read_space(tune_config("tune.space={optim:null,augmentation:null}"))


def test_settings_that_need_each_other_may_be_searched_together(tune_config):
    config = tune_config(
        "+tune.space.optim.warmup={low:0,high:0.3}", "+tune.space.optim.schedule.choices=[constant,cosine]"
    )
    assert "optim.warmup 0 to 0.3" in map(str, read_space(config))
    with pytest.raises(InputError, match="optim.warmup=0.2 is without"):  # so that trial fails, and says why
        with_values(config, {"optim.warmup": 0.2, "optim.schedule": "constant"})


@pytest.mark.parametrize("metric", ["val/recall_live", "test/auroc"])
def test_a_metric_that_would_choose_badly_or_is_no_validation_metric_is_refused(tune_config, metric):
    told = f"tune.metric={metric} is not allowed: it takes one of val/balanced_accuracy, val/auroc"
    with pytest.raises(InputError, match=told):
        read_space(tune_config(f"tune.metric={metric}"))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("tune.n_trials=0", "tune.n_trials=0 is not allowed: it takes 1 or more"),
        ("tune.timeout=0", "tune.timeout=0.0 is not allowed: it takes null, or more than 0 hours"),
    ],
)
def test_a_bad_value_names_itself_and_its_range(tune_config, override, told):
    with pytest.raises(InputError, match=told):
        tune_config(override)
