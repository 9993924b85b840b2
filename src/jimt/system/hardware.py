"""What this processor can compute in, and what a GPU and the installed torch can do together."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from jimt.errors import InputError

Capability = tuple[int, int]

_BUILDS: tuple[tuple[Capability, str, tuple[str, ...]], ...] = (
    ((5, 0), "no release that jimt supports has", ()),
    (  # torch 2.7.1 from PyPI
        (7, 5),
        "the one of constraints/titan-xp.txt has",
        ("pip install -c constraints/titan-xp.txt -e .", "make venv CONSTRAINTS=constraints/titan-xp.txt"),
    ),
    (  # torch 2.14 from PyPI
        (99, 0),
        "the newest that jimt is tested with may have",
        ("pip install -c constraints/current.txt -e .", "make venv"),
    ),
)
"""Which build has kernels for a GPU below a compute capability, and how it is installed."""
_OLDEST_WITH_BFLOAT16 = (7, 0)
_BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # the names of Linux; either makes convolutions quicker
_OLDEST_WITH_COMPILE = (7, 0)  # Triton, which torch.compile writes its kernels in


def bfloat16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """The instructions this processor computes in bfloat16 with: ``amx_bf16``, ``avx512_bf16``, or None for none.

    A processor without them computes in bfloat16 too, at a third of the speed of float32. What the processor has is
    asked, not how fast it is just now: a time taken at the start would differ from start to start.

    Args:
        cpuinfo: Where Linux lists what the processor has; other systems have no such file, and None is the answer.
    """
    if not cpuinfo.is_file():
        return None
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    known = set() if flags is None else set(flags.group(1).split())
    return next((name for name in _BFLOAT16_INSTRUCTIONS if name in known), None)


def check_gpus(*, devices: int, precision: str, compile_network: bool) -> None:
    """Raise unless every GPU that will be used can run what is asked with the installed torch.

    Args:
        devices: How many GPUs will be used: the first of those that are visible.
        precision: Lightning's word for it, such as ``32-true`` or ``bf16-mixed``.
        compile_network: Whether ``torch.compile`` is to be used.

    Raises:
        InputError: If there is no GPU, or one that :func:`check_capability` turns down.
    """
    import torch

    with warnings.catch_warnings(record=True) as said:  # torch warns of such GPUs at length: said here in a sentence
        warnings.simplefilter("always")
        if not torch.cuda.is_available():
            reasons = [str(warning.message).partition("\n")[0].partition(". ")[0] for warning in said]
            reason = f" ({reasons[0]})" if reasons else ""
            raise InputError(
                f"torch {torch.__version__} finds no GPU on this machine{reason}", remedies=("trainer=cpu",)
            )
        architectures = torch.cuda.get_arch_list()
        gpus = [
            (torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index))
            for index in range(torch.cuda.device_count())
        ]
    if devices > len(gpus):
        raise InputError(
            f"trainer.devices={devices} and torch sees {len(gpus)} GPU{'s' * (len(gpus) > 1)} on this machine",
            remedies=(f"trainer.devices={len(gpus)}",),
        )
    for gpu, capability in gpus[:devices]:
        check_capability(
            gpu,
            capability,
            architectures=architectures,
            torch_version=torch.__version__,
            precision=precision,
            compile_network=compile_network,
        )


def check_capability(
    gpu: str,
    capability: Capability,
    *,
    architectures: Sequence[str],
    torch_version: str,
    precision: str,
    compile_network: bool,
) -> None:
    """Raise, in one sentence, unless a GPU can run what is asked with a build of torch.

    Args:
        gpu: Its name.
        capability: Its compute capability, such as ``(6, 1)``.
        architectures: What the build has kernels for, as ``torch.cuda.get_arch_list()`` says.
        torch_version: The build's version.
        precision: Lightning's word for it.
        compile_network: Whether ``torch.compile`` is to be used.

    Raises:
        InputError: If the build has no kernels for the GPU, or if bfloat16 or ``torch.compile`` is asked for below
            compute capability 7.0.
    """
    known = f"{gpu} (compute capability {capability[0]}.{capability[1]})"
    if not any(_runs_on(architecture, capability) for architecture in architectures):
        supported = ", ".join(architectures) or "no GPU at all"
        which, remedies = next((which, remedies) for below, which, remedies in _BUILDS if capability < below)
        raise InputError(
            f"torch {torch_version} has no kernels for {known}, only for {supported}, and {which}",
            remedies=("trainer=cpu", *remedies),
        )
    if precision.startswith("bf16") and capability < _OLDEST_WITH_BFLOAT16:
        raise InputError(
            f"{known} cannot compute in bfloat16, which starts at 7.0", remedies=("trainer.precision=32-true",)
        )
    if compile_network and capability < _OLDEST_WITH_COMPILE:
        raise InputError(
            f"{known} cannot run what torch.compile writes, which starts at 7.0", remedies=("trainer.compile=none",)
        )


def _runs_on(architecture: str, capability: Capability) -> bool:
    """Say whether kernels built for an architecture run on a GPU.

    Binaries (``sm_XY``) run on the same major version from the minor one up, intermediate code (``compute_XY``) on
    anything from there up (NVIDIA's CUDA programming guide).
    """
    match = re.fullmatch(r"(sm|compute)_(\d+)(\d)[af]?", architecture)
    if match is None:
        return False
    built_for = (int(match[2]), int(match[3]))
    return capability >= built_for and (match[1] == "compute" or capability[0] == built_for[0])
