"""Text of foreign origin that is safe to print: names in a file may hold what moves a cursor or forges a line."""

from __future__ import annotations


def printable(text: str, /) -> str:
    """Return a text with control characters, signs of direction, line ends and lone surrogates as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )
