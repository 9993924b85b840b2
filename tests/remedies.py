"""Every place that names a remedy, and what it takes to lead there and then do what it says."""

import ast
import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from composing import composed
from conftest import REPOSITORY
from jimt import errors
from jimt.config.curating import CurationConfig, PrepareConfig
from jimt.config.data import DatasetConfig
from jimt.config.training import TrainConfig
from jimt.errors import InputError

PACKAGE = REPOSITORY / "src" / "jimt"
RAISED = ("InputError", "Interrupted", "BadImageError", "ExecutorError", "ExceedsMemory")
TOLD_BY = (*RAISED, "ways_out", "filling_a_disk")
"""Calls that say what mends something; that of a full disk says in any case to free some."""
TO_TYPE = re.compile(r"(^|[\s(`'])(--[a-z]|-m\b|[a-z_]+([./][a-z_]+)*=|(python|pip|make|dask|jimt) [a-z-])")
"""An override, a flag or a command in the middle of a sentence."""
Place = tuple[str, str]
"""A file of the package and a function in it, ``Class.method`` of a method."""


@dataclass(frozen=True)
class Told:
    """A call that makes an error, or the end of a warning."""

    place: Place
    lines: range
    call: ast.Call

    def has(self, field: str) -> bool:
        return any(keyword.arg == field for keyword in self.call.keywords)


