"""The command line: parsing and printing only, no mathematics.

Each command is a function in a file of its own whose signature is its command line (tyro); what it needs is
imported when it runs, so that ``unitcircle --help`` loads no numerical library.
"""

__all__ = ["INTERRUPTED", "console", "main"]

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version
from typing import Any

from unitcircle.cli._diagnose import diagnose
from unitcircle.cli._explain import explain
from unitcircle.cli._radius import radius
from unitcircle.cli._spectrum import spectrum
from unitcircle.cli._study import study
from unitcircle.cli._terminal import INTERRUPTED, console
from unitcircle.cli._watch import watch
from unitcircle.errors import UnitcircleError

COMMANDS = {
    "diagnose": diagnose,
    "explain": explain,
    "radius": radius,
    "spectrum": spectrum,
    "study": study,
    "watch": watch,
}
DESCRIPTION = "Can this network carry a signal and a gradient over the length you need? (--version says which release.)"


GROUP = "unitcircle.commands"
"""Entry points of other distributions: name of a command → its function."""
REPRODUCTION = "pip install unitcircle-reproduction"
"""What installs ``unitcircle reproduce``, which is a distribution of its own."""


def reproduce() -> int:
    """Measure the claims of the texts behind unitcircle; a distribution of its own, which is not installed.

    Returns
    -------
        Exit status.
    """
    print(f"unitcircle: reproduce is a distribution of its own: {REPRODUCTION}", file=sys.stderr)
    return 2


def commands() -> dict[str, Callable[..., Any]]:
    """Return name → function of every command, those of other distributions included."""
    plugged = {entry.name: entry.load() for entry in entry_points(group=GROUP) if entry.name not in COMMANDS}
    return dict(sorted(({"reproduce": reproduce} | plugged | COMMANDS).items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        The words after ``unitcircle``; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 done and clean, 1 findings, 2 the input cannot be used.
    """
    import tyro

    words = sys.argv[1:] if arguments is None else list(arguments)
    if words in (["--version"], ["-V"]):
        print(f"unitcircle {version('unitcircle')}")
        return 0
    known = COMMANDS if words and words[0] in COMMANDS else commands()
    if words[:1] == ["reproduce"] and known.get("reproduce") is reproduce:
        return reproduce()
    try:
        status = tyro.extras.subcommand_cli_from_dict(
            known, prog="unitcircle", description=DESCRIPTION, args=words, use_underscores=False
        )
    except UnitcircleError as error:
        print(f"unitcircle: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # `unitcircle ... | head` closed our output: not an error, and nothing more can be said.
        sys.stderr.close()
        return 0
    return status or 0
