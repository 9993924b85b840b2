"""``jimt annotate`` in a real browser: labels by keyboard are on disk, and nothing loses or doubles one."""

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from annotating import DATASET, HOSTILE, press, served, shown, write_curated
from browsers import opened_browser
from jimt.annotation.label_table import LabelTable
from jimt.annotation.modes import choices_of
from jimt.annotation.patch_page import PatchPage, Words
from jimt.annotation.patch_pool import PatchPool, to_label
from jimt.annotation.session import Session
from jimt.curation.hand_labels import read_hand_labels
from jimt.curation.manifest import open_curated


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> Path:
    return write_curated(tmp_path_factory.mktemp("to_label"))


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "empty_anna.csv"


@pytest.fixture
def address(curated, path):
    with served(page_behind(curated, path)) as address:
        yield address


@pytest.fixture
def page(browser, address):
    context = browser.new_context(viewport={"width": 1100, "height": 760})
    page = context.new_page()
    page.on("dialog", lambda dialog: (_ for _ in ()).throw(AssertionError(dialog.message)))
    page.goto(address)
    shown(page)
    yield page
    context.close()


def page_behind(curated: Path, path: Path, running=None, *, is_blind: bool = False) -> PatchPage:
    opened = open_curated(curated / DATASET)
    choices = choices_of("empty", opened.summary["config"]["dataset"])
    pool = PatchPool(opened, to_label(opened.manifest))
    table = LabelTable(path, words=[choice.word for choice in choices])
    words = Words(f"{DATASET} {HOSTILE}", "Does this patch hold cells?", choices, is_blind=is_blind, pixel_size=0.32)
    return PatchPage(words, pool, table, Session(pool, table, running=running, empty=("bare", "full")), None)


def labels(path: Path) -> list[bool]:
    return read_hand_labels(path, empty_word="bare", not_empty_word="full")["empty"].tolist()


