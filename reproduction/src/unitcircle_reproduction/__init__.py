"""Every figure, table and claim of the texts, ours beside theirs.

``unitcircle reproduce NAME|NAME/SECTION|all [--quick|--full] [--out DIR]`` measures each claim, says whether it holds,
and writes one HTML page. Nothing is tuned to make a claim hold.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
