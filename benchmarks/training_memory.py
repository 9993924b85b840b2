"""What a training keeps in memory, by backbone and precision: ``python benchmarks/training_memory.py``.

Counted on the processor, since no card is needed for it: what autograd keeps of a patch for the backward pass, each
storage once; and 16 bytes a parameter, for weights, gradients and the two moments of Adam. ``--overhead`` is what a
card needs beside them (CUDA, libraries, the workspaces of convolutions, patches on their way); with it follows the
largest power of two that fits as the batch of one card (``trainer=ddp`` shares a batch out among cards). The whole
network is trained on patches of 224 px, ``task=stain`` on crops of 256 px. 16-bit floats count like bfloat16. Where a
batch does not fit, ``optim.accumulate`` reaches the same by parts.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from speed_measuring import config_of
from torch import Tensor, nn

from jimt.training.checkpointing import network_of

MODELS: dict[str, tuple[str, ...]] = {
    "ResNet-18": ("backbone=resnet18",),
    "SqueezeNet": ("backbone=squeezenet",),
    "Inception-v3": ("backbone=inception_v3",),
    "EfficientNet-Lite0": ("backbone=efficientnet_lite0",),
    "task=stain, ResNet-18": ("task=stain", "backbone=resnet18"),
}
PRECISIONS = {"32-true": None, "bf16-mixed": torch.bfloat16}
PATCH = 224
MIB, GIB = 2**20, 2**30


@contextmanager
def counted(network: nn.Module) -> Iterator[dict[int, int]]:
    """Bytes of what is kept for the backward pass, by storage; parameters and buffers are not counted."""
    own = {each.untyped_storage().data_ptr() for each in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # or a storage that was freed could come again as another

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def kept_of(network: nn.Module, side: int, n: int, precision: str) -> int:
    """Bytes that a batch of so many images leaves for the backward pass."""
    kind = PRECISIONS[precision]
    images = torch.randn(n, 3, side, side).contiguous(memory_format=torch.channels_last)
    with counted(network) as kept, torch.autocast("cpu", kind or torch.bfloat16, enabled=kind is not None):
        answer = network(images)
        answer.float().square().mean()
    return sum(kept.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=float, nargs="+", default=[6, 12, 24], help="their memory, GiB (6 12 24)")
    parser.add_argument("--overhead", type=float, default=1.5, help="of a card, beside what is counted, GiB (1.5)")
    options = parser.parse_args()
    columns = ["network", "precision", "parameters x 16, MiB", "a patch, MiB"]
    columns += [f"batch in {card:g} GiB" for card in options.cards]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, overrides in MODELS.items():
        config = config_of("train", "dataset=synthetic", "run_dir=none", *overrides)
        side = config.stain.crop if config.stain is not None else PATCH
        network = network_of(config).build().train().to(memory_format=torch.channels_last)
        fixed = 16 * sum(each.numel() for each in network.parameters())
        for precision in PRECISIONS:
            two, six = (kept_of(network, side, n, precision) for n in (2, 6))
            patch = (six - two) / 4
            batches = []
            for card in options.cards:
                free = (card - options.overhead) * GIB - fixed
                n = 1
                while 2 * n * patch <= free:
                    n *= 2
                batches.append(str(n) if patch <= free else "none")
            print(f"| {name} | {precision} | {fixed / MIB:.0f} | {patch / MIB:.0f} | {' | '.join(batches)} |")


if __name__ == "__main__":
    main()
