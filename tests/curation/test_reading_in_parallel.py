"""Raw images are read by several threads at a time, and no answer depends on which is done first."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from conftest import composed_prepare
from jimt.curation.parallel.executors import open_executor
from jimt.curation.raw_images import RawImage
from jimt.curation.tiff import open_tiff

IMAGES = [RawImage(str(number), None, Path(f"{number}.tif"), None) for number in range(40)]
LOCAL = composed_prepare("dataset=no_treatment")[1].executor


def opened(n_jobs: int):
    return open_executor(LOCAL, n_jobs=n_jobs, folder=Path(), images=IMAGES)


@pytest.mark.parametrize("n_jobs", [1, 4])
def test_results_come_in_the_order_of_the_images_whichever_is_read_first(n_jobs):
    def named(raw: RawImage, suffix: str) -> str:
        time.sleep(0.003 * (int(raw.raw_image_id) % 3))
        return raw.raw_image_id + suffix

    with opened(n_jobs) as in_parallel:
        assert list(in_parallel(named, IMAGES, "!")) == [f"{number}!" for number in range(40)]
        assert list(in_parallel(named, [], "!")) == []


def test_as_many_images_are_read_at_a_time_as_there_are_jobs():
    meeting = threading.Barrier(3, timeout=30)  # breaks where fewer than three are under way

    with opened(3) as in_parallel:
        assert len(list(in_parallel(lambda raw: meeting.wait(), IMAGES[:6]))) == 6


def test_results_do_not_pile_up_where_they_are_taken_slowly():
    begun: list[str] = []
    with opened(2) as in_parallel:
        for number, _ in enumerate(in_parallel(lambda raw: begun.append(raw.raw_image_id), IMAGES)):
            time.sleep(0.002)
            assert len(begun) <= number + 1 + 2 * 3  # three a thread


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_what_a_reading_raises_ends_the_curation_and_begins_no_further_image(n_jobs):
    begun: list[str] = []

    def fails(raw: RawImage) -> None:
        begun.append(raw.raw_image_id)
        if raw.raw_image_id == "3":
            raise OSError("the disk is gone")
        time.sleep(0.001)

    with pytest.raises(OSError, match="the disk is gone"), opened(n_jobs) as in_parallel:
        list(in_parallel(fails, IMAGES))
    assert len(begun) < len(IMAGES)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]  # nor is one left


def test_damage_is_not_logged_while_several_files_are_open_and_the_log_is_as_before_afterwards(tmp_path, caplog):
    for name in ("one.tif", "other.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((8, 8), np.uint16))
    logger = logging.getLogger("tifffile")
    other_is_open, one_is_closed = threading.Event(), threading.Event()

    def other() -> None:
        with open_tiff(tmp_path / "other.tif"):
            other_is_open.set()
            assert one_is_closed.wait(30)
            logger.warning("of the other file")

    with ThreadPoolExecutor(1) as pool:
        with open_tiff(tmp_path / "one.tif"):
            reading = pool.submit(other)
            assert other_is_open.wait(30)
            logger.warning("of both")
        one_is_closed.set()
        reading.result()
    assert caplog.records == []
    logger.warning("of somebody else")
    assert [record.message for record in caplog.records] == ["of somebody else"]
