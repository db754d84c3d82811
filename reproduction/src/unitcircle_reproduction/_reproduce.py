"""The texts, and measuring the claims of some of them."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from unitcircle.errors import UnknownNameError
from unitcircle_reproduction import eigen, orthogonal, powers, prediction, radius, well_behaved
from unitcircle_reproduction._claim import Text
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._page import Chapter

TEXTS: dict[str, Text] = {
    text.name: text
    for text in (
        radius.TEXT,
        orthogonal.TEXT,
        powers.TEXT,
        eigen.TEXT,
        well_behaved.TEXT,
        # Last: it reads the runs of all others.
        prediction.TEXT,
    )
}
"""Name → text, in the order of the report."""


def reproduce(names: Iterable[str], context: Context, /) -> Iterator[list[Chapter]]:
    """Measure the claims of texts, and yield the chapters after every claim.

    Parameters
    ----------
    names
        Names of texts, of sections of them (``"eigen/multi30k"``), or ``"all"``.
    context
        Effort, seed, and where results are kept.

    Returns
    -------
    iterator of list of Chapter
        In the order of the report: the claims measured so far; the last item holds all chapters, complete.

    Raises
    ------
    UnknownNameError
        There is no such text or section.
    """
    requested = set(names)
    known = {
        "all",
        *TEXTS,
        *(f"{text.name}/{section}" for text in TEXTS.values() for section in text.sections),
    }
    for name in requested - known:
        raise UnknownNameError("source", name, known)
    chosen: list[Text] = []
    for text in TEXTS.values():
        sections = {
            section: measure
            for section, measure in text.sections.items()
            if requested & {"all", text.name, f"{text.name}/{section}"}
        }
        chosen += [replace(text, sections=sections)] if sections else []
    return _measure(chosen, context)


def _measure(texts: Iterable[Text], context: Context) -> Iterator[list[Chapter]]:
    chapters: list[Chapter] = []
    for text in texts:
        start = time.perf_counter()
        chapter = Chapter(text, (), 0.0, complete=False)
        for claim in text.claims(context):
            context.say(f"{text.name}: {claim.title}: {claim.verdict}")
            chapter = replace(chapter, claims=(*chapter.claims, claim), seconds=time.perf_counter() - start)
            yield [*chapters, chapter]
        chapters.append(replace(chapter, complete=True))
    yield chapters
