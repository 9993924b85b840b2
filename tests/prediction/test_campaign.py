"""What is made of many fields grows with their number and no faster: memory, work, and the page."""

import sys
import tracemalloc

import pytest

from conftest import REPOSITORY
from predicting import predicts


@pytest.mark.slow
def test_memory_work_and_page_of_a_campaign_are_linear_in_its_fields(reported, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    import campaign

    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    def cost(n: int) -> tuple[int, int, int]:
        """Calls of functions, peak of memory and bytes of the page."""
        nonlocal calls
        images, out = tmp_path / f"images_{n}", tmp_path / f"out_{n}"
        campaign.write_images(images, n)
        campaign.answer_all(reported, images, out, patches=4)
        calls = 0
        for measure in (sys.setprofile, None):  # what is counted takes memory, too
            (sys.setprofile(count) if measure else tracemalloc.start())
            try:
                assert predicts(reported, images, "--pattern", campaign.PATTERN, "--out", out) == 0
                peak = 0 if measure else tracemalloc.get_traced_memory()[1]
            finally:
                (sys.setprofile(None) if measure else tracemalloc.stop())
        return calls, peak, (out / "index.html").stat().st_size

    cost(9)  # what is imported and compiled once
    few, more, most = (cost(n) for n in (90, 360, 1440))
    for first, second, third in zip(few, more, most, strict=True):
        assert (third - second) / (1440 - 360) <= 1.15 * (second - first) / (360 - 90)
