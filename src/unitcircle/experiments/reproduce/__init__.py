"""Every figure, table and claim of the sources, ours beside theirs.

``unitcircle reproduce NAME|all [--quick|--full] [--out DIR]`` measures each claim, says whether it holds, and writes
one HTML page. Nothing is tuned to make a claim hold.
"""

__all__ = ["SOURCES", "Chapter", "Claim", "Context", "Source", "Verdict", "reproduce", "write_report"]

import time
from collections.abc import Iterable

from unitcircle.errors import UnknownNameError
from unitcircle.experiments.reproduce import eigen, orthogonal, powers, prediction, radius, well_behaved
from unitcircle.experiments.reproduce._claim import Claim as Claim
from unitcircle.experiments.reproduce._claim import Source as Source
from unitcircle.experiments.reproduce._claim import Verdict as Verdict
from unitcircle.experiments.reproduce._context import Context as Context
from unitcircle.experiments.reproduce._page import Chapter as Chapter
from unitcircle.experiments.reproduce._page import write_report as write_report

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        radius.SOURCE,
        orthogonal.SOURCE,
        powers.SOURCE,
        eigen.SOURCE,
        well_behaved.SOURCE,
        # Last: it looks at the runs of all that went before.
        prediction.SOURCE,
    )
}
"""Name → source, in the order of the report."""


def reproduce(names: Iterable[str], context: Context, /) -> list[Chapter]:
    """Measure the claims of some sources.

    Parameters
    ----------
    names
        Names of sources, or ``"all"``.
    context
        What may be spent, and where results are kept.

    Returns
    -------
    list of Chapter
        In the order of the report.

    Raises
    ------
    UnknownNameError
        There is no such source.
    """
    asked = list(names)
    for name in asked:
        if name not in {*SOURCES, "all"}:
            raise UnknownNameError("source", name, {*SOURCES, "all"})
    chapters: list[Chapter] = []
    for name, source in SOURCES.items():
        if name not in asked and "all" not in asked:
            continue
        began = time.perf_counter()
        claims = []
        for claim in source.claims(context):
            context.say(f"{name}: {claim.title}: {claim.verdict}")
            claims.append(claim)
        chapters.append(Chapter(source, claims, time.perf_counter() - began))
    return chapters
