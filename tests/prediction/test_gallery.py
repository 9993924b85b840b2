"""The page of an answer in a real browser: it sorts, filters, shows maps, and executes no name."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from answered import HOSTILE, failed, row
from browsers import listened_to, opened_browser
from galleries import plate_of_rows, stem, with_failures, written

# the ratio of contrast of every text of some elements to what lies behind it (WCAG 2)
CONTRASTS = """(elements) => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const rgb = channels(getComputedStyle(e).backgroundColor);
      if (rgb.length < 4 || rgb[3] > 0) return rgb;
    }
    return [255, 255, 255];
  };
  return elements.map((e) => {
    const [low, high] = [luminance(channels(getComputedStyle(e).color)), luminance(behind(e))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
}"""


@pytest.fixture(scope="module")
def browser():
    with opened_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    return []


@pytest.fixture(scope="module")
def shown(browser, complaints, tmp_path_factory):
    """A page of 12 wells with two fields each and one file that failed."""
    rows = with_failures(plate_of_rows(3, 4, share_of="nuclei"))
    warnings = ["Most fields are unlike the training data."]
    page = listened_to(browser.new_page(viewport={"width": 1180, "height": 1000}), complaints)
    page.goto(written(tmp_path_factory.mktemp("shown"), rows, warnings=warnings, headline=["45 % dead."]).as_uri())
    return page


@pytest.fixture
def page(shown):
    """The page as it is when it is opened."""
    shown.get_by_role("button", name="Show all").click()
    shown.mouse.move(1, 1)
    shown.wait_for_function("document.querySelectorAll('.field').length === 24")
    return shown


def names(page) -> list[str]:
    return page.locator(".field .name").all_text_contents()


def test_what_matters_most_stands_first(page):
    text = page.locator("main").inner_text()
    assert (
        text.index("Careful.") < text.index("Most fields are unlike") < text.index("45 % dead.") < text.index("Plate")
    )
    assert page.locator("#failed li").all_inner_texts() == [
        "images/<b>broken</b>.tif: it is damaged <script>alert(3)</script>"
    ]
    assert page.locator(".files a").all_inner_texts() == ["fields.csv", "wells.csv", "patches.csv"]
    assert page.locator("table.wells tbody tr").count() == 13


def test_fields_are_sorted_by_share_and_by_well(page):
    page.get_by_label("Sort by", exact=True).select_option("dead share, highest first")
    assert names(page)[:4] == ["B05_2", "C05_2", "D05_2", "B05_1"]
    page.get_by_label("Sort by", exact=True).select_option("dead share, lowest first")
    assert names(page)[0] == "B02_1"
    page.get_by_label("Sort by", exact=True).select_option("flagged first")
    assert set(names(page)[:3]) == {"C03_2", "D04_1", "D04_2"}


def test_fields_are_filtered_by_name_well_flag_and_share(page):
    page.get_by_label("Name", exact=True).fill("c03")
    assert names(page) == ["C03_1", "C03_2"]
    assert page.locator("#count").inner_text() == "2 of 24 fields shown."
    page.get_by_label("Flags", exact=True).select_option("none")
    assert names(page) == ["C03_1"]
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_label("Flags", exact=True).select_option("is focus")
    assert names(page) == ["C03_2", "D04_1", "D04_2"]
    page.get_by_label("Flags", exact=True).select_option("")
    page.get_by_label("Well", exact=True).select_option("B02")
    assert names(page) == ["B02_1", "B02_2"]
    page.get_by_label("Well", exact=True).select_option("all")
    page.get_by_label("Dead share from").fill("90")
    assert names(page) == [f"{row}05_{number}" for row in "BCD" for number in (1, 2)]
    page.get_by_label("Dead share to").fill("91")
    assert names(page) == ["B05_1", "C05_1", "D05_1"]


def test_a_click_on_a_well_shows_its_fields_and_another_one_all(page):
    well = page.get_by_role("button", name="C03: 30 % dead, mean of 1 field, 1 left out, has flagged fields")
    well.click()
    assert names(page) == ["C03_1", "C03_2"]
    assert well.get_attribute("aria-pressed") == "true"
    assert page.locator("#chosen").inner_text() == "Shown: C03."
    well.press("Enter")
    assert len(names(page)) == 24
    none = page.get_by_role("button", name="D04: no field counts, 2 left out, has flagged fields")
    assert "none" in none.get_attribute("class")
    assert page.locator(".plate button").count() == 13
    # of the 96 wells only rows and columns that the fields are of
    assert page.locator(".plate tr th:first-child").all_inner_texts()[1:] == ["B", "C", "D", "E"]
    assert page.locator(".plate tr").first.locator("th").all_inner_texts()[1:] == ["2", "3", "4", "5"]
    assert "of a plate of 96 that have fields" in page.locator(".plate caption").inner_text()


@pytest.mark.parametrize("way", ["mouse", "keyboard", "all"])
def test_the_map_is_seen_where_the_mouse_or_the_keyboard_is(page, way):
    picture = page.locator(".field .picture").nth(3)
    if way == "mouse":
        picture.hover()
    elif way == "keyboard":
        picture.focus()
    else:
        page.get_by_label("maps, not bright-field").check()
    shown = picture.locator(".map")
    page.wait_for_function("(e) => e.complete && e.naturalWidth > 100", arg=shown.element_handle())
    assert shown.evaluate("(e) => getComputedStyle(e).opacity") == "1"
    box, of_picture = shown.bounding_box(), picture.bounding_box()
    assert box["width"] == pytest.approx(of_picture["width"], abs=2)
    page.evaluate("document.activeElement.blur()")


def test_every_control_and_picture_has_a_name(page):
    unnamed = page.evaluate(
        """[...document.querySelectorAll("input, select, button")].filter((e) =>
          !e.labels?.length && !e.getAttribute("aria-label") && !e.textContent.trim()).length"""
    )
    assert unnamed == 0
    assert page.evaluate("[...document.images].every((e) => e.alt || e.classList.contains('map'))")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator(".plate th").first.count() == 1


def test_every_text_can_be_read_on_what_is_behind_it(page):
    texts = ".field .name, .field .share, .field .where, .field .note, .field a, .badge, .hint, .warning, .plate button"
    contrasts = page.locator(texts).evaluate_all(CONTRASTS)
    assert len(contrasts) > 150
    assert min(contrasts) >= 4.5


def test_flagged_fields_are_grey_with_their_reasons(page):
    flagged = page.locator(".field.flagged").first
    text = flagged.text_content()
    for words in ("unlike the training data", "focus", "It is unlike.", "It is blurred.", "Left out of the means."):
        assert words in text
    assert page.locator(".field.flagged").count() == 3
    # a card is short until it is asked why
    reason = flagged.get_by_text("It is blurred.")
    assert not reason.is_visible()
    flagged.get_by_text("Why", exact=True).click()
    assert reason.is_visible()
    flagged.get_by_text("Why", exact=True).click()
    assert float(flagged.locator("img").first.evaluate("(e) => getComputedStyle(e).opacity")) < 0.9


def test_only_nuclei_have_a_viability(browser, page, tmp_path):
    assert "viability 100 %, 20 nuclei" in page.locator(".field").first.text_content()
    other = browser.new_page()
    for share_of in ("area", "patches"):
        other.goto(written(tmp_path / share_of, plate_of_rows(1, 2, share_of=share_of), pictures=False).as_uri())
        text = other.locator("main").inner_text()
        assert text.count("viability") == text.count("called viability") == 1
    other.close()


def test_the_page_fits_a_phone_and_paper(browser, page, tmp_path):
    url = page.url
    for width, media in ((390, "screen"), (700, "print")):
        other = browser.new_page(viewport={"width": width, "height": 800})
        other.emulate_media(media=media)
        other.goto(url)
        assert other.evaluate("document.documentElement.scrollWidth") <= width
        assert other.locator("#controls").is_visible() == (media == "screen")
        other.close()


@pytest.mark.parametrize(("last", "columns"), [("H12", 12), ("P24", 24), ("AF48", 48)])
def test_a_plate_is_whole_on_paper(browser, tmp_path, last, columns):
    page = browser.new_page(viewport={"width": 700, "height": 1000})
    page.emulate_media(media="print")
    rows = [row(number, well, well=well) for number, well in enumerate(("A01", last))]
    page.goto(written(tmp_path, rows, pictures=False).as_uri())
    assert page.locator(".plate tr").first.locator("th").count() == columns + 1
    edges = page.locator(".plate button").evaluate_all("(all) => all.map((e) => e.getBoundingClientRect())")
    assert edges[-1]["right"] <= 700
    assert all(edge["width"] > 7 for edge in edges)
    assert all(edge["width"] == pytest.approx(edge["height"], abs=3) for edge in edges)
    page.close()


def test_names_are_shown_as_they_are_and_nothing_is_executed(browser, complaints, tmp_path):
    told = {"flags": ("focus",), "share_of": "nuclei", "n_cells": 3}
    rows = [
        row(n, name, file=name, plate=name, well="A01", field=name, time=name, reasons=(name,), notes=(name,), **told)
        for n, name in enumerate(HOSTILE)
    ]
    rows += [failed(len(rows) + n, name, name, plate=name, well=name) for n, name in enumerate(HOSTILE)]
    path = written(tmp_path, rows, title=HOSTILE[1], warnings=HOSTILE, headline=HOSTILE)
    page = listened_to(browser.new_page(), complaints)
    page.goto(path.as_uri())
    expected = [name.encode("utf-8", "backslashreplace").decode() for name in HOSTILE]
    assert names(page) == expected
    assert page.locator("script").count() == 2
    assert page.locator("main img").count() == len(HOSTILE)
    page.get_by_label("maps, not bright-field").check()
    links = set(page.locator(".field a").evaluate_all("(links) => links.map((e) => e.getAttribute('href'))"))
    sources = set(page.locator(".field img").evaluate_all("(images) => images.map((e) => e.getAttribute('src'))"))
    assert {unquote(link) for link in links} == {
        f"{folder}/{stem(each)}{kind}"
        for each in rows[: len(HOSTILE)]
        for folder, kind in (("maps", ".png"), ("maps", ".ome.tiff"), ("outlines", ".geojson"))
    }
    assert not any(re.search(r"[ #?]", link) for link in links)
    assert {Path(unquote(source)).name for source in sources} == {f.name for f in (tmp_path / "thumbnails").iterdir()}
    for at in (0, 1, 4, 12):  # each plate is of one name
        page.get_by_label("Shown", exact=True).select_option(str(at))
        assert page.locator(".plate caption").inner_text().startswith("plate ")
    assert page.evaluate("Promise.all([...document.querySelectorAll('.map')].map((e) => e.decode())).then(() => true)")
    assert urlparse(page.url).scheme == "file"
    page.close()


def test_a_script_that_got_into_the_page_would_not_run(browser, tmp_path):
    path = written(tmp_path, plate_of_rows(1, 1), pictures=False)
    path.write_text(path.read_text("utf-8").replace("<main>", "<main><script>window.ran = true</script>"), "utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("window.ran") is None
    assert page.locator(".field").count() == 2
    page.close()


def test_the_browser_has_nothing_to_complain_about(page, complaints):
    page.get_by_label("maps, not bright-field").check()
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(300)
    assert complaints == []


@pytest.mark.slow
def test_five_thousand_fields_open_and_sort_in_seconds_and_load_few_pictures(browser, tmp_path):
    rows = [row(n, f"f{n}", well=f"{'ABCDEFGH'[n % 96 // 12]}{n % 12 + 1:02d}") for n in range(5000)]
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written(tmp_path, rows, pictures=False).as_uri())
    assert page.locator(".field").count() == 240
    took = page.evaluate("(() => { const t = performance.now(); update(); return performance.now() - t; })()")
    assert took < 5000
    assert len(asked) < 500
    page.close()


# ---- without a browser


def data_of(path: Path) -> dict:
    text = path.read_text("utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_the_same_answer_is_the_same_page(tmp_path):
    pages = [written(tmp_path / name, plate_of_rows(2, 2), pictures=False).read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


def test_the_page_holds_each_field_as_it_was_answered(tmp_path):
    rows = [row(0, "a", well="A01"), row(1, "b", dead_share=None, flags=("focus",)), failed(2, "c", "damaged")]
    data = data_of(written(tmp_path, rows, pictures=False))
    assert [field["name"] for field in data["fields"]] == ["a", "b"]
    assert [field["share"] for field in data["fields"]] == [0.25, None]
    assert [field["inWell"] for field in data["fields"]] == [0, None]
    assert [field["counted"] for field in data["fields"]] == [True, False]


def test_without_wells_there_is_no_plate(tmp_path):
    text = written(tmp_path, [row()], pictures=False).read_text("utf-8")
    assert 'id="plates"' not in text
    assert 'id="well"' not in text


def test_of_thousands_of_fields_some_are_shown_and_the_others_on_demand(browser, tmp_path):
    rows = [row(number, f"A01_{number}", well="A01", dead_share=number / 1000) for number in range(500)]
    page = browser.new_page()
    page.goto(written(tmp_path, rows, pictures=False).as_uri())
    more = page.locator("#more")
    assert page.locator(".field").count() == 240
    assert page.locator("#count").inner_text() == "500 fields, the first 240 of them below."
    assert more.inner_text() == "Show 240 more (260 not shown yet)"
    more.click()
    assert page.locator(".field").count() == 480
    assert more.inner_text() == "Show 20 more (20 not shown yet)"
    more.click()
    assert names(page) == [f"A01_{number}" for number in range(500)]
    assert more.is_hidden()
    # what is asked for is found among all of them, and the order is of all of them
    page.get_by_label("Sort by", exact=True).select_option("dead share, highest first")
    assert names(page)[:2] == ["A01_499", "A01_498"]
    assert page.locator(".field").count() == 240
    page.get_by_label("Name", exact=True).fill("A01_49")
    assert len(names(page)) == 11
    assert page.locator("#count").inner_text() == "11 of 500 fields shown."
    assert more.is_hidden()
    page.get_by_label("Name", exact=True).fill("A01_3")
    assert more.is_hidden()
    page.get_by_label("Name", exact=True).fill("A01_")
    page.get_by_label("Dead share to").fill("40")
    assert page.locator("#count").inner_text() == "401 of 500 fields, the first 240 of them below."
    page.emulate_media(media="print")  # where the button is not: what is left out must be said
    assert page.locator("#count").is_visible()
    page.close()


def test_whoever_has_no_mouse_goes_on_among_the_fields_that_more_has_brought(browser, tmp_path):
    rows = [row(number, f"A01_{number}", well="A01", dead_share=number / 1000) for number in range(300)]
    page = browser.new_page()
    page.goto(written(tmp_path, rows, pictures=False).as_uri())
    page.locator("#more").press("Enter")
    assert page.evaluate("document.activeElement.closest('.field').ariaLabel") == "field A01_240"
    page.close()


def test_the_plate_is_one_stop_of_the_tab_key_and_arrows_go_from_well_to_well(browser, tmp_path):
    every = [f"{letter}{column:02d}" for letter in "ABCDEFGH" for column in range(1, 13)]
    wells = [well for well in every if well != "A03"]
    page = browser.new_page()
    page.goto(written(tmp_path, [row(n, well, well=well) for n, well in enumerate(wells)], pictures=False).as_uri())

    def focused() -> str:
        return page.evaluate("document.activeElement.closest('.plate') ? document.activeElement.title.slice(0, 3) : ''")

    while not focused():
        page.keyboard.press("Tab")
    assert focused() == "A01"
    seen = []
    for key in ("Up", "Left", "Right", "Right", "Left", "Right", "Down", "Left", "Up", "Down", "Right"):
        page.keyboard.press(f"Arrow{key}")
        seen.append(focused())
    # over A03, of which there is no field, and not beyond the edge
    assert seen == ["A01", "A01", "A02", "A04", "A02", "A04", "B04", "B03", "B03", "C03", "C04"]
    page.keyboard.press("Enter")
    assert names(page) == ["C04"]
    page.keyboard.press("Tab")
    assert focused() == ""
    page.keyboard.press("Shift+Tab")
    assert focused() == "C04"
    page.close()
