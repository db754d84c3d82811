"""The command line: parsing and printing only, no mathematics.

Each command is a function in its own file, whose signature is its command line (tyro). The file is imported when its
command is asked for, and what it computes with when it runs: ``unitcircle --help`` loads neither tyro nor NumPy.
"""

__all__ = ["INTERRUPTED", "accept_any_encoding", "console", "main", "terminated_as_interrupted"]

import errno
import inspect
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points, version
from tempfile import NamedTemporaryFile
from typing import Any

from unitcircle._printable import printable
from unitcircle.cli import _bound, _terminal
from unitcircle.cli._terminal import INTERRUPTED, accept_any_encoding, console, terminated_as_interrupted
from unitcircle.errors import UnitcircleError, UnknownNameError

Function = Callable[..., Any]


@dataclass(frozen=True)
class _Command:
    """A command of this package, imported when it is asked for."""

    name: str
    """The function, in the module of the same name."""
    summary: str
    """The first sentence of its docstring."""

    def load(self) -> Function:
        """Return the function whose signature is the command line."""
        return getattr(import_module(f"unitcircle.cli._{self.name}"), self.name)


_RULE = _Command(
    "rule", "Print what a finding means, why it matters and how to remedy it; without a code, list all rules."
)
COMMANDS: dict[str, _Command | Function] = {
    "diagnose": _Command("diagnose", "Diagnose the recurrent layers of trained or freshly initialized models."),
    "diff": _Command("diff", "Compare two files of one model: trained further, cast, quantized or converted."),
    "explain": _RULE,
    "lab": _Command("lab", "Play with weights: sliders, pictures, and the lines of code that make them (extra lab)."),
    "radius": _Command(
        "radius", "Print the law of the spectral radius of an n × n Gaussian weight, and the std to use instead."
    ),
    "rule": _RULE,
    "schema": _Command("schema", "Print the JSON Schema (draft 2020-12) of the output of diagnose --json."),
    "spectrum": _Command("spectrum", "Print what a recurrent weight does to a signal."),
    "study": _Command(
        "study",
        "Compare initializers on tasks, each at its best learning rate, over several seeds; run again to resume.",
    ),
    "watch": _Command("watch", "Show the JSON lines that a monitor writes, and follow the file until Ctrl-C."),
}
DESCRIPTION = (
    "Can this network carry a signal and a gradient over the length you need? "
    "(--version prints the release; --ascii, with any command, prints ASCII only.)"
)
LONGEST = 2000
"""Characters of an error message."""
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE}
"""What the system refuses, and no report of an error of ours can mend."""
GROUP = "unitcircle.commands"
"""Entry points of other distributions: name of a command → its function."""
NOT_INSTALLED = {
    "reproduce": "reproduce, which measures the claims of the texts behind unitcircle, is not installed: "
    "pip install unitcircle-reproduction"
}
"""Commands of distributions of this project → what to say where the distribution is not installed."""
ELSEWHERE = {
    "leaderboard": "Train an initializer by the protocol of the committed contests, and place it among them.",
    "reproduce": "Measure the claims of the texts, judge whether each holds, and write one HTML page.",
}
"""Commands of distributions of this project → what ``--help`` says of them where they are installed."""
WIDTH = 80


def commands() -> tuple[dict[str, _Command | Function], dict[str, str]]:
    """Find the commands of all distributions; those of others are loaded.

    Returns
    -------
    functions
        Name → function of every command that can run.
    reasons
        Name → why it cannot run, of every other command.
    """
    functions = dict(COMMANDS)
    reasons = dict(NOT_INSTALLED)
    for entry in entry_points(group=GROUP):
        if entry.name in COMMANDS:
            continue
        try:
            functions[entry.name] = entry.load()
        except Exception as error:
            # An import of another distribution can raise anything, and the other commands must still run.
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            reasons[entry.name] = f"{entry.name} cannot be loaded from {entry.value}: {cause}"
    return functions, {name: reason for name, reason in reasons.items() if name not in functions}


def _placeholder(reason: str) -> Callable[[], int]:
    """Return a command that cannot run: its help is the reason, and so is its error message."""

    def refuse() -> int:
        print(f"unitcircle: {reason}", file=sys.stderr)
        return 2

    refuse.__doc__ = f"Not available: {reason}"
    return refuse


