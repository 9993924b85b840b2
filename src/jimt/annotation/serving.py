"""Puts together what a page needs, and serves it until the person at the keyboard has done."""

from pathlib import Path
from typing import TYPE_CHECKING

from jimt.annotation.cell_page import CellPage
from jimt.annotation.cell_table import CellTable
from jimt.annotation.comparing import compare_with_pi
from jimt.annotation.filter_process import FilterProcess, pool_of
from jimt.annotation.label_table import LabelTable
from jimt.annotation.model_verdicts import nuclei_of
from jimt.annotation.modes import DEAD_WORD, LIVE_WORD, choices_of
from jimt.annotation.patch_page import PatchPage, Words
from jimt.annotation.patch_pool import PatchPool, counted, to_label
from jimt.annotation.server import Server
from jimt.annotation.session import Session
from jimt.curation.manifest import Curated
from jimt.vocabulary import LABEL_NAMES

if TYPE_CHECKING:
    from rich.console import Console

    from jimt.annotation.annotate import Asked

_QUESTIONS = {
    "empty": "Does this patch hold cells?",
    "audit": "Are the cells of this patch alive? By bright-field alone: PI is not shown.",
}


def serve_patches(asked: "Asked", curated: Curated, console: "Console") -> None:
    """Serve the page of patches, for the modes ``empty`` and ``audit``.

    Raises:
        InputError: If it cannot be done as asked.
    """
    settings = curated.summary["config"]
    choices = choices_of(asked.mode, settings["dataset"])
    is_audit = asked.mode == "audit"
    labelled = curated.manifest["label"].isin(list(LABEL_NAMES))
    pool = PatchPool(curated, to_label(curated.manifest[labelled])) if is_audit else pool_of(curated)
    table = LabelTable(asked.table, words=[choice.word for choice in choices])
    words = Words(
        title=f"{asked.dataset}: {asked.mode}, by {asked.annotator}",
        question=_QUESTIONS[asked.mode],
        choices=choices,
        is_blind=is_audit,
        pixel_size=curated.summary["pixel_size"]["um"],
    )
    running = None if is_audit else FilterProcess(curated.folder, asked.folder)
    session = Session(pool, table, running=running, empty=None if is_audit else (choices[0].word, choices[1].word))
    page = PatchPage(words, pool, table, session, None if running is None else lambda: running.progress)
    server = Server(page, script="patches.js")
    if running is not None:
        running.start(session.labelled(), tell=lambda: server.tell_all(page.state))
    try:
        _run(server, table.path, console)
    finally:
        if running is not None:
            running.stop()
    counts = session.counts([choice.word for choice in choices])
    console.print(f"{table.path}: {counted(counts)}", highlight=False, markup=False, soft_wrap=True)
    if is_audit and counts[LIVE_WORD] + counts[DEAD_WORD]:
        compare_with_pi(table.path, asked.run, curated, console)


def serve_cells(asked: "Asked", curated: Curated, console: "Console") -> None:
    """Serve the page of fields, for the mode ``cells``.

    Raises:
        InputError: If it cannot be done as asked.
    """
    table = CellTable(asked.table)
    offered = None if asked.run is None else nuclei_of(asked.run, curated)
    page = CellPage(f"{asked.dataset}: cells, by {asked.annotator}", curated, table, offered)
    _run(Server(page, script="cells.js"), table.path, console)
    counted_fields = [found for found in table.fields.values() if found.is_counted]
    n_cells = sum(len(found.cells) for found in counted_fields)
    told = f"{table.path}: {n_cells:,} cells of {len(counted_fields):,} fields"
    console.print(told, highlight=False, markup=False, soft_wrap=True)


def _run(server: Server, path: Path, console: "Console") -> None:
    def opened() -> None:
        told = f"Open {server.address}\nLabels go to {path}. Ctrl-C ends it; nothing has to be saved."
        console.print(told, highlight=False, markup=False, soft_wrap=True)
        console.file.flush()  # for who reads the address through a pipe

    try:
        server.run(opened)
    except KeyboardInterrupt:
        console.print()