def told() -> list[Told]:
    """Every such call of the package and of the two scripts."""
    found: list[Told] = []

    def visit(node: ast.AST, file: str, names: tuple[str, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = (*names, node.name)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TOLD_BY:
            found.append(Told((file, ".".join(names)), range(node.lineno, (node.end_lineno or 0) + 1), node))
        for child in ast.iter_child_nodes(node):
            visit(child, file, names)

    for path in [*sorted(PACKAGE.rglob("*.py")), REPOSITORY / "train.py", REPOSITORY / "prepare.py"]:
        if path != PACKAGE / "errors.py":
            visit(
                ast.parse(path.read_text()),
                path.relative_to(path.parent if path.parent == REPOSITORY else PACKAGE).as_posix(),
                (),
            )
    return found


class Reached(Exception):
    """What was asked has been accepted, so that the case need not go on."""


@dataclass(frozen=True)
class Made:
    """An error or a warning, and the line that made it."""

    place: Place
    line: int
    text: str
    remedies: tuple[str, ...]


class Lab:
    """Leads to errors and runs their remedies; what a case needs comes from pytest."""

    def __init__(self, place: Place, request: pytest.FixtureRequest) -> None:
        self.place, self._request = place, request
        self.tmp_path: Path = request.getfixturevalue("tmp_path")
        self.monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        noting = pytest.MonkeyPatch()  # of its own: cases undo theirs
        request.addfinalizer(noting.undo)
        self._made: list[Made] = []
        self.lines: set[int] = set()
        init, ways_out = InputError.__init__, errors.ways_out

        def noting_init(error: InputError, cause: str, **rest: Any) -> None:
            init(error, cause, **rest)
            self._note(str(error), error.advice, error.remedies)

        def noting_ways_out(*, advice: str = "", remedies: tuple[str, ...] = ()) -> str:
            text = ways_out(advice=advice, remedies=remedies)
            self._note(text, advice, remedies)
            return text

        noting.setattr(InputError, "__init__", noting_init)
        for name, module in list(sys.modules.items()):
            if name.startswith("jimt.") and name != "jimt.errors" and hasattr(module, "ways_out"):
                noting.setattr(module, "ways_out", noting_ways_out)

    def _note(self, text: str, advice: str, remedies: tuple[str, ...]) -> None:
        own = "zip -s" in advice  # how a data set is had, in the words of its YAML
        assert own or not TO_TYPE.search(advice), f"a remedy is hidden in prose: {advice}"
        frame = sys._getframe(2)
        while frame.f_code.co_filename in (errors.__file__, contextlib.__file__) and frame.f_back is not None:
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            place = path.relative_to(PACKAGE).as_posix(), frame.f_code.co_qualname.replace(".<locals>", "")
            self._made.append(Made(place, frame.f_lineno, text, remedies))

    def __getattr__(self, fixture: str) -> Any:
        return self._request.getfixturevalue(fixture)

    def mends(
        self,
        does: Callable[..., object],
        *given: str,
        fill: Mapping[str, str] | None = None,
        types: Callable[[list[str]], object] | None = None,
        afresh: Callable[[], object] = lambda: None,
        not_run: Iterable[str] = (),
        beside: Mapping[str, tuple[str, ...]] | None = None,
        after: Callable[[], object] | None = None,
    ) -> Made:
        """Lead to the error of this place, then do each thing that it names: it comes no more, nor any other.

        Args:
            does: What is asked, with overrides and flags.
            given: Those that lead to the error.
            fill: What a person would write for the words in capitals; for one remedy by the whole of it.
            types: Runs a whole command, by its words; what was asked is then done again.
            afresh: Puts everything back, before each time.
            not_run: Remedies that are not run here: see ``NOT_RUN``.
            beside: What a remedy needs beside it, by its first word.
            after: What is done after a command where that is not what was asked before.
        """
        made = self._errors_of(does, given, afresh, mended=False)
        here = [one for one in made if one.place == self.place and one.remedies]
        assert here, f"{self.place} was not reached: {made}"
        of_place = here[0]
        self.lines.add(of_place.line)
        for remedy in of_place.remedies:
            if remedy in not_run:
                continue
            words = filled(remedy, fill or {})
            command = types is not None and not words[0].startswith("-") and "=" not in words[0]
            if command:
                afresh()
                types(words)
                done = (does, given) if after is None else (after, ())
                later = self._errors_of(*done, lambda: None, mended=True)
            else:
                more = (beside or {}).get(remedy.partition(" ")[0], ())
                later = self._errors_of(does, replaced(given, [*words, *more]), afresh, mended=True)
            again = [one for one in later if (one.place, one.line) == (of_place.place, of_place.line)]
            assert not again, f"{remedy} does not mend it: {again[0].text}"
        return of_place

    def _errors_of(
        self,
        does: Callable[..., object],
        given: Iterable[str],
        afresh: Callable[[], object],
        *,
        mended: bool,
    ) -> list[Made]:
        afresh()
        self._made.clear()
        refused: BaseException | None = None
        try:
            does(*given)
        except (InputError, SystemExit, Reached) as error:
            refused = error
        if mended:
            ended = (
                refused is None
                or isinstance(refused, Reached)
                or (isinstance(refused, SystemExit) and not refused.code)
            )
            assert ended, refused
        return list(self._made)


def filled(remedy: str, fill: Mapping[str, str]) -> list[str]:
    """The words of a remedy, as a person would type them."""
    if remedy in fill:
        return fill[remedy].split(" ")
    words = [word[1:-1] if word[0] == word[-1] and word[0] in "'\"" else word for word in remedy.split(" ")]
    for name, value in fill.items():
        words = [word.replace(name, value) if name.isupper() else word for word in words]
    return words


def replaced(given: Iterable[str], words: list[str]) -> list[str]:
    """A command line in which overrides are changed or added; a flag with its value likewise."""

    def key(word: str) -> str:
        return word.partition("=")[0].lstrip("+~")

    new = {key(word) for word in words if not word.startswith("-")}
    kept, before = [], ""
    for word in given:
        of_flag = any(one in words and one.startswith("-") for one in (word, before))
        if not of_flag and key(word) not in new:
            kept.append(word)
        before = word
    flags = [n for n, word in enumerate(words) if word.startswith("-") or (n and words[n - 1].startswith("--"))]
    return [*(words[n] for n in flags), *kept, *(word for n, word in enumerate(words) if n not in flags)]


def check(place: Place, run: Callable[[Lab], None], request: pytest.FixtureRequest) -> None:
    """Run the cases of a place; every call of it that names a remedy has been led to."""
    lab = Lab(place, request)
    run(lab)
    calls = [one.lines for one in told() if one.place == place and one.has("remedies")]
    missed = [lines.start for lines in calls if not lab.lines & set(lines)]
    assert calls, f"{place} names no remedy"
    assert not missed, f"no case leads to {place[0]}:{missed}"


def marked(places: Iterable[Place], slow: set[Place]) -> list[Any]:
    """Places as pytest takes them."""
    return [pytest.param(place, marks=pytest.mark.slow) if place in slow else place for place in places]


def composed_prepare(*overrides: str) -> tuple[DatasetConfig, CurationConfig]:
    """The config of ``python prepare.py OVERRIDES``."""
    config = composed("prepare", *overrides)
    assert isinstance(config, PrepareConfig)
    return config.dataset, config.curation


def composed_train(*overrides: str, name: str = "train") -> TrainConfig:
    """The config of ``python train.py OVERRIDES``, or of ``jimt crossval`` or ``jimt.search.tune``."""
    config = composed(name, *overrides)
    assert isinstance(config, TrainConfig)
    return config
