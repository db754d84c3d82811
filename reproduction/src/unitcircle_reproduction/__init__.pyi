__all__ = [
    "SOURCES",
    "Chapter",
    "Claim",
    "Context",
    "Source",
    "Verdict",
    "reproduce",
    "reproduce_command",
    "write_report",
]

from ._claim import Claim, Source, Verdict
from ._command import reproduce as reproduce_command
from ._context import Context
from ._page import Chapter, write_report
from ._reproduce import SOURCES, reproduce
