"""A report says what it is at, wherever that takes longer than a person waits without a word."""

import base64
import io
import time

import pytest
from PIL import Image

from jimt.figures.style import new_axes
from jimt.report.blocks import Drawing, drawn
from jimt.report.progress import part, watched


def test_a_part_is_told_when_it_takes_long_and_again_while_it_lasts():
    told = []

    def tell(line: str) -> None:
        told.append((time.monotonic() - start, line))

    with watched(tell, patience=0.2, again=0.3):
        start = time.monotonic()
        with part("quick"):
            pass
        with part("what it looks at"), part("maps, fold 1 of 5"):
            time.sleep(0.75)
        with part("quick again"):
            time.sleep(0.05)
    lines = [line for _, line in told]
    assert len(lines) in (2, 3)
    assert all(line.startswith("report, what it looks at: maps, fold 1 of 5 (") for line in lines)
    assert 0.2 <= told[0][0] < 0.6
    assert 0.3 <= told[1][0] - told[0][0] < 0.7
    with part("unwatched"):  # and nothing fails
        time.sleep(0)
    assert len(told) == len(lines)


def test_the_watch_ends_with_what_it_watches_also_after_an_error():
    import threading

    before = threading.active_count()
    try:
        with watched(print, patience=0.01), part("a part"):
            raise KeyError
    except KeyError:
        pass
    assert threading.active_count() == before


@pytest.mark.slow
def test_every_part_of_a_report_that_takes_two_seconds_is_told(own, monkeypatch, capsys):
    from jimt.figures import discrimination
    from jimt.report import figure_files
    from jimt.report.sections import features_section as features
    from jimt.report.write import write_report

    def slow(function):
        def slower(*args, **options):
            time.sleep(2.6)
            return function(*args, **options)

        return slower

    (own / "figures/embedding.csv").unlink()
    monkeypatch.setattr(features, "tsne", slow(features.tsne))
    monkeypatch.setattr(discrimination, "roc_curves", slow(discrimination.roc_curves))
    whole = figure_files.drawn
    monkeypatch.setattr(
        figure_files,
        "drawn",
        lambda figure, folder, name: (time.sleep(2.6 * (name == "roc")), whole(figure, folder, name))[1],
    )
    write_report(own)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("report, ")]
    for words in ("how good (", "what it has learned: t-SNE of 45 patches by ", "figure "):
        assert any(line.removeprefix("report, ").startswith(words) for line in lines), (words, lines)
    assert any(", roc (" in line for line in lines)


def test_figures_are_of_300_dots_an_inch_and_smaller_in_the_page(fine_figures, tmp_path):
    drawing = Drawing("lines", "Lines", "Two lines.", new_axes(6.5, 2)[0])
    drawing.figure.subplots().plot([0, 1], [0, 1])
    drawing.keep(drawn(drawing.figure, tmp_path, drawing.name))
    with Image.open(tmp_path / "lines.png") as picture:
        assert [round(dots) for dots in picture.info["dpi"]] == [300, 300]
        assert picture.size == (6.5 * 300, 2 * 300)
    in_page = base64.b64decode(drawing.picture.partition(";base64,")[2])
    with Image.open(io.BytesIO(in_page)) as picture:
        assert picture.size == (6.5 * 150, 2 * 150)