def _shorten(text: str, /) -> str:
    """Return a message without its middle where it is longer than anyone reads: names in a file may be megabytes."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"


def _refuse(message: str) -> int:
    """Print why nothing came of a command, on one line; return the exit status."""
    line = printable(message.replace("\n", " "))
    print(f"unitcircle: {_shorten(line)}", file=sys.stderr)
    return 2


def _log(words: Sequence[str]) -> str:
    """Write what a report of an unexpected error needs into a file; return where it is."""
    text = f"unitcircle {version('unitcircle')}, Python {sys.version}\n{words}\n\n{traceback.format_exc()}"
    try:
        with NamedTemporaryFile(mode="wb", prefix="unitcircle-", suffix=".log", delete=False) as file:
            file.write(text.encode(errors="backslashreplace"))
    except OSError as error:
        return f"its log cannot be written ({error.strerror})"
    return f"please report it with {file.name}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        The words after ``unitcircle``; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 done and clean, 1 findings, 2 the input cannot be used or an unexpected error (which a log file
        describes), 3 something was not read, 130 interrupted.

    Examples
    --------
    >>> main(["explain", "UC104"])  # doctest: +ELLIPSIS
    # UC104 default-uniform
    ...
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    _terminal.outlive_readers()
    # An option of every command, wherever it stands.
    accept_any_encoding(ascii_only="--ascii" in words)
    words = [word for word in words if word != "--ascii"]
    try:
        try:
            status = _run(words)
        finally:  # tyro ends the process after help
            sys.stdout.flush()
    except SystemExit:  # of tyro, after help or words that are no command line
        raise
    except UnitcircleError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError as error:
        return _refuse(f"there is not enough memory ({error}): ask for fewer units, steps, draws or sequences")
    except BaseException as error:  # a user's code may raise anything
        # Python would end with status 1, which means findings.
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            message = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        else:
            message = f"unexpected error, {type(error).__name__}: {error}; {_log(words)}"
        return _refuse(message)
    return status or 0


def _run(words: Sequence[str]) -> int | None:
    """Run the command that the words name, and return its exit status."""
    if words in (["--version"], ["-V"]):
        print(f"unitcircle {version('unitcircle')}")
        return 0
    if words in (["--help"], ["-h"]):
        return _help()
    # Other distributions are imported only if the command is not one of ours.
    functions, reasons = (COMMANDS, {}) if words and words[0] in COMMANDS else commands()
    placeholders = {name: _placeholder(reason) for name, reason in reasons.items()}
    if words and words[0] in placeholders:
        # Before tyro, which would refuse the options of the command because the placeholder has none.
        return placeholders[words[0]]()
    available = functions | placeholders
    if words and words[0] not in available and not words[0].startswith("-"):
        raise UnknownNameError("command", words[0], available)
    return _call(_parsed({words[0]: available[words[0]]} if words and words[0] in available else available, words))


def _parsed(available: Mapping[str, _Command | Function], words: Sequence[str]) -> Callable[[], int | None]:
    """Return the command that the words name, with its arguments."""
    import tyro

    # Tyro asks only what the terminal is; a release may have no such option.
    getattr(tyro, "_experimental_options", {})["ansi_codes"] = not os.environ.get("NO_COLOR")
    functions = {
        name: _bound.bound(each.load() if isinstance(each, _Command) else each)
        for name, each in sorted(available.items())
    }
    return tyro.extras.subcommand_cli_from_dict(
        functions,
        prog="unitcircle",
        description=DESCRIPTION,
        args=words,
        use_underscores=False,
    )


def _call(command: Callable[[], int | None]) -> int | None:
    """Run a command; a user's code that ends the process gives an error instead of its exit status."""
    try:
        return command()
    except SystemExit as error:
        *_, last = traceback.extract_tb(error.__traceback__)
        message = (
            f"{last.filename}, line {last.lineno}, ended the process with {error.code!r} before the command was done"
        )
        raise UnitcircleError(message) from error


def _help() -> int:
    """Print what there is to run, without importing the commands of this project; return the exit status."""
    points = {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in COMMANDS}
    known = {name: summary for name, summary in ELSEWHERE.items() if name in points}
    functions, reasons = (dict(COMMANDS), dict(NOT_INSTALLED)) if points.keys() <= known.keys() else commands()
    lines = {name: _placeholder(reason).__doc__ or "" for name, reason in reasons.items()}
    lines |= {name: _summary(command) for name, command in functions.items()} | known
    width = min(shutil.get_terminal_size().columns, WIDTH) if sys.stdout.isatty() else WIDTH
    print("usage: unitcircle [-h] COMMAND ...\n")
    print(textwrap.fill(DESCRIPTION, width))
    print("\ncommands (unitcircle COMMAND --help describes one):")
    indent = 4 + max(map(len, lines))
    width = max(width, 2 * indent)
    for name, text in sorted(lines.items()):
        print(textwrap.fill(text, width, initial_indent=f"  {name}".ljust(indent), subsequent_indent=" " * indent))
    return 0


def _summary(command: _Command | Function) -> str:
    if isinstance(command, _Command):
        return command.summary
    return " ".join((inspect.getdoc(command) or "").partition("\n\n")[0].split())
