"""Rows of curation: against a plain script, the empty filter's network, disk and memory."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from speed_measuring import (
    Row,
    Suite,
    clocked,
    config_of,
    in_turn,
    median_of,
    ratios_of,
)

from curation import COPIES_IN_ONE_GROUP, curate, plain, simulate
from jimt.curation.manifest import open_curated
from jimt.curation.patches import patch_origins
from jimt.curation.store import cut_patches, places_of
from jimt.data.preparation import prepare
from jimt.networks.backbones import FeatureExtractor

HEIGHT, WIDTH = 1024, 1344


def pairs(suite: Suite, n: int) -> Path:
    """A folder of simulated pairs, few of which differ."""
    root = suite.folder / f"pairs_{n}"
    if not root.is_dir():
        simulate(root, n, height=HEIGHT, width=WIDTH)
    return root


def size_of(folder: Path, pattern: str) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob(pattern))


def curation_rows(suite: Suite) -> list[Row]:
    """Rows 3 and 8: whole commands, start-up included; of as many images as the paper has, and of a quarter."""
    n = suite.sized(960, least=32)
    n_plain = suite.sized(64, least=8)
    large, small, few = pairs(suite, n), pairs(suite, n // 4), pairs(suite, n_plain)
    out, patches = suite.folder / "curation", suite.folder / "plain"
    peaks: dict[Path, float] = {}

    def ours(raw: Path, number: int) -> float:
        ended = curate(raw, out)
        peaks[raw] = ended.peak
        return number / ended.seconds

    rates = in_turn(
        suite.repeats_of_processes,
        lambda: n_plain / plain(few, patches).seconds,
        lambda: ours(small, n // 4),
        lambda: ours(large, n),
    )
    words = [median_of(each, "images/s") for each in rates]
    return [
        Row(
            3,
            f"curation without the filter, {number} images of {WIDTH} x {HEIGHT} px",
            "plain script, OpenCV crop and imwrite",
            target,
            ratios_of(rates[which], rates[0]),
            f"{words[which]} against {words[0]}",
        )
        for number, target, which in ((n, ">= 12", 2), (n // 4, ">= 10", 1))
    ] + [
        Row(
            8,
            f"peak memory of curation, {n} images",
            f"{n // 4} images",
            "<= 1.1",
            (peaks[large] / peaks[small],),
            f"{peaks[large]:.0f} MiB against {peaks[small]:.0f} MiB",
        ),
    ]


def disk_rows(suite: Suite) -> list[Row]:
    """Row 7: what a curated data set takes on disk; of the paper's size, since small fields have fewer overlaps."""
    raw = pairs(suite, suite.sized(64, least=8))
    words = ["dataset=synthetic", "dataset.simulation=null", "curation.empty_filter.enabled=false"]
    where = [f"dataset.root={raw}", f"curation.output_root={suite.folder / 'disk'}", COPIES_IN_ONE_GROUP]
    config = config_of("prepare", *words, *where)
    folder = prepare(config.dataset, config.curation)
    curated = open_curated(folder)
    size = curated.summary["patch_size"]
    patches = cut_patches(curated.store.field, places_of(curated.manifest), size=size)
    png = sum(len(cv2.imencode(".png", patch)[1]) for patch in patches)
    raw_pi = size_of(Path(config.dataset.root), "*--PI.tif")
    fields, pi = (size_of(folder, name) for name in ("fields.u8", "fluorescence.counts"))
    return [
        Row(7, "disk, fields in 8 bits", "the same patches as PNG", "<= 0.5", (fields / png,), in_mb(fields, png)),
        Row(7, "disk, fluorescence", "raw PI files", "<= 1.0", (pi / raw_pi,), in_mb(pi, raw_pi)),
    ]


def in_mb(ours: int, theirs: int) -> str:
    """Two sizes as text."""
    return f"{ours / 1e6:.1f} MB against {theirs / 1e6:.1f} MB"


def all_places(n: int) -> NDArray[np.int64]:
    """Field, y and x of all patches of so many fields."""
    corners = list(zip(*patch_origins(HEIGHT, WIDTH, size=224, stride=112), strict=True))
    return np.array([(number, *corner) for number in range(n) for corner in corners], np.int64)


def filter_extractor(precision: str, batch_size: int) -> FeatureExtractor:
    """What the empty filter's features come from."""
    return FeatureExtractor(
        "tf_efficientnet_lite0", "packaged", device="cpu", batch_size=batch_size, precision=precision
    )


def filter_rows(suite: Suite) -> list[Row]:
    """Row 4: features of the empty filter, which are nearly all that a curation with the filter computes."""
    random = np.random.default_rng(0)
    n = suite.sized(3, least=2)
    fields = random.integers(0, 256, (n, HEIGHT, WIDTH), dtype=np.uint8)
    places = all_places(n)
    one_by_one = filter_extractor("32-true", 1)
    network = one_by_one._network.eval().to(memory_format=torch.contiguous_format)
    few = places[: len(places) // n // 2]
    images = [
        torch.randn(1, 3, 224, 224) for _ in few
    ]  # what a patch holds changes no time; normalising it is left to jimt alone

    @torch.inference_mode()
    def loop() -> None:
        for image in images:
            network(image)

    cases = [
        ("each patch by itself", "32-true", False, ">= 5"),
        ("each field once, curation.empty_filter.features=field", "32-true", True, ">= 5"),
        ("each patch by itself", "bf16-mixed", False, ">= 8"),
        ("each field once, curation.empty_filter.features=field", "bf16-mixed", True, ">= 8"),
    ]

    def ours(precision: str, whole: bool) -> object:
        extract = extractors[precision]
        return extract.of_places(lambda number: fields[number], places, size=224, whole=whole)

    extractors = {precision: filter_extractor(precision, 32) for precision in ("32-true", "bf16-mixed")}
    works = [clocked(lambda p=precision, w=whole: ours(p, w)) for _, precision, whole, _ in cases]
    times = in_turn(suite.repeats, clocked(loop), *works)
    rates = [[len(few) / each for each in times[0]], *([len(places) / each for each in t] for t in times[1:])]
    return [
        Row(
            4,
            f"features of the empty filter, {how}, {'bfloat16' if precision.startswith('bf16') else 'float32'}",
            "one patch at a time, float32",
            target,
            ratios_of(rate, rates[0]),
            f"{median_of(rate, 'patches/s')} against {median_of(rates[0], 'patches/s')}",
        )
        for (how, precision, _, target), rate in zip(cases, rates[1:], strict=True)
    ]
