"""The same ratios on any card, in two to three minutes: ``python benchmarks/gpu.py``.

First how many images a second a bare training step of ResNet-18 takes in the ways that ``trainer.precision`` and
``trainer.compile`` offer, and how fast a batch is turned, changed and normalised, both at batches of 4 and 32; then
rows 1 (training), 2 (data path), 5 (scoring), 6 (prediction) and, where there are two cards, 10 (two processes) of
``speed.py`` on the card. Clocks wait for the card; the first turn, in which things are compiled, is not counted. What
is printed, the card and the versions with it, is what a report of a user should hold. Most of the time goes into
starting trainings and compiling: a second run, which finds models and kernels of the first, is shorter.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from speed import line_of
from speed_measuring import Row, Suite, config_of, in_turn, now
from speed_prediction import PREDICTED, prediction_rows, scoring_rows
from speed_training import CASES, loading_rows, processes_rows, training_rows
from torch import Tensor
from torch.nn import functional

from jimt.config.training import AugmentationConfig
from jimt.data.dataset import N_CHANGES
from jimt.data.transforms import augment, compiled_augment
from jimt.errors import InputError
from jimt.networks.backbones import create_backbone, normalisation
from jimt.system.hardware import check_gpus

BATCHES = (4, 32)
WAYS = {
    "32-true": None,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}
"""``trainer.precision``, and what autocast computes in."""
COMPILED = ("default", "reduce-overhead")
"""``trainer.compile``, beside ``none``."""
ROWS = (1, 2, 5, 6, 10)
"""Of ``speed.py``: what a card changes."""


def is_accepted(precision: str, compiled: str) -> bool:
    """Whether a training would be on this card."""
    try:
        check_gpus(devices=1, precision=precision, compile_network=compiled != "none")
    except InputError:
        return False
    return True


def offered(device: torch.device) -> list[tuple[str, str]]:
    """What ``trainer.precision`` and ``trainer.compile`` accept; compiled in one precision, to save time."""
    if device.type == "cpu":
        return [("32-true", "none"), ("bf16-mixed", "none")]
    has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    best = "bf16-mixed" if has_bfloat16 else "16-mixed"
    ways = [*((precision, "none") for precision in WAYS), *((best, compiled) for compiled in COMPILED)]
    return [way for way in ways if is_accepted(*way)]


class Steps:
    """Bare training steps on one resident batch.

    Args:
        batch: Patches.
        precision: A key of ``WAYS``.
        compiled: One of ``COMPILED``.
        layout: Memory format of network and batch.
        suite: Where, and how many steps a turn has.
    """

    def __init__(self, batch: int, precision: str, compiled: str, layout: torch.memory_format, suite: Suite) -> None:
        torch.manual_seed(0)
        device = suite.device
        self._n = suite.sized(10, least=1)
        self._batch, self._type, self._device = batch, WAYS[precision], device
        self._network = create_backbone("resnet18.tv_in1k", num_classes=2).to(device, memory_format=layout).train()
        if compiled != "none":
            self._network.compile(mode=compiled)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=1e-5)
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "16-mixed")
        self._images = torch.randn(batch, 3, 224, 224, device=device).contiguous(memory_format=layout)
        self._labels = torch.arange(batch, device=device) % 2

    def __call__(self) -> float:
        """Images a second."""
        start = now()
        for _ in range(self._n):
            self._optimizer.zero_grad()
            with self._autocast():
                logits = self._network(self._images)
            loss = functional.cross_entropy(logits.float(), self._labels)
            self._scaler.scale(loss).backward()
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return self._batch * self._n / (now() - start)

    def _autocast(self) -> AbstractContextManager[None]:
        return nullcontext() if self._type is None else torch.autocast(self._device.type, self._type)


def ways_table(suite: Suite) -> Table:
    """Images a second of each way, beside 32 bit with channels first and nothing compiled."""
    table = Table(title="Bare training steps of ResNet-18, images/s (times plain 32 bit, channels first)")
    table.add_column("trainer.precision, trainer.compile")
    for batch in BATCHES:
        table.add_column(f"batch {batch}", justify="right")
    columns = []
    ways = offered(suite.device)
    for batch in BATCHES:
        plain = Steps(batch, "32-true", "none", torch.contiguous_format, suite)
        works = [plain, *(Steps(batch, *way, torch.channels_last, suite) for way in ways)]
        rates = [statistics.median(told) for told in in_turn(suite.repeats, *works)]
        columns.append([f"{rate:.0f} ({rate / rates[0]:.2f} x)" for rate in rates[1:]])
    for way, *told in zip(ways, *columns, strict=True):
        table.add_row(", ".join(way), *told)
    table.caption = "the first turn, in which things are compiled, is not counted"
    return table


def augmentation_table(suite: Suite) -> Table:
    """Microseconds in which a batch is turned, changed and normalised, beside a copy of as many bytes."""
    on_gpu = suite.device.type == "cuda"
    works: dict[str, Callable[..., object]] = {"plain copy of the same bytes": copied}
    mean, std = normalisation("resnet18.tv_in1k")
    for name in ("paper", "intensity"):
        settings = config_of("train", "dataset=synthetic", f"augmentation={name}", "run_dir=none").augmentation
        rest = {"settings": settings, "mean": mean, "std": std, "by_place": on_gpu}
        works[f"augmentation={name}"] = partial(on_batch, augment, **rest)
        if on_gpu and is_accepted("32-true", "default"):
            works[f"augmentation={name}, compiled"] = partial(on_batch, compiled_augment(), **rest)
    table = Table(title="Turning, changing and normalising a batch, microseconds (GB/s)")
    table.add_column("what")
    columns = []
    for batch in BATCHES:
        table.add_column(f"batch {batch}", justify="right")
        moved = batch * 224 * 224 * (1 + 3 * 4)  # a byte is read, and three numbers of four bytes are written
        pixels = torch.randint(0, 256, (batch, 1, 224, 224), dtype=torch.uint8, device=suite.device)
        drawn = torch.rand(batch, N_CHANGES, device=suite.device) * 2 - 1
        given = pixels, torch.arange(batch, device=suite.device) % 8, drawn
        n = suite.sized(200, least=2)
        told = in_turn(suite.repeats, *(partial(seconds_of, partial(work, *given), n) for work in works.values()))
        medians = [statistics.median(each) for each in told]
        columns.append([f"{1e6 * each:.0f} ({moved / each / 1e9:.0f})" for each in medians])
    for name, *values in zip(works, *columns, strict=True):
        table.add_row(name, *values)
    return table


def seconds_of(work: Callable[[], object], n: int) -> float:
    """Seconds of one of so many, which a card does one after another."""
    start = now()
    for _ in range(n):
        work()
    return (now() - start) / n


def on_batch(
    work: Callable[..., object],
    pixels: Tensor,
    orientation: Tensor,
    drawn: Tensor,
    *,
    settings: AugmentationConfig,
    **rest: object,
) -> None:
    """A batch of patches by one of the two ways."""
    work(pixels, None, orientation, drawn, settings, **rest)


def copied(pixels: Tensor, orientation: Tensor, drawn: Tensor) -> Tensor:
    """As many bytes, half of them read and half of them written."""
    return pixels.new_empty(pixels.numel() * 13 // 2).clone()


def name_of(suite: Suite) -> str:
    """The card, what it can do and the versions."""
    if suite.accelerator == "cpu":
        return f"processor, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    major, minor = torch.cuda.get_device_capability(suite.device)
    memory = torch.cuda.get_device_properties(suite.device).total_memory / 2**30
    known = f"{torch.cuda.get_device_name(suite.device)}, compute capability {major}.{minor}, {memory:.0f} GiB"
    return f"{known}, torch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accelerator", choices=["gpu", "cpu"], default="gpu", help="cpu to see how it would look")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each work, after one to warm up (3)")
    parser.add_argument(
        "--rows",
        type=int,
        nargs="*",
        choices=ROWS,
        default=ROWS,
        help="of speed.py: 1 training, 2 data path, 5 scoring, 6 prediction, 10 two processes",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/speed"), help="data and models are kept there (runs/speed)"
    )
    options = parser.parse_args()
    if options.accelerator == "gpu":
        try:
            check_gpus(devices=1, precision="32-true", compile_network=False)
        except InputError as error:
            sys.exit(f"error: {error.cause}: give --accelerator cpu to see how it would look")
    suite = Suite(
        options.folder.absolute() / options.accelerator,
        options.repeats,
        torch.get_num_threads(),
        1.0 if options.accelerator == "gpu" else 0.1,
        options.accelerator,
    )
    suite.folder.mkdir(parents=True, exist_ok=True)
    console, start = Console(), time.perf_counter()
    console.print(name_of(suite), highlight=False, soft_wrap=True)
    console.print(ways_table(suite))
    console.print(augmentation_table(suite))
    bfloat16 = options.accelerator == "cpu" or is_accepted("bf16-mixed", "none")
    kinds: dict[int, Callable[[], list[Row]]] = {
        1: lambda: training_rows(suite, CASES[:2]),
        2: lambda: loading_rows(suite),
        5: lambda: scoring_rows(suite, ("bf16-mixed", "32-true") if bfloat16 else ("32-true",)),
        6: lambda: prediction_rows(suite, PREDICTED[:2]),
        10: lambda: processes_rows(suite),
    }
    for number in options.rows:
        if number == 10 and options.accelerator == "gpu" and torch.cuda.device_count() < 2:
            console.print("10  two processes: this machine has one GPU", highlight=False)
            continue
        with contextlib.redirect_stdout(sys.stderr):  # what the commands print is not the result
            rows = kinds[number]()
        for row in rows:
            console.print(line_of(row), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{time.perf_counter() - start:.0f} s", highlight=False)


if __name__ == "__main__":
    main()
