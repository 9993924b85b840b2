"""The report in a real browser: every figure is seen, a point shows its patch, and nothing is complained about."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import jimt.report.page
from browsers import listened_to, opened_browser
from jimt.evaluation.scores import TestPatches
from jimt.report.blocks import Table
from jimt.report.interactive import linked_scatter
from jimt.report.study import open_study
from jimt.report.thumbnails import SIDE, sheet, thumbnails

# where the first point of each plot lies in the window, and what stands behind it
FIRST_POINTS = """() => {
  const plots = [];
  const walk = (view) => {
    if (view.model.type === "Figure") plots.push(view);
    for (const child of view.child_views ?? []) walk(child);
  };
  for (const view of Object.values(Bokeh.index.roots ?? Bokeh.index)) walk(view);
  return plots.map((plot) => {
    const glyph = plot.model.renderers[0], data = glyph.data_source.data;
    const corner = plot.canvas_view.el.getBoundingClientRect();
    return {
      x: corner.left + plot.frame.x_scale.compute(data[glyph.glyph.x.field][0]),
      y: corner.top + plot.frame.y_scale.compute(data[glyph.glyph.y.field][0]),
    };
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
def page(browser, reported, complaints):
    """The report, opened; what goes wrong meanwhile is collected."""
    page = listened_to(browser.new_page(viewport={"width": 1180, "height": 1000}), complaints)
    page.goto((reported / "report.html").as_uri())
    page.wait_for_function("window.Bokeh && Bokeh.documents.length && Bokeh.documents.every((d) => d.is_idle)")
    return page


def test_every_figure_is_rendered_within_the_page(page):
    images = page.locator("figure img")
    assert images.count() >= 17
    for image in images.all():
        assert image.evaluate("(e) => e.complete && e.naturalWidth > 100 && e.naturalHeight > 100")
        box = image.bounding_box()
        assert box["width"] > 100
        assert box["x"] + box["width"] <= 1180
    assert page.evaluate("document.documentElement.scrollWidth") <= 1180


def test_the_page_fits_a_phone(browser, page):
    phone = browser.new_page(viewport={"width": 390, "height": 800})
    phone.goto(page.url)
    phone.wait_for_function("window.Bokeh && Bokeh.documents.length && Bokeh.documents.every((d) => d.is_idle)")
    assert phone.locator(".interactive").count()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.close()


@pytest.mark.parametrize("n", [3, 4, 6])
def test_a_table_of_values_with_intervals_fits_a_page_of_1080_px_and_breaks_all_of_them_alike(browser, n, tmp_path):
    header = ["against", "stained", "groups", *["mean of the stained", "adapted - mean of the stained"] * 3][: 3 + n]
    rows = [
        ["counted cells", "4", "11 (8 left out)", *["-0.105 (-0.237 to +0.031)"] * n],
        ["PI", "1", "19", *["0.2"] * n],
    ]
    style = re.search(
        "<style>.*</style>", (Path(jimt.report.page.__file__).parent / "page.html").read_text(), re.DOTALL
    )
    page = browser.new_page(viewport={"width": 1080, "height": 600})
    page.set_content(f"{style[0]}<main>{Table('Errors', header, rows).html()}</main>")
    assert (
        page.evaluate("(() => { const t = document.querySelector('.table'); return t.scrollWidth - t.clientWidth })()")
        <= 0
    )
    heights = page.evaluate(
        "[...document.querySelectorAll('tbody tr:first-child td.number')].map(n_lines)".replace(
            "n_lines", "(td) => new Set([...td.children].map((span) => span.getBoundingClientRect().top)).size"
        )
    )
    assert set(heights[-n:]) == {2 if n > 3 else 1}
    assert "-0.105 (-0.237 to +0.031)" in page.locator("tbody").inner_text().replace("\n(", " (")
    page.close()


def test_the_table_of_contents_leads_to_every_section(page):
    links = page.locator("nav a")
    assert links.count() == page.locator("section").count() >= 6
    for link in links.all():
        assert page.locator(link.get_attribute("href")).count() == 1
        assert link.bounding_box()["x"] + link.bounding_box()["width"] <= 1180


def test_a_point_shows_its_patch_its_score_and_its_raw_image(page, reported):
    model = open_study(reported).models[0]
    scores, patches = model.scores, TestPatches(*model.tested)
    page.evaluate("document.querySelector('.interactive').scrollIntoView({block: 'center'})")
    points = page.evaluate(FIRST_POINTS)
    assert len(points) == 4
    for point in points:
        page.mouse.move(5, 5)
        page.mouse.move(point["x"], point["y"])
        tooltip = page.locator(".thumbnail")
        tooltip.first.wait_for(timeout=5000)
        page.wait_for_timeout(200)
        tooltips = {each.evaluate("(e) => e.nextElementSibling.innerText"): each for each in tooltip.all()}
        (told,) = [text for text in tooltips if f"y {scores['y'][0]}, x {scores['x'][0]}" in text]
        assert told.startswith(f"{'live' if scores['label'][0] else 'dead'}, P(live) {scores['score'][0]:.3f}")
        assert str(scores["raw_image_id"][0]) in told.replace("\n", "")
        shown = cv2.imdecode(np.frombuffer(tooltips[told].screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)
        expected = cv2.resize(patches[np.array([0])][0], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        # a fraction of a pixel may lie between them
        likeness = cv2.matchTemplate(shown, expected[4:-4, 4:-4], cv2.TM_CCOEFF_NORMED).max()
        other = cv2.matchTemplate(shown, cv2.rotate(expected, cv2.ROTATE_180)[4:-4, 4:-4], cv2.TM_CCOEFF_NORMED).max()
        assert likeness > 0.7 > 0.4 > other


def test_the_browser_has_nothing_to_complain_about(page, complaints):
    page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(300)
    assert complaints == []


# ---- without a browser


def test_a_sheet_holds_each_thumbnail_where_it_says(tmp_path):
    rng = np.random.default_rng(0)
    patches = np.repeat(np.repeat(rng.integers(0, 255, (123, 4, 4)).astype(np.uint8), 32, 1), 32, 2)
    small = thumbnails(patches, len(patches))
    made = sheet(small)
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(made.data_uri.partition(",")[2]), np.uint8), 0)
    for patch, x, y in zip(patches, made.x, made.y, strict=True):
        seen = picture[y : y + SIDE, x : x + SIDE].astype(float)
        assert np.abs(seen - cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA)).mean() < 12
    assert len({*zip(made.x.tolist(), made.y.tolist(), strict=True)}) == 123


def test_names_of_raw_images_are_text_and_no_script():
    evil = "</script><script>alert(1)</script>"
    rows = pd.DataFrame(
        {"raw_image_id": [evil] * 6, "group": [evil] * 6, "y": 0, "x": 0, "label": [0, 1] * 3, "score": 0.5}
    ).assign(mean_fluorescence=1.0)
    content = linked_scatter("patches", rows, np.zeros((6, 2)), np.zeros((6, SIDE, SIDE), np.uint8)).content
    assert "alert(1)" in content
    assert evil not in content
