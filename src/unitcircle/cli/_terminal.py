"""Where commands print: plain text unless it is a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 80
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it."""


def console() -> Console:
    """Return the console for output: colour on a terminal only, 80 columns in a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, emoji=False, markup=False)
