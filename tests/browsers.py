"""The system's Chromium, in which pages are tested; nothing is downloaded for it."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


@contextlib.contextmanager
def opened_browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        assert "CI" not in os.environ, ".ci/run installs Chromium"
        pytest.skip("no Chromium on this machine: install it to test pages in a browser")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


def listened_to(page: Page, complaints: list[str]) -> Page:
    """Collect what goes wrong in a page, what it asks for from elsewhere, and what it shows in dialogs."""
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(("data:", "file:")) else complaints.append(r.url))
    page.on("requestfailed", lambda r: complaints.append(r.url))
    page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    return page
