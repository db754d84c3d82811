"""What the command line does before any command."""

import runpy
import sys
from importlib.metadata import EntryPoint, EntryPoints, version

import pytest

from unitcircle import cli


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_that_of_the_package(word, capsys):
    assert cli.main([word]) == 0
    assert capsys.readouterr().out == f"unitcircle {version('unitcircle')}\n"


@pytest.mark.parametrize(("words", "status"), [(["--version"], 0), (["explain", "UC999"], 2)])
def test_the_package_can_be_run_as_a_module(words, status, monkeypatch, capsys):
    # It may have been imported, as any module is by the test of the house.
    monkeypatch.delitem(sys.modules, "unitcircle.__main__", raising=False)
    monkeypatch.setattr(sys, "argv", ["unitcircle", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("unitcircle", run_name="__main__")
    assert end.value.code == status


def install(monkeypatch, *points):
    """Let the installed distributions have just these entry points."""
    installed = EntryPoints(points)
    monkeypatch.setattr(cli, "entry_points", installed.select)


def weigh(what: str = "nothing", /) -> int:
    """Weigh a thing.

    Args:
        what: The thing.
    """
    sys.stdout.write(f"weighed {what}\n")
    return 3


def test_help_says_of_a_command_the_first_sentence_of_its_own_help():
    modules = {"reproduce": "_command", "leaderboard": "_leaderboard"}
    elsewhere = {
        name: EntryPoint(name, f"unitcircle_reproduction.{module}:{name}", cli.GROUP).load()
        for name, module in modules.items()
    }
    said = {name: command.summary for name, command in cli.COMMANDS.items()}
    functions = {name: command.load() for name, command in cli.COMMANDS.items()}
    said, functions = said | cli.ELSEWHERE, functions | elsewhere
    assert said == {name: " ".join(f.__doc__.partition("\n\n")[0].split()) for name, f in functions.items()}


PLUG_IN = EntryPoint("weigh", f"{__name__}:weigh", "unitcircle.commands")


@pytest.mark.parametrize("options", [[], ["--full"], ["--help"]])
def test_without_its_distribution_reproduce_says_how_to_install_it(options, monkeypatch, capsys):
    install(monkeypatch, EntryPoint("reproduce", "elsewhere:reproduce", "other.commands"))
    assert cli.main(["reproduce", *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].endswith("pip install unitcircle-reproduction")
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_a_command_of_another_distribution_is_run(monkeypatch, capsys):
    install(monkeypatch, PLUG_IN)
    assert cli.main(["weigh", "W"]) == 3
    assert capsys.readouterr().out == "weighed W\n"


def test_a_command_of_another_distribution_is_listed(monkeypatch, capsys):
    install(monkeypatch, PLUG_IN)
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "Weigh a thing." in out
    assert "diagnose" in out


BROKEN = EntryPoint("tare", "a_module_that_is_gone:tare", "unitcircle.commands")


def test_a_command_that_cannot_be_loaded_is_listed_with_the_reason(monkeypatch, capsys):
    install(monkeypatch, BROKEN, PLUG_IN)
    assert cli.main(["--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Weigh a thing." in text
    assert "tare cannot be loaded from a_module_that_is_gone:tare: ModuleNotFoundError: No module named" in text


@pytest.mark.parametrize("options", [[], ["W", "--full"], ["--help"]])
def test_running_a_command_that_cannot_be_loaded_exits_with_2_and_the_reason(options, monkeypatch, capsys):
    install(monkeypatch, BROKEN)
    assert cli.main(["tare", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "tare cannot be loaded" in line
    assert "a_module_that_is_gone" in line


def test_a_command_that_cannot_be_loaded_does_not_stop_others(monkeypatch, capsys):
    install(monkeypatch, BROKEN, PLUG_IN)
    assert cli.main(["weigh", "W"]) == 3
    assert capsys.readouterr().out == "weighed W\n"


def test_help_shows_sentences_and_no_sections_of_docstrings(monkeypatch, capsys):
    install(monkeypatch)
    assert cli.main(["-h"]) == 0
    out = capsys.readouterr().out
    assert "reproduce" in out
    assert "Returns" not in out
    assert "Exit status." not in out


def test_help_fits_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["--help"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_help_of_a_command_is_plain_where_no_colour_is_asked_for(no_color, coloured, monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(SystemExit):
        cli.main(["radius", "--help"])
    assert ("\x1b[" in capsys.readouterr().out) is coloured


def test_our_own_commands_cannot_be_replaced(monkeypatch, capsys):
    install(monkeypatch, EntryPoint("explain", f"{__name__}:weigh", "unitcircle.commands"))
    assert cli.main(["explain", "UC101"]) == 0
    assert "UC101" in capsys.readouterr().out
