"""What a command prints: tables whole however narrow the terminal, and an output that nobody reads to its end."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def table_of(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], *, n_left: int = 1) -> "Table":
    """A table to be printed.

    Args:
        title: Above it.
        header: Names of its columns.
        rows: Cells as text: a name like ``a[b]`` is printed as it is, and is no markup of rich.
        n_left: Columns that stand on the left, those of words; the others stand on the right.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for number, column in enumerate(header):
        table.add_column(escape(column), justify="left" if number < n_left else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def open_table(title: str) -> "Table":
    """A table without a frame, for cells of several lines; its columns and rows are yet to be added."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def print_whole(table: "Table", console: "Console") -> None:
    """Print a table with each line of its cells unbroken, beyond the console's edge where it is wider.

    Rich would cut cells off or break them within words, and drop what then still does not fit: a number of which half
    is missing is worse than a line that the terminal continues below.

    Args:
        table: Changed in place; where a line may end is for its headings and cells to say.
        console: Where it is printed.
    """
    tallest = max(str(column.header).count("\n") for column in table.columns)
    for column in table.columns:
        column.no_wrap = True
        # rich puts a heading at the foot of its row, and its lines would no longer stand beside those of the cells
        column.header = str(column.header) + "\n" * (tallest - str(column.header).count("\n"))
    width, unlimited = console.width, console.options.update(width=100_000)
    console.width = max(width, table.__rich_measure__(console, unlimited).maximum)
    console.print(table)
    console.width = width


@contextlib.contextmanager
def quiet_if_nobody_reads() -> Iterator[None]:
    """End without a word where nobody reads the output any more, as in ``head``."""
    try:
        yield
    except OSError:
        if not _is_cut_off("\n"):  # another pipe is broken than this
            raise
        sys.exit(1)
    finally:
        _is_cut_off("")


def _is_cut_off(text: str) -> bool:
    """Whether text cannot be printed since nobody reads it; what else is still to be printed is then dropped."""
    try:
        print(text, end="", flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # the second is what Windows says
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
