"""The same ratios on any card, in two minutes: ``python benchmarks/gpu.py``.

First how many images a second a bare training step of ResNet-18 takes in each of the ways that ``trainer.precision``
and ``trainer.compile`` offer, at batches of 4 and 32; then rows 1 (training), 2 (data path), and 5 (scoring) of
``speed.py`` on the card. What is printed, the card and the versions with it, is what a report of a user should hold.
"""

import argparse
import contextlib
import itertools
import statistics
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from speed import line_of
from speed_measuring import Suite, in_turn, now
from speed_prediction import scoring_rows
from speed_training import CASES, loading_rows, training_rows
from torch.nn import functional

from jimt.networks.backbones import create_backbone

BATCHES = (4, 32)
WAYS = {
    "32-true": None,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}
"""``trainer.precision``, and what autocast computes in."""
COMPILED = ("none", "default", "reduce-overhead")
"""``trainer.compile``."""
_CHECKED = 7  # compute capability from which bfloat16 and torch.compile are accepted


def offered(device: torch.device) -> list[tuple[str, str]]:
    """What ``trainer.precision`` and ``trainer.compile`` accept on a device."""
    if device.type == "cpu":
        return [("32-true", "none"), ("bf16-mixed", "none")]
    is_new = torch.cuda.get_device_capability(device)[0] >= _CHECKED
    return [
        (precision, compiled)
        for precision, compiled in itertools.product(WAYS, COMPILED)
        if is_new or (precision != "bf16-mixed" and compiled == "none")
    ]


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
        works = [Steps(batch, *way, torch.channels_last, suite) for way in ways]
        rates = [statistics.median(told) for told in in_turn(suite.repeats, plain, *works)]
        columns.append([f"{rate:.0f} ({rate / rates[0]:.2f} x)" for rate in rates[1:]])
    for way, *told in zip(ways, *columns, strict=True):
        table.add_row(", ".join(way), *told)
    return table


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
    parser.add_argument("--accelerator", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, nargs="*", choices=[1, 2, 5], default=[1, 2, 5], help="of speed.py")
    parser.add_argument("--folder", type=Path, default=Path("runs/speed"), help="data and models are kept there")
    options = parser.parse_args()
    if options.accelerator == "gpu" and not torch.cuda.is_available():
        sys.exit("error: torch finds no GPU on this machine: give --accelerator cpu to see how it would look")
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
    kinds = {1: lambda: training_rows(suite, CASES[:2]), 2: lambda: loading_rows(suite), 5: lambda: scoring_rows(suite)}
    for number in options.rows:
        with contextlib.redirect_stdout(sys.stderr):  # what the commands print is not the result
            rows = kinds[number]()
        for row in rows:
            console.print(line_of(row), highlight=False, markup=False, soft_wrap=True)
    console.print(f"{time.perf_counter() - start:.0f} s", highlight=False)


if __name__ == "__main__":
    main()