def test_labels_by_keyboard_outlive_a_killed_program_which_goes_on_where_it_was(curated, browser, tmp_path):
    words = ["annotate", DATASET, "--annotator", "anna", "--curated", str(curated), "--out", str(tmp_path)]
    table = tmp_path / DATASET / "empty_anna.csv"
    seen: list[str] = []
    for kinds in ("ecuec" * 4, "e"):
        process = subprocess.Popen([sys.executable, "-m", "jimt", *words], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address is not None
            page = browser.new_page()
            page.goto(address[0])
            for kind in kinds:
                seen.append(shown(page))
                press(page, kind)
                expect(page.locator("#said")).to_contain_text("Saved: ")
            said = pd.read_csv(table)["label"].tolist()
            if len(kinds) == 20:
                process.send_signal(signal.SIGKILL)
                page.keyboard.press("e")
                expect(page.get_by_role("alert")).to_contain_text("connection to jimt annotate is lost")
            page.close()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
    assert len(set(seen)) == 21
    assert said == [{"e": "bare", "c": "full", "u": "unsure"}[kind] for kind in "ecuec" * 4 + "e"]
    assert len(labels(table)) == 17


def test_two_tabs_show_different_patches_and_no_label_is_lost_or_doubled(page, path):
    other = page.context.new_page()
    other.goto(page.url)
    numbers = []
    for kind in "ececec":
        for tab in (page, other):
            numbers.append(shown(tab))
            press(tab, kind)
    assert len(set(numbers)) == 12
    assert labels(path) == [True, True, False, False] * 3
    press(other, "Backspace")
    expect(other.locator("#said")).to_have_text("Taken back: cells.")
    assert shown(other) == numbers[-1]
    press(other, "e")
    assert sorted(labels(path)) == [False] * 5 + [True] * 7
    mine, theirs = shown(page), shown(other)
    other.close()  # what it was shown comes back
    seen = [mine]
    for _ in range(30):
        press(page, "c")
        seen.append(shown(page))
    assert theirs in seen
    assert len(set(seen)) == 31


def test_a_table_that_another_program_changed_meanwhile_is_merged_or_refused(page, path):
    press(page, "e")
    number = shown(page)
    path.write_text(path.read_text() + '"by, hand",0,0,full,\nB1_s1,32,96,bare,\n')
    press(page, "c")
    expect(page.locator("#said")).to_contain_text("changed by another program: 2 more labels taken over")
    assert labels(path) == [True, False, True, False]
    number = shown(page)
    path.write_text("kaputt\n")
    page.keyboard.press("e")
    expect(page.get_by_role("alert")).to_contain_text("lacks the column")
    assert path.read_text() == "kaputt\n"
    assert shown(page) == number
    path.unlink()
    press(page, "e")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert sorted(labels(path)) == [False, False, True, True, True]


def test_a_folder_that_became_read_only_is_said_and_the_patch_stays(page, path, monkeypatch):
    press(page, "e")
    number, write = shown(page), os.write

    def refused(descriptor, data):
        if Path(f"/proc/self/fd/{descriptor}").resolve() == path.resolve():
            raise OSError(30, "Read-only file system")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", refused)
    page.keyboard.press("c")
    expect(page.get_by_role("alert")).to_contain_text("Not saved.")
    expect(page.get_by_role("alert")).to_contain_text("Read-only file system")
    assert shown(page) == number
    assert labels(path) == [True]
    monkeypatch.undo()
    press(page, "c")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert labels(path) == [True, False]


def test_a_key_that_is_pressed_before_an_undo_is_answered_labels_nothing(page, path, monkeypatch):
    for kind in "ec":
        press(page, kind)
    undo = Session.undo
    monkeypatch.setattr(Session, "undo", lambda self, tab: (time.sleep(0.5), undo(self, tab))[1])
    page.keyboard.press("Backspace")
    page.keyboard.press("e")  # meant for the patch that comes back
    expect(page.locator("#said")).to_have_text("Taken back: cells.")
    assert labels(path) == [True]
    press(page, "e")
    assert labels(path) == [True, True]


def test_a_tab_that_took_many_labels_back_goes_on_after_its_connection_was_lost(curated, path):
    page = page_behind(curated, path)
    page.answer("tab", {"kind": "more", "n": 8, "kept": []})
    for number in range(40):
        page.answer("tab", {"kind": "label", "patch": number, "word": "bare"})
    back = [page.answer("tab", {"kind": "undo"})[0]["patch"]["number"] for _ in range(40)]
    assert back == list(range(40))[::-1]
    page.close("tab")
    (again,) = page.answer("the same tab", {"kind": "more", "n": 0, "kept": back})
    assert again["gone"] == []


def test_a_patch_that_the_filter_chose_counts_as_that_after_the_connection_was_lost(curated, path):
    running = SimpleNamespace(scores=None, set_labelled=lambda labelled: None)
    page = page_behind(curated, path, running)
    running.scores = np.linspace(1, 2, 180, dtype=np.float32)[::-1]
    (asked,) = page.answer("tab", {"kind": "more", "n": 8, "kept": []})
    chosen = {patch["number"]: patch["chosenBy"] for patch in asked["patches"]}
    assert list(chosen.values()).count("uncertain") == 6
    page.close("tab")
    page.answer("the same tab", {"kind": "more", "n": 0, "kept": list(chosen)})
    for number in chosen:
        page.answer("the same tab", {"kind": "label", "patch": number, "word": "bare"})
    assert pd.read_csv(path)["chosen_by"].tolist() == list(chosen.values())


def test_labels_of_patches_that_are_not_here_are_told_and_kept(curated, path):
    path.write_text("raw_image_id,y,x,label\nA1_s0,7,7,bare\nabsent,0,0,full\n")
    page = page_behind(curated, path)
    assert page.hello("tab")[0]["note"] == (
        "2 labels of the file are of no patch that can be shown here, and stay as they are."
    )
    page.answer("tab", {"kind": "label", "patch": 0, "word": "bare"})
    assert labels(path) == [True, False, True]


def test_a_key_that_is_held_down_labels_one_patch(page, path):
    before = shown(page)
    for _ in range(5):
        page.keyboard.down("e")  # Chromium tells all but the first as repeated
    page.keyboard.up("e")
    expect(page.locator("#picture")).not_to_have_attribute("data-patch", before)
    press(page, "c")
    assert labels(path) == [True, False]


def test_names_are_text_whatever_they_hold(page):
    assert page.locator("main img").count() == 0
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{DATASET} {HOSTILE}")
    for _ in range(6):  # one of each group in turn
        if HOSTILE in page.locator("#where").inner_text():
            break
        press(page, "c")
    assert HOSTILE in page.get_by_role("img").get_attribute("aria-label")


def test_who_labels_blindly_is_told_nothing_of_the_raw_image_and_sees_no_pi(browser, curated, path):
    names = open_curated(curated / DATASET).manifest[["raw_image_id", "group"]].astype(str)
    with served(page_behind(curated, path, is_blind=True)) as address:
        page = browser.new_page()
        page.goto(address)
        for _ in range(3):
            shown(page)
            html = page.content()
            assert not [name for name in names["raw_image_id"].unique() if name in html]
            expect(page.locator("#where")).to_have_text(re.compile(r"^patch \d+ · drawn at random$"))
            assert "PI" not in page.locator("#tools").inner_text()
            press(page, "c")
        page.close()
    assert set(pd.read_csv(path)["raw_image_id"].astype(str)) <= set(names["raw_image_id"])


def test_everything_on_the_page_has_a_name_and_pi_is_shown_while_its_key_is_held(page):
    unnamed = page.evaluate("""[...document.querySelectorAll("button, [role=img]")].filter((e) =>
        !e.textContent.trim() && !e.getAttribute("aria-label")).length""")
    assert unnamed == 0
    for name, key in (("empty", "e"), ("cells", "c"), ("unsure", "u"), ("undo", "Backspace")):
        assert page.get_by_role("button", name=name).get_attribute("aria-keyshortcuts") == key
    pixels = "document.getElementById('picture').toDataURL()"
    page.wait_for_timeout(200)
    brightfield = page.evaluate(pixels)
    page.keyboard.down("p")
    expect(page.locator("#view")).to_have_text("propidium iodide")
    assert page.evaluate(pixels) != brightfield
    page.keyboard.up("p")
    assert page.evaluate(pixels) == brightfield
    page.keyboard.down("p")
    expect(page.locator("#stain-button")).to_have_attribute("aria-pressed", "true")
    press(page, "c")  # the next patch is shown by bright-field
    page.keyboard.up("p")
    expect(page.locator("#stain-button")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#view")).to_contain_text("contrast")
    brightfield = page.evaluate(pixels)
    page.keyboard.press("x")
    expect(page.locator("#view")).to_contain_text("1st to the 99th percentile")
    assert page.evaluate(pixels) != brightfield
    width = page.locator("#picture").bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator("#picture").bounding_box()["width"] == pytest.approx(1.5 * width, rel=0.01)


def asked(address: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_nobody_gets_in_without_the_token_or_from_elsewhere(address):
    path, port = urlsplit(address).path, urlsplit(address).port
    assert urlsplit(address).hostname == "127.0.0.1"
    assert asked(address, path) == 200
    assert asked(address, path, Host=f"localhost:{port}") == 200
    for wrong in (
        "/",
        "/wrong/",
        f"{path[:-2]}/",
        "/annotate.js",
        "/wrong/picture/patch/0",
        "/wrong/socket",
        "//",
        "/%00/",
    ):
        assert asked(address, wrong) == 403, wrong
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": ""},
        {"Host": "[::1"},
        {"Host": f"127.0.0.1.evil.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        for which in (path, f"{path}picture/patch/0", f"{path}socket"):
            assert asked(address, which, **headers) == 403, headers
    for nothing in ("picture/patch/99999", "picture/other/0", "other.js", "../annotate.py", "annotate.py", "a/b"):
        assert asked(address, path + nothing) == 404, nothing


# opens a connection, sends a message, and tells with what code it was closed, and whether it was ever open
TALK = """([url, message]) => new Promise((done) => {
  const socket = new WebSocket(url);
  let opened = false;
  socket.onopen = () => { opened = true; socket.send(message); };
  socket.onclose = (event) => done([opened, event.code]);
})"""


def test_no_other_site_can_open_the_connection_and_no_sense_closes_it(browser, page, address):
    socket = f"ws{address.removeprefix('http')}socket"
    for message in ("", "[]", "{}", '{"kind": "label", "patch": -1, "word": "bare"}', '{"kind": "label", "patch": 0}'):
        assert page.evaluate(TALK, [socket, message]) == [True, 1008], message
    other = browser.new_page()  # of no site
    assert other.evaluate(TALK, [socket, "{}"]) == [False, 1006]
    other.close()
