__all__ = [
    "TEXTS",
    "Chapter",
    "Claim",
    "Context",
    "Text",
    "Verdict",
    "reproduce",
    "write_report",
]

from ._claim import Claim, Text, Verdict
from ._context import Context
from ._page import Chapter, write_report
from ._reproduce import TEXTS, reproduce
