"""Tables on the screen, whole however narrow the terminal is."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_whole(table: "Table", console: "Console") -> None:
    """Print a table with each line of its cells unbroken, beyond the console's edge where it is wider.

    Rich would cut cells off or break them within words, and drop what then still does not fit: a number of which half
    is missing is worse than a line that the terminal continues below.

    Args:
        table: Changed in place; where a line may end is for its headings and cells to say.
        console: Where it is printed.
    """
    for column in table.columns:
        column.no_wrap = True
    width, unlimited = console.width, console.options.update(width=100_000)
    console.width = max(width, table.__rich_measure__(console, unlimited).maximum)
    console.print(table)
    console.width = width
