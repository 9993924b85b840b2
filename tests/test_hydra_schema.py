from jimt.hydra_schema import with_overrides_of_run


def write_overrides(run, *overrides):
    (run / ".hydra").mkdir(parents=True)
    (run / ".hydra" / "overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))


def test_resuming_brings_the_overrides_the_run_was_started_with(tmp_path):
    write_overrides(tmp_path / "run", "dataset=mcf7", "optim.lr=1e-3", "+trainer.callbacks.Timer={}")
    arguments = with_overrides_of_run([f"resume={tmp_path / 'run'}"])
    assert arguments == ["dataset=mcf7", "optim.lr=1e-3", "+trainer.callbacks.Timer={}", f"resume={tmp_path / 'run'}"]


def test_what_is_given_when_resuming_wins(tmp_path):
    write_overrides(tmp_path / "run", "dataset=mcf7", "trainer.max_epochs=3", "resume=elsewhere", "retrain=true")
    arguments = with_overrides_of_run([f"resume={tmp_path / 'run'}", "trainer.max_epochs=5"])
    assert arguments == ["dataset=mcf7", f"resume={tmp_path / 'run'}", "trainer.max_epochs=5"]


def test_without_resume_the_command_line_stays_as_it_is(tmp_path):
    for arguments in (["dataset=mcf7", "-m"], ["resume=null"], [f"resume={tmp_path / 'no run'}"]):
        assert with_overrides_of_run(arguments) == arguments
