"""Which texts there are, and measuring what is asked of them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from unitcircle.errors import UnknownNameError
from unitcircle_reproduction import eigen, orthogonal, powers, prediction, radius, well_behaved
from unitcircle_reproduction._claim import Source
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._page import Chapter

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


def reproduce(names: Iterable[str], context: Context, /) -> Iterator[list[Chapter]]:
    """Measure the claims of some sources, and tell after each what is there of all of them.

    Parameters
    ----------
    names
        Names of sources, of sections of them (``"eigen/multi30k"``), or ``"all"``.
    context
        What may be spent, and where results are kept.

    Returns
    -------
    iterator of list of Chapter
        In the order of the report; one for every claim, and at last all chapters, complete.

    Raises
    ------
    UnknownNameError
        There is no such source or section.
    """
    asked = set(names)
    known = {
        "all",
        *SOURCES,
        *(f"{source.name}/{section}" for source in SOURCES.values() for section in source.sections),
    }
    for name in asked - known:
        raise UnknownNameError("source", name, known)
    chosen: list[Source] = []
    for source in SOURCES.values():
        wanted = {
            section: measure
            for section, measure in source.sections.items()
            if asked & {"all", source.name, f"{source.name}/{section}"}
        }
        chosen += [replace(source, sections=wanted)] if wanted else []
    return _measured(chosen, context)


def _measured(sources: Iterable[Source], context: Context) -> Iterator[list[Chapter]]:
    chapters: list[Chapter] = []
    for source in sources:
        began = time.perf_counter()
        chapter = Chapter(source, (), 0.0, complete=False)
        for claim in source.claims(context):
            context.say(f"{source.name}: {claim.title}: {claim.verdict}")
            chapter = replace(chapter, claims=(*chapter.claims, claim), seconds=time.perf_counter() - began)
            yield [*chapters, chapter]
        chapters.append(replace(chapter, complete=True))
    yield chapters
