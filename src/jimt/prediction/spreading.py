"""Fields on the workers of a Dask cluster: each is read, asked and written there, and noted as done here."""

import functools
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Final

from rich.console import Console

from jimt.config.hydra_dataset import executor_of_scheduler
from jimt.curation.parallel.executors import Called, ExecutorError, open_dask
from jimt.errors import InputError
from jimt.networks.side_by_side import compute_in_threads
from jimt.prediction.answers import FieldRow, Source
from jimt.prediction.asked import Asked
from jimt.prediction.asking import Asking, Question, open_asking
from jimt.prediction.engine import not_done, progress_on
from jimt.prediction.field_files import FOLDERS, write_field_files
from jimt.prediction.parts import Parts, write_part
from jimt.system.files import digest_of_file
from jimt.system.locks import unmake_folders

_CALLED: Final = Called(
    dask="--dask",
    images="the run and the images",
    output="--out",
    scheduler="--dask tcp://HOST:8786",
    without=(),
)
_ASIDE: Final = ".writing-"
"""Begins the names of folders in which workers write the files of one field."""
_NETWORK: Final = Lock()
"""Of a worker, which may have threads that read and write: one field at a time passes through the network."""


@dataclass(frozen=True)
class FieldTask:
    """A field as a worker is given it.

    Attributes:
        source: As the command names it.
        image: Likewise, by an absolute path.
        of_pi: Where its PI is, likewise; None where there is none, or answers are not checked.
        question: What is asked of all fields; the model's file by an absolute path.
        model: Digest of that file.
        part: Where it is noted that the field is done, an absolute path.
        out: The output folder, likewise.
    """

    source: Source
    image: Source
    of_pi: Source | None
    question: Question
    model: str
    part: Path
    out: Path

    @property
    def files(self) -> dict[str, Path]:
        """What a worker reads."""
        pi = {} if self.of_pi is None else {"pi": self.of_pi.path}
        return {"image": self.image.path, **pi, "model": self.question.checkpoint}


def spread_fields(
    sources: Sequence[Source],
    parts: Parts,
    question: Question,
    *,
    of_pi: Mapping[int, Source],
    asked: Asked,
    console: Console,
) -> dict[int, str]:
    """Answer every field that is not done yet on a cluster; as ``engine.predict_fields`` does it on this machine.

    A field whose worker dies is given to another, and a field that kills all of them has no answer.

    Args:
        sources: All fields.
        parts: Those that are done.
        question: What is asked of them.
        of_pi: Where PI of each is, by its number.
        asked: The command, which names the output folder and the cluster's scheduler.
        console: Where progress is shown.

    Returns:
        Why fields have no answer, by their number.

    Raises:
        InputError: If the cluster cannot do the work, or go on with it; the same command goes on from there.
    """
    assert asked.dask is not None
    failed: dict[int, str] = {}
    executor, out = executor_of_scheduler(asked.dask), asked.out
    left = not_done(sources, parts, console)
    if not left:
        return failed
    shared = replace(question, checkpoint=question.checkpoint.absolute())
    model = digest_of_file(question.checkpoint)

    def tasks() -> Iterator[FieldTask]:
        for source in left:
            pi = of_pi.get(source.number)
            located = None if pi is None else _located(pi)
            part = parts.path(source).absolute()
            yield FieldTask(source, _located(source), located, shared, model, part, out.absolute())

    progress = progress_on(console)
    try:
        with open_dask(executor, _CALLED, folder=out, sample=[next(tasks())]) as cluster, progress:
            for folder in FOLDERS:
                (out / folder).mkdir(exist_ok=True)
            bar = progress.add_task("", total=len(left))
            for task, outcome in cluster.outcomes(answer_on_worker, tasks()):
                if isinstance(outcome, FieldRow):
                    parts.note(task.source, outcome)
                else:
                    failed[task.source.number] = str(outcome)
                progress.advance(bar)
    except InputError:
        for folder in FOLDERS:
            unmake_folders([out / folder])
        parts.withdraw()
        raise
    for unfinished in parts.folder.glob(f"{_ASIDE}*"):  # of workers that were killed
        shutil.rmtree(unfinished, ignore_errors=True)
    return failed


def _located(source: Source) -> Source:
    """By an absolute path: workers have another working directory."""
    return replace(source, path=source.path.absolute())


def answer_on_worker(task: FieldTask) -> FieldRow | str:
    """Read a field, ask the model, and write its files and its part; called on a worker.

    Returns:
        The field's row; why it has no answer, where it cannot be read or answered.

    Raises:
        ExecutorError: If this worker cannot open the model.
    """
    from jimt.curation.parallel.worker import threads_of_worker

    asking = _opened(task.question, task.model)
    try:
        opened = asking.read(task.image, task.of_pi)
        with _NETWORK:
            compute_in_threads(threads_of_worker())
            answer = asking.answer(task.source, opened)
    except InputError as error:
        return str(error)
    # a worker that was given up may still be at work on the same field: each has files of its own until they are whole
    with tempfile.TemporaryDirectory(prefix=_ASIDE, dir=task.part.parent) as aside:
        write_field_files(answer, Path(aside))
        for folder in FOLDERS:
            for path in (Path(aside) / folder).iterdir():
                path.replace(task.out / folder / path.name)
        done = Path(aside) / task.part.name
        write_part(done, answer.row, answer.patches)
        done.replace(task.part)
    return answer.row


def _opened(question: Question, model: str) -> Asking:
    """The model, opened once in each process of a worker, whatever the number of its threads and fields."""
    with _NETWORK:
        return _open(question, model)


@functools.lru_cache(maxsize=1)
def _open(question: Question, model: str) -> Asking:
    node = platform.node()
    if digest_of_file(question.checkpoint) != model:
        raise ExecutorError(
            f"a worker on {node} reads another model than this machine at {question.checkpoint}",
            advice=f"{_CALLED.images} must lie on a file system all machines share, at the same path",
        )
    try:
        return open_asking(question)
    except InputError as error:
        raise ExecutorError(
            f"a worker on {node} cannot open the model ({error.cause})",
            advice="run all workers in an environment like this one, on machines that have what it asks for",
            remedies=error.remedies,
        ) from error
