"""How many processes a job needs, and who has started them: read from the environment, before anything heavy."""

from collections.abc import Mapping

from jimt.errors import InputError


def refuse_relaunch(n_processes: int, environment: Mapping[str, str]) -> None:
    """Raise where Lightning would start the other processes of a job by the command of the whole sweep.

    Args:
        n_processes: That a job needs.
        environment: Of this process.

    Raises:
        InputError: If a job needs several processes and nothing outside has started them.
    """
    if n_processes > 1 and started_together(environment) == 1:
        raise InputError(
            f"a job of a sweep cannot start its {n_processes} processes itself, since each would start the sweep again",
            advice="train one run after another, in no sweep",
            remedies=("trainer.devices=1 trainer.num_nodes=1 trainer.strategy=auto hydra/launcher=gpus",),
        )


def started_together(environment: Mapping[str, str]) -> int:
    """Processes that SLURM's srun or torchrun started together, this one included."""
    n_torchrun = int(environment.get("WORLD_SIZE", 1))
    if environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):  # a shell in an allocation; Lightning's own rule
        return n_torchrun
    return max(n_torchrun, int(environment.get("SLURM_NTASKS", 1)))


def process_rank(environment: Mapping[str, str]) -> int:
    """Which of them this process is, from 0."""
    if started_together(environment) == 1:
        return 0
    return int(environment.get("RANK") or environment.get("SLURM_PROCID") or 0)


def is_first(environment: Mapping[str, str]) -> bool:
    """Whether this process is the one that writes: also told of those that Lightning has started."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # in Lightning's order
    return int(next((environment[name] for name in names if environment.get(name)), 0)) == 0
