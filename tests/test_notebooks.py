"""The notebooks run from top to bottom, on simulated images and on any data set by changing one line."""

import ast
import asyncio
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

from conftest import REPOSITORY, TINY
from drawn import COARSE

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def code(path: Path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(re.sub(r"(?m)^%.*$", "", cell.source) for cell in cells if cell.cell_type == "code")


@pytest.fixture(scope="module")
def executed() -> Iterator[Callable[..., nbformat.NotebookNode]]:
    """Runs notebooks in one kernel, which imports once; each finds no name and no folder of the one before."""
    manager = AsyncKernelManager()

    def execute(path: Path, folder: Path, *lines: tuple[str, str]) -> nbformat.NotebookNode:
        """A notebook, run in ``folder/notebooks`` with some lines changed; raises where a cell does."""
        (folder / "notebooks").mkdir()
        notebook = nbformat.read(shutil.copy(path, folder / "notebooks"), as_version=4)
        for line in lines:
            (cell,) = [cell for cell in notebook.cells if line[0] in cell.source]
            cell.source = cell.source.replace(*line)
        begin = f"import os\nos.chdir({str(folder / 'notebooks')!r})\n%reset -f{COARSE}"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(begin))
        client = NotebookClient(notebook, km=manager, timeout=600)
        try:
            return client.execute()
        finally:
            client.kc.stop_channels()

    yield execute
    asyncio.run(manager.shutdown_kernel(now=True))


def pictures(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert all(output.output_type != "stream" or output.name != "stderr" for output in outputs)
    return sum("<img src=" in output.get("data", {}).get("text/html", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs_and_define_nothing(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    defined = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
    assert not any(isinstance(node, defined) for node in ast.walk(ast.parse(code(path))))
    assert len(NOTEBOOKS) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "line", "at_least"),
    [("01_curation", 'prepare("dataset=synthetic"', 7), ("02_results", 'train("experiment=demo"', 12)],
)
def test_a_notebook_runs_as_it_stands_on_fewer_fields_and_epochs(executed, name, line, at_least, tmp_path):
    epochs = ', "trainer.max_epochs=1"' * line.startswith("train")
    smaller = "dataset.simulation={n_wells:8,fields_per_well:1,height:448,width:560}"
    fewer = f'{line}, "{smaller}"{epochs}'
    notebook = executed(REPOSITORY / f"notebooks/{name}.ipynb", tmp_path, (line, fewer))
    assert pictures(notebook) >= at_least


def test_curation_of_another_data_set_is_one_line(executed, uneven, tmp_path):
    line = ('prepare("dataset=synthetic")', f"prepare(*{uneven!r})")
    notebook = executed(REPOSITORY / "notebooks/01_curation.ipynb", tmp_path, line)
    assert pictures(notebook) == 4
    (of_filter,) = [cell for cell in notebook.cells if cell.source == "show(empty_filter_blocks(curated))"]
    assert "<b>This part</b> is not here: the filter was off" in of_filter.outputs[0].data["text/html"]


def test_results_of_another_training_are_one_line(executed, uneven, tmp_path):
    line = ('train("experiment=demo")', f"train(*{[*uneven, *TINY]!r})")
    notebook = executed(REPOSITORY / "notebooks/02_results.ipynb", tmp_path, line)
    assert pictures(notebook) == 13
    assert len(list(tmp_path.glob("runs/notebook/*/test_metrics.json"))) == 1


@pytest.mark.slow
def test_new_images_are_predicted_checked_and_exported(executed, uneven, tmp_path):
    trained = ('train("experiment=demo")', f"train(*{[*uneven, *TINY, 'evaluation.orientations=1']!r})")
    imaged = ('prepare("dataset=synthetic_doses")', f"prepare(*{uneven!r})")
    notebook = executed(REPOSITORY / "notebooks/03_new_images.ipynb", tmp_path, trained, imaged)
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in shown if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in shown) == 1
    told = [output["data"]["text/plain"] for output in shown if "text/plain" in output.get("data", {})]
    sides = [("image", ["n", 1, "height", "width"]), ("score", ["n", 1, "rows", "columns"])]
    assert ast.literal_eval(told[-1]) == sides
    assert "mae" in told[-3]
    assert (tmp_path / "exported_model/predict.py").is_file()
