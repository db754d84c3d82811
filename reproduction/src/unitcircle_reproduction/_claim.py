"""A claim of a text, what we measured, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from unitcircle_reproduction._context import Context

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Verdict(StrEnum):
    """Whether a claim holds by our measurement."""

    HOLDS = "holds"
    CONDITIONALLY = "holds with a condition"
    FAILS = "does not hold here"
    NO_DIFFERENCE = "no practical difference"
    """What the text tells apart is shown to differ by less than a margin that was declared beforehand."""
    TOO_FEW = "not enough runs"
    """These runs tell nothing apart and show no equivalence; the condition says how many would."""
    UNDECIDED = "cannot be decided from the source"
    """The text does not say what would have to be measured."""


@dataclass(frozen=True, eq=False)
class Claim:
    """A statement of a text beside our measurement of it.

    Attributes
    ----------
    name
        Short and unique within its text: ``"histogram"``.
    title
        A heading.
    statement
        What the text says, in our words and with its numbers.
    measured
        The result, in sentences with numbers and intervals.
    verdict
        Whether the claim holds.
    table
        Rows of the same keys, the numbers behind the sentences; may be empty.
    figures
        Caption → function that draws a figure of its own; drawn when the page is written.
    animations
        Caption → function that returns an animated GIF; shown where the page is read on a screen, left out in print.
    data
        Further numbers for the JSON file beside the page.
    condition
        The condition of CONDITIONALLY, the margin of NO_DIFFERENCE, what is missing of TOO_FEW, or why it is UNDECIDED.
    """

    name: str
    title: str
    statement: str
    measured: str
    verdict: Verdict
    table: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    condition: str = ""
    animations: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Text:
    """A text that is reproduced.

    Attributes
    ----------
    name
        On the command line: ``"radius"``.
    title, reference
        Of the text: what it is called, who wrote it, where it stands.
    sections
        Name → measures the claims of one section, one after the other; in the order of the report. None needs another.
    """

    name: str
    title: str
    reference: str
    sections: Mapping[str, Callable[[Context], Iterable[Claim]]]

    def claims(self, context: Context, /) -> Iterator[Claim]:
        """Measure all claims, one after the other.

        Parameters
        ----------
        context
            What may be spent.

        Yields
        ------
        Claim
            In the order of the report.
        """
        for measure in self.sections.values():
            yield from measure(context)
