"""What a command prints is printed as it is, whatever names hold."""

from rich.console import Console

from conftest import composed_prepare
from jimt.curation.curate import curate
from jimt.system.screen import print_whole, table_of

HOSTILE = ("plate [old]", "a[/b]", "[red]x[/red]", "\\[i]")


def test_a_table_shows_names_in_brackets_as_they_are(capsys):
    print_whole(table_of(HOSTILE[0], ["name", HOSTILE[1]], [(name, "1") for name in HOSTILE]), Console())
    told = capsys.readouterr().out
    assert all(name in told for name in HOSTILE)


def test_a_curation_tells_folders_in_brackets_as_they_are(uneven, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = composed_prepare(*uneven, "curation.output_root='a [/b] [c]'")
    for told in ("wrote a [/b] [c]/", " is up to date"):
        curate(*config, embed=None, console=Console(width=200))
        assert told in capsys.readouterr().out
