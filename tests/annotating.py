"""A small curated data set to label, with names that nobody should trust, and its page served in this process."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from playwright.sync_api import Page, expect
from rich.console import Console

from conftest import composed_prepare, small_field
from jimt.annotation.server import Server
from jimt.curation.curate import curate

HOSTILE = "<img src=x onerror=alert(1)>, \"'&amp;"
DATASET = "to_label"


def write_curated(folder: Path) -> Path:
    """Curate six wells of two fields, 15 patches of 64 px each; returns the folder that curations lie in."""
    rng = np.random.default_rng(0)
    (folder / "raw").mkdir(parents=True)
    for well in ("A1", "A2", "B1", "B2", "C1", HOSTILE):
        for field in range(2):
            for channel, pixels in zip(("BF", "PI"), small_field(rng, height=128), strict=True):
                tifffile.imwrite(folder / "raw" / f"{well}_s{field}_{channel}.tif", pixels)
    overrides = [
        "dataset=no_treatment",
        f"dataset.name={DATASET}",
        f"dataset.root={folder / 'raw'}",
        "dataset.pattern='{well}_s{field}_{channel}.tif'",
        "dataset.brightfield=BF",
        "dataset.fluorescence=PI",
        "dataset.empty_labels=null",
        "dataset.empty_word=bare",
        "dataset.not_empty_word=full",
        "dataset.pixel_size=0.32",
        f"curation.output_root={folder / 'curated'}",
        "curation.patches.size=64",
        "curation.patches.stride=32",
        "curation.n_jobs=1",
        "curation.label.live_below=300",
        "curation.label.dead_above=450",
        "curation.empty_filter.backbone=test_resnet.r160_in1k",
        "curation.empty_filter.weights=random",
        f"curation.empty_filter.fit_on=[{DATASET}]",
        "curation.split={train:2,val:1,test:1}",
    ]
    curate(*composed_prepare(*overrides), embed=None, console=Console(quiet=True))
    return folder / "curated"


@contextlib.contextmanager
def served(page: Any, *, script: str = "patches.js") -> Iterator[str]:
    """The address of a page, for as long as it is wanted."""
    server, opened = Server(page, script=script), threading.Event()
    ends: list[Any] = []

    async def serve() -> None:
        is_over = asyncio.Event()
        ends.append((asyncio.get_running_loop(), is_over))
        await server.serve(opened.set, is_over)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert opened.wait(10)
    try:
        yield server.address
    finally:
        loop, is_over = ends[0]
        loop.call_soon_threadsafe(is_over.set)
        thread.join(10)


def shown(page: Page) -> str:
    """The number of the patch that is before the annotator, once there is one."""
    picture = page.locator("canvas[data-patch]")
    picture.wait_for()
    number = picture.get_attribute("data-patch")
    assert number is not None
    return number


def press(page: Page, key: str) -> None:
    """Label the patch that is shown, and wait for the next one."""
    before = shown(page)
    page.keyboard.press(key)
    expect(page.locator("#picture")).not_to_have_attribute("data-patch", before)
