"""The command line: parsing and printing only, no mathematics.

Each command is a function in its own file, whose signature is its command line (tyro). Its imports happen when it
runs, so that ``unitcircle --help`` loads no numerical library.
"""

__all__ = ["INTERRUPTED", "accept_any_encoding", "console", "main", "terminated_as_interrupted"]

import errno
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version
from tempfile import NamedTemporaryFile
from typing import Any

from unitcircle._printable import printable
from unitcircle.cli._diagnose import diagnose
from unitcircle.cli._diff import diff
from unitcircle.cli._radius import radius
from unitcircle.cli._rule import rule
from unitcircle.cli._schema import schema
from unitcircle.cli._spectrum import spectrum
from unitcircle.cli._study import study
from unitcircle.cli._terminal import INTERRUPTED, accept_any_encoding, console, terminated_as_interrupted
from unitcircle.cli._watch import watch
from unitcircle.errors import UnitcircleError, UnknownNameError

COMMANDS = {
    "diagnose": diagnose,
    "diff": diff,
    "explain": rule,
    "radius": radius,
    "rule": rule,
    "schema": schema,
    "spectrum": spectrum,
    "study": study,
    "watch": watch,
}
DESCRIPTION = "Can this network carry a signal and a gradient over the length you need? (--version prints the release.)"
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


def commands() -> tuple[dict[str, Callable[..., Any]], dict[str, str]]:
    """Load the commands of all distributions.

    Returns
    -------
    functions
        Name → function of every command that can run.
    reasons
        Name → why it cannot run, of every other command.
    """
    functions: dict[str, Callable[..., Any]] = dict(COMMANDS)
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
    """
    accept_any_encoding()

    words = sys.argv[1:] if arguments is None else list(arguments)
    if words in (["--version"], ["-V"]):
        print(f"unitcircle {version('unitcircle')}")
        return 0
    # Other distributions are imported only if the command is not one of ours.
    functions, reasons = (COMMANDS, {}) if words and words[0] in COMMANDS else commands()
    placeholders = {name: _placeholder(reason) for name, reason in reasons.items()}
    if words and words[0] in placeholders:
        # Before tyro, which would refuse the options of the command because the placeholder has none.
        return placeholders[words[0]]()
    available = functions | placeholders
    if words and words[0] not in available and not words[0].startswith("-"):
        return _refuse(str(UnknownNameError("command", words[0], available)))
    return _run(available, words)


def _run(available: dict[str, Callable[..., Any]], words: Sequence[str]) -> int:
    """Run the command that the words name; return the exit status, whatever it raises."""
    import tyro

    try:
        status = tyro.extras.subcommand_cli_from_dict(
            dict(sorted(available.items())),
            prog="unitcircle",
            description=DESCRIPTION,
            args=words,
            use_underscores=False,
        )
    except UnitcircleError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # The reader of the output has closed it (`unitcircle ... | head`), which is not an error.
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError as error:
        return _refuse(f"there is not enough memory ({error}): ask for fewer units, steps, draws or sequences")
    except Exception as error:
        # Python would end with status 1, which means findings.
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            message = str(error)
        else:
            message = f"unexpected error, {type(error).__name__}: {error}; {_log(words)}"
        return _refuse(message)
    return status or 0
