"""Where commands print: plain text unless it is a terminal, in any encoding, without what a file could inject."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import threading
import unicodedata
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from unitcircle._printable import printable
from unitcircle.errors import UnitcircleError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
    from rich.segment import Segment

PLAIN_WIDTH = 80
INTERRUPTED = 130
"""Exit status after Ctrl-C or SIGTERM, as shells report the first."""
_ASCII = {
    "∂": "d", "×": "x", "→": "->", "‖": "|", "≥": ">=", "≤": "<=", "·": "*", "−": "-", "±": "+-", "√": "sqrt",
    "∞": "inf", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "…": "...", "∈": "in", "≠": "!=", "≈": "~",
    "▲": "^", "▼": "v", "✓": "+", "█": "#", "┃": "|", "∏": "prod", "∑": "sum", "ᵗ": "^t", "ᵀ": "^T", "²": "^2",
    "³": "^3", "°": " deg", "▁": "_", "▂": "_", "▃": "-", "▄": "-", "▅": "=", "▆": "=", "▇": "#", "∝": "~",
} | dict.fromkeys("─━═", "-") | dict.fromkeys("│║", "|")  # fmt: skip
GREEK = "GREEK SMALL LETTER ", "GREEK CAPITAL LETTER "


def in_ascii(char: str, /) -> str:
    """Return a character of our texts in ASCII letters: ``"rho"`` for ``"ρ"``; an escape where there are none."""
    name = unicodedata.name(char, "")
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    for script in GREEK:
        if name.startswith(script) and " WITH" not in name:
            plain = name.removeprefix(script).lower().replace("lamda", "lambda")
    return _ASCII.get(char) or plain or char.encode("ascii", "backslashreplace").decode()


def console(*, stderr: bool = False) -> Console:
    """Return the console for output: colour on a terminal only, 80 columns in a pipe.

    Examples
    --------
    >>> console().width  # as in a pipe
    80
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream is not None and stream.isatty() else PLAIN_WIDTH  # pyright: ignore[reportUnnecessaryComparison]
    result = Console(stderr=stderr, width=width, highlight=False, emoji=False, markup=False)
    result.push_render_hook(_Hook())  # pyright: ignore[reportArgumentType]  (rich's class would have to be loaded)
    return result


def accept_any_encoding(*, ascii_only: bool = False) -> None:
    """Let streams whose encoding lacks a character print it in ASCII instead of failing; or every character.

    Examples
    --------
    A name with letters that a terminal of ASCII does not have is printed all the same:

    >>> accept_any_encoding()  # of this process, from now on
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            encoding = "ascii" if ascii_only else stream.encoding
            stream.reconfigure(encoding=encoding, errors="unitcircle")  # pyright: ignore[reportAttributeAccessIssue]


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(map(in_ascii, failed)), error.end


codecs.register_error("unitcircle", _in_ascii)


def outlive_readers() -> None:
    """Let a command go on when the reader of its output has left (``unitcircle ... | head``).

    Its files are written and its exit status says what was found, as without the pipe. An output that cannot be
    written to, as on a full disk, is an error of unitcircle; a log (stderr) that cannot be is let go.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before the command began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
            continue
        buffer = getattr(stream, "buffer", None)
        raw = getattr(buffer, "raw", buffer)
        if isinstance(raw, io.FileIO) and not raw.isatty():
            output = _Output(raw, stream, let_go=name == "stderr")
            form = {name: getattr(stream, name) for name in ("encoding", "errors", "line_buffering", "write_through")}
            setattr(sys, name, io.TextIOWrapper(output if buffer is raw else io.BufferedWriter(output), **form))


class _Output(io.RawIOBase):
    """A pipe or a file into which what nobody reads any more, or a disk has refused, can be written."""

    def __init__(self, raw: io.FileIO, stream: TextIO, *, let_go: bool) -> None:
        # The stream closes the file when it is no longer referred to.
        self._raw, self._stream, self._let_go = raw, stream, let_go
        self.name = raw.name

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def write(self, data: Buffer, /) -> int:
        try:
            return self._raw.write(data)
        except OSError as error:
            # Python would try again at its end, and end with a status of its own.
            drop_output(self._raw.fileno())
            if not self._let_go and not isinstance(error, BrokenPipeError):
                message = f"the output cannot be written ({error.strerror}): what was printed is not whole"
                raise UnitcircleError(message) from error
            return self._raw.write(data)


def drop_output(descriptor: int, /) -> None:
    """Let what is still to be written to a file descriptor go nowhere."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), descriptor)


@contextmanager
def terminated_as_interrupted() -> Generator[None]:
    """Let SIGTERM (of Slurm, systemd, Docker, ``timeout``) end what runs as Ctrl-C does, in good order.

    Examples
    --------
    >>> import os, signal
    >>> with terminated_as_interrupted():
    ...     try:
    ...         os.kill(os.getpid(), signal.SIGTERM)
    ...     except KeyboardInterrupt:
    ...         print("in good order")
    in good order
    """
    # Only the main thread may set what a signal does.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Hook:
    """Everything that is printed passes here."""

    def process_renderables(self, renderables: Iterable[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(renderable) for renderable in renderables]


class _Printable:
    """What is printed, with escapes in place of control characters, which could only come from a file."""

    def __init__(self, content: ConsoleRenderable) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        segments = self._segments(console, options)
        if growth := _growth("".join(s.text for s in segments if not s.control), console.encoding, options.max_width):
            segments = self._segments(console, options.update_width(max(options.max_width - growth, 1)))
        yield from segments if console.is_terminal else _stripped(segments)

    def _segments(self, console: Console, options: ConsoleOptions) -> list[Segment]:
        from rich.segment import Segment

        return [
            segment if segment.control else Segment("\n".join(map(printable, segment.text.split("\n"))), segment.style)
            for segment in console.render(self._content, options)
        ]


def _stripped(segments: Iterable[Segment], /) -> Generator[Segment]:
    """Yield segments for a pipe or a file without the blanks that fill a line up to its width."""
    from rich.segment import Segment

    blanks: list[Segment] = []  # they are printed if something follows
    for segment in segments:
        parts = [] if segment.control else segment.text.split("\n")
        for k, part in enumerate(parts):
            if k:
                blanks = []
                yield Segment.line()
            if text := part.rstrip(" "):
                yield from [*blanks, Segment(text, segment.style)]
                blanks = []
            if len(text) < len(part):
                blanks.append(Segment(part[len(text) :], segment.style))
        if segment.control:
            yield segment
    yield from blanks


def _growth(text: str, encoding: str, width: int, /) -> int:
    """Return by how much letters that stand for what an encoding lacks make the lines of a text too long."""
    encoded = text.encode(encoding, "unitcircle").decode(encoding)
    pairs = zip(map(str.rstrip, text.split("\n")), map(str.rstrip, encoded.split("\n")), strict=True)
    return max((len(new) - len(old) for old, new in pairs if len(new) > width), default=0)
