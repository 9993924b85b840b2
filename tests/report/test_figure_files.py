"""A report's figures are written by a process beside it, and come out the same by whoever draws them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from matplotlib.figure import Figure

from jimt.figures.style import new_axes, styled
from jimt.networks.side_by_side import compute_in_threads
from jimt.report.blocks import Drawing, drawn
from jimt.report.figure_files import FigureFiles
from jimt.report.figure_process import FigureProcess, figure_process


@pytest.fixture(params=[1, 2])
def n_threads(request, fine_figures):
    """Threads that torch computes in: with one, figures are drawn in this process."""
    before = torch.get_num_threads()
    compute_in_threads(request.param)
    yield request.param
    compute_in_threads(before)


@styled
def lines(seed: int) -> Figure:
    """A figure with axes, text that could be taken for a formula, and an image."""
    figure, axes = new_axes(4, 2, 1, 2)
    random = np.random.default_rng(seed)
    axes[0, 0].plot(random.random(9), label="$ a_b $")
    axes[0, 0].legend()
    axes[0, 1].imshow(random.random((12, 12)), alpha=0.5)
    return figure


def drawing(name: str, seed: int = 0) -> Drawing:
    return Drawing(name, name, "", lines(seed))


def drawers() -> list[psutil.Process]:
    """Processes of this one that are at work on figures."""
    return [each for each in psutil.Process().children() if "figure_process" in " ".join(each.cmdline())]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_and_pictures_are_those_that_matplotlib_saves_here(n_threads, tmp_path):
    folder = tmp_path / "figures"
    drawings = [drawing(f"figure_{seed}", seed) for seed in range(4)]
    with figure_process() as process:
        files = FigureFiles(folder, process)
        for each in drawings:
            files.begin(each)
            files.begin(each)  # once is enough
        assert len(drawers()) == n_threads - 1
        assert files.finish() == 4
    assert drawers() == []
    alone = [drawing(f"figure_{seed}", seed) for seed in range(4)]
    pictures = [drawn(each.figure, tmp_path / "alone", each.name) for each in alone]
    assert files_of(folder) == files_of(tmp_path / "alone")
    assert [each.picture for each in drawings] == pictures
    assert len(set(pictures)) == 4


def test_files_of_a_report_before_go_and_others_stay(n_threads, tmp_path):
    for name in ("old.png", "old.svg", "kept.csv"):
        (tmp_path / name).write_text("")
    with figure_process() as process:
        files = FigureFiles(tmp_path, process)
        files.begin(drawing("new"))
        files.finish()
    assert {path.name for path in tmp_path.iterdir()} == {"new.png", "new.svg", "kept.csv"}


def test_two_figures_of_one_name_are_a_mistake(tmp_path):
    with figure_process() as process:
        files = FigureFiles(tmp_path, process)
        files.begin(drawing("one"))
        with pytest.raises(AssertionError, match="two figures of one name: one"):
            files.begin(drawing("one"))


def test_what_cannot_be_written_is_told_as_the_system_tells_it(n_threads, tmp_path):
    (tmp_path / "figures").write_text("a file")
    with figure_process() as process, pytest.raises(FileExistsError):
        files = FigureFiles(tmp_path / "figures", process)
        files.begin(drawing("one"))
        files.finish()
    assert drawers() == []


@pytest.mark.parametrize("n_threads", [2], indirect=True)
def test_a_process_that_is_killed_costs_no_figure(n_threads, tmp_path):
    with figure_process() as process:
        files = FigureFiles(tmp_path, process)
        for seed in range(6):
            files.begin(drawing(f"figure_{seed}", seed))
        for process in drawers():
            process.kill()
        assert files.finish() == 6
    assert len(list(tmp_path.iterdir())) == 12


@pytest.mark.parametrize("n_threads", [2], indirect=True)
def test_a_figure_that_no_other_process_can_be_handed_is_drawn_here(n_threads, tmp_path):
    odd = drawing("odd")
    odd.figure.lock = threading.Lock()  # type: ignore[attr-defined]
    with figure_process() as process:
        files = FigureFiles(tmp_path, process)
        files.begin(drawing("one"))
        files.begin(odd)
        assert files.finish() == 2
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("n_threads", [2], indirect=True)
def test_an_error_in_the_report_ends_the_process_that_draws(n_threads, tmp_path):
    with pytest.raises(KeyError), figure_process() as process:
        files = FigureFiles(tmp_path, process)
        files.begin(drawing("one"))
        assert len(drawers()) == 1
        raise KeyError
    assert drawers() == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_the_process_that_draws_ends_with_the_one_that_asks(sent, tmp_path):
    """Also where that one is killed alone, while a figure is drawn."""
    asks = (
        "import sys, time; from pathlib import Path\n"
        "from jimt.figures.style import new_axes\n"
        "from jimt.report.blocks import Drawing\n"
        "from jimt.report.figure_files import FigureFiles\n"
        "from jimt.report.figure_process import figure_process\n"
        "with figure_process() as process:\n"
        "    files = FigureFiles(Path(sys.argv[1]), process)\n"
        "    for number in range(40): files.begin(Drawing(str(number), '', '', new_axes(3, 2)[0]))\n"
        "    print('asked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = dict(os.environ, OMP_NUM_THREADS="2")
    command = [sys.executable, "-c", asks, str(tmp_path / "figures")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "asked\n"
        (drawing_process,) = psutil.Process(asking.pid).children()
        asking.send_signal(sent)
        assert drawing_process.wait(timeout=30) is None or not drawing_process.is_running()
    assert not drawing_process.is_running()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_not_for_the_process_that_draws():
    with FigureProcess() as process:
        assert os.getpgid(process._process.pid) != os.getpgid(0)
