"""Commands and overrides as the documentation prints them: Markdown, notebooks, docstrings, comments of the config."""

import ast
import io
import json
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from conftest import REPOSITORY
from jimt.__main__ import COMMANDS as OF_JIMT

STARTS = ("python", "jimt", "make", "pip", "srun", "dask", "tensorboard", "wandb", "jupyter")
"""A line of a code block, or a code span, that begins so is a command; variables may stand before it."""

_COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{'|'.join(STARTS)}) \S")
_OURS = re.compile(rf"\S* ?(?:python \w+/?\w*\.py|jimt (?:{'|'.join(OF_JIMT)})\b)\S*.{{,30}}")
_OVERRIDES = re.compile(r"[+~]?[a-z][\w./]*=[^=\s]\S*(?: [+~]?[a-z][\w./]*=[^=\s]\S*)*")


def documents() -> dict[str, str]:
    """What a reader reads, by path: Markdown as it stands, of other files their prose alone, made into Markdown."""
    found = {}
    for path in _files("*.md", "docs/**/*.md", "src/**/*.md"):
        found[path] = path.read_text()
    for path in _files("notebooks/*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        found[path] = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for path in _files("*.py", "src/**/*.py", "benchmarks/*.py"):
        found[path] = "\n\n".join(_prose_of_python(path.read_text()))
    for path in sorted(
        [*REPOSITORY.glob("conf/**/*.yaml"), *REPOSITORY.glob("constraints/*"), REPOSITORY / "Makefile"]
    ):
        found[path] = "\n".join(_comments(path.read_text()))
    return {path.relative_to(REPOSITORY).as_posix(): text for path, text in found.items()}


def _files(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in REPOSITORY.glob(pattern))


def _prose_of_python(source: str) -> Iterator[str]:
    """Docstrings, of attributes too, and comments."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value.replace("``", "`")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.removeprefix("#").strip()


def _comments(text: str) -> Iterator[str]:
    """Comments of a YAML, a Makefile or a list of versions; an indented one stays a block of code."""
    for line in text.splitlines():
        found = re.search(r"(?:^|\s)#(.*)$", line)
        yield "" if found is None else re.sub(r"^ (?! )", "", found[1])


def code_lines(markdown: str) -> Iterator[str]:
    """Lines of code blocks, fenced or indented by three spaces, continued lines joined, without their comments."""
    fenced, held = False, ""
    for line in markdown.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            continue
        if fenced or line.startswith("   "):
            held += line.strip().removesuffix("\\")
            if not line.endswith("\\"):
                yield re.sub(r"\s+#\s.*$", "", re.sub(r"\s+", " ", held)).strip() if held[:1] != "#" else held
                held = ""


def code_spans(markdown: str) -> Iterator[str]:
    """Code in backticks within prose, which may be broken over two lines."""
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", prose):
        yield re.sub(r"\s+", " ", span).strip()


def commands(texts: dict[str, str]) -> dict[str, list[str]]:
    """Where each command is printed."""
    found: dict[str, list[str]] = defaultdict(list)
    for where, text in texts.items():
        for code in (*code_lines(text), *code_spans(text)):
            if _COMMAND.match(code) and where not in found[code]:
                found[code].append(where)
    return {command: places for command, places in found.items() if places}


def overrides(texts: dict[str, str]) -> dict[str, list[str]]:
    """Where each override, or several together, is printed in prose."""
    found: dict[str, list[str]] = defaultdict(list)
    for where, text in texts.items():
        for span in code_spans(text):
            if _OVERRIDES.fullmatch(span) and where not in found[span]:
                found[span].append(where)
    return dict(found)


def hidden_commands(texts: dict[str, str]) -> list[str]:
    """Words that look like a command of ours where ``commands`` does not see one: prose, a block of another kind."""
    known = commands(texts)
    hidden = []
    for where, text in texts.items():
        plain = re.sub(r"\s+", " ", text.replace("\\\n", " "))
        for command in sorted(known, key=len, reverse=True):
            plain = plain.replace(command, "")
        hidden += [f"{where}: {words}" for words in re.findall(_OURS, plain)]
    return hidden
