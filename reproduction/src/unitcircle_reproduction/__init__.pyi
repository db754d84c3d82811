__all__ = [
    "SOURCES",
    "Chapter",
    "Claim",
    "Context",
    "Source",
    "Verdict",
    "reproduce",
    "write_report",
]

from ._claim import Claim, Source, Verdict
from ._context import Context
from ._page import Chapter, write_report
from ._reproduce import SOURCES, reproduce
