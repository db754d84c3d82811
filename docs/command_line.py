"""The page of the command line: what every command prints for ``--help``, as lists that fold on a narrow screen."""

import contextlib
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

from unitcircle.cli import main

COMMANDS = (
    *("diagnose", "diff", "explain", "spectrum", "radius", "watch"),
    *(f"study {name}" for name in ("run", "show", "compare", "export", "query")),
    *("reproduce", "leaderboard", "lab", "schema"),
)
COLUMNS = "92"
OPTION = re.compile(r"(?:-|\[|\{|[A-Z])")
"""How what is explained begins, at the left edge of its box; the explanation is indented."""


def write(page: Path) -> None:
    """Write the page."""
    os.environ |= {"COLUMNS": COLUMNS, "NO_COLOR": "1", "TERM": "dumb"}
    parts = [f"## unitcircle {command}\n\n" + "\n".join(lists(help_of(command))) for command in COMMANDS]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(parts), encoding="utf-8")


def lists(text: str) -> Iterator[str]:
    """Yield the lines of a help text in Markdown: its usage, its prose, and a definition list for each box."""
    usage, *rest = text.splitlines()
    yield f"```text\n{usage.removeprefix('usage: ')}\n```\n"
    for line in rest:
        if line.startswith("╭─"):
            yield f"\n**{line.strip('╭─╮ ')}**\n"
            box: list[str] = []
        elif line.startswith("│"):
            box.append(line[2:-2].rstrip())
        elif line.startswith("╰"):
            yield from definitions(box)
        else:
            yield escaped(line)


def definitions(box: list[str]) -> Iterator[str]:
    """Yield a definition list, after the prose of the box, if it has some."""
    ruler = next((k for k, line in enumerate(box) if line.startswith("───")), None)
    if ruler is not None:
        yield escaped(" ".join(box[:ruler])) + "\n"
        box = box[ruler + 1 :]
    items: list[list[str]] = []
    for line in box:
        name, *begun = re.split(r"\s{2,}", line, maxsplit=1)
        if line.startswith(" "):
            items[-1].append(line.strip())
        elif OPTION.match(line):
            items.append([name, *begun])
        else:
            raise RuntimeError(f"a line of help that is neither an option nor its explanation: {line!r}")
    for name, *explanation in items:
        words = re.sub(r" \((default: (None)?|required)\)$", "", " ".join(explanation))
        yield f"`{name.replace('{None}|', '')}`\n: {escaped(words)}\n"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is; options as code, or two hyphens would become a dash."""
    return re.sub(r"(?<!\S)--[a-z][a-z-]*", r"`\g<0>`", re.sub(r"([\\`*_\[\]<>|$#])", r"\\\1", text))


def help_of(command: str) -> str:
    """Return what the command prints for ``--help``."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # a stream without an encoding gets no boxes
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
    printed.seek(0)
    text = printed.read().rstrip()
    if not text.startswith("usage"):
        raise RuntimeError(f"unitcircle {command} --help printed {text[:200]!r}")
    return text
