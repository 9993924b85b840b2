import warnings
from pathlib import Path

import pytest
import torch

from jimt.errors import InputError
from jimt.system import hardware

# torch.cuda.get_arch_list() of the two supported builds from PyPI
TORCH_2_7_1 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
TORCH_2_14_1 = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
TITAN_XP = ("NVIDIA TITAN Xp", (6, 1))
TURING = ("NVIDIA GeForce RTX 2080 Ti", (7, 5))
RTX_4090 = ("NVIDIA GeForce RTX 4090", (8, 9))


def check(gpu, architectures, precision="32-true", compile_network=False):
    version = "2.7.1+cu126" if architectures is TORCH_2_7_1 else "2.14.1+cu130"
    hardware.check_capability(
        *gpu,
        architectures=architectures,
        torch_version=version,
        precision=precision,
        compile_network=compile_network,
    )


def test_the_lists_here_are_those_of_the_installed_build():
    lists = {"2.7.1+cu126": TORCH_2_7_1, "2.14.1+cu130": TORCH_2_14_1}
    if torch.__version__ not in lists:
        pytest.skip(f"torch {torch.__version__} is another build")
    # the list behind torch.cuda.get_arch_list(), which says nothing where there is no GPU
    assert torch._C._cuda_getArchFlags().split() == lists[torch.__version__]


@pytest.mark.parametrize(
    ("gpu", "architectures"),
    [
        (TITAN_XP, TORCH_2_7_1),
        (TURING, TORCH_2_7_1),
        (RTX_4090, TORCH_2_7_1),
        (TURING, TORCH_2_14_1),
        (RTX_4090, TORCH_2_14_1),
    ],
)
def test_a_gpu_runs_on_a_build_with_kernels_of_its_major_version(gpu, architectures):
    check(gpu, architectures)


def test_a_titan_xp_on_a_default_build_ends_in_one_sentence_with_the_install_line():
    with pytest.raises(InputError) as error:
        check(TITAN_XP, TORCH_2_14_1)
    message = str(error.value)
    assert "\n" not in message
    for part in (
        "NVIDIA TITAN Xp (compute capability 6.1)",
        "torch 2.14.1+cu130",
        "sm_75, sm_80, sm_86, sm_90, sm_100, sm_120",
        "pip install -c constraints/titan-xp.txt -e .",
        "make venv CONSTRAINTS=constraints/titan-xp.txt",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("capability", "architectures", "remedy"),
    [
        ((7, 0), TORCH_2_14_1, "constraints/titan-xp.txt"),
        ((12, 0), TORCH_2_7_1, "pip install -c constraints/current.txt -e ."),
        ((3, 7), TORCH_2_7_1, "trainer=cpu"),
        ((8, 0), [], "no GPU at all"),
    ],
)
def test_the_remedy_is_one_that_helps_this_gpu(capability, architectures, remedy):
    with pytest.raises(InputError, match="has no kernels for gpu") as error:
        check(("gpu", capability), architectures)
    assert remedy in str(error.value)


@pytest.mark.parametrize(
    ("architecture", "capability", "runs"),
    [
        ("sm_80", (8, 9), True),
        ("sm_86", (8, 0), False),
        ("sm_80", (9, 0), False),
        ("compute_80", (12, 0), True),
        ("compute_90", (8, 9), False),
        ("sm_90a", (9, 0), True),
        ("sm_120f", (12, 1), True),
        ("gfx90a", (9, 0), False),
    ],
)
def test_binaries_run_within_a_major_version_and_intermediate_code_from_its_own_up(architecture, capability, runs):
    if runs:
        check(("gpu", capability), [architecture])
    else:
        with pytest.raises(InputError, match="no kernels"):
            check(("gpu", capability), [architecture])


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_a_titan_xp_refuses_bfloat16(precision):
    with pytest.raises(InputError, match=r"TITAN Xp .*cannot compute in bfloat16.*trainer\.precision=32-true"):
        check(TITAN_XP, TORCH_2_7_1, precision=precision)
    check(TURING, TORCH_2_7_1, precision=precision)


def test_a_titan_xp_refuses_torch_compile():
    with pytest.raises(InputError, match=r"TITAN Xp .*torch\.compile.*trainer\.compile=none"):
        check(TITAN_XP, TORCH_2_7_1, compile_network=True)
    check(TURING, TORCH_2_7_1, compile_network=True)


def test_without_a_gpu_the_error_says_what_to_use_and_why(monkeypatch):
    def is_available():
        warnings.warn(
            "CUDA initialization: The NVIDIA driver is too old (found version 11040). Update it", stacklevel=2
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    with pytest.raises(InputError, match=r"finds no GPU .*driver is too old.*: give trainer=cpu"):
        hardware.check_gpus(devices=1, precision="32-true", compile_network=False)


def test_every_gpu_that_will_be_used_is_checked_and_torchs_own_warnings_stay_inside(monkeypatch):
    gpus = [RTX_4090, TITAN_XP]

    def get_device_capability(index):
        warnings.warn("Found GPU which is of compute capability (CC) 6.1. Please install ...", stacklevel=2)
        return gpus[index][1]

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: gpus[index][0])
    monkeypatch.setattr(torch.cuda, "get_device_capability", get_device_capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: TORCH_2_14_1)
    with pytest.raises(InputError, match="no kernels for NVIDIA TITAN Xp"):
        hardware.check_gpus(devices=2, precision="32-true", compile_network=False)
    gpus.pop()
    hardware.check_gpus(devices=1, precision="bf16-mixed", compile_network=True)


# lines of /proc/cpuinfo, cut down to what matters here
PROCESSORS = {
    "Sapphire Rapids": ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8", "amx_bf16"),
    "Genoa": ("flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vbmi2", "avx512_bf16"),
    "Skylake-X": ("flags\t\t: fpu avx2 avx512f avx512dq avx512bw", None),
    "Rome": ("flags\t\t: fpu avx2 fma", None),
    "no avx512_bf16 but in another line": ("bugs\t\t: avx512_bf16\nflags\t\t: fpu avx512_bf16x\n", None),
    "Graviton": ("Features\t: fp asimd bf16 i8mm", None),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_bfloat16_is_taken_where_the_processor_has_instructions_for_it(name, tmp_path):
    lines, expected = PROCESSORS[name]
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: {name}\n{lines}\n\nprocessor\t: 1\n{lines}\n\n")
    assert hardware.bfloat16_instructions(cpuinfo) == expected
    assert hardware.bfloat16_instructions(tmp_path / "not Linux") is None


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="not Linux")
def test_the_answer_on_this_processor_is_that_of_torchs_own_library():
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is None:
        pytest.skip("this torch does not tell what the processor has")
    known = get_capabilities()
    if known["architecture"] != "x86_64":
        pytest.skip("not an x86 processor")
    found = hardware.bfloat16_instructions()
    assert (found is not None) == (known["avx512_bf16"] or known["amx_bf16"])
