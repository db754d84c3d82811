"""Statistics of the records of a study: intervals, tests and verdicts, and their figures, tables and pages."""

import lazy_loader

from unitcircle._renamed import moved

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = moved(
    __name__,
    {"Contest": "unitcircle.experiments.comparison:Judge", "Verdict": "unitcircle.experiments.comparison:Standing"},
    otherwise=_load,
)
