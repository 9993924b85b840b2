"""How much code there is, without docstrings, comments and line breaks.

``python tests/statements.py REV`` prints the statements of ``src/jimt`` here and in a revision of git, then the longest
files.
"""

import ast
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "src/jimt"


def count_statements(source: str) -> int:
    """Statements of a file: each ``ast.stmt`` that is not a docstring, on a class, a function, a module or a constant.

    >>> count_statements('x = 1\\n"The one."\\ndef f():\\n    "Say."\\n    return x  # why\\n')
    3
    """
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.stmt)]
    return sum(not _is_text(node) for node in nodes)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def statements_here() -> int:
    """Of the working tree."""
    return sum(count_statements(path.read_text(encoding="utf-8")) for path in (REPOSITORY / PACKAGE).rglob("*.py"))


def statements_of(revision: str) -> int:
    """Of a revision of git."""
    names = _git("ls-tree", "-r", "--name-only", revision, "--", PACKAGE).splitlines()
    return sum(count_statements(_git("show", f"{revision}:{name}")) for name in names if name.endswith(".py"))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=True)
    return done.stdout


def n_lines(folder: str) -> dict[str, int]:
    """Lines of each Python file below a folder of the repository, the longest first."""
    paths = (REPOSITORY / folder).rglob("*.py")
    lines = {path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8").count("\n") for path in paths}
    return dict(sorted(lines.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    revision = sys.argv[1] if len(sys.argv) > 1 else "HEAD"
    print(f"{statements_here()} statements here, {statements_of(revision)} in {revision}")
    for folder, limit in ((PACKAGE, 250), ("tests", 400)):
        for name, lines in n_lines(folder).items():
            if lines > limit:
                print(f"{lines:5} lines: {name}")
