"""Text of foreign origin that is safe to print: names in a file may hold what moves a cursor or forges a line."""

from __future__ import annotations

LONGEST = 300
"""Characters of a sentence about a file, whose names may be megabytes."""


def printable(text: str, /) -> str:
    """Return a text with control characters, signs of direction, line ends and lone surrogates as escapes."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


def sentence(text: str, /) -> str:
    """Return a printable sentence about a file, without its middle where it is longer than anyone reads."""
    text = printable(text)
    half = (LONGEST - 5) // 2
    return text if len(text) <= LONGEST else f"{text[:half]} ... {text[-half:]}"


def literal(text: str, /) -> str:
    """Return a text that matplotlib draws as it is: a dollar begins no formula, an underscore hides it in no legend."""
    drawn = text.replace("$", r"\$")
    return f" {drawn}" if drawn.startswith("_") else drawn
