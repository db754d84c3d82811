"""The page of the command line: what every command prints for ``--help``."""

import contextlib
import io
import os
from pathlib import Path

from unitcircle.cli import main

COMMANDS = (
    *("diagnose", "diff", "rule", "spectrum", "radius", "schema", "watch"),
    *(f"study {name}" for name in ("run", "show", "compare", "export", "query")),
)
COLUMNS = "92"


def write(page: Path) -> None:
    """Write the page."""
    os.environ |= {"COLUMNS": COLUMNS, "NO_COLOR": "1", "TERM": "dumb"}
    parts = [f"## unitcircle {command}\n\n```text\n{help_of(command)}\n```\n" for command in COMMANDS]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(parts), encoding="utf-8")


def help_of(command: str) -> str:
    """Return what the command prints for ``--help``."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
    text = printed.getvalue().rstrip()
    if not text.startswith("usage"):
        raise RuntimeError(f"unitcircle {command} --help printed {text[:200]!r}")
    return text
