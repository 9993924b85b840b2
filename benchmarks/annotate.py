"""How long the page of the annotation takes from a key to the next patch: ``python benchmarks/annotate.py NAME``.

Labels patches by keyboard in headless Chromium while the filter is fitted in the background; needs the packages of the
tests. Labels go to a folder that is deleted afterwards.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

# from a key going down to the frame in which the next patch is drawn
TIMED = """() => {
  window.times = [];
  let began = null;
  addEventListener("keydown", () => { began = performance.now(); }, true);
  new MutationObserver(() => requestAnimationFrame(() => {
    if (began !== null) times.push(performance.now() - began);
    began = null;
  })).observe(document.getElementById("picture"), { attributeFilter: ["data-patch"] });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the page of jimt annotate in headless Chromium.")
    parser.add_argument("dataset", metavar="DATASET", help="name of a curated data set")
    parser.add_argument("--curated", default="data/curated", help="folder that curations lie in")
    parser.add_argument("--labels", type=int, default=200, help="how many patches to label")
    parser.add_argument("--pause", type=int, default=300, help="milliseconds between a patch and its key")
    options = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        words = ["annotate", options.dataset, "--curated", options.curated, "--out", folder]
        served = subprocess.Popen([sys.executable, "-m", "jimt", *words], stdout=subprocess.PIPE, text=True)
        assert served.stdout is not None
        address = re.findall(r"http://\S+", served.stdout.readline())[0]
        with sync_playwright() as started:
            page = started.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
            page.goto(address)
            picture = page.locator("canvas[data-patch]")
            picture.wait_for()
            page.evaluate(TIMED)
            for number in range(options.labels):
                before = picture.get_attribute("data-patch")
                page.wait_for_timeout(options.pause)
                page.keyboard.press("ec"[number % 2])
                page.locator(f"canvas[data-patch]:not([data-patch='{before}'])").wait_for()
            times = np.array(page.evaluate("times"))
            told = page.locator("#counts").inner_text().split("\n")[-1]
        served.terminate()
        served.wait()
        rows = len((Path(folder) / options.dataset / "empty_me.csv").read_text().splitlines()) - 1
    low, middle, high = np.percentile(times, [5, 50, 95])
    print(
        f"{len(times)} keys, {rows} labels on disk, {told} patches: {middle:.0f} ms in the median, 5 % within ", end=""
    )
    print(f"{low:.0f} ms, 95 % within {high:.0f} ms")


if __name__ == "__main__":
    main()
